//! A fetch at the owner: judged, parked if there is too little, located, answered.

use alloc::{boxed::Box, vec::Vec};
use flumen_log::{LeaderEpoch, Offset, ShardId, TopicPartition, store::Located};
use flumen_protocol::ErrorCode;
use flumen_replica::EpochRefusal;

use super::{FetchKey, purgatory::Parked};
use crate::{
    mail::{FetchEntry, FetchMail, FetchResult, FetchedMail, Mail, Ticket},
    shard::{LookupFor, Shard, Turn},
};

/// A fetch whose bytes are being located, entry by entry: one that has to read stops the rest.
#[derive(Debug)]
pub(crate) struct Collecting {
    mail: FetchMail,
    next: usize,
    left_bytes: u32,
    any: bool,
    results: Vec<(u32, FetchResult)>,
    was_parked: bool,
}

/// What an entry can have before anything is located.
enum Judged {
    /// This is the answer already.
    Settled(FetchResult),
    /// Bytes from the offset up to `below`, if any.
    Readable { result: FetchResult, below: Offset },
}

impl Shard {
    /// A fetch arrives: answer at once if there is enough, else let it wait.
    pub(crate) fn fetch_here(&mut self, turn: &mut Turn<'_>, from: ShardId, mail: FetchMail) {
        let key = (from, mail.ticket);
        let (bytes, urgent) = self.available(&mail);
        if urgent || bytes >= mail.min_bytes {
            let max_bytes = mail.max_bytes;
            self.collect(turn, key, mail, max_bytes, false);
            return;
        }
        let ticket = mail.ticket;
        self.purgatory.park(key, Parked { reported: None, mail });
        self.post(turn, from, Mail::FetchParked { ticket, bytes });
    }

    /// A partition's high watermark rose, or its leadership went: look at those who wait for it.
    pub(crate) fn wake_fetches(&mut self, turn: &mut Turn<'_>, partition: TopicPartition) {
        for key in self.purgatory.watching(partition) {
            let Some(parked) = self.purgatory.take(&key) else { continue };
            let (bytes, urgent) = self.available(&parked.mail);
            if urgent || bytes >= parked.mail.min_bytes {
                let max_bytes = parked.mail.max_bytes;
                self.collect(turn, key, parked.mail, max_bytes, true);
                continue;
            }
            let (from, ticket) = key;
            let tell = parked.mail.shared && parked.reported.is_none() && bytes > 0;
            let reported = if tell { Some(bytes) } else { parked.reported };
            self.purgatory.park(key, Parked { reported, ..parked });
            if tell {
                self.post(turn, from, Mail::FetchReady { ticket, bytes });
            }
        }
    }

    /// The sum is not enough yet: report again when there is more.
    pub(crate) fn fetch_wait(&mut self, turn: &mut Turn<'_>, key: FetchKey) {
        let Some(parked) = self.purgatory.get_mut(&key) else { return };
        let Some(reported) = parked.reported.take() else { return };
        let Some(parked) = self.purgatory.take(&key) else { return };
        let (bytes, _) = self.available(&parked.mail);
        let more = bytes > reported;
        self.purgatory.park(key, Parked { reported: more.then_some(bytes), ..parked });
        if more {
            self.post(turn, key.0, Mail::FetchReady { ticket: key.1, bytes });
        }
    }

    /// End a wait with what is there.
    pub(crate) fn fetch_collect(&mut self, turn: &mut Turn<'_>, key: FetchKey, max_bytes: u32) {
        if let Some(parked) = self.purgatory.take(&key) {
            let max_bytes = max_bytes.min(parked.mail.max_bytes);
            self.collect(turn, key, parked.mail, max_bytes, true);
        }
    }

    /// Bytes a fetch could have now, and whether it must be answered whatever they are (F06).
    fn available(&self, mail: &FetchMail) -> (u64, bool) {
        let mut bytes = 0;
        for entry in &mail.entries {
            match self.judge(entry, mail.read_committed) {
                Judged::Settled(result) => {
                    if result.error != ErrorCode::None || result.diverging.is_some() {
                        return (bytes, true);
                    }
                }
                Judged::Readable { below, .. } => {
                    let Some(hosted) = self.partitions.get(entry.partition) else { return (bytes, true) };
                    let store = self.directories.store(hosted.place);
                    match store.bytes_between(hosted.place.slot, entry.offset, below) {
                        // It begins in an older segment: no need to count, there is enough to send.
                        None => return (bytes, true),
                        Some(available) => bytes += available.min(u64::from(entry.max_bytes)),
                    }
                }
            }
        }
        (bytes, false)
    }

