//! `flumen start`: from a configuration to a running broker, and back to nothing.
//!
//! The order matters. What can refuse cheaply refuses first: configuration, kernel, port, the locks of the log directories. Then the logs are
//! recovered, the metadata starts, this start is registered there (which raises the epoch of every partition), and only when
//! every shard has applied that do connections get accepted.

use std::{
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    process::ExitCode,
};

use clap::Args;
use flumen_log::recovery::{Damage, RecoveryReport};
use flumen_reactor::{cores, file_limit, kernel, memory};
use flumen_transport::listen;
use tracing_subscriber::EnvFilter;

use crate::{
    config::{ConfigFlags, Listener, Placement, ServerConfig},
    log_directories::LogDirectories,
    process::{OpenFiles, Plan, run_process},
};

/// Freed memory that is kept for the next large frame instead of being given back.
const KEPT_BYTES: usize = 256 << 20;

/// Start a broker. Without flags or a file it listens on 127.0.0.1:9092 and keeps its data in ./flumen-data.
#[derive(Args, Clone, Debug)]
pub struct StartArguments {
    #[command(flatten)]
    flags: ConfigFlags,
}

/// Why a broker did not start, or stopped: a sentence for a person.
type Refusal = Box<dyn std::error::Error + Send + Sync>;

/// Run a broker until it is told to stop.
pub fn run(arguments: StartArguments) -> ExitCode {
    let filter = EnvFilter::try_from_env("FLUMEN_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match start(&arguments.flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprintln!("flumen: {refusal}");
            ExitCode::FAILURE
        }
    }
}

/// Settings that somebody could rely on for protection.
const PROTECTIONS: &[&str] = &["ssl.", "sasl.", "authorizer.", "super.users", "listener.name.", "principal."];

fn start(flags: &ConfigFlags) -> Result<(), Refusal> {
    let config = ServerConfig::load(flags)?;
    let features = kernel::probe()?;
    let files = file_limit::raise()?;
    memory::keep_freed(KEPT_BYTES);
    let cores = shard_cores(&config.placement, &cores::available()?)?;
    let shards = u16::try_from(cores.len())?;
    let open_files = OpenFiles::of_shard(files, shards, config.log_dirs.len()).map_err(|least| {
        format!("this process may have {files} files open; {shards} shard(s) need {least} or more (ulimit -n, LimitNOFILE=)")
    })?;
    let bound = bind(&config.listeners, cores.len())?;
    let directories = LogDirectories::open(&config, shards)?;
    announce(&config, &directories, &cores, &features.to_string());
    let plan = Plan { config, directories, cores, bound, open_files };
    run_process(plan)
}

/// The core of each shard. Where more shards are asked for than there are cores, none has one of its own: pinned, two would
/// share a core for good, and the kernel could move neither.
fn shard_cores(placement: &Placement, available: &[usize]) -> Result<Vec<Option<usize>>, Refusal> {
    let chosen = match placement {
        Placement::EveryCore => available.iter().copied().map(Some).collect(),
        Placement::Cores(cores) => {
            if let Some(missing) = cores.iter().find(|core| !available.contains(core)) {
                return Err(format!("this process may not run on core {missing}: it may use {available:?}").into());
            }
            cores.iter().copied().map(Some).collect()
        }
        Placement::Shards(count) => {
            let count = usize::from(*count);
            if count > available.len() { vec![None; count] } else { available.iter().copied().map(Some).take(count).collect() }
        }
    };
    Ok(chosen)
}

/// A listener with its sockets, one for each shard.
pub(crate) struct Bound {
    pub(crate) listener: Listener,
    pub(crate) address: SocketAddr,
    pub(crate) sockets: Vec<TcpListener>,
}

fn bind(listeners: &[Listener], shards: usize) -> Result<Vec<Bound>, Refusal> {
    let mut bound = Vec::with_capacity(listeners.len());
    for listener in listeners {
        let host = if listener.bind.host.is_empty() { "0.0.0.0" } else { &listener.bind.host };
        let wanted = (host, listener.bind.port).to_socket_addrs();
        let wanted = wanted.map_err(|error| format!("listener {}: {host} is no address: {error}", listener.name))?;
        let address = wanted.into_iter().next().ok_or_else(|| format!("listener {}: {host} has no address", listener.name))?;
        let sockets = listen(address, shards)?;
        let address = sockets.first().ok_or("there is no shard to listen")?.local_addr()?;
        bound.push(Bound { listener: listener.clone(), address, sockets });
    }
    Ok(bound)
}

