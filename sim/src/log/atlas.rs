//! What rots between two lives, and what the next recovery may therefore find.
//!
//! Nothing rots without the run knowing what must hold all the same. A bit in a segment past D changes nothing: the journal has
//! the bytes. One before D, or a page or batch there that is another's or was lost, may keep a stretch around it from its readers and
//! nothing else, and nothing is cut for it: when the bytes are as they were, everything else must be there still. (The stretch itself may stay unbelieved: where a recovery read through it,
//! the checksums that it recorded are those of what it found. So it is for the rest of the run.) One in a journal frame may cost what that frame alone held, and then it is said.
//! Caches and one of the two copies of a state are not missed.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use flumen_log::batch::BatchHeader;
use flumen_log::io::{BLOCK_BYTES, Disk};
use flumen_log::journal::{FileHeader, Frame, JOURNAL_DIRECTORY, JournalEntry, JournalFileName, JournalPosition};
use flumen_log::recovery::{Damage, RecoveryReport};
use flumen_log::state::{COPY_BYTES, PartitionState, STATE_FILE_NAME};
use flumen_log::store::Durability;
use flumen_log::{Offset, ShardId, TopicPartition};

use super::world::World;
use crate::disk::Spoiled;
use crate::places::places_in;
use crate::random::Random;

/// What a disk loses or takes for another at once.
const PAGE_BYTES: usize = 4096;

/// What the next recovery may find.
#[derive(Clone, Debug, Default)]
pub(super) struct Allowed {
    /// Logs of which a stretch may be kept from its readers.
    damaged: BTreeSet<TopicPartition>,
    /// Logs that may have lost what a frame held, if that is reported.
    suspects: BTreeMap<TopicPartition, Suspect>,
    /// Logs that may have lost what was written and not yet durable.
    tails: BTreeSet<TopicPartition>,
    /// Logs whose older state may be believed.
    older: BTreeSet<TopicPartition>,
    /// The first segments of those when the newest state went: the older one does not know that those before were deleted, and of
    /// their names some may be back, so that others are missed.
    deleted: BTreeMap<TopicPartition, Offset>,
    corrupt_frames: bool,
    /// Headers of journal files are bad: what is dead is not told from what is not, and more is read than counts.
    headers: bool,
    /// They have been: what removed logs had there is offered from quarantine at every start since.
    unclaimed: bool,
    /// What was reported: a bad frame, and which logs have a gap for it.
    frame_reported: bool,
    tails_reported: BTreeSet<TopicPartition>,
    /// Turned back once the logs were looked at.
    spoiled: Option<(String, Spoiled)>,
}

/// What a rotten frame may cost a log.
#[derive(Clone, Copy, Debug)]
struct Suspect {
    /// The log reaches at least this far: the frame has nothing before.
    from: Offset,
    /// A later frame says that this one was written: that it is missing has to be said.
    marked: bool,
    /// A later frame has more of the log, so that what is missing is a gap, and has to be said of this log.
    followed: bool,
}

impl Allowed {
    /// What may be found in every life from now on.
    pub(super) fn of_next_life(self) -> Self {
        Self { damaged: self.damaged, deleted: self.deleted, unclaimed: self.unclaimed, ..Self::default() }
    }

    /// Whether something may be lost if it is reported.
    pub(super) const fn must_report(&self) -> bool {
        self.corrupt_frames
    }

    /// Whether a stretch of this log may be kept from its readers.
    pub(super) fn is_damaged(&self, partition: TopicPartition) -> bool {
        self.damaged.contains(&partition)
    }

    /// Whether the report says no more than what was done to the disk.
    pub(super) fn explains(&self, report: &RecoveryReport) -> bool {
        let was_deleted = |partition: &TopicPartition, damage: &Damage| match damage {
            Damage::Missing { segment } | Damage::Bytes { segment, .. } => *segment < self.deleted_below(*partition),
        };
        let is_known =
            |(partition, damage): &(TopicPartition, Damage)| self.is_damaged(*partition) || was_deleted(partition, damage);
        let all_damaged = report.damaged.iter().all(is_known);
        // An older state does not say yet that the log was outside the journal for a while: then there is a gap in that.
        let may_be_suspect = |partition: &TopicPartition| self.suspects.contains_key(partition) || self.older.contains(partition);
        let all_suspect = report.suspect_tails.iter().all(may_be_suspect);
        let frames = self.headers || report.corrupt_frames == 0 || self.corrupt_frames;
        let claimed = self.unclaimed || report.unclaimed_entries == 0;
        frames && claimed && all_damaged && all_suspect && report.states_rebuilt.is_empty()
    }

