//! `flumen topic list`

use clap::Args;
use flumen_client::Admin;
use flumen_client::admin::DescribedTopic;
use serde_json::{Value, json};

use super::expressions;
use crate::cli::Failure;
use crate::cli::connect::ConnectionArguments;
use crate::cli::output::ListFormat;
use crate::cli::table::{Table, numbers};

/// What `list` takes.
#[derive(Args, Debug)]
pub(super) struct ListArguments {
    /// Only these topics
    #[arg(value_name = "TOPIC")]
    topics: Vec<String>,

    /// Show every partition
    #[arg(short, long)]
    detailed: bool,

    /// Show the cluster's own topics too
    #[arg(short, long)]
    internal: bool,

    /// Take the names for regular expressions
    #[arg(short, long)]
    regex: bool,

    /// How the list is written
    #[arg(short, long, value_enum, default_value_t)]
    format: ListFormat,
}

pub(super) async fn run(connection: &ConnectionArguments, arguments: ListArguments) -> Result<(), Failure> {
    let wanted = if arguments.regex { Some(expressions(&arguments.topics)?) } else { None };
    let admin = Admin::new(connection.cluster().await?);
    let mut topics = admin.list_topics().await?;
    topics.retain(|topic| {
        let named = match &wanted {
            Some(expressions) => expressions.iter().any(|expression| expression.is_match(&topic.name)),
            None => arguments.topics.contains(&topic.name),
        };
        if arguments.topics.is_empty() { arguments.internal || !topic.is_internal } else { named }
    });
    arguments.format.write(
        || if arguments.detailed { detailed(&topics) } else { brief(&topics) },
        || topics.iter().map(|topic| as_json(topic, arguments.detailed)).collect(),
    )
}

/// One line for each topic.
pub(in crate::cli) fn brief(topics: &[DescribedTopic]) -> String {
    let mut table = Table::with_heading(&["NAME", "PARTITIONS", "REPLICAS"]);
    for topic in topics {
        table.row([topic.name.clone(), topic.partitions.len().to_string(), replicas(topic).to_string()]);
    }
    table.render()
}

/// All partitions of each topic.
pub(in crate::cli) fn detailed(topics: &[DescribedTopic]) -> String {
    let mut sections = Vec::new();
    for topic in topics {
        let internal = if topic.is_internal { " (internal)" } else { "" };
        let mut table = Table::with_heading(&["", "PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR", "OFFLINE"]);
        for partition in &topic.partitions {
            table.row([
                String::new(),
                partition.index.to_string(),
                partition.leader.map_or_else(|| String::from("-"), |leader| leader.to_string()),
                partition.leader_epoch.to_string(),
                numbers(&partition.replicas),
                numbers(&partition.in_sync),
                numbers(&partition.offline),
            ]);
        }
        let (count, replicas) = (topic.partitions.len(), replicas(topic));
        let heading = format!("{}{internal}, partitions: {count}, replicas: {replicas}", topic.name);
        sections.push(format!("{heading}\n{}", table.render()));
    }
    sections.join("\n")
}

/// The number of replicas of its partitions.
pub(in crate::cli) fn replicas(topic: &DescribedTopic) -> usize {
    topic.partitions.iter().map(|partition| partition.replicas.len()).max().unwrap_or_default()
}

/// The topic for programs.
pub(in crate::cli) fn as_json(topic: &DescribedTopic, detailed: bool) -> Value {
    let mut object = json!({
        "name": topic.name,
        "id": flumen_log::TopicId(topic.id.0).to_string(),
        "internal": topic.is_internal,
        "partitions": topic.partitions.len(),
        "replicas": replicas(topic),
    });
    if detailed {
        let partition = |partition: &flumen_client::admin::DescribedPartition| {
            json!({
                "partition": partition.index,
                "leader": partition.leader,
                "epoch": partition.leader_epoch,
                "replicas": partition.replicas,
                "isr": partition.in_sync,
                "offline": partition.offline,
                "error": partition.problem.map(|code| code.name()),
            })
        };
        object["partition_details"] = topic.partitions.iter().map(partition).collect();
    }
    object
}
