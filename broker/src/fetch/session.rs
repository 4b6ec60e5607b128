//! Fetch sessions (KIP-227): a client that polls the same partitions again and again names them once.
//!
//! A session belongs to the shard that made it. A client that comes back on another shard is told that its session is
//! unknown there (70) and starts a new one, as it does after a restart of the broker.
//!
//! Invariants: a session's epoch rises by one with every request and wraps to 1; what a session holds is copied out of the
//! request's frame, so a session never pins one; sessions and their partitions together are limited.

use alloc::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    vec::Vec,
};
use flumen_log::{LeaderEpoch, Monotonic, Offset, TopicId};
use flumen_protocol::ErrorCode;

use crate::{hash::Map, mail::FetchResult, metadata::Random};

/// A session that was not used for so long may make room for another.
const EVICTION_MS: u64 = 120_000;

/// The epoch that asks for a new session.
const INITIAL_EPOCH: i32 = 0;
/// The epoch that ends a session, or never had one.
const FINAL_EPOCH: i32 = -1;

/// How a fetch names a topic: by name before version 13, by id since.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum TopicRef {
    Name(Arc<str>),
    Id(TopicId),
}

/// One partition that a client wants read.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) topic: TopicRef,
    /// The name that the topic had when it was first asked for by its id.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) partition: i32,
    pub(crate) offset: Offset,
    pub(crate) max_bytes: u32,
    pub(crate) current_leader_epoch: LeaderEpoch,
    pub(crate) last_fetched_epoch: LeaderEpoch,
}

#[derive(Debug)]
struct Cached {
    wanted: Wanted,
    high_watermark: Offset,
    log_start: Offset,
}

type Key = (TopicRef, i32);

#[derive(Debug)]
struct Session {
    epoch: i32,
    by_id: bool,
    /// In the order in which they are served; what returned data goes to the back.
    order: BTreeMap<u64, Cached>,
    places: BTreeMap<Key, u64>,
    next_place: u64,
    made_at: Monotonic,
    used_at: Monotonic,
}

impl Session {
    fn new(epoch: i32, by_id: bool, now: Monotonic) -> Self {
        Self { epoch, by_id, order: BTreeMap::new(), places: BTreeMap::new(), next_place: 0, made_at: now, used_at: now }
    }

    fn put(&mut self, wanted: Wanted) {
        let key = (wanted.topic.clone(), wanted.partition);
        if let Some(cached) = self.places.get(&key).and_then(|place| self.order.get_mut(place)) {
            let name = cached.wanted.name.take();
            cached.wanted = Wanted { name: name.or_else(|| wanted.name.clone()), ..wanted };
            return;
        }
        self.places.insert(key, self.next_place);
        self.order.insert(self.next_place, Cached { wanted, high_watermark: Offset(-1), log_start: Offset(-1) });
        self.next_place += 1;
    }

    fn forget(&mut self, key: &Key) {
        if let Some(place) = self.places.remove(key) {
            self.order.remove(&place);
        }
    }

    /// Whether the client has to be told this result, given what it was told before (S04).
    fn note(&mut self, key: &Key, result: &FetchResult, always: bool) -> bool {
        let Some(place) = self.places.get(key).copied() else { return true };
        let Some(cached) = self.order.get_mut(&place) else { return true };
        let changed = result.bytes() > 0
            || cached.high_watermark != result.high_watermark
            || cached.log_start != result.log_start
            || result.diverging.is_some()
            || result.error != ErrorCode::None;
        cached.high_watermark = if result.error == ErrorCode::None { result.high_watermark } else { Offset(-1) };
        cached.log_start = result.log_start;
        if result.bytes() > 0
            && let Some(cached) = self.order.remove(&place)
        {
            self.order.insert(self.next_place, cached);
            self.places.insert(key.clone(), self.next_place);
            self.next_place += 1;
        }
        changed || always
    }
}

/// What a request said about its session.
#[derive(Debug)]
pub(crate) struct SessionRequest {
    pub(crate) id: i32,
    pub(crate) epoch: i32,
    pub(crate) by_id: bool,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) forgotten: Vec<(TopicRef, i32)>,
}

/// What is to be read for a request, and how its answer is to be made.
#[derive(Debug)]
pub(crate) struct Opened {
    /// In the order in which partitions are served.
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) context: SessionContext,
}

/// How an answer is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SessionContext {
    /// Every partition is answered, and there is no session.
    None,
    /// Every partition is answered, and a session may be made.
    New,
    /// Only what changed is answered.
    Incremental { id: i32 },
}

/// The sessions of one shard.
#[derive(Debug)]
pub(crate) struct Sessions {
    sessions: Map<i32, Session>,
    partitions: usize,
    session_limit: usize,
    partition_limit: usize,
    random: Random,
}

impl Sessions {
    pub(crate) fn new(session_limit: usize, partition_limit: usize, random: Random) -> Self {
        Self { sessions: Map::default(), partitions: 0, session_limit, partition_limit, random }
    }