    /// What this log has before this offset was deleted, though it may not know that any more.
    pub(super) fn deleted_below(&self, partition: TopicPartition) -> Offset {
        self.deleted.get(&partition).copied().unwrap_or(Offset::ZERO)
    }

    pub(super) fn note(&mut self, report: &RecoveryReport) {
        self.frame_reported |= report.corrupt_frames > 0;
        self.tails_reported.extend(report.suspect_tails.iter().copied());
    }

    /// The least at which this log may end, though it was durable further.
    pub(super) fn least_end(&self, partition: TopicPartition, durable: Offset) -> Offset {
        match self.suspects.get(&partition) {
            Some(suspect) if !suspect.marked => durable.min(suspect.from),
            Some(suspect) if self.frame_reported && (!suspect.followed || self.tails_reported.contains(&partition)) => {
                durable.min(suspect.from)
            }
            _ => durable,
        }
    }

    /// Whether this log may end before what was written.
    pub(super) fn may_lose_tail(&self, partition: TopicPartition) -> bool {
        self.tails.contains(&partition) || self.suspects.contains_key(&partition)
    }

    /// Whether this log may start earlier than was said.
    pub(super) fn may_start_earlier(&self, partition: TopicPartition) -> bool {
        self.older.contains(&partition)
    }
}

/// A frame on disk.
struct Found {
    path: String,
    at: u64,
    bytes: u64,
    shard: ShardId,
    position: JournalPosition,
    completed_through: u64,
    /// The first sequence that recovery looks for.
    dead_below: u64,
    /// Whose batches it holds, from where to where at least.
    spans: Vec<(TopicPartition, Offset, Offset)>,
}

impl World {
    /// Turn back what is damaged, if something is that has to be.
    pub(super) fn turn_back(&mut self) -> bool {
        let Some((path, spoiled)) = self.allowed.spoiled.take() else { return false };
        self.trace.note(format_args!("{path} is as it was"));
        self.disk.turn_back(&spoiled);
        true
    }

    /// One thing rots, if there is something of its kind.
    pub(super) fn rot_something(&mut self) {
        let index = self.random.index(self.models.len());
        // Aside, so that what follows in seeds that once found something stays as it was.
        let mut aside = self.random.clone();
        match self.random.below(5) {
            0 => self.rot_past_point(index),
            1 => self.rot_before_point(index),
            2 => return self.rot_frame(),
            3 => self.rot_cache(index),
            _ => return self.rot_state(index),
        }
        if aside.one_in(4) {
            self.rot_headers(&mut aside);
        }
    }

    /// The headers of journal files rot, of all perhaps. It costs nothing: the frames say whose they are.
    fn rot_headers(&mut self, random: &mut Random) {
        let all = random.one_in(2);
        for entry in Disk::list(&mut self.disk, JOURNAL_DIRECTORY).unwrap_or_default() {
            if entry.length > 0 && (all || random.one_in(2)) {
                let path = format!("{JOURNAL_DIRECTORY}/{}", entry.name);
                self.trace.note(format_args!("the header of {path} rots"));
                *self.disk.faults.counts.entry("rot in a header").or_default() += 1;
                self.disk.rot(&path, random.below(64.min(entry.length)), 3);
                self.allowed.headers = true;
                self.allowed.unclaimed = true;
            }
        }
    }

    fn turn(&mut self, kind: &'static str, path: &str, position: u64) {
        let bit = u8::try_from(self.random.below(8)).unwrap_or_default();
        self.trace.note(format_args!("{kind}: bit {bit} of {path} at {position} rots"));
        *self.disk.faults.counts.entry(kind).or_default() += 1;
        self.disk.rot(path, position, bit);
    }

    /// The state of a partition that is there and is not going away.
    fn state_of(&self, index: usize) -> Option<PartitionState> {
        let model = &self.models[index];
        let file = self.disk.peek(&format!("{}/{STATE_FILE_NAME}", model.directory()))?;
        let state = PartitionState::decode(file)?;
        (state.partition == model.identity && !state.removed && !model.removing && model.created).then_some(state)
    }

