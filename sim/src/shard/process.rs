//! The broker's process: shards, the mail between them and the control thread, and what a reactor does for each.
//!
//! A turn of a shard is the reactor's: some mail, some events, the machine's end of turn, its effects carried out, and what came
//! of those on the spot told at once, for a bounded number of rounds. All shards share one disk; operations are given names that
//! tell whose they are.

use alloc::{collections::VecDeque, format, string::String, vec::Vec};
use flumen_broker::{Limits, Mail, Shard};
use flumen_log::{
    Monotonic, Now, ShardId,
    io::{Completion, Effects, Event, FileHandle, FileOperation, Machine, Operation, OperationId, Owner, Thread},
};

use super::{
    control::{Control, Order},
    network::Network,
    trace::Trace,
};
use crate::{disk::SimDisk, random::Random};

/// How often a turn tells the machine what came of its own effects, as in the reactor.
const ROUNDS: usize = 8;
/// Owners of operations within a shard.
const OWNERS: u32 = 1 << 16;

/// A shard and what it has to be told.
pub(super) struct Seat {
    pub(super) shard: Shard,
    effects: Effects<Mail>,
    pub(super) events: VecDeque<Event<Mail>>,
}

/// Everything that is gone when the process dies.
pub(super) struct Process {
    pub(super) seats: Vec<Seat>,
    pub(super) control: Control,
    /// From each thread to each, the control thread last.
    mailboxes: Vec<VecDeque<Mail>>,
    capacity: usize,
    stopping: bool,
    /// A shard said that its log directory failed.
    pub(super) storage_failed: bool,
}

/// What a turn works on besides the process.
pub(super) struct Around<'a, 'b> {
    pub(super) disk: &'a mut SimDisk,
    pub(super) network: &'a mut Network,
    pub(super) random: &'a mut Random,
    pub(super) trace: &'a mut Trace<'b>,
    pub(super) now: Now,
    /// The disk says that it has synced, and has not.
    pub(super) lies: bool,
}

impl Process {
    pub(super) fn new(shards: Vec<Shard>, control: Control, limits: &Limits) -> Self {
        let threads = shards.len() + 1;
        let seat = |shard| Seat { shard, effects: Effects::default(), events: VecDeque::new() };
        Self {
            seats: shards.into_iter().map(seat).collect(),
            control,
            mailboxes: (0..threads * threads).map(|_| VecDeque::new()).collect(),
            capacity: limits.mailbox_slots(),
            stopping: false,
            storage_failed: false,
        }
    }

    fn threads(&self) -> usize {
        self.seats.len() + 1
    }

    fn place(&self, thread: Thread) -> usize {
        match thread {
            Thread::Shard(ShardId(number)) => usize::from(number),
            Thread::Control => self.seats.len(),
        }
    }

    fn thread(&self, place: usize) -> Thread {
        match u16::try_from(place) {
            Ok(number) if place < self.seats.len() => Thread::Shard(ShardId(number)),
            _ => Thread::Control,
        }
    }

    fn post(&mut self, from: usize, to: usize, mail: Mail) -> Result<(), String> {
        let place = from * self.threads() + to;
        self.mailboxes[place].push_back(mail);
        if self.mailboxes[place].len() > self.capacity {
            return Err(format!("the mailbox from {:?} to {:?} is full", self.thread(from), self.thread(to)));
        }
        Ok(())
    }

    fn has_mail(&self, to: usize) -> bool {
        (0..self.threads()).any(|from| !self.mailboxes[from * self.threads() + to].is_empty())
    }

    /// Shards for which a turn would do something.
    pub(super) fn ready(&self, now: Monotonic) -> Vec<usize> {
        let due = |seat: &Seat| !seat.events.is_empty() || seat.shard.next_deadline().is_some_and(|at| at <= now);
        (0..self.seats.len()).filter(|shard| self.has_mail(*shard) || due(&self.seats[*shard])).collect()
    }

