//! `flumen topic create`

use clap::Args;
use flumen_client::Admin;
use flumen_client::admin::NewTopic;

use super::{report, setting};
use crate::cli::Failure;
use crate::cli::connect::ConnectionArguments;

/// What `create` takes.
#[derive(Args, Debug)]
pub(super) struct CreateArguments {
    /// The topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,

    /// How many partitions; -1 is the cluster's default
    #[arg(short, long, default_value_t = -1, allow_negative_numbers = true, value_parser = positive_or_default::<i32>)]
    partitions: i32,

    /// How many replicas of each partition; -1 is the cluster's default
    #[arg(short, long, default_value_t = -1, allow_negative_numbers = true, value_parser = positive_or_default::<i16>)]
    replicas: i16,

    /// A setting of the topics; repeat for more
    #[arg(short = 'c', long = "topic-config", value_name = "NAME=VALUE", value_parser = setting)]
    configs: Vec<(String, String)>,

    /// Do nothing to topics that exist already
    #[arg(long)]
    if_not_exists: bool,

    /// Only say whether it could be done
    #[arg(short = 'd', long = "dry-run", visible_alias = "dry")]
    dry_run: bool,
}

fn positive_or_default<T>(text: &str) -> Result<T, String>
where
    T: std::str::FromStr + From<i8> + PartialOrd,
{
    let number: T = text.parse().map_err(|_| format!("{text:?} is no such number"))?;
    if number == T::from(-1) || number >= T::from(1) {
        Ok(number)
    } else {
        Err(String::from("it must be at least 1, or -1 for the cluster's default"))
    }
}

pub(super) async fn run(connection: &ConnectionArguments, arguments: CreateArguments) -> Result<(), Failure> {
    let admin = Admin::new(connection.cluster().await?);
    let topic = |name: &String| NewTopic {
        name: name.clone(),
        partitions: arguments.partitions,
        replication_factor: arguments.replicas,
        configs: arguments.configs.clone(),
    };
    let wanted: Vec<NewTopic> = super::unique(&arguments.topics).iter().map(topic).collect();
    let mut outcomes = admin.create_topics(&wanted, arguments.dry_run).await?;
    if arguments.if_not_exists {
        let exists = |problem: &flumen_client::Error| problem.code() == Some(flumen_client::ErrorCode::TopicAlreadyExists);
        outcomes.retain(|(_, outcome)| !outcome.as_ref().err().is_some_and(exists));
    }
    report(&outcomes, if arguments.dry_run { "OK (not created)" } else { "OK" })
}
