//! `flumen cluster …`

use clap::{Args, Subcommand};
use flumen_client::Admin;
use flumen_client::admin::{ClusterDescription, DescribedTopic};
use serde_json::{Value, json};

use super::Failure;
use super::connect::ConnectionArguments;
use super::output::ListFormat;
use super::table::{Table, title};
use super::topic;

/// Everything about clusters.
#[derive(Args, Debug)]
pub struct ClusterArguments {
    #[command(subcommand)]
    command: ClusterCommand,
    #[command(flatten)]
    connection: ConnectionArguments,
}

impl ClusterArguments {
    /// Which cluster.
    #[must_use]
    pub fn connection(&self) -> &ConnectionArguments {
        &self.connection
    }
}

#[derive(Subcommand, Debug)]
enum ClusterCommand {
    /// Show the cluster's id, brokers and topics
    #[command(visible_alias = "metadata")]
    Info(InfoArguments),
}

/// What `info` takes. Without a section all are shown.
#[derive(Args, Debug)]
struct InfoArguments {
    /// Show the cluster
    #[arg(short = 'c', long = "print-cluster")]
    cluster: bool,

    /// Show the brokers; the controller has a star
    #[arg(short = 'B', long = "print-brokers")]
    nodes: bool,

    /// Show the topics
    #[arg(short = 't', long = "print-topics")]
    topics: bool,

    /// Show the cluster's own topics too
    #[arg(short = 'i', long = "print-internal-topics", visible_alias = "internal")]
    internal: bool,

    /// Show every partition
    #[arg(short = 'd', long = "print-detailed-topics", visible_alias = "detailed")]
    detailed: bool,

    /// How it is written
    #[arg(short, long, value_enum, default_value_t)]
    format: ListFormat,
}

/// Does it.
pub async fn run(arguments: ClusterArguments) -> Result<(), Failure> {
    let ClusterCommand::Info(info) = arguments.command;
    let admin = Admin::new(arguments.connection.cluster().await?);
    let cluster = admin.describe_cluster().await?;
    let mut topics = admin.list_topics().await?;
    topics.retain(|topic| info.internal || !topic.is_internal);
    info.format.write(|| as_text(&cluster, &topics, &info), || as_json(&cluster, &topics, info.detailed))
}

fn as_text(cluster: &ClusterDescription, topics: &[DescribedTopic], info: &InfoArguments) -> String {
    let wants_topics = info.topics || info.internal || info.detailed;
    let all = !(info.cluster || info.nodes || wants_topics);
    let mut sections = Vec::new();
    if all || info.cluster {
        sections.push(("CLUSTER", format!("{}\n", cluster.id)));
    }
    if all || info.nodes {
        sections.push(("BROKERS", brokers(cluster)));
    }
    if all || wants_topics {
        sections.push(("TOPICS", if info.detailed { topic::detailed(topics) } else { topic::brief(topics) }));
    }
    if let [(_, body)] = sections.as_slice() {
        return body.clone();
    }
    sections.iter().map(|(name, body)| format!("{}{body}", title(name))).collect::<Vec<_>>().join("\n")
}

fn brokers(cluster: &ClusterDescription) -> String {
    let has_rack = cluster.brokers.iter().any(|broker| broker.rack.is_some());
    let mut heading = vec!["ID", "HOST", "PORT"];
    heading.extend(has_rack.then_some("RACK"));
    let mut table = Table::with_heading(&heading);
    for broker in &cluster.brokers {
        let star = if cluster.controller == Some(broker.id) { "*" } else { "" };
        let mut row = vec![format!("{}{star}", broker.id), broker.host.clone(), broker.port.to_string()];
        row.extend(has_rack.then(|| broker.rack.clone().unwrap_or_default()));
        table.row(row);
    }
    table.render()
}

fn as_json(cluster: &ClusterDescription, topics: &[DescribedTopic], detailed: bool) -> Value {
    let broker = |broker: &flumen_client::admin::DescribedBroker| {
        json!({
            "id": broker.id,
            "host": broker.host,
            "port": broker.port,
            "rack": broker.rack,
            "controller": cluster.controller == Some(broker.id),
        })
    };
    json!({
        "cluster": cluster.id,
        "controller": cluster.controller,
        "brokers": cluster.brokers.iter().map(broker).collect::<Value>(),
        "topics": topics.iter().map(|topic| topic::as_json(topic, detailed)).collect::<Value>(),
    })
}