    /// Everything about an entry that needs no reading (F04, F05, F08–F10).
    fn judge(&self, entry: &FetchEntry, read_committed: bool) -> Judged {
        let refused = |error| Judged::Settled(FetchResult::refused(error));
        let (hosted, leader) = match self.partitions.leader(entry.partition) {
            Ok(found) => found,
            Err(error) => return refused(error),
        };
        if let Err(refusal) = leader.check_epoch(entry.current_leader_epoch) {
            return refused(epoch_error(refusal));
        }
        let Some(view) = self.directories.view(hosted.place) else { return refused(ErrorCode::KafkaStorageError) };
        let high_watermark = leader.high_watermark();
        let result = FetchResult {
            high_watermark,
            last_stable_offset: high_watermark,
            log_start: view.log_start(),
            read_committed,
            ..FetchResult::refused(ErrorCode::None)
        };
        if entry.last_fetched_epoch != LeaderEpoch::NONE {
            match view.end_offset_for(entry.last_fetched_epoch) {
                // Nothing is known of that epoch any more: the client has to find its place anew.
                None => return refused(ErrorCode::OffsetOutOfRange),
                Some((epoch, end)) if epoch < entry.last_fetched_epoch || end < entry.offset => {
                    return Judged::Settled(FetchResult { diverging: Some((epoch, end)), ..result });
                }
                Some(_) => {}
            }
        }
        if entry.offset < view.log_start() || entry.offset > view.log_end() {
            return refused(ErrorCode::OffsetOutOfRange);
        }
        if entry.offset >= high_watermark {
            return Judged::Settled(result);
        }
        Judged::Readable { result, below: high_watermark }
    }

    fn collect(&mut self, turn: &mut Turn<'_>, key: FetchKey, mail: FetchMail, max_bytes: u32, was_parked: bool) {
        let results = Vec::with_capacity(mail.entries.len());
        let collecting = Collecting { mail, next: 0, left_bytes: max_bytes, any: false, results, was_parked };
        self.collect_on(turn, key, collecting);
    }

    /// Locate entry after entry, until one has to read.
    fn collect_on(&mut self, turn: &mut Turn<'_>, key: FetchKey, mut collecting: Collecting) {
        while let Some(entry) = collecting.mail.entries.get(collecting.next).copied() {
            match self.judge(&entry, collecting.mail.read_committed) {
                Judged::Settled(result) => collecting.push(result),
                Judged::Readable { result, below } => {
                    let Some(place) = self.partitions.get(entry.partition).map(|hosted| hosted.place) else {
                        collecting.push(FetchResult::refused(ErrorCode::NotLeaderOrFollower));
                        continue;
                    };
                    let max_bytes = entry.max_bytes.min(collecting.left_bytes);
                    let io = &mut turn.effects.files;
                    let store = self.directories.store_mut(place);
                    match store.locate(place.slot, entry.offset, below, max_bytes, !collecting.any, io) {
                        Located::Pending(lookup) => {
                            self.lookups.insert((place.directory, lookup), LookupFor::Fetch(key));
                            self.collecting.insert(key, collecting);
                            return;
                        }
                        located => collecting.located(result, located),
                    }
                }
            }
        }
        let (from, ticket) = key;
        let mail = FetchedMail { ticket, results: collecting.results, was_parked: collecting.was_parked };
        self.post(turn, from, Mail::Fetched(Box::new(mail)));
    }

    /// A lookup that had to read is done.
    pub(crate) fn fetch_located(&mut self, turn: &mut Turn<'_>, key: FetchKey, located: Located) {
        let Some(mut collecting) = self.collecting.remove(&key) else { return };
        if let Some(entry) = collecting.mail.entries.get(collecting.next).copied() {
            match self.judge(&entry, collecting.mail.read_committed) {
                Judged::Settled(result) => collecting.push(result),
                Judged::Readable { result, .. } => collecting.located(result, located),
            }
        }
        self.collect_on(turn, key, collecting);
    }

    /// Drop what a connection that is gone was waiting for here. What is being located is answered, to nobody.
    pub(crate) fn fetch_cancel(&mut self, key: (ShardId, Ticket)) {
        self.purgatory.take(&key);
    }
}

impl Collecting {
    fn push(&mut self, result: FetchResult) {
        if let Some(entry) = self.mail.entries.get(self.next) {
            self.results.push((entry.index, result));
        }
        self.next += 1;
    }

    fn located(&mut self, result: FetchResult, located: Located) {
        let result = match located {
            Located::Slice { slice, .. } => {
                self.any = true;
                self.left_bytes = self.left_bytes.saturating_sub(slice.length);
                FetchResult { records: Some(slice), ..result }
            }
            Located::Empty => result,
            Located::OutOfRange => FetchResult::refused(ErrorCode::OffsetOutOfRange),
            Located::Pending(_) | Located::Failed => FetchResult::refused(ErrorCode::KafkaStorageError),
        };
        self.push(result);
    }
}

/// What a client's idea of the epoch is answered with (F09, L06).
pub(crate) const fn epoch_error(refusal: EpochRefusal) -> ErrorCode {
    match refusal {
        EpochRefusal::Fenced => ErrorCode::FencedLeaderEpoch,
        EpochRefusal::Unknown => ErrorCode::UnknownLeaderEpoch,
    }
}
