//! Mail, in and out.

use flumen_log::{
    ShardId,
    io::{NetEffect, Thread},
};

use super::{Class, Running, Shard, Turn, stop::Stopping};
use crate::{
    fetch::Tell,
    mail::{Mail, Ticket},
};

impl Shard {
    /// Write to a shard, this one included.
    pub(crate) fn post(&mut self, turn: &mut Turn<'_>, to: ShardId, mail: Mail) {
        if to == self.settings.shard {
            self.local.push_back(mail);
        } else {
            turn.effects.mail.push((Thread::Shard(to), mail));
        }
    }

    pub(super) fn read_mail(&mut self, turn: &mut Turn<'_>, from: Thread, mail: Mail) {
        match (from, mail) {
            (_, Mail::Proposed { origin, result }) => self.proposed(turn, origin, *result),
            (_, Mail::Image { index, image, delta, placed }) => self.apply_image(turn, index, image, &delta, &placed),
            (_, Mail::Open) if self.stopping != Stopping::No => {}
            (_, Mail::Open) => turn.effects.net.push(NetEffect::Accept { enabled: true }),
            (Thread::Control, Mail::DirectoryFailed { directory, error }) => self.directories.take_offline(directory, error),
            (Thread::Shard(from), mail) => self.read_shard_mail(turn, from, mail),
            // Nothing else is ever written by the control thread.
            (Thread::Control, _) => {}
        }
    }

    fn read_shard_mail(&mut self, turn: &mut Turn<'_>, from: ShardId, mail: Mail) {
        match mail {
            Mail::Produce(mail) => self.append_batches(turn, from, *mail),
            Mail::Produced(mail) => {
                self.give_credit(from, Class::Produce);
                self.produced(turn, *mail);
            }
            Mail::Fetch(mail) => self.fetch_here(turn, from, *mail),
            Mail::FetchParked { ticket, bytes } => {
                self.give_credit(from, Class::Fetch);
                self.fetch_reported(turn, from, ticket, bytes, false);
            }
            Mail::FetchReady { ticket, bytes } => self.fetch_reported(turn, from, ticket, bytes, true),
            Mail::FetchWait { ticket } => self.fetch_wait(turn, (from, ticket)),
            Mail::FetchCollect { ticket, max_bytes } => self.fetch_collect(turn, (from, ticket), max_bytes),
            Mail::FetchCancel { ticket } => self.fetch_cancel((from, ticket)),
            Mail::Fetched(mail) => {
                if !mail.was_parked {
                    self.give_credit(from, Class::Fetch);
                }
                self.fetched(turn, from, *mail);
            }
            Mail::Ask(mail) => self.questions_asked(turn, from, *mail),
            Mail::Answered(mail) => {
                self.give_credit(from, Class::Control);
                self.answered(turn, *mail);
            }
            Mail::Unreadable { partition, stretch } => self.check_unreadable(turn, partition, stretch),
            Mail::DamageTold => self.damages_told(turn),
            Mail::Drained => self.peer_drained(from),
            Mail::Propose { .. }
            | Mail::DamageFound { .. }
            | Mail::Proposed { .. }
            | Mail::Image { .. }
            | Mail::Applied { .. }
            | Mail::Open
            | Mail::JournalIsBuffered { .. }
            | Mail::DirectoryFailed { .. } => {}
        }
    }

    fn give_credit(&mut self, from: ShardId, class: Class) {
        self.credits.give(from, class);
        self.credited();
    }

    /// The connection is gone: end what waits elsewhere for nobody.
    pub(super) fn abandon(&mut self, turn: &mut Turn<'_>, ticket: Ticket) {
        let Some(running) = self.running.remove(&ticket) else { return };
        match running.waits {
            Running::Fetch(gather) => {
                self.timers.disarm(gather.deadline, super::Timer::Fetch(ticket));
                let owners: alloc::vec::Vec<ShardId> = gather.outstanding().collect();
                for owner in owners {
                    self.post(turn, owner, Mail::FetchCancel { ticket });
                }
            }
            Running::Admin { deadline, .. } | Running::ProducerId { deadline } => self.forget_decision(ticket, deadline),
            Running::Produce(_) | Running::Query(_) => {}
        }
    }

    pub(crate) fn tell_owners(&mut self, turn: &mut Turn<'_>, ticket: Ticket, max_bytes: u32, tell: &[Tell]) {
        for tell in tell {
            match tell {
                Tell::Collect(owner) => self.post(turn, *owner, Mail::FetchCollect { ticket, max_bytes }),
                Tell::Wait(owner) => self.post(turn, *owner, Mail::FetchWait { ticket }),
            }
        }
    }
}