    /// The segments of a partition: base offset, path, length.
    fn segments_of(&mut self, index: usize) -> Vec<(Offset, String, u64)> {
        let directory = self.models[index].directory();
        let entries = Disk::list(&mut self.disk, &directory).unwrap_or_default();
        let segment = |name: &str| flumen_log::segment::parse_file_name(name, "log");
        let found = entries.iter().filter_map(|entry| Some((segment(&entry.name)?, entry)));
        found.map(|(base, entry)| (base, format!("{directory}/{}", entry.name), entry.length)).collect()
    }

    /// A crash may come at any moment: of what the journal has of a log past its D, the part next to D must be there still. Its file
    /// may be used again only once a later D is recorded; the segments hide it where that was not so, until they are damaged.
    pub(super) fn check_journal(&mut self) {
        let frames = self.frames();
        for index in 0..self.models.len() {
            let Some(state) = self.state_of(index).filter(|state| state.durability == Durability::Journaled) else { continue };
            let point = state.point;
            let needed = frames.iter().filter(|frame| frame.position >= point.position).flat_map(|frame| &frame.spans);
            let first = needed.filter(|(partition, ..)| *partition == state.partition).map(|(_, from, _)| *from).min();
            if let Some(first) = first.filter(|first| *first > point.offset) {
                self.violation(format!("partition {index}: D is {}, and the journal begins at {first}", point.offset));
            }
        }
    }

    fn rot_past_point(&mut self, index: usize) {
        let Some(state) = self.state_of(index).filter(|state| state.durability == Durability::Journaled) else { return };
        let identity = self.models[index].identity;
        let frames = self.frames();
        if !frames.iter().all(|frame| self.disk.is_stable(&frame.path)) {
            // What the journal has may still go with the power, and the log was durable without it.
            return;
        }
        // Those of before were perhaps cut off, and are read by nobody.
        let counts = |frame: &Found| frame.position >= state.point.position;
        let spans = frames.into_iter().filter(counts).flat_map(|frame| frame.spans);
        let spans: Vec<_> = spans.filter(|(partition, ..)| *partition == identity).collect();
        let first = spans.iter().map(|(_, from, _)| *from).min().unwrap_or(state.point.offset);
        let journaled = spans.iter().map(|(.., end)| *end).max().unwrap_or(state.point.offset);
        if first > state.point.offset || journaled < self.models[index].end() {
            // What the journal does not have is guarded by the batches' own checksums alone, which leave out their epochs; and where
            // one is bad the log ends, as where it is torn.
            return;
        }
        let point = state.point;
        let mut ranges: Vec<(String, u64, u64)> = Vec::new();
        for (base, path, length) in self.segments_of(index).into_iter().filter(|(base, _, _)| *base >= point.segment_base) {
            let from = if base == point.segment_base { point.segment_bytes } else { 0 };
            if from < length {
                ranges.push((path, from, length));
            }
        }
        if ranges.is_empty() {
            return;
        }
        let (path, from, to) = ranges.swap_remove(self.random.index(ranges.len()));
        let position = from + self.random.below(to - from);
        self.allowed.tails.insert(identity);
        self.turn("rot past D", &path, position);
    }

    fn rot_before_point(&mut self, index: usize) {
        // A D that was written and not synced may be lost, and then the damage lies past the one that counts, where it looks like a
        // torn tail; and outside the journal no D is as good as synced.
        if !self.disk.is_stable(&format!("{}/{STATE_FILE_NAME}", self.models[index].directory())) {
            return;
        }
        let is_journaled = |state: &PartitionState| state.durability == Durability::Journaled;
        let state = self.state_of(index).filter(|state| is_journaled(state) && !self.allowed.is_damaged(state.partition));
        let Some(state) = state else { return };
        let point = state.point;
        let below = |base: Offset, length: u64| if base == point.segment_base { point.segment_bytes } else { length };
        let segments = self.segments_of(index).into_iter().filter(|(base, _, _)| *base <= point.segment_base);
        let mut ranges: Vec<(String, u64)> =
            segments.map(|(base, path, length)| (path, below(base, length))).filter(|(_, to)| *to > 0).collect();
        if ranges.is_empty() {
            return;
        }
        let (path, to) = ranges.swap_remove(self.random.index(ranges.len()));
        self.allowed.damaged.insert(self.models[index].identity);
        self.damage(path, to);
    }

