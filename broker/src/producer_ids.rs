//! Producer ids (InitProducerId, KIP-98): from blocks that the controller has put aside for this shard alone.

use alloc::{collections::VecDeque, string::String};
use flumen_controller::{Command, CommandResponse};
use flumen_protocol::{
    ErrorCode,
    init_producer_id::{InitProducerIdRequest, InitProducerIdResponse},
};

use crate::{
    admin,
    mail::{Proposer, Ticket},
    shard::{Return, Running, Shard, Timer, Turn},
};

/// Ids in a block.
const BLOCK_IDS: u32 = 1000;

/// What is left of the shard's block, and who waits for the next.
#[derive(Debug, Default)]
pub(crate) struct ProducerIds {
    next: i64,
    end: i64,
    asked: bool,
    waiting: VecDeque<Ticket>,
}

impl ProducerIds {
    fn take(&mut self) -> Option<i64> {
        if self.next == self.end {
            return None;
        }
        self.next += 1;
        Some(self.next - 1)
    }

    /// Somebody waits no longer.
    pub(crate) fn withdraw(&mut self, ticket: Ticket) {
        self.waiting.retain(|waiting| *waiting != ticket);
    }
}

impl Shard {
    pub(crate) fn start_init_producer_id(&mut self, turn: &mut Turn<'_>, way: Return, request: &InitProducerIdRequest) {
        if let Some(refusal) = admin::refuse_producer_id(request, &self.settings.admin, &self.metadata.image) {
            self.answer(&way, refusal);
            return;
        }
        if let Some(id) = self.producer_ids.take() {
            self.answer(&way, fresh(id));
            return;
        }
        let deadline = self.decision_deadline(turn, None);
        self.timers.arm(deadline, Timer::Decision(way.ticket));
        self.running.insert(way.ticket, way.running(Running::ProducerId { deadline }));
        self.producer_ids.waiting.push_back(way.ticket);
        self.ask_for_producer_ids(turn);
    }

    fn ask_for_producer_ids(&mut self, turn: &mut Turn<'_>) {
        if !self.producer_ids.asked {
            self.producer_ids.asked = true;
            let broker = self.settings.broker;
            let broker_epoch = self.metadata.image.brokers.get(&broker).map_or(-1, |broker| broker.epoch);
            let command = Command::AllocateProducerIds { broker, broker_epoch, count: BLOCK_IDS };
            self.propose(turn, Proposer::ProducerIds, command);
        }
    }

    pub(crate) fn producer_ids_arrived(&mut self, turn: &mut Turn<'_>, result: Result<CommandResponse, String>) {
        self.producer_ids.asked = false;
        let granted = match result {
            Ok(CommandResponse::ProducerIds { first, count }) => {
                self.producer_ids.next = first.0;
                self.producer_ids.end = first.0 + i64::from(count);
                true
            }
            _ => false,
        };
        while let Some(ticket) = self.producer_ids.waiting.pop_front() {
            let Some(running) = self.running.remove(&ticket) else { continue };
            let way = running.way_home(ticket);
            let next = self.producer_ids.take();
            if let Running::ProducerId { deadline } = running.waits
                && (next.is_some() || !granted)
            {
                self.timers.disarm(deadline, Timer::Decision(ticket));
            }
            match next {
                Some(id) => self.answer(&way, fresh(id)),
                None if granted => {
                    self.running.insert(ticket, running);
                    self.producer_ids.waiting.push_front(ticket);
                    self.ask_for_producer_ids(turn);
                    return;
                }
                None => self.answer(&way, none()),
            }
        }
    }

    /// The controller took too long for a block.
    pub(crate) fn producer_id_late(&mut self, way: &Return) {
        self.producer_ids.withdraw(way.ticket);
        self.answer(way, none());
    }
}

/// There is no id to be had now; clients ask again.
fn none() -> InitProducerIdResponse {
    let error_code = ErrorCode::CoordinatorNotAvailable;
    InitProducerIdResponse { error_code, producer_id: -1, producer_epoch: -1, ..InitProducerIdResponse::default() }
}

fn fresh(producer_id: i64) -> InitProducerIdResponse {
    InitProducerIdResponse { producer_id, producer_epoch: 0, ..InitProducerIdResponse::default() }
}
