//! The shard threads: made together, ended together.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flumen_broker::{Limits, Mail, Shard};
use flumen_log::{ShardId, recovery::ShardRecovery};
use flumen_reactor::{DataDirectory, LeftoverFiles, Reactor, ReactorSettings, StallReport, mailbox::ShardPostbox};
use tokio::sync::mpsc;

use super::{Plan, shard_settings, shard_settings::Paths};

type Refusal = Box<dyn std::error::Error + Send + Sync>;

/// The running shards.
pub(super) struct Threads {
    handles: Vec<JoinHandle<LeftoverFiles>>,
    /// Closed when no thread holds its sender any more.
    running: mpsc::UnboundedReceiver<()>,
}

impl Threads {
    /// Wait until all have ended.
    pub(super) async fn ended(&mut self) {
        while self.running.recv().await.is_some() {}
    }

    /// Take the threads back. Files that one left open may have been sent from by another: they are closed here.
    pub(super) fn join(self) {
        let leftovers: Vec<_> = self.handles.into_iter().map(JoinHandle::join).collect();
        drop(leftovers);
    }
}

/// A shard says at most this often that a turn took too long.
const STALLS_SAID_EVERY: Duration = Duration::from_secs(10);

/// Start a thread for every shard.
pub(super) fn spawn(plan: Plan, limits: Limits, postboxes: Vec<ShardPostbox<Mail>>) -> Result<Threads, Refusal> {
    let shards = u16::try_from(plan.cores.len())?;
    let (alive, running) = mpsc::unbounded_channel();
    let mut handles = Vec::with_capacity(postboxes.len());
    let mut sockets: Vec<_> = plan.bound.into_iter().map(|bound| bound.sockets.into_iter()).collect();
    let mut directories = Vec::new();
    let mut recovered: Vec<Vec<ShardRecovery>> = plan.cores.iter().map(|_| Vec::new()).collect();
    let (paths, offline) = (plan.directories.online.iter(), plan.directories.offline.iter());
    let paths = Paths {
        online: paths.map(|online| online.path.clone()).collect(),
        offline: offline.map(|(path, _)| path.clone()).collect(),
    };
    for online in plan.directories.online {
        directories.push(online.directory);
        for (shard, part) in recovered.iter_mut().zip(online.recovery.shards) {
            shard.push(part);
        }
    }
    for (((number, core), postbox), recovered) in (0u16..).zip(plan.cores).zip(postboxes).zip(recovered) {
        let shard = ShardId(number);
        let settings = shard_settings::settings(&plan.config, shard, shards, limits.clone(), plan.open_files, paths.clone());
        let reactor_settings =
            ReactorSettings { core, max_connections: limits.connections, accept_at_once: false, ..ReactorSettings::new(shard) };
        let listeners = sockets.iter_mut().filter_map(Iterator::next).collect::<Vec<_>>();
        let directories = directories.iter().map(DataDirectory::try_clone).collect::<Result<Vec<_>, _>>()?;
        let alive = Alive(alive.clone());
        let thread = std::thread::Builder::new().name(format!("shard-{number}"));
        handles.push(thread.spawn(move || {
            let _alive = alive;
            let mut reactor = match Reactor::new(reactor_settings, directories, listeners, postbox) {
                Ok(reactor) => reactor,
                Err(error) => {
                    eprintln!("flumen: {error}");
                    std::process::exit(1);
                }
            };
            reactor.on_stall(stall_report());
            let (_, leftover) = reactor.run(Shard::new(settings, recovered));
            leftover
        })?);
    }
    Ok(Threads { handles, running })
}

/// Says that a turn took too long, and now and then only: on a busy machine that is many turns.
fn stall_report() -> StallReport {
    let mut said: Option<Instant> = None;
    let mut unsaid = 0u64;
    Box::new(move |stall| {
        if said.is_some_and(|said| said.elapsed() < STALLS_SAID_EVERY) {
            unsaid += 1;
            return;
        }
        said = Some(Instant::now());
        tracing::warn!(%stall, unsaid, "a turn took too long");
        unsaid = 0;
    })
}

/// Held while a thread runs. A thread that ends by a panic takes the process with it: what it owned has no owner any more.
struct Alive(#[expect(dead_code, reason = "it is there to be dropped")] mpsc::UnboundedSender<()>);

impl Drop for Alive {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}
