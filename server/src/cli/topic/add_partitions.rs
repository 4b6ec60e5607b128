//! `flumen topic add-partitions`

use clap::Args;
use flumen_client::{Admin, Error};

use super::report;
use crate::cli::Failure;
use crate::cli::connect::ConnectionArguments;

/// What `add-partitions` takes.
#[derive(Args, Debug)]
pub(super) struct AddPartitionsArguments {
    /// The topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,

    /// How many more
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(1..))]
    num: i32,

    /// Do it to the cluster's own topics too
    #[arg(short, long)]
    force: bool,

    /// Only say whether it could be done
    #[arg(long, visible_alias = "dry")]
    dry_run: bool,
}

pub(super) async fn run(connection: &ConnectionArguments, arguments: AddPartitionsArguments) -> Result<(), Failure> {
    let admin = Admin::new(connection.cluster().await?);
    let mut totals = Vec::new();
    let mut outcomes = Vec::new();
    for (name, outcome) in admin.describe_topics(&super::unique(&arguments.topics)).await? {
        match outcome {
            Ok(topic) if topic.is_internal && !arguments.force => {
                let problem = String::from("it is the cluster's own; --force adds partitions all the same");
                outcomes.push((name, Err(Error::Options(problem))));
            }
            Ok(topic) => {
                let present = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
                totals.push((name, present.saturating_add(arguments.num)));
            }
            Err(problem) => outcomes.push((name, Err(problem))),
        }
    }
    if !totals.is_empty() {
        outcomes.extend(admin.create_partitions(&totals, arguments.dry_run).await?);
    }
    report(&outcomes, if arguments.dry_run { "OK (not added)" } else { "OK" })
}