    /// Take a request's session part (S01, S02, S03, S05, F11).
    pub(crate) fn open(&mut self, request: SessionRequest, now: Monotonic) -> Result<Opened, ErrorCode> {
        if request.epoch == INITIAL_EPOCH || request.epoch == FINAL_EPOCH {
            if request.id != 0 {
                self.remove(request.id);
            }
            let context = if request.epoch == FINAL_EPOCH { SessionContext::None } else { SessionContext::New };
            return Ok(Opened { wanted: distinct(request.wanted), context });
        }
        let session = self.sessions.get_mut(&request.id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != request.epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.by_id != request.by_id {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        let before = session.order.len();
        for key in &request.forgotten {
            session.forget(key);
        }
        let room = self.partition_limit.saturating_sub(self.partitions - before);
        for wanted in request.wanted {
            if session.order.len() < room || session.places.contains_key(&(wanted.topic.clone(), wanted.partition)) {
                session.put(wanted);
            }
        }
        self.partitions = self.partitions - before + session.order.len();
        if session.order.is_empty() {
            self.remove(request.id);
            return Ok(Opened { wanted: Vec::new(), context: SessionContext::None });
        }
        session.epoch = next_epoch(session.epoch);
        session.used_at = now;
        let wanted = session.order.values().map(|cached| cached.wanted.clone()).collect();
        Ok(Opened { wanted, context: SessionContext::Incremental { id: request.id } })
    }

    /// Make a session of what a full fetch wanted. Its number, or 0 if there is no room.
    pub(crate) fn make(&mut self, results: &[(Wanted, FetchResult)], by_id: bool, now: Monotonic) -> i32 {
        if self.partitions + results.len() > self.partition_limit || !self.make_room(results.len(), now) {
            return 0;
        }
        let id = self.draw_id();
        let mut session = Session::new(next_epoch(INITIAL_EPOCH), by_id, now);
        for (wanted, result) in results {
            session.put(wanted.clone());
            session.note(&(wanted.topic.clone(), wanted.partition), result, true);
        }
        self.partitions += session.order.len();
        self.sessions.insert(id, session);
        id
    }

    /// Keep only the results that the client of a session has to be told (S04).
    pub(crate) fn filter(&mut self, id: i32, results: &mut Vec<(Wanted, FetchResult)>) {
        if let Some(session) = self.sessions.get_mut(&id) {
            results.retain(|(wanted, result)| session.note(&(wanted.topic.clone(), wanted.partition), result, false));
        }
    }

    fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.partitions -= session.order.len();
        }
    }

    /// Evict one session if all slots are taken: one that nobody uses, or an old one smaller than the new.
    fn make_room(&mut self, size: usize, now: Monotonic) -> bool {
        if self.sessions.len() < self.session_limit {
            return true;
        }
        let unused = self.sessions.iter().min_by_key(|(_, session)| session.used_at);
        let victim = match unused {
            Some((id, session)) if now.ms_since(session.used_at) > EVICTION_MS => Some(*id),
            _ => self
                .sessions
                .iter()
                .filter(|(_, session)| session.order.len() < size && now.ms_since(session.made_at) > EVICTION_MS)
                .min_by_key(|(_, session)| session.order.len())
                .map(|(id, _)| *id),
        };
        victim.is_some_and(|id| {
            self.remove(id);
            true
        })
    }

    /// A number above zero that no session has. Unpredictable only as far as the seed is.
    fn draw_id(&mut self) -> i32 {
        loop {
            let id = (self.random.draw() >> 33) as i32;
            if id > 0 && !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }
}

/// A partition that is named twice counts once: where it was first, with what was said last.
fn distinct(wanted: Vec<Wanted>) -> Vec<Wanted> {
    if wanted.len() < 2 {
        return wanted;
    }
    let mut places = BTreeMap::<Key, usize>::new();
    let mut distinct = Vec::<Wanted>::with_capacity(wanted.len());
    for wanted in wanted {
        match places.entry((wanted.topic.clone(), wanted.partition)) {
            Entry::Occupied(place) => distinct[*place.get()] = wanted,
            Entry::Vacant(place) => {
                place.insert(distinct.len());
                distinct.push(wanted);
            }
        }
    }
    distinct
}

const fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use flumen_log::{PartitionIndex, TopicPartition};

    fn wanted(partition: i32) -> Wanted {
        Wanted {
            topic: TopicRef::Name("topic".into()),
            name: None,
            partition,
            offset: Offset(0),
            max_bytes: 1000,
            current_leader_epoch: LeaderEpoch::NONE,
            last_fetched_epoch: LeaderEpoch::NONE,
        }
    }

    fn result(high_watermark: i64) -> FetchResult {
        FetchResult {
            error: ErrorCode::None,
            high_watermark: Offset(high_watermark),
            last_stable_offset: Offset(high_watermark),
            log_start: Offset(0),
            diverging: None,
            records: None,
            read_committed: false,
        }
    }

    fn request(id: i32, epoch: i32, wanted: Vec<Wanted>) -> SessionRequest {
        SessionRequest { id, epoch, by_id: false, wanted, forgotten: vec![] }
    }

