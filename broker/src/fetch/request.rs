//! A fetch on the connection's shard.

use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};
use bytes::{Buf, Bytes};
use flumen_controller::configs::CompressionType;
use flumen_log::{LeaderEpoch, Offset, ShardId, TopicId, io::SendPart};
use flumen_protocol::{
    ErrorCode, Records, Response, Text, Uuid,
    fetch::{EpochEndOffset, FetchRequest, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData},
};

use super::{
    FetchGather, TopicRef,
    session::{Opened, SessionContext, SessionRequest, Wanted},
};
use crate::{
    connection::Reply,
    mail::{FetchEntry, FetchMail, FetchResult, FetchedMail, Mail, Ticket},
    metadata::{Metadata, Topic},
    shard::{Class, Return, Running, Shard, Timer, Turn},
};

/// The first version that names topics by id.
const BY_ID_VERSION: i16 = 13;
/// The first version whose clients read zstd.
const ZSTD_VERSION: i16 = 10;
/// The last version that does not know [`ErrorCode::KafkaStorageError`].
const NO_STORAGE_ERROR_VERSION: i16 = 5;
/// The first version that is told who leads instead.
const LEADER_HINT_VERSION: i16 = 16;

impl Shard {
    pub(crate) fn start_fetch(&mut self, turn: &mut Turn<'_>, way: Return, request: FetchRequest) {
        let read_committed = request.isolation_level != 0;
        let wait_ms = u64::try_from(request.max_wait_ms).unwrap_or_default();
        let max_bytes = u32::try_from(request.max_bytes).unwrap_or_default().min(self.settings.limits.fetch_bytes);
        // More than it may be given is not to be waited for.
        let min_bytes = u64::try_from(request.min_bytes).unwrap_or_default().min(u64::from(max_bytes));
        let by_id = way.version >= BY_ID_VERSION;
        let replica = request.replica_id.max(request.replica_state.replica_id);
        let session = session_request(request, by_id, &self.metadata);
        if replica >= 0 {
            // Replication does not use this API: whoever says it is a replica has no leave to read past the watermark.
            self.refuse_fetch(&way, ErrorCode::ClusterAuthorizationFailed);
            return;
        }
        let Opened { wanted, context } = match self.sessions.open(session, turn.now.monotonic) {
            Ok(opened) => opened,
            Err(error) => {
                self.refuse_fetch(&way, error);
                return;
            }
        };
        let mut gather = FetchGather::new(context, by_id, wanted);
        let mut at_once = min_bytes == 0 || wait_ms == 0 || gather.wanted.is_empty();
        let per_owner = self.split_fetch(way.version, &mut gather, &mut at_once);
        let min_bytes = if at_once { 0 } else { min_bytes };
        let deadline = turn.now.monotonic.after_ms(wait_ms);
        gather.wait_for(min_bytes, u64::from(max_bytes), deadline);
        let shared = per_owner.len() > 1;
        for owner in per_owner.keys() {
            gather.asked(*owner);
        }
        if gather.is_complete() {
            self.finish_fetch(turn, &way, gather);
            return;
        }
        if min_bytes > 0 {
            self.timers.arm(deadline, Timer::Fetch(way.ticket));
        }
        self.running.insert(way.ticket, way.running(Running::Fetch(gather)));
        for (owner, entries) in per_owner {
            self.credits.take(owner, Class::Fetch);
            let mail = FetchMail { ticket: way.ticket, entries, min_bytes, max_bytes, read_committed, shared };
            self.post(turn, owner, Mail::Fetch(Box::new(mail)));
        }
    }

    /// What goes to which owner; what can be answered here already is.
    fn split_fetch(&self, version: i16, gather: &mut FetchGather, at_once: &mut bool) -> BTreeMap<ShardId, Vec<FetchEntry>> {
        let mut per_owner = BTreeMap::<ShardId, Vec<FetchEntry>>::new();
        let mut refused = Vec::new();
        for (index, wanted) in (0u32..).zip(&gather.wanted) {
            let routed = self.wanted_topic(wanted).and_then(|topic| {
                if version < ZSTD_VERSION && matches!(topic.config.compression, CompressionType::Zstd(_)) {
                    return Err(ErrorCode::UnsupportedCompressionType);
                }
                self.metadata.led(topic, wanted.partition)
            });
            match routed {
                Err(error) => refused.push((index, error)),
                Ok((partition, owner)) => per_owner.entry(owner).or_default().push(FetchEntry {
                    index,
                    partition,
                    offset: wanted.offset,
                    max_bytes: wanted.max_bytes,
                    current_leader_epoch: wanted.current_leader_epoch,
                    last_fetched_epoch: wanted.last_fetched_epoch,
                }),
            }
        }
        for (index, error) in refused {
            *at_once = true;
            gather.put(index, FetchResult::refused(error));
        }
        per_owner
    }

