//! Administration: topics, partitions, configurations, offsets, the cluster itself.
//!
//! Calls that go to the controller find it; what fails only for now is tried again for the cluster's retry timeout.
//! Results are by name: one topic's failure is not another's.

mod configs;
mod describe;
mod offsets;
mod topics;

use std::time::Duration;

pub use configs::{AlterOperation, ConfigAlteration, ConfigEntry, ConfigSource, Resource};
pub use describe::{ClusterDescription, DescribedBroker, DescribedPartition, DescribedTopic, LogDirectory, ReplicaSize};
pub(crate) use offsets::list_offsets;
pub use offsets::{EARLIEST_TIMESTAMP, FoundOffset, LATEST_TIMESTAMP, Place};
pub use topics::{CreatedTopic, NewTopic};

use crate::{Cluster, Error};

/// Administers a cluster.
#[derive(Clone, Debug)]
pub struct Admin {
    cluster: Cluster,
    timeout: Duration,
}

/// What became of each thing asked for, in the order asked.
pub type Outcomes<T> = Vec<(String, Result<T, Error>)>;

impl Admin {
    /// An administrator of this cluster.
    #[must_use]
    pub fn new(cluster: Cluster) -> Self {
        Self { cluster, timeout: Duration::from_secs(30) }
    }

    /// How long a broker may take for what it does before it answers.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    fn timeout_ms(&self) -> i32 {
        i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX)
    }
}

/// Puts answers in the order of the questions; one that is missing is the broker's mistake.
fn in_order<T>(names: &[String], mut answers: Vec<(String, Result<T, Error>)>) -> Outcomes<T> {
    let mut ordered = Vec::with_capacity(names.len());
    for name in names {
        let found = answers.iter().position(|(answered, _)| answered == name);
        ordered.push(match found {
            Some(at) => answers.swap_remove(at),
            None => (name.clone(), Err(missing(name))),
        });
    }
    ordered
}

fn missing(name: &str) -> Error {
    Error::Malformed { address: String::from("the broker"), reason: format!("an answer that leaves {name:?} out") }
}

/// The first error that may go away, so that the whole is asked again.
fn retriable<T>(answers: &[(String, Result<T, Error>)]) -> Option<Error> {
    answers.iter().filter_map(|(_, outcome)| outcome.as_ref().err()).find(|problem| is_transient(problem)).cloned()
}

/// Whether an administrative call may be repeated as a whole: only where the answer says that nothing was done.
fn is_transient(problem: &Error) -> bool {
    matches!(problem.code(), Some(crate::ErrorCode::NotController))
}
