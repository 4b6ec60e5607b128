//! The control thread's work: proposals in, images out, and the end of the process.
//!
//! A proposal is answered when every shard has applied all images that were out when it was decided, so that whoever asked
//! finds what was made wherever it connects.

use std::collections::VecDeque;

use flumen_broker::Homes;
use flumen_broker::mail::{Mail, Proposer};
use flumen_controller::{Command, CommandResponse, Delta, MetadataImage};
use flumen_link::{Changes, Quorum};
use flumen_log::{BrokerId, ShardId, TopicId, TopicPartition, io::IoError, store::FaultyRange};
use flumen_reactor::mailbox::{ControlPostbox, StopHandle, Waiter};
use std::sync::Arc;
use tokio::{
    io::unix::AsyncFd,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::shards::Threads;

type Refusal = Box<dyn std::error::Error + Send + Sync>;

/// A decision on its way back.
struct Decided {
    shard: ShardId,
    origin: Proposer,
    result: Result<CommandResponse, String>,
}

/// What the control thread knows of this broker.
pub(super) struct Here {
    pub(super) broker: BrokerId,
    pub(super) broker_epoch: i64,
    /// The log directories, by their numbers.
    pub(super) paths: Vec<String>,
    /// The one with the metadata.
    pub(super) metadata_directory: Option<u32>,
    pub(super) homes: Homes,
}

/// The control thread's state.
pub(super) struct Control {
    quorum: Quorum,
    changes: Changes,
    postbox: ControlPostbox<Mail>,
    readable: AsyncFd<Waiter>,
    stop: StopHandle,
    /// The image last sent out.
    image: Arc<MetadataImage>,
    sent_index: u64,
    /// Changes that are not sent out yet, oldest first.
    held: VecDeque<flumen_link::Change>,
    /// The last change taken, sent out or not.
    taken_index: u64,
    /// The last change sent out that deleted topics.
    deleted_index: u64,
    /// Deleted topics of which it is not recorded that they are gone from this broker's disks.
    leaving: Vec<TopicId>,
    applied: Vec<u64>,
    decided_sender: mpsc::UnboundedSender<Decided>,
    decided: mpsc::UnboundedReceiver<Decided>,
    /// Decisions whose images are not applied everywhere.
    waiting: VecDeque<(u64, Decided)>,
    failed: Option<String>,
    here: Here,
    /// Damaged ranges of logs found since the start.
    damaged_ranges: u64,
}

impl Control {
    pub(super) fn new(
        quorum: Quorum,
        changes: Changes,
        image: Arc<MetadataImage>,
        postbox: ControlPostbox<Mail>,
        here: Here,
    ) -> Result<Self, Refusal> {
        let (decided_sender, decided) = mpsc::unbounded_channel();
        #[expect(deprecated, reason = "the waiter owns its descriptor for as long as it is registered; the other way is unsafe")]
        let readable = AsyncFd::new(postbox.waiter())?;
        Ok(Self {
            quorum,
            changes,
            readable,
            stop: postbox.stop_handle(),
            applied: vec![0; postbox.shards()],
            postbox,
            image,
            sent_index: 0,
            held: VecDeque::new(),
            taken_index: 0,
            deleted_index: 0,
            leaving: Vec::new(),
            decided_sender,
            decided,
            waiting: VecDeque::new(),
            failed: None,
            here,
            damaged_ranges: 0,
        })
    }

    /// Write the metadata as it is now to every shard, as what it starts from: first what was deleted and may still be on disk.
    pub(super) async fn begin(&mut self) {
        while let Some(change) = self.changes.try_next() {
            self.image = change.image;
            self.sent_index = change.index;
        }
        // Zero would count as applied before anything was, and what leaves has an index of its own.
        let index = self.sent_index.max(2);
        self.taken_index = index;
        let leaving = Delta::leaving(&self.image);
        if !leaving.is_empty() {
            self.sent_index = index - 1;
            self.broadcast(&Arc::new(leaving));
            self.until_applied().await;
        }
        self.sent_index = index;
        let delta = Arc::new(Delta::from_nothing(&self.image));
        self.broadcast(&delta);
    }

    fn broadcast(&mut self, delta: &Arc<Delta>) {
        if !delta.topics_deleted.is_empty() {
            self.deleted_index = self.sent_index;
            self.leaving.extend(delta.deleted_ids());
        }
        let placed = self.here.homes.place(&self.image, delta);
        for shard in self.shards() {
            let (image, delta, placed) = (Arc::clone(&self.image), Arc::clone(delta), Arc::clone(&placed));
            self.postbox.send(shard, Mail::Image { index: self.sent_index, image, delta, placed });
        }
    }

    fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        let shards = u16::try_from(self.applied.len()).expect("shards are numbered by 16 bits");
        (0..shards).map(ShardId)
    }

    /// The last index that every shard has applied.
    fn everywhere(&self) -> u64 {
        self.applied.iter().min().copied().unwrap_or_default()
    }

    /// Wait until every shard has applied what it starts from.
    pub(super) async fn until_applied(&mut self) {
        loop {
            self.read_mail();
            if self.everywhere() >= self.sent_index {
                return;
            }
            sleep(&mut self.postbox, &self.readable).await;
        }
    }

    /// Let the shards accept connections.
    pub(super) fn open(&mut self) {
        for shard in self.shards() {
            self.postbox.send(shard, Mail::Open);
        }
    }

    /// Serve the shards until the process is told to stop and they have ended.
    pub(super) async fn run(mut self, mut threads: Threads) -> Result<(), Refusal> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        loop {
            self.read_mail();
            self.send_images();
            self.send_held();
            self.forget_deleted();
            self.send_decisions();
            if let Some(failure) = &self.failed {
                // Without a place for the metadata, or for any log, this is the end: all that was acknowledged is on disk.
                eprintln!("flumen: {failure}");
                std::process::exit(1);
            }
            tokio::select! {
                () = sleep(&mut self.postbox, &self.readable) => {}
                change = self.changes.next() => match change {
                    Some(change) => self.take_change(change),
                    None => self.failed = Some("the metadata quorum has ended".to_owned()),
                },
                Some(decided) = self.decided.recv() => self.take_decision(decided),
                _ = interrupt.recv() => self.tell_to_stop("SIGINT"),
                _ = terminate.recv() => self.tell_to_stop("SIGTERM"),
                () = threads.ended() => break,
            }
        }
        threads.join();
        // What the shards said last: a log directory may have failed while they stopped.
        self.read_mail();
        if let Some(failure) = self.failed {
            return Err(failure.into());
        }
        eprintln!("flumen: stopped");
        Ok(())
    }

    fn tell_to_stop(&self, signal: &str) {
        eprintln!("flumen: {signal}: stopping");
        self.stop.stop();
    }

    fn read_mail(&mut self) {
        let mut mails = Vec::new();
        self.postbox.drain(|from, mail| mails.push((from, mail)));
        for (from, mail) in mails {
            match mail {
                Mail::Propose { origin, command } => {
                    let (quorum, sender) = (self.quorum.clone(), self.decided_sender.clone());
                    tokio::task::spawn_local(async move {
                        let result = quorum.propose(*command).await.map_err(|error| error.to_string());
                        // Nobody listens any more only when the process ends.
                        let _ = sender.send(Decided { shard: from, origin, result });
                    });
                }
                Mail::Applied { index, not_made } => {
                    self.partitions_not_made(&not_made);
                    if let Some(applied) = self.applied.get_mut(usize::from(from.0)) {
                        *applied = index;
                    }
                }
                Mail::JournalIsBuffered { directory } => {
                    eprintln!(
                        "flumen: {}: shard {from}: the file system refuses direct I/O: the journal is written buffered, with a sync",
                        self.path(directory)
                    );
                }
                Mail::DamageFound { ranges, more, uncleanable } => {
                    self.damaged_ranges += ranges.len() as u64 + more;
                    self.tell_damage(&ranges, more);
                    for (TopicPartition { topic, partition }, segment) in uncleanable {
                        eprintln!(
                            "flumen: partition {partition} of topic id {topic} is not compacted any more until the next start: the \
                             segment of offset {segment} cannot be read, or is not as it was written"
                        );
                    }
                    self.postbox.send(from, Mail::DamageTold);
                }
                Mail::DirectoryFailed { directory, error } => self.directory_failed(directory, error),
                _ => {}
            }
        }
    }

    fn tell_damage(&self, ranges: &[(TopicPartition, FaultyRange)], more: u64) {
        for (partition, range) in ranges {
            eprintln!(
                "flumen: partition {} of topic id {}: offsets {} to {} are damaged on disk (segment {}, from byte {}): they are not \
                 served, everything else is",
                partition.partition,
                partition.topic,
                range.from,
                range.to.0 - 1,
                range.segment,
                range.position
            );
        }
        if more > 0 {
            eprintln!("flumen: and {more} more damaged range(s)");
        }
        eprintln!("flumen: {} damaged range(s) found since the start", self.damaged_ranges);
    }

    fn path(&self, directory: u32) -> &str {
        self.here.paths.get(directory as usize).map_or("?", String::as_str)
    }

    /// A log directory failed in one shard: it is offline in all, and this broker leads nothing there any more.
    fn directory_failed(&mut self, directory: u32, error: IoError) {
        let Some(partitions) = self.here.homes.take_offline(directory) else { return };
        let path = self.path(directory).to_owned();
        eprintln!("flumen: {path}: the log directory failed ({error}): its {} partition(s) are offline", partitions.len());
        if self.here.metadata_directory == Some(directory) {
            self.failed = Some(format!("{path} holds the metadata: this is the end"));
        } else if !self.here.homes.any_online() {
            self.failed = Some("no log directory is left".to_owned());
        }
        for shard in self.shards() {
            self.postbox.send(shard, Mail::DirectoryFailed { directory, error });
        }
        self.give_up(partitions);
    }

    /// Partitions whose directories could not be made are offline; for those that found no room that passes.
    fn partitions_not_made(&self, not_made: &[(TopicPartition, IoError)]) {
        for (TopicPartition { topic, partition }, error) in not_made {
            let outlook = if error.is_no_space() { "offline until there is room" } else { "offline" };
            eprintln!("flumen: partition {partition} of topic id {topic} cannot be made ({error}): it is {outlook}");
        }
        let lost: Vec<_> = not_made.iter().filter(|(_, error)| !error.is_no_space()).map(|(partition, _)| *partition).collect();
        if !lost.is_empty() {
            self.give_up(lost);
        }
    }

    /// This broker leads these no more.
    fn give_up(&self, partitions: Vec<TopicPartition>) {
        let Here { broker, broker_epoch, .. } = self.here;
        self.propose_quietly(Command::GiveUpPartitions { broker, broker_epoch, partitions });
    }

    /// Propose what no shard asked for.
    fn propose_quietly(&self, command: Command) {
        let quorum = self.quorum.clone();
        tokio::task::spawn_local(async move {
            if let Err(error) = quorum.propose(command).await {
                // The quorum's own end is noticed by itself.
                tracing::error!(%error, "what became of this broker's partitions could not be recorded");
            }
        });
    }

    fn take_change(&mut self, change: flumen_link::Change) {
        self.taken_index = change.index;
        self.held.push_back(change);
        self.send_held();
    }

    /// A new topic may have the name of one that was just deleted, and other owners: it waits until that one is gone everywhere.
    fn send_held(&mut self) {
        let everywhere = self.everywhere();
        while let Some(change) = self.held.pop_front() {
            if !change.delta.topics_created.is_empty() && everywhere < self.deleted_index {
                self.held.push_front(change);
                return;
            }
            self.image = change.image;
            self.sent_index = change.index;
            self.broadcast(&change.delta);
        }
    }

    /// Record that deleted topics are gone from the disks, once they are. What is in a log directory that is not there is not gone.
    fn forget_deleted(&mut self) {
        if self.leaving.is_empty() || self.everywhere() < self.deleted_index || !self.here.homes.is_complete() {
            return;
        }
        let Here { broker, broker_epoch, .. } = self.here;
        let topics = core::mem::take(&mut self.leaving);
        self.propose_quietly(Command::ForgetTopics { broker, broker_epoch, topics });
    }

    fn send_images(&mut self) {
        while let Some(change) = self.changes.try_next() {
            self.take_change(change);
        }
    }

    fn take_decision(&mut self, decided: Decided) {
        // Its own image, if it led to one, is in the channel before the decision is.
        self.send_images();
        self.waiting.push_back((self.taken_index, decided));
    }

    /// Answer the decisions that every shard has caught up with.
    fn send_decisions(&mut self) {
        let everywhere = self.everywhere();
        while self.waiting.front().is_some_and(|(index, _)| *index <= everywhere) {
            if let Some((_, decided)) = self.waiting.pop_front() {
                let mail = Mail::Proposed { origin: decided.origin, result: Box::new(decided.result) };
                self.postbox.send(decided.shard, mail);
            }
        }
    }
}

/// Wait for mail.
async fn sleep(postbox: &mut ControlPostbox<Mail>, readable: &AsyncFd<Waiter>) {
    if postbox.announce_sleep() {
        if let Ok(mut guard) = readable.readable().await {
            guard.clear_ready();
        }
        postbox.woke();
    }
}
