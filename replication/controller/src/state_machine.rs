//! Commands in order become images.
//!
//! Each kind of command has a module of its own that works on a [`Draft`]: the next image, and what is different in it.

use crate::command::Command;
use crate::delta::Delta;
use crate::image::MetadataImage;
use crate::refusal::{Reason, Refusal};
use crate::response::CommandResponse;
use crate::rules::ConfigRules;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use flumen_log::{BrokerId, ProducerId};

/// The metadata and the rules it is judged by.
pub struct StateMachine {
    image: Arc<MetadataImage>,
    rules: Box<dyn ConfigRules>,
}

/// The next image while a command is being applied.
pub(crate) struct Draft<'a> {
    pub(crate) image: &'a mut MetadataImage,
    pub(crate) rules: &'a dyn ConfigRules,
    pub(crate) delta: Delta,
}

impl StateMachine {
    /// A machine that goes on from `image`.
    #[must_use]
    pub fn new(image: Arc<MetadataImage>, rules: Box<dyn ConfigRules>) -> Self {
        Self { image, rules }
    }

    /// The metadata as of the last command applied.
    #[must_use]
    pub fn image(&self) -> &Arc<MetadataImage> {
        &self.image
    }

    /// Goes on from another image: a snapshot's.
    pub fn restore(&mut self, image: Arc<MetadataImage>) {
        self.image = image;
    }

    /// Applies one command: the same everywhere, whatever the machine it runs on.
    pub fn apply(&mut self, command: Command) -> (CommandResponse, Delta) {
        if command.is_dry_run() {
            // What would happen is tried out on a copy.
            let mut copy = (*self.image).clone();
            let mut draft = Draft { image: &mut copy, rules: &*self.rules, delta: Delta::default() };
            return (draft.apply(command), Delta::default());
        }
        let image = Arc::make_mut(&mut self.image);
        let mut draft = Draft { image, rules: &*self.rules, delta: Delta::default() };
        let response = draft.apply(command);
        (response, draft.delta)
    }
}

impl Command {
    /// Whether the command only asks what would happen.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        match self {
            Self::CreateTopics(command) => command.validate_only,
            Self::CreatePartitions(command) => command.validate_only,
            Self::AlterConfigs(command) => command.validate_only,
            Self::NameCluster { .. }
            | Self::RegisterBroker(_)
            | Self::FenceBroker { .. }
            | Self::DeleteTopics(_)
            | Self::AllocateProducerIds { .. }
            | Self::AlterPartition(_)
            | Self::GiveUpPartitions { .. }
            | Self::ForgetTopics { .. } => false,
        }
    }
}

impl Draft<'_> {
    fn apply(&mut self, command: Command) -> CommandResponse {
        match command {
            Command::NameCluster { cluster_id } => self.name_cluster(&cluster_id),
            Command::RegisterBroker(registration) => self.register_broker(registration),
            Command::FenceBroker { broker, broker_epoch } => or_refused(self.fence_broker(broker, broker_epoch)),
            Command::CreateTopics(request) => self.create_topics(request),
            Command::DeleteTopics(request) => self.delete_topics(request),
            Command::CreatePartitions(request) => self.create_partitions(request),
            Command::AlterConfigs(request) => self.alter_configs(request),
            Command::AllocateProducerIds { broker, broker_epoch, count } => {
                or_refused(self.allocate_producer_ids(broker, broker_epoch, count))
            }
            Command::AlterPartition(request) => or_refused(self.alter_partition(request)),
            Command::GiveUpPartitions { broker, broker_epoch, partitions } => {
                or_refused(self.give_up_partitions(broker, broker_epoch, &partitions))
            }
            Command::ForgetTopics { broker, broker_epoch, topics } => {
                or_refused(self.forget_topics(broker, broker_epoch, &topics))
            }
        }
    }

    fn name_cluster(&mut self, cluster_id: &str) -> CommandResponse {
        if self.image.cluster_id.is_empty() {
            self.image.cluster_id = Arc::from(cluster_id);
        }
        CommandResponse::Done
    }

    fn allocate_producer_ids(&mut self, broker: BrokerId, broker_epoch: i64, count: u32) -> Result<CommandResponse, Refusal> {
        self.check_registration(broker, broker_epoch)?;
        let first = self.image.next_producer_id;
        let Some(next) = first.0.checked_add(i64::from(count)).filter(|_| count > 0) else {
            let message = format!("A block of {count} producer ids cannot be taken at {first}.");
            return Err(Refusal::new(Reason::InvalidRequest, message));
        };
        self.image.next_producer_id = ProducerId(next);
        Ok(CommandResponse::ProducerIds { first, count })
    }

    /// Checks that a broker speaks under its current registration.
    pub(crate) fn check_registration(&self, broker: BrokerId, broker_epoch: i64) -> Result<(), Refusal> {
        let Some(known) = self.image.brokers.get(&broker) else {
            let message = format!("No broker with id {broker} found.");
            return Err(Refusal::new(Reason::BrokerIdNotRegistered, message));
        };
        if known.epoch == broker_epoch {
            return Ok(());
        }
        let message = format!("Expected broker epoch {}, but got broker epoch {broker_epoch}", known.epoch);
        Err(Refusal::new(Reason::StaleBrokerEpoch, message))
    }
}

fn or_refused(outcome: Result<CommandResponse, Refusal>) -> CommandResponse {
    outcome.unwrap_or_else(CommandResponse::Refused)
}

/// What Kafka says where nobody asked twice for one thing.
pub(crate) fn duplicate(what: &str) -> Refusal {
    Refusal::new(Reason::InvalidRequest, String::from("Duplicate ") + what + ".")
}
