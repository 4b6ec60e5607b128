//! One turn.

use flumen_log::{
    Now,
    io::{Effects, Event, Machine},
};

use super::Reactor;
use crate::{clock, net::Surroundings, stalls::Step};

/// How many times in a turn the machine is told what came of its own effects on the spot, before others have their turn.
const ROUNDS: usize = 8;

/// Before so much is written on this thread, what is queued is handed over.
const SUBMIT_BEFORE_BYTES: usize = 64 << 10;

impl<Mail: Send + 'static> Reactor<Mail> {
    /// Everything there is to do now, within the budgets.
    pub(super) fn turn<M: Machine<Mail = Mail>>(&mut self, machine: &mut M, effects: &mut Effects<Mail>) {
        let now = clock::now();
        self.detector.begin(now.monotonic.0);
        self.busy = false;
        self.network.begin_turn(now.monotonic, &mut self.ring);
        self.files.restart(&mut self.ring);
        self.files.take_aside();

        self.take_mail(machine, now, effects);
        self.detector.mark(Step::Mail, clock::monotonic().0);
        self.take_completions(machine, now, effects);
        self.detector.mark(Step::Completions, clock::monotonic().0);
        machine.end_turn(now, effects);
        self.detector.mark(Step::EndTurn, clock::monotonic().0);
        self.carry_out(machine, now, effects);
        self.detector.mark(Step::Effects, clock::monotonic().0);
        self.wake_peers();
        // The submission of the turn. With nothing queued it is left to the sleep, which runs deferred work as well.
        if self.ring.has_queued() {
            self.ring.submit();
        }
        self.detector.mark(Step::Submit, clock::monotonic().0);
        self.detector.end();
    }

    fn take_mail<M: Machine<Mail = Mail>>(&mut self, machine: &mut M, now: Now, effects: &mut Effects<Mail>) {
        self.busy |= self.postbox.drain(self.settings.turn_mail, |from, mail| {
            machine.handle(Event::Mail { from, mail }, now, effects);
        });
        if !self.stop_told && self.postbox.bell().is_stopped() {
            self.stop_told = true;
            machine.handle(Event::Stop, now, effects);
        }
    }

    fn take_completions<M: Machine<Mail = Mail>>(&mut self, machine: &mut M, now: Now, effects: &mut Effects<Mail>) {
        let mut budget = self.settings.turn_completions;
        while budget > 0
            && self.network.may_receive()
            && let Some(finished) = self.ring.next()
        {
            budget -= 1;
            self.dispatch(finished, now.monotonic);
            self.tell(machine, now, effects);
        }
        self.tell(machine, now, effects);
        self.busy |= budget == 0 || !self.network.may_receive();
    }

    /// Tell the machine what has happened so far. True if anything had.
    fn tell<M: Machine<Mail = Mail>>(&mut self, machine: &mut M, now: Now, effects: &mut Effects<Mail>) -> bool {
        let mut told = false;
        while let Some(completion) = self.files.done.pop_front() {
            machine.handle(Event::Completed(completion), now, effects);
            told = true;
        }
        while let Some(event) = self.events.pop_front() {
            machine.handle(event, now, effects);
            told = true;
        }
        told
    }

    /// Do what the machine wants, tell it what came of that at once, and again, for a bounded number of rounds.
    fn carry_out<M: Machine<Mail = Mail>>(&mut self, machine: &mut M, now: Now, effects: &mut Effects<Mail>) {
        for _ in 0..ROUNDS {
            for operation in effects.files.drain() {
                self.files.start(operation, &mut self.ring);
            }
            // The disk works on the journal while this thread copies. For a small copy that would be one call more for nothing.
            if self.files.spot_bytes() >= SUBMIT_BEFORE_BYTES && self.ring.has_queued() {
                self.ring.submit();
            }
            self.files.write_on_the_spot();
            for (to, mail) in effects.mail.drain(..) {
                self.postbox.send(to, mail);
            }
            let mut around = Surroundings { ring: &mut self.ring, events: &mut self.events, now: now.monotonic };
            for effect in effects.net.drain(..) {
                self.network.apply(effect, &mut around);
            }
            self.network.send_all(&mut around);
            if !self.tell(machine, now, effects) {
                return;
            }
            machine.end_turn(now, effects);
        }
        // The rest is carried out when the next turn comes to it, at once.
        self.busy = true;
    }

    /// Wake those who sleep on mail we wrote: by a message to their ring with this turn's submission, else directly.
    fn wake_peers(&mut self) {
        let (messages, ring) = (self.messages, &mut self.ring);
        self.postbox.ring_bells(|peer, bell| match bell.ring() {
            // Peers are numbered by 16 bits.
            Some(other) if messages => ring.message(other, peer as u32),
            _ => bell.write(),
        });
    }
}