    /// What was written below this position of a segment is not what is found there: a bit has rotted, the disk lost a page of it,
    /// or has another page of the file in its place, or another batch.
    fn damage(&mut self, path: String, below: u64) {
        let below = usize::try_from(below).unwrap_or(usize::MAX);
        let content = self.disk.peek(&path).map(|content| content[..below.min(content.len())].to_vec()).unwrap_or_default();
        if content.is_empty() {
            return;
        }
        let batches = places_in(&content);
        let page = |random: &mut Random| random.index(content.len().div_ceil(PAGE_BYTES)) * PAGE_BYTES;
        let slice = |from: usize, length: usize| content[from..content.len().min(from + length)].to_vec();
        let random = &mut self.random;
        let (kind, position, bytes) = match random.below(4) {
            0 => {
                let at = page(random);
                ("lost before D", at, alloc::vec![0; slice(at, PAGE_BYTES).len()])
            }
            1 => {
                let (at, from) = (page(random), page(random));
                ("misdirected before D", at, slice(from, PAGE_BYTES))
            }
            2 if batches.len() > 1 => {
                let (place, other) = (&batches[random.index(batches.len())], &batches[random.index(batches.len())]);
                let length = (place.to - place.from).min(other.to - other.from);
                ("another batch before D", place.from, slice(other.from, length))
            }
            _ => {
                let at = random.index(content.len());
                ("rot before D", at, alloc::vec![content[at] ^ (1 << random.below(8))])
            }
        };
        let bytes = &bytes[..bytes.len().min(content.len() - position)];
        self.trace.note(format_args!("{kind}: {} bytes of {path} at {position}", bytes.len()));
        *self.disk.faults.counts.entry(kind).or_default() += 1;
        let spoiled = self.disk.spoil(&path, position as u64, bytes);
        self.allowed.spoiled = spoiled.map(|spoiled| (path, spoiled));
    }

    /// A frame rots. Where a later one says that it had been written, that is found; else it looks like one that never was.
    fn rot_frame(&mut self) {
        let mut frames = self.all_frames();
        if frames.is_empty() {
            return;
        }
        let frame = frames.swap_remove(self.random.index(frames.len()));
        let (path, position) = (frame.path.clone(), frame.at + self.random.below(frame.bytes));
        let of_shard = || frames.iter().filter(|other| other.shard == frame.shard);
        // Nothing is said of a gap above this.
        let completed = of_shard().map(|other| other.completed_through).max().unwrap_or_default();
        let marked = frame.position.sequence < completed;
        for (partition, from, _) in &frame.spans {
            let index = self.models.iter().position(|model| model.identity == *partition);
            let point = index.and_then(|index| self.state_of(index)).map(|state| state.point);
            if point.is_some_and(|point| point.position > frame.position) {
                continue;
            }
            let is_read = |other: &&Found| other.position > frame.position && other.position.sequence <= completed;
            let later = of_shard().filter(is_read);
            // Of a topic outside the journal a gap says nothing: what it takes before a switch has come into force lies in both.
            let journaled = self.models.iter().position(|model| model.identity == *partition);
            let journaled = journaled.and_then(|index| self.state_of(index));
            let journaled = journaled.is_some_and(|state| state.durability == Durability::Journaled);
            let followed = journaled && later.flat_map(|frame| &frame.spans).any(|(other, ..)| other == partition);
            let suspect = Suspect { from: *from, marked, followed };
            self.allowed.suspects.entry(*partition).or_insert(suspect);
        }
        self.allowed.corrupt_frames = marked;
        self.turn("rot in a frame", &path, position);
    }

    fn rot_cache(&mut self, index: usize) {
        let directory = self.models[index].directory();
        let entries = Disk::list(&mut self.disk, &directory).unwrap_or_default();
        let is_cache = |name: &str| !name.ends_with(".log") && name != STATE_FILE_NAME;
        let mut caches: Vec<_> = entries.into_iter().filter(|entry| is_cache(&entry.name) && entry.length > 0).collect();
        if caches.is_empty() {
            return;
        }
        let entry = caches.swap_remove(self.random.index(caches.len()));
        let position = self.random.below(entry.length);
        self.turn("rot in a cache", &format!("{directory}/{}", entry.name), position);
    }