    /// The topic that is wanted. Of a session's topic that is gone, its name tells more than its id (F11).
    fn wanted_topic(&self, wanted: &Wanted) -> Result<&Arc<Topic>, ErrorCode> {
        self.metadata.resolve_ref(&wanted.topic).map_err(|error| match &wanted.name {
            None => error,
            Some(name) => match self.metadata.by_name(name).and_then(|topic| topic.partition(wanted.partition)) {
                Some(_) => ErrorCode::InconsistentTopicId,
                None => ErrorCode::UnknownTopicOrPartition,
            },
        })
    }

    fn refuse_fetch(&mut self, way: &Return, error: ErrorCode) {
        self.answer(way, FetchResponse { error_code: error, ..FetchResponse::default() });
    }

    /// An owner waits and says what it has.
    pub(crate) fn fetch_reported(&mut self, turn: &mut Turn<'_>, from: ShardId, ticket: Ticket, bytes: u64, again: bool) {
        let mut tell = Vec::new();
        // Where the connection is gone, the owner was told with it.
        if let Some(Running::Fetch(gather)) = self.running.get_mut(&ticket).map(|running| &mut running.waits) {
            gather.reported(from, bytes, again, &mut tell);
        }
        self.tell_owners(turn, ticket, self.settings.limits.fetch_bytes, &tell);
    }

    /// An owner has answered.
    pub(crate) fn fetched(&mut self, turn: &mut Turn<'_>, from: ShardId, mail: FetchedMail) {
        let ticket = mail.ticket;
        let Some(Running::Fetch(gather)) = self.running.get_mut(&ticket).map(|running| &mut running.waits) else { return };
        for (index, result) in mail.results {
            gather.put(index, result);
        }
        let mut tell = Vec::new();
        gather.answered(from, &mut tell);
        let complete = gather.is_complete();
        self.tell_owners(turn, ticket, self.settings.limits.fetch_bytes, &tell);
        if complete && let Some(running) = self.running.remove(&ticket) {
            let way = running.way_home(ticket);
            if let Running::Fetch(gather) = running.waits {
                self.timers.disarm(gather.deadline, Timer::Fetch(ticket));
                self.finish_fetch(turn, &way, gather);
            }
        }
    }

    /// The client has waited long enough: whatever is there goes out.
    pub(crate) fn fetch_deadline(&mut self, turn: &mut Turn<'_>, ticket: Ticket) {
        let Some(Running::Fetch(gather)) = self.running.get_mut(&ticket).map(|running| &mut running.waits) else { return };
        let mut tell = Vec::new();
        gather.collect(&mut tell);
        self.tell_owners(turn, ticket, self.settings.limits.fetch_bytes, &tell);
    }

    fn finish_fetch(&mut self, turn: &Turn<'_>, way: &Return, gather: FetchGather) {
        let (context, by_id) = (gather.context, gather.by_id);
        let mut results = gather.into_results();
        let session_id = match context {
            SessionContext::None => 0,
            SessionContext::New => self.sessions.make(&results, by_id, turn.now.monotonic),
            SessionContext::Incremental { id } => {
                self.sessions.filter(id, &mut results);
                id
            }
        };
        let mut slices = Vec::new();
        let mut response = FetchResponse { session_id, ..FetchResponse::default() };
        for (wanted, result) in results {
            let data = self.partition_data(way.version, &wanted, result, &mut slices);
            put_partition(&mut response.responses, &wanted.topic, data);
        }
        let moved = |data: &PartitionData| data.current_leader != LeaderIdAndEpoch::default();
        if response.responses.iter().flat_map(|topic| &topic.partitions).any(moved) {
            response.node_endpoints = self.fetch_endpoints();
        }
        let encoded = Response::from(response).encode(way.version, way.correlation_id);
        let mut parts = Vec::with_capacity(2 * slices.len() + 1);
        let mut bytes = encoded.bytes;
        let mut sent = 0;
        for split in encoded.splits {
            push_bytes(&mut parts, bytes.split_to(split.at - sent));
            sent = split.at;
            if let Some(slice) = slices.get_mut(split.slot).and_then(Option::take) {
                parts.push(SendPart::File(slice));
            }
        }
        push_bytes(&mut parts, bytes);
        self.finish(way.ticket, way.overlap, Reply::Send(parts));
    }