    /// When a shard has to turn even if nothing happens.
    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        self.seats.iter().filter_map(|seat| seat.shard.next_deadline()).min()
    }

    /// One turn of a shard.
    pub(super) fn turn(&mut self, shard: usize, around: &mut Around<'_, '_>) -> Result<(), String> {
        let now = around.now;
        let (mut mails, mut told) = (0u64, 0u64);
        for from in 0..self.threads() {
            let place = from * self.threads() + shard;
            let count = around.random.index(self.mailboxes[place].len() + 1).max(1);
            let thread = self.thread(from);
            for _ in 0..count {
                let Some(mail) = self.mailboxes[place].pop_front() else { break };
                let seat = &mut self.seats[shard];
                seat.shard.handle(Event::Mail { from: thread, mail }, now, &mut seat.effects);
                mails += 1;
            }
        }
        let seat = &mut self.seats[shard];
        let count = around.random.index(seat.events.len() + 1).max(1);
        for _ in 0..count {
            let Some(event) = seat.events.pop_front() else { break };
            seat.shard.handle(event, now, &mut seat.effects);
            told += 1;
        }
        seat.shard.end_turn(now, &mut seat.effects);
        let done = self.carry_out(shard, around)?;
        around.trace.note(
            &[1, shard as u64, mails, told, done, now.monotonic.0],
            format_args!("{:>9} µs  shard {shard}: {mails} mails, {told} events, {done} effects", now.monotonic.0 / 1000),
        );
        Ok(())
    }

    /// Do what the machine wants, and tell it at once what can be told.
    fn carry_out(&mut self, shard: usize, around: &mut Around<'_, '_>) -> Result<u64, String> {
        let mut done = 0;
        for _ in 0..ROUNDS {
            let mut at_once = Vec::new();
            let seat = &mut self.seats[shard];
            let operations: Vec<Operation> = seat.effects.files.drain().collect();
            let mails: Vec<(Thread, Mail)> = seat.effects.mail.drain(..).collect();
            let net: Vec<_> = seat.effects.net.drain(..).collect();
            done += (operations.len() + mails.len() + net.len()) as u64;
            for operation in operations {
                around.disk.submit(named(operation, shard, around.lies), around.random);
                while let Some(completion) = around.disk.step_if(|_| false, around.random) {
                    at_once.push(Event::Completed(unnamed(completion)));
                }
            }
            for (to, mail) in mails {
                let to = self.place(to);
                self.post(shard, to, mail)?;
            }
            at_once.extend(net.into_iter().filter_map(|effect| around.network.apply(effect)));
            if at_once.is_empty() {
                return Ok(done);
            }
            let seat = &mut self.seats[shard];
            for event in at_once {
                seat.shard.handle(event, around.now, &mut seat.effects);
            }
            seat.shard.end_turn(around.now, &mut seat.effects);
        }
        Ok(done)
    }

    /// The control thread reads its mail and does one thing.
    pub(super) fn control_step(&mut self, trace: &mut Trace<'_>) -> Result<bool, String> {
        let mut orders = Vec::new();
        let me = self.seats.len();
        for from in 0..me {
            let place = from * self.threads() + me;
            while let Some(mail) = self.mailboxes[place].pop_front() {
                if let Mail::Propose { origin, .. } = &mail {
                    let words = super::control::describe(origin);
                    trace.note(&[2, from as u64], format_args!("           control: shard {from} proposes for {words}"));
                }
                orders.extend(self.control.read(from, mail));
            }
        }
        let had_work = self.control.has_work();
        orders.extend(self.control.step());
        self.obey(orders)?;
        Ok(had_work)
    }

    pub(super) fn obey(&mut self, orders: Vec<Order>) -> Result<(), String> {
        let me = self.seats.len();
        for order in orders {
            match order {
                Order::Send(shard, mail) => self.post(me, shard, mail)?,
                Order::StorageFailed => self.storage_failed = true,
                Order::Violation(text) => return Err(text),
            }
        }
        Ok(())
    }

    /// An operation on files ended.
    pub(super) fn completed(&mut self, completion: Completion) {
        let shard = usize::try_from(completion.id.owner.0 / OWNERS).unwrap_or_default();
        if let Some(seat) = self.seats.get_mut(shard) {
            seat.events.push_back(Event::Completed(unnamed(completion)));
        }
    }

    /// Tell every shard to stop, once.
    pub(super) fn stop(&mut self) {
        if !core::mem::replace(&mut self.stopping, true) {
            for seat in &mut self.seats {
                seat.events.push_back(Event::Stop);
            }
        }
    }

    pub(super) const fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether clients can connect.
    pub(super) const fn accepts(&self) -> bool {
        self.control.opened && !self.stopping
    }

    /// Whether a shard has said that its log directory failed, be it in mail that the control thread has not read.
    pub(super) fn has_lost_storage(&self) -> bool {
        let to_control = (0..self.seats.len()).flat_map(|from| &self.mailboxes[from * self.threads() + self.seats.len()]);
        self.storage_failed || to_control.into_iter().any(|mail| matches!(mail, Mail::DirectoryFailed { .. }))
    }

    /// Whether every loop may end.
    pub(super) fn is_finished(&self) -> bool {
        self.seats.iter().all(|seat| seat.shard.is_finished() && seat.events.is_empty())
    }
}

/// The operation under a name that tells whose it is. A disk that lies leaves syncs out.
fn named(operation: Operation, shard: usize, lies: bool) -> Operation {
    let Operation { id, kind } = operation;
    let owner = Owner(u32::try_from(shard).unwrap_or_default() * OWNERS + id.owner.0);
    let kind = match kind {
        FileOperation::Sync { file: FileHandle(file), .. } if lies => {
            FileOperation::WriteOut { file: FileHandle(file), offset: 0, length: 0 }
        }
        kind => kind,
    };
    Operation { id: OperationId { owner, ..id }, kind }
}

fn unnamed(completion: Completion) -> Completion {
    let owner = Owner(completion.id.owner.0 % OWNERS);
    Completion { id: OperationId { owner, ..completion.id }, ..completion }
}