    fn two_partitions(sessions: &mut Sessions) -> i32 {
        sessions.make(&[(wanted(0), result(5)), (wanted(1), result(5))], false, Monotonic(0))
    }

    #[test]
    fn s02_s03_epochs_advance_by_one_and_a_wrong_one_is_refused() {
        let mut sessions = Sessions::new(10, 100, Random::seeded(1));
        let id = two_partitions(&mut sessions);
        assert!(id > 0);
        assert!(sessions.open(request(id, 1, vec![]), Monotonic(1)).is_ok());
        assert_eq!(sessions.open(request(id, 1, vec![]), Monotonic(1)).unwrap_err(), ErrorCode::InvalidFetchSessionEpoch);
        assert!(sessions.open(request(id, 2, vec![]), Monotonic(1)).is_ok());
        assert_eq!(sessions.open(request(id ^ 1, 1, vec![]), Monotonic(1)).unwrap_err(), ErrorCode::FetchSessionIdNotFound);
        assert_eq!(next_epoch(i32::MAX), 1);
    }

    #[test]
    fn s04_only_what_changed_is_told_and_an_error_is_told_again_when_healed() {
        let mut sessions = Sessions::new(10, 100, Random::seeded(1));
        let id = two_partitions(&mut sessions);
        let mut results = vec![(wanted(0), result(5)), (wanted(1), result(6))];
        sessions.filter(id, &mut results);
        assert_eq!(results.len(), 1);
        assert_eq!(results[0].0.partition, 1);
        let mut results = vec![(wanted(0), FetchResult::refused(ErrorCode::NotLeaderOrFollower))];
        sessions.filter(id, &mut results);
        assert_eq!(results.len(), 1);
        let mut results = vec![(wanted(0), result(5))];
        sessions.filter(id, &mut results);
        assert_eq!(results.len(), 1, "the high watermark is told again after an error");
    }

    #[test]
    fn s05_forgetting_the_last_partition_ends_the_session() {
        let mut sessions = Sessions::new(10, 100, Random::seeded(1));
        let id = two_partitions(&mut sessions);
        let forgotten = vec![(TopicRef::Name("topic".into()), 0), (TopicRef::Name("topic".into()), 1)];
        let opened = sessions.open(SessionRequest { forgotten, ..request(id, 1, vec![]) }, Monotonic(1)).unwrap();
        assert_eq!(opened.context, SessionContext::None);
        assert_eq!(sessions.open(request(id, 2, vec![]), Monotonic(1)).unwrap_err(), ErrorCode::FetchSessionIdNotFound);
        assert_eq!(sessions.partitions, 0);
    }

    #[test]
    fn s05_a_full_cache_evicts_only_what_is_old() {
        let mut sessions = Sessions::new(1, 100, Random::seeded(1));
        let first = two_partitions(&mut sessions);
        assert_eq!(two_partitions(&mut sessions), 0);
        let later = Monotonic(0).after_ms(EVICTION_MS + 1);
        let second = sessions.make(&[(wanted(0), result(5))], false, later);
        assert!(second > 0 && second != first);
        assert_eq!(sessions.partitions, 1);
    }

    #[test]
    fn f07_what_returned_data_is_served_last() {
        let mut sessions = Sessions::new(10, 100, Random::seeded(1));
        let id = two_partitions(&mut sessions);
        let partition = TopicPartition { topic: TopicId([0; 16]), partition: PartitionIndex(0) };
        let segment = (partition, Offset::ZERO);
        let file = Arc::new(flumen_log::io::SegmentFile { handle: flumen_log::io::FileHandle(0), segment });
        let slice = flumen_log::io::FileSlice { file, position: 0, length: 10 };
        let mut results = vec![(wanted(0), FetchResult { records: Some(slice), ..result(5) })];
        sessions.filter(id, &mut results);
        let opened = sessions.open(request(id, 1, vec![]), Monotonic(1)).unwrap();
        assert_eq!(opened.wanted.iter().map(|wanted| wanted.partition).collect::<Vec<_>>(), [1, 0]);
    }

    #[test]
    fn a_partition_that_is_named_twice_is_read_once() {
        let mut sessions = Sessions::new(10, 100, Random::seeded(1));
        let again = Wanted { offset: Offset(7), ..wanted(1) };
        let opened = sessions.open(request(0, -1, vec![wanted(1), wanted(0), again]), Monotonic(1)).unwrap();
        let read: Vec<_> = opened.wanted.iter().map(|wanted| (wanted.partition, wanted.offset)).collect();
        assert_eq!(read, [(1, Offset(7)), (0, Offset(0))]);
    }

    #[test]
    fn f11_a_session_does_not_mix_names_and_ids() {
        let mut sessions = Sessions::new(10, 100, Random::seeded(1));
        let id = two_partitions(&mut sessions);
        let mixed = SessionRequest { by_id: true, ..request(id, 1, vec![]) };
        assert_eq!(sessions.open(mixed, Monotonic(1)).unwrap_err(), ErrorCode::FetchSessionTopicIdError);
    }
}