    fn partition_data(
        &self,
        version: i16,
        wanted: &Wanted,
        result: FetchResult,
        slices: &mut Vec<Option<flumen_log::io::FileSlice>>,
    ) -> PartitionData {
        let records = match result.records {
            None => Records::default(),
            Some(slice) => {
                slices.push(Some(slice.clone()));
                Records::Remote { length: slice.length, slot: slices.len() - 1 }
            }
        };
        let error_code = match result.error {
            ErrorCode::KafkaStorageError if version <= NO_STORAGE_ERROR_VERSION => ErrorCode::NotLeaderOrFollower,
            error => error,
        };
        let mut data = PartitionData {
            partition_index: wanted.partition,
            error_code,
            high_watermark: result.high_watermark.0,
            last_stable_offset: result.last_stable_offset.0,
            log_start_offset: result.log_start.0,
            // Null for read_uncommitted, and nothing is ever aborted here (F08).
            aborted_transactions: result.read_committed.then(Vec::new),
            records: Some(records),
            ..PartitionData::default()
        };
        if let Some((epoch, end)) = result.diverging {
            data.diverging_epoch = EpochEndOffset { epoch: epoch.0, end_offset: end.0 };
        }
        let hint = matches!(error_code, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch);
        if hint && version >= LEADER_HINT_VERSION {
            data.current_leader = self.fetch_leader(wanted);
        }
        data
    }

    fn fetch_leader(&self, wanted: &Wanted) -> LeaderIdAndEpoch {
        let topic = self.metadata.resolve_ref(&wanted.topic).ok();
        Metadata::leader_hint(topic, wanted.partition)
            .map_or_else(LeaderIdAndEpoch::default, |(leader_id, leader_epoch)| LeaderIdAndEpoch { leader_id, leader_epoch })
    }

    fn fetch_endpoints(&self) -> Vec<NodeEndpoint> {
        let endpoints = self.metadata.endpoints();
        endpoints
            .map(|(node_id, endpoint, rack)| NodeEndpoint {
                node_id,
                host: Text::from(endpoint.host.as_str()),
                port: i32::from(endpoint.port),
                rack,
            })
            .collect()
    }
}

fn push_bytes(parts: &mut Vec<SendPart>, bytes: Bytes) {
    if bytes.has_remaining() {
        parts.push(SendPart::Bytes(bytes));
    }
}

/// Partitions of one topic that follow one another share its entry.
fn put_partition(topics: &mut Vec<FetchableTopicResponse>, topic: &TopicRef, data: PartitionData) {
    let (name, id) = match topic {
        TopicRef::Name(name) => (&**name, Uuid::default()),
        TopicRef::Id(id) => ("", Uuid(id.0)),
    };
    match topics.last_mut() {
        Some(last) if &*last.topic == name && last.topic_id == id => last.partitions.push(data),
        _ => topics.push(FetchableTopicResponse { topic: Text::from(name), topic_id: id, partitions: alloc::vec![data] }),
    }
}

/// The session part of a request, copied out of its frame.
fn session_request(request: FetchRequest, by_id: bool, metadata: &Metadata) -> SessionRequest {
    let reference = |name: &Text, id: Uuid| if by_id { TopicRef::Id(TopicId(id.0)) } else { TopicRef::Name(Arc::from(&**name)) };
    let mut wanted = Vec::new();
    for topic in &request.topics {
        let topic_ref = reference(&topic.topic, topic.topic_id);
        let known = if by_id { metadata.resolve_ref(&topic_ref).ok() } else { None };
        let name = known.map(|topic| Arc::clone(&topic.image.name));
        wanted.extend(topic.partitions.iter().map(|partition| Wanted {
            topic: topic_ref.clone(),
            name: name.clone(),
            partition: partition.partition,
            offset: Offset(partition.fetch_offset),
            max_bytes: u32::try_from(partition.partition_max_bytes).unwrap_or_default(),
            current_leader_epoch: LeaderEpoch(partition.current_leader_epoch),
            last_fetched_epoch: LeaderEpoch(partition.last_fetched_epoch),
        }));
    }
    let mut forgotten = Vec::new();
    for topic in &request.forgotten_topics_data {
        let topic_ref = reference(&topic.topic, topic.topic_id);
        forgotten.extend(topic.partitions.iter().map(|partition| (topic_ref.clone(), *partition)));
    }
    SessionRequest { id: request.session_id, epoch: request.session_epoch, by_id, wanted, forgotten }
}
