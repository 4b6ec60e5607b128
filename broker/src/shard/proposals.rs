//! What this shard has asked of the controller and not heard of yet.
//!
//! A request whose change finds no room waits here, like one that is under way, until its own time is up: nothing else on
//! its connection, and no other connection, is held up by it.
//!
//! Invariants: no more proposals are under way than there are control credits, so the control thread's mailbox always has
//! room; every request has one proposal at most, so no more wait here than there are connections; a topic is asked for once
//! at a time, however many clients look for it.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet, VecDeque},
    string::{String, ToString},
    vec::Vec,
};
use flumen_controller::Command;
use flumen_log::{Monotonic, io::Thread};

use super::{Running, Shard, Timer, Turn};
use crate::{
    admin,
    mail::{Mail, Proposer, Ticket},
};

/// Proposals under way.
#[derive(Debug)]
pub(crate) struct Proposals {
    left: u32,
    /// Those that wait for room, oldest first.
    waiting: VecDeque<(Proposer, Box<Command>)>,
    next_background: u64,
    /// Automatic creations under way, and the topics they are to make.
    backgrounds: BTreeMap<u64, Vec<String>>,
    creating: BTreeSet<String>,
}

impl Proposals {
    pub(super) const fn new(limit: u32) -> Self {
        Self {
            left: limit,
            waiting: VecDeque::new(),
            next_background: 0,
            backgrounds: BTreeMap::new(),
            creating: BTreeSet::new(),
        }
    }

    /// Whether this may go to the controller now. One place is kept back for producer ids.
    fn has_room_for(&self, origin: Proposer) -> bool {
        self.left > u32::from(origin != Proposer::ProducerIds)
    }

    /// The next that waited and may go now.
    fn next_waiting(&mut self) -> Option<(Proposer, Box<Command>)> {
        let place = self.waiting.iter().position(|(origin, _)| self.has_room_for(*origin))?;
        self.waiting.remove(place)
    }

    /// Nobody wants this any more: it is not asked for if it was not yet.
    pub(super) fn withdraw(&mut self, ticket: Ticket) {
        self.waiting.retain(|(origin, _)| *origin != Proposer::Request(ticket));
    }

    /// How many are under way.
    pub(super) const fn away(&self, limits: &crate::limits::Limits) -> u32 {
        limits.control_credits - self.left
    }

    /// A proposal was decided.
    fn decided(&mut self, origin: Proposer) {
        self.left += 1;
        if let Proposer::Background(number) = origin {
            for topic in self.backgrounds.remove(&number).into_iter().flatten() {
                self.creating.remove(&topic);
            }
        }
    }
}

impl Shard {
    /// Ask the controller, as soon as there is room.
    pub(crate) fn propose(&mut self, turn: &mut Turn<'_>, origin: Proposer, command: Command) {
        self.proposals.waiting.push_back((origin, Box::new(command)));
        self.send_proposals(turn);
    }

    fn send_proposals(&mut self, turn: &mut Turn<'_>) {
        while let Some((origin, command)) = self.proposals.next_waiting() {
            self.proposals.left -= 1;
            turn.effects.mail.push((Thread::Control, Mail::Propose { origin, command }));
        }
    }

    /// A decision arrived, perhaps one that nobody waits for any more: its place is free.
    pub(super) fn proposal_decided(&mut self, turn: &mut Turn<'_>, origin: Proposer) {
        self.proposals.decided(origin);
        self.send_proposals(turn);
    }

    /// When a request must be answered that says how long it waits for the controller, or does not say.
    pub(crate) fn decision_deadline(&self, turn: &Turn<'_>, timeout_ms: Option<i32>) -> Monotonic {
        let wait_ms = timeout_ms.map_or(self.settings.limits.decision_ms, |ms| u64::try_from(ms).unwrap_or_default());
        turn.now.monotonic.after_ms(wait_ms)
    }

    /// The controller took too long for this request. What was asked for may still happen (A01).
    pub(super) fn decision_late(&mut self, ticket: Ticket) {
        let Some(running) = self.running.remove(&ticket) else { return };
        let way = running.way_home(ticket);
        match running.waits {
            Running::Admin { continuation, .. } => {
                self.proposals.withdraw(ticket);
                let late = Err("The controller has not decided in time; it may still do what was asked.".to_string());
                let response = admin::finish(continuation, late, &self.metadata.image, &self.settings.admin);
                self.answer(&way, response);
            }
            Running::ProducerId { .. } => self.producer_id_late(&way),
            Running::Produce(_) | Running::Fetch(_) | Running::Query(_) => {}
        }
    }

    /// Somebody waits no longer for a decision.
    pub(super) fn forget_decision(&mut self, ticket: Ticket, deadline: Monotonic) {
        self.timers.disarm(deadline, Timer::Decision(ticket));
        self.proposals.withdraw(ticket);
        self.producer_ids.withdraw(ticket);
    }

    /// Ask the controller for what nobody waits for, unless it is being made already or there is no room. A client that still
    /// misses it asks again.
    pub(super) fn propose_in_background(&mut self, turn: &mut Turn<'_>, mut command: Command) {
        let proposals = &mut self.proposals;
        let origin = Proposer::Background(proposals.next_background);
        if !proposals.has_room_for(origin) {
            return;
        }
        if let Command::CreateTopics(creation) = &mut command {
            creation.topics.retain(|topic| !proposals.creating.contains(&topic.name));
            if creation.topics.is_empty() {
                return;
            }
            let names: Vec<String> = creation.topics.iter().map(|topic| topic.name.clone()).collect();
            proposals.creating.extend(names.iter().cloned());
            proposals.backgrounds.insert(proposals.next_background, names);
        }
        proposals.next_background += 1;
        self.propose(turn, origin, command);
    }
}
