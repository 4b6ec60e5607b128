//! From a request frame to the room that answers it, and from the answer back to the frame.

use alloc::{string::String, vec};
use bytes::Bytes;
use flumen_log::{Monotonic, io::SendPart};
use flumen_protocol::{DecodeError, Request, Response, decode_request};

use super::{Shard, Timer, Turn};
use crate::{
    admin,
    connection::{Overlap, Reply},
    fetch::FetchGather,
    mail::{Proposer, Ticket},
    produce::ProduceGather,
    query::QueryGather,
};

/// What a request that has started waits for.
#[derive(Debug)]
pub(crate) enum Running {
    Produce(ProduceGather),
    Fetch(FetchGather),
    Query(QueryGather),
    /// The controller's decision.
    Admin {
        continuation: admin::Continuation,
        deadline: Monotonic,
    },
    /// A block of producer ids.
    ProducerId {
        deadline: Monotonic,
    },
}

/// A request that has started and has no result yet.
#[derive(Debug)]
pub(crate) struct RunningRequest {
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) overlap: Overlap,
    pub(crate) waits: Running,
}

/// A decoded request's way home.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Return {
    pub(crate) ticket: Ticket,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) overlap: Overlap,
}

impl Return {
    pub(crate) const fn running(&self, waits: Running) -> RunningRequest {
        RunningRequest { version: self.version, correlation_id: self.correlation_id, overlap: self.overlap, waits }
    }
}

impl RunningRequest {
    pub(crate) const fn way_home(&self, ticket: Ticket) -> Return {
        Return { ticket, version: self.version, correlation_id: self.correlation_id, overlap: self.overlap }
    }
}

impl Shard {
    /// Decode a request and start it.
    pub(super) fn dispatch(&mut self, turn: &mut Turn<'_>, ticket: Ticket, overlap: Overlap, frame: Bytes) {
        let (header, request) = match decode_request(frame) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.finish(ticket, overlap, undecodable(&error));
                return;
            }
        };
        let way = Return { ticket, version: header.version, correlation_id: header.correlation_id, overlap };
        match request {
            Request::Produce(request) => self.start_produce(turn, way, header.client_id.as_deref(), request),
            Request::Fetch(request) => self.start_fetch(turn, way, request),
            Request::ListOffsets(request) => self.start_list_offsets(turn, way, request),
            Request::OffsetForLeaderEpoch(request) => self.start_epoch_ends(turn, way, request),
            Request::DeleteRecords(request) => self.start_delete_records(turn, way, request),
            Request::DescribeProducers(request) => self.start_describe_producers(turn, way, request),
            Request::DescribeLogDirs(request) => self.start_describe_log_dirs(turn, way, request),
            Request::OffsetCommit(request) => self.start_offset_commit(turn, way, request),
            Request::OffsetFetch(request) => self.start_offset_fetch(turn, way, request),
            Request::InitProducerId(request) => self.start_init_producer_id(turn, way, &request),
            Request::DescribeConfigs(request) => self.start_describe_configs(way, request),
            request => self.start_admin(turn, way, &request),
        }
    }

    fn start_admin(&mut self, turn: &mut Turn<'_>, way: Return, request: &Request) {
        let listener = self.connections.get(&way.ticket.connection).map_or(0, |connection| connection.listener);
        let random = &mut self.metadata.random;
        let context = admin::AdminContext {
            image: &self.metadata.image,
            settings: &self.settings.admin,
            listener,
            new_topic_id: &mut || random.topic_id(),
        };
        match admin::handle(request, way.version, context) {
            Some(admin::Step::Reply(response)) => self.answer(&way, response),
            Some(admin::Step::Propose { command, then, timeout_ms }) => {
                let deadline = self.decision_deadline(turn, timeout_ms);
                self.timers.arm(deadline, Timer::Decision(way.ticket));
                self.running.insert(way.ticket, way.running(Running::Admin { continuation: then, deadline }));
                self.propose(turn, Proposer::Request(way.ticket), command);
            }
            Some(admin::Step::ReplyAndPropose { response, command }) => {
                self.answer(&way, response);
                self.propose_in_background(turn, command);
            }
            None => self.finish(way.ticket, way.overlap, Reply::Close),
        }
    }

    /// The controller has decided, and every shard has applied what follows.
    pub(super) fn proposed(
        &mut self,
        turn: &mut Turn<'_>,
        origin: Proposer,
        result: Result<flumen_controller::CommandResponse, String>,
    ) {
        self.proposal_decided(turn, origin);
        match origin {
            Proposer::Background(_) => {}
            Proposer::ProducerIds => self.producer_ids_arrived(turn, result),
            Proposer::Request(ticket) => {
                // Nobody, where the client was told that it took too long.
                let Some(running) = self.running.remove(&ticket) else { return };
                let way = running.way_home(ticket);
                let Running::Admin { continuation, deadline } = running.waits else { return };
                self.timers.disarm(deadline, Timer::Decision(ticket));
                let response = admin::finish(continuation, result, &self.metadata.image, &self.settings.admin);
                self.answer(&way, response);
            }
        }
    }

    /// A request's result is this response.
    pub(crate) fn answer(&mut self, way: &Return, response: impl Into<Response>) {
        let Some(encoded) = response.into().encode_if_it_fits(way.version, way.correlation_id) else {
            // Nothing that is true could be said about its size.
            self.finish(way.ticket, way.overlap, Reply::Close);
            return;
        };
        if way.overlap == Overlap::Exclusive {
            self.fairness.spend(way.ticket.connection, encoded.bytes.len());
        }
        debug_assert!(encoded.splits.is_empty(), "only a fetch leaves records out");
        self.finish(way.ticket, way.overlap, Reply::Send(vec![SendPart::Bytes(encoded.bytes)]));
    }
}

/// What leaves for a frame that is no request: an answer where clients count on one (C04, C06), otherwise the end.
fn undecodable(error: &DecodeError) -> Reply {
    match error {
        DecodeError::UnsupportedVersion { api_key, version, correlation_id } => {
            match admin::unsupported_version(*api_key, *version) {
                Some((response, version)) => {
                    let encoded = response.encode(version, *correlation_id);
                    Reply::Send(vec![SendPart::Bytes(encoded.bytes)])
                }
                None => Reply::Close,
            }
        }
        DecodeError::UnknownApi { .. } | DecodeError::Malformed { .. } => Reply::Close,
    }
}
