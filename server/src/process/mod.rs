//! The threads of a broker process: a shard on each core, and the control thread, which is the process's first.

mod control;
mod open_files;
mod shard_settings;
mod shards;

use std::time::Duration;

use flumen_broker::Homes;
use flumen_controller::{Command, CommandResponse, Endpoint, MetadataImage, command::RegisterBroker, configs::KafkaConfigRules};
use flumen_link::{Quorum, QuorumOptions, Started};
use flumen_log::{PartitionIndex, TopicPartition};
use flumen_reactor::mailbox::mesh;
pub(crate) use open_files::OpenFiles;

use crate::{config::ServerConfig, log_directories::LogDirectories, start::Bound};
use control::{Control, Here};

/// Why the process ends early: a sentence for a person.
type Refusal = Box<dyn std::error::Error + Send + Sync>;

/// Everything that was made ready before any thread runs.
pub(crate) struct Plan {
    pub(crate) config: ServerConfig,
    pub(crate) directories: LogDirectories,
    pub(crate) cores: Vec<Option<usize>>,
    pub(crate) bound: Vec<Bound>,
    /// Each shard's share.
    pub(crate) open_files: OpenFiles,
}

/// How long the metadata is waited for at a stop. It is synced with each change; only a full disk keeps it.
const QUORUM_STOPS_WITHIN: Duration = Duration::from_secs(10);

/// Run the threads until the process is told to stop.
pub(crate) fn run_process(plan: Plan) -> Result<(), Refusal> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, control(plan))
}

async fn control(plan: Plan) -> Result<(), Refusal> {
    let options = QuorumOptions {
        directory: plan.directories.metadata.clone(),
        node: plan.config.node,
        cluster_id: random_cluster_id(),
        rules: Box::new(KafkaConfigRules),
    };
    let Started { quorum, image, changes, .. } = Quorum::start(options).await?;
    let mut homes = Homes::new(plan.config.node, &plan.directories.found());
    let nameless = plan.directories.unknown().filter_map(|name| partition_named(&image, name));
    let mut offline = homes.withhold(nameless);
    if !plan.directories.missing.is_empty() {
        offline = homes.hold_back(&image);
    }
    let registration = registration(&plan, offline)?;
    let broker_epoch = match quorum.propose(Command::RegisterBroker(registration)).await? {
        CommandResponse::Registered { broker_epoch } => broker_epoch,
        other => return Err(format!("this broker was not registered: {other:?}").into()),
    };
    let shards = u16::try_from(plan.cores.len())?;
    let limits = shard_settings::limits(&plan.config, shards, plan.open_files)?;
    let (postboxes, postbox) = mesh(shards, limits.mailbox_slots())?;
    let addresses: Vec<_> = plan.bound.iter().map(|bound| bound.address).collect();
    let here = Here {
        broker: plan.config.node,
        broker_epoch,
        paths: plan.directories.online.iter().map(|online| online.path.clone()).collect(),
        metadata_directory: plan.directories.metadata_number,
        homes,
    };
    let mut control = Control::new(quorum.clone(), changes, image, postbox, here)?;
    let threads = shards::spawn(plan, limits, postboxes)?;
    control.begin().await;
    control.until_applied().await;
    control.open();
    for address in addresses {
        eprintln!("flumen: listening for Kafka on {address}");
    }
    let outcome = control.run(threads).await;
    match tokio::time::timeout(QUORUM_STOPS_WITHIN, quorum.stop()).await {
        Ok(stopped) => stopped?,
        // What it waits for room to write was answered to nobody.
        Err(_) => eprintln!("flumen: the metadata still waits for room on its disk: not waited for any longer"),
    }
    outcome
}

/// What the cluster is to know of this broker from now on.
fn registration(plan: &Plan, offline: Vec<TopicPartition>) -> Result<RegisterBroker, Refusal> {
    let endpoints = plan
        .bound
        .iter()
        .map(|bound| {
            let advertised = &bound.listener.advertised;
            let port = if advertised.port == 0 { bound.address.port() } else { advertised.port };
            Endpoint { listener: bound.listener.name.clone(), host: advertised.host.clone(), port }
        })
        .collect();
    Ok(RegisterBroker {
        broker: plan.config.node,
        endpoints,
        rack: plan.config.rack.clone(),
        boot_id: std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned(),
        clean_stop: plan.directories.clean(),
        offline,
    })
}

/// The partition whose directory has this name: what lies there says so no more, and cannot be used.
fn partition_named(image: &MetadataImage, directory: &str) -> Option<TopicPartition> {
    let (topic, partition) = directory.rsplit_once('-')?;
    let topic = image.topic(topic)?.id;
    Some(TopicPartition { topic, partition: PartitionIndex(partition.parse().ok()?) })
}

/// A cluster's name in Kafka's form.
fn random_cluster_id() -> String {
    flumen_log::TopicId(*uuid::Uuid::new_v4().as_bytes()).to_string()
}
