//! What this shard has asked of the controller and not heard of yet.
//!
//! Invariants: no more proposals are under way than there are control credits, so the control thread's mailbox always has
//! room; a topic is asked for once at a time, however many clients look for it.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};
use flumen_controller::Command;
use flumen_log::io::Thread;

use super::{Shard, Turn};
use crate::mail::{Mail, Proposer};

/// Proposals under way.
#[derive(Debug)]
pub(crate) struct Proposals {
    left: u32,
    next_background: u64,
    /// Automatic creations under way, and the topics they are to make.
    backgrounds: BTreeMap<u64, Vec<String>>,
    creating: BTreeSet<String>,
}

impl Proposals {
    pub(super) const fn new(limit: u32) -> Self {
        Self { left: limit, next_background: 0, backgrounds: BTreeMap::new(), creating: BTreeSet::new() }
    }

    /// Whether a request may start that could need the controller. One is kept back for producer ids.
    pub(super) const fn available(&self) -> bool {
        self.left > 1
    }

    /// How many are under way.
    pub(super) const fn away(&self, limits: &crate::limits::Limits) -> u32 {
        limits.control_credits - self.left
    }

    /// A proposal was decided.
    pub(super) fn decided(&mut self, origin: Proposer) {
        self.left += 1;
        if let Proposer::Background(number) = origin {
            for topic in self.backgrounds.remove(&number).into_iter().flatten() {
                self.creating.remove(&topic);
            }
        }
    }
}

impl Shard {
    /// Ask the controller.
    pub(crate) fn propose(&mut self, turn: &mut Turn<'_>, origin: Proposer, command: Command) {
        self.proposals.left = self.proposals.left.checked_sub(1).expect("a request starts only when a proposal is left");
        turn.effects.mail.push((Thread::Control, Mail::Propose { origin, command: Box::new(command) }));
    }

    /// Ask the controller for what nobody waits for, unless it is being made already. A client that still misses it asks again.
    pub(super) fn propose_in_background(&mut self, turn: &mut Turn<'_>, mut command: Command) {
        let proposals = &mut self.proposals;
        if let Command::CreateTopics(creation) = &mut command {
            creation.topics.retain(|topic| !proposals.creating.contains(&topic.name));
            if creation.topics.is_empty() {
                return;
            }
            let names: Vec<String> = creation.topics.iter().map(|topic| topic.name.clone()).collect();
            proposals.creating.extend(names.iter().cloned());
            proposals.backgrounds.insert(proposals.next_background, names);
        }
        let origin = Proposer::Background(proposals.next_background);
        proposals.next_background += 1;
        self.propose(turn, origin, command);
    }
}