    fn rot_state(&mut self, index: usize) {
        // One fault at a time: damage before D would lie past the older one.
        let Some(state) = self.state_of(index).filter(|state| !self.allowed.is_damaged(state.partition)) else { return };
        let identity = self.models[index].identity;
        let path = format!("{}/{STATE_FILE_NAME}", self.models[index].directory());
        let newer = (state.counter % 2) * COPY_BYTES as u64;
        let length = self.disk.peek(&path).map_or(0, <[u8]>::len) as u64;
        let older_is_there = length >= 2 * COPY_BYTES as u64
            && self.disk.peek(&path).is_some_and(|file| {
                let other = usize::try_from(COPY_BYTES as u64 - newer).unwrap_or_default();
                file.get(other..).and_then(PartitionState::decode_copy).is_some_and(|older| older.partition == identity)
            });
        let position = newer + self.random.below(256);
        if older_is_there {
            self.allowed.older.insert(identity);
            let bases = self.segments_of(index).into_iter().map(|(base, _, _)| base);
            let first = bases.filter(|base| *base <= state.log_start).max().unwrap_or(state.log_start);
            // What was deleted stays so, though the state that counts may not know it any more.
            let first = first.max(self.allowed.deleted_below(identity));
            self.allowed.deleted.insert(identity, first);
            self.turn("rot in a state", &path, position);
        }
    }

    /// The frames of the newest journals that are whole and not dead, up to the first that is missing.
    fn frames(&mut self) -> Vec<Found> {
        up_to_a_gap(self.all_frames())
    }

    /// Those behind one that is missing, too, as recovery reads them.
    fn all_frames(&mut self) -> Vec<Found> {
        let entries = Disk::list(&mut self.disk, JOURNAL_DIRECTORY).unwrap_or_default();
        let files: Vec<(JournalFileName, FileHeader, Bytes)> = entries
            .iter()
            .filter_map(|entry| {
                let name = JournalFileName::parse(&entry.name)?;
                let content = self.disk.peek(&name.path())?;
                Some((name, name.read_header(content.get(..BLOCK_BYTES)?)?, Bytes::copy_from_slice(content)))
            })
            .collect();
        let generation = files.iter().map(|(_, header, _)| header.generation).max();
        let mut found = Vec::new();
        for (name, header, content) in files.iter().filter(|(_, header, _)| Some(header.generation) == generation) {
            let others = files.iter().filter(|(other, _, _)| other.shard == name.shard);
            let dead_below = others.map(|(_, header, _)| header.dead_below).max().unwrap_or_default();
            found.extend(frames_of(*name, header, content, dead_below));
        }
        found
    }
}

/// Those of each shard up to the first that is missing: what they have of a log they have without a gap.
fn up_to_a_gap(mut frames: Vec<Found>) -> Vec<Found> {
    frames.sort_by_key(|frame| (frame.shard, frame.position));
    let mut read: Vec<Found> = Vec::new();
    let mut ended = None;
    for frame in frames {
        let before = read.last().filter(|before| before.shard == frame.shard);
        let expected = before.map_or(frame.dead_below, |before| before.position.sequence + 1);
        let follows = frame.position.sequence == expected;
        if ended == Some(frame.shard) {
            continue;
        }
        if follows {
            read.push(frame);
        } else {
            ended = Some(frame.shard);
        }
    }
    read
}

fn frames_of(name: JournalFileName, header: &FileHeader, content: &Bytes, dead_below: u64) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = BLOCK_BYTES;
    while at + BLOCK_BYTES <= content.len() {
        let Some(frame) = Frame::parse(&content.slice(at..), &header.id) else {
            at += BLOCK_BYTES;
            continue;
        };
        let end = |batches: &Bytes| BatchHeader::parse(batches).ok().map(|header| header.next_offset());
        let span = |entry: &JournalEntry| Some((entry.partition, entry.base_offset, end(&entry.batches)?));
        let spans = frame.entries.iter().filter_map(span).collect();
        // Of the header and the entries, not of the padding, which nobody reads.
        let bytes = u64::from(u32::from_be_bytes([content[at + 12], content[at + 13], content[at + 14], content[at + 15]]));
        let (position, completed_through) = (frame.position, frame.completed_through);
        if position.sequence >= dead_below {
            let shard = name.shard;
            found.push(Found { path: name.path(), at: at as u64, bytes, shard, position, completed_through, dead_below, spans });
        }
        at += frame.padded_bytes;
    }
    found
}