fn announce(config: &ServerConfig, directories: &LogDirectories, cores: &[Option<usize>], features: &str) {
    let durability = match config.text("flumen.durability").as_deref() {
        Some("replicated") => "acks=all means in the page cache of every in-sync replica (flumen.durability=replicated)",
        _ => "acks=all means synced to disk (flumen.durability=synced)",
    };
    eprintln!("flumen: version {}, node {}", env!("CARGO_PKG_VERSION"), config.node);
    for online in &directories.online {
        eprintln!("flumen: data in {}", online.path);
    }
    eprintln!("flumen: {} shard(s), {}", cores.len(), placed(cores));
    eprintln!("flumen: {durability}");
    eprintln!("flumen: {features}");
    for online in &directories.online {
        announce_recovery(&online.path, &online.recovery.report);
    }
    for name in config.fixed.keys().filter(|name| PROTECTIONS.iter().any(|prefix| name.starts_with(prefix))) {
        eprintln!("flumen: {name} has no effect yet: nothing is encrypted, and nobody is asked who they are");
    }
    for (path, why) in &directories.offline {
        eprintln!("flumen: log directory {path} is offline: {why}");
    }
    for (id, path) in &directories.missing {
        eprintln!(
            "flumen: log directory {id}, last at {path}, is missing: partitions that are found nowhere else stay offline until it is \
             back, or until flumen.log.dirs.lost names it"
        );
    }
}

/// Where the shards run, for a person.
fn placed(cores: &[Option<usize>]) -> String {
    let pinned: Vec<String> = cores.iter().flatten().map(ToString::to_string).collect();
    if pinned.len() < cores.len() {
        "more than there are cores: none has one of its own".to_owned()
    } else {
        format!("on core {}", pinned.join(", "))
    }
}

fn announce_recovery(path: &str, report: &RecoveryReport) {
    if report.clean {
        eprintln!("flumen: {path}: {} partition(s), stopped in order last time", report.partitions);
    } else if report.partitions > 0 {
        eprintln!(
            "flumen: {path}: {} partition(s) recovered after an unclean stop: {} batch(es) from the journal",
            report.partitions, report.replayed_batches
        );
    }
    for tail in &report.tails {
        eprintln!(
            "flumen: partition {} of topic id {} in {path} ends at offset {} (leader epoch {}, known to be durable up to {}): {} \
             byte(s) behind that were torn or do not follow; {} of them are kept in quarantine/",
            tail.partition.partition,
            tail.partition.topic,
            tail.end,
            tail.epoch.0,
            tail.durable,
            tail.bytes,
            tail.quarantined_bytes
        );
    }
    for (partition, damage) in &report.damaged {
        let what = match damage {
            Damage::Missing { segment } => format!("the segment of offset {segment} is missing"),
            Damage::Bytes { segment, position } => format!("segment {segment} is bad at byte {position}"),
        };
        eprintln!(
            "flumen: partition {} of topic id {} in {path} is damaged below what was durable ({what}): nothing was cut, what is \
             damaged is not served, everything else is",
            partition.partition, partition.topic
        );
    }
    let told = [
        (&report.suspect_tails, "possible loss: the journal does not follow its log"),
        (&report.states_fallen_back, "one copy of partition.state is bad: the other is used, and the bad one written anew"),
        (
            &report.states_rebuilt,
            "both copies of partition.state are bad: the log starts with its first segment, and is trusted as far as checksums go",
        ),
        (&report.manifests_lost, "what compaction did is not known any more: holes between offsets are taken for its work"),
    ];
    for (partitions, what) in told {
        for partition in partitions {
            eprintln!("flumen: partition {} of topic id {} in {path}: {what}", partition.partition, partition.topic);
        }
    }
    if report.corrupt_frames > 0 {
        eprintln!(
            "flumen: {path}: {} journal frame(s) that had been written are corrupt or missing: what they alone held is lost",
            report.corrupt_frames
        );
    }
    if report.cleanings_undone > 0 {
        eprintln!(
            "flumen: {path}: {} compacted segment(s) are not whole: the segments they were to replace stay",
            report.cleanings_undone
        );
    }
    if report.unclaimed_entries > 0 {
        eprintln!("flumen: {path}: {} journal entries have no log to go to; kept in quarantine/", report.unclaimed_entries);
    }
    announce_left_alone(path, report);
}

/// Directories of which nothing is used in this run.
fn announce_left_alone(path: &str, report: &RecoveryReport) {
    for directory in &report.unknown_directories {
        eprintln!("flumen: {path}/{directory} holds segments but does not say whose: left alone");
    }
    for (directory, error) in &report.unreadable_directories {
        eprintln!(
            "flumen: {path}/{directory} cannot be read ({error}): the partition is offline until a start that can read it; what the journal has of \
             it is kept in quarantine/"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{placed, shard_cores};
    use crate::config::Placement;

    #[test]
    fn a_shard_has_a_core_of_its_own_or_none_has() {
        let cores = |placement| shard_cores(&placement, &[2, 3]).map_err(|refusal| refusal.to_string());
        assert_eq!(cores(Placement::EveryCore), Ok(vec![Some(2), Some(3)]));
        assert_eq!(cores(Placement::Shards(1)), Ok(vec![Some(2)]));
        assert_eq!(cores(Placement::Shards(2)), Ok(vec![Some(2), Some(3)]));
        assert_eq!(cores(Placement::Shards(4)), Ok(vec![None; 4]));
        assert_eq!(cores(Placement::Cores(vec![3])), Ok(vec![Some(3)]));
        assert!(cores(Placement::Cores(vec![0])).is_err_and(|refusal| refusal.contains("core 0")));
        assert_eq!(placed(&[Some(2), Some(3)]), "on core 2, 3");
        assert_eq!(placed(&[None; 4]), "more than there are cores: none has one of its own");
    }
}
