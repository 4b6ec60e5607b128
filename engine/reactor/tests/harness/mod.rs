//! Shards for tests: a machine made of a closure, an echo machine, and threads that run them.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part")]

pub mod echo;

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use flumen_log::{
    Monotonic, Now, ShardId,
    io::{Effects, Event, FileOperation, Machine, NetEffect, OperationId, Owner},
};
use flumen_reactor::{
    DataDirectory, LeftoverFiles, Reactor, ReactorSettings, Stalls,
    mailbox::{ControlPostbox, ShardPostbox, StopHandle, mesh},
};

/// What a [`Script`] may do.
pub struct Desk<'a, Mail> {
    pub effects: &'a mut Effects<Mail>,
    pub now: Now,
    /// Set to end the loop.
    pub finished: &'a mut bool,
    /// When to be called with [`Happening::Deadline`].
    pub deadline: &'a mut Option<Monotonic>,
}

impl<Mail> Desk<'_, Mail> {
    pub fn file(&mut self, kind: FileOperation) -> OperationId {
        self.effects.files.ask(Owner(0), kind)
    }

    pub fn net(&mut self, effect: NetEffect) {
        self.effects.net.push(effect);
    }
}

/// What a [`Script`] is told.
#[derive(Debug)]
pub enum Happening<Mail> {
    Start,
    Event(Event<Mail>),
    Deadline,
}

/// A machine made of a closure.
pub struct Script<Mail, F> {
    closure: F,
    started: bool,
    finished: bool,
    deadline: Option<Monotonic>,
    mail: std::marker::PhantomData<fn(Mail)>,
}

impl<Mail: Send + 'static, F: FnMut(Happening<Mail>, &mut Desk<'_, Mail>)> Script<Mail, F> {
    pub fn new(closure: F) -> Self {
        Self { closure, started: false, finished: false, deadline: None, mail: std::marker::PhantomData }
    }

    fn tell(&mut self, happening: Happening<Mail>, now: Now, effects: &mut Effects<Mail>) {
        let mut desk = Desk { effects, now, finished: &mut self.finished, deadline: &mut self.deadline };
        (self.closure)(happening, &mut desk);
    }
}

impl<Mail: Send + 'static, F: FnMut(Happening<Mail>, &mut Desk<'_, Mail>)> Machine for Script<Mail, F> {
    type Mail = Mail;

    fn handle(&mut self, event: Event<Mail>, now: Now, effects: &mut Effects<Mail>) {
        self.tell(Happening::Event(event), now, effects);
    }

    fn end_turn(&mut self, now: Now, effects: &mut Effects<Mail>) {
        if !std::mem::replace(&mut self.started, true) {
            self.tell(Happening::Start, now, effects);
        }
        if self.deadline.is_some_and(|deadline| deadline <= now.monotonic) {
            self.deadline = None;
            self.tell(Happening::Deadline, now, effects);
        }
    }

    fn next_deadline(&self) -> Option<Monotonic> {
        self.deadline
    }

    fn is_finished(&self) -> bool {
        self.finished
    }
}

/// Run one machine here, in a directory, without listeners, until it is finished.
pub fn run_here<M: Machine>(home: &Path, machine: M) -> (M, LeftoverFiles) {
    run_with(home, machine, |_| {})
}

/// As [`run_here`], with other settings.
pub fn run_with<M: Machine>(home: &Path, machine: M, adjust: impl FnOnce(&mut ReactorSettings)) -> (M, LeftoverFiles) {
    let directory = DataDirectory::open(home, Duration::ZERO).expect("the directory is free");
    let (mut shards, _control) = mesh(1, 16).expect("eventfds");
    let postbox = shards.pop().expect("one shard");
    let mut settings = ReactorSettings::new(ShardId(0));
    adjust(&mut settings);
    let reactor = Reactor::new(settings, vec![directory], Vec::new(), postbox).expect("a reactor");
    reactor.run(machine)
}

/// Shards that run.
pub struct Shards<M: Machine> {
    pub address: SocketAddr,
    pub stop: StopHandle,
    pub control: ControlPostbox<M::Mail>,
    pub stalls: Vec<Arc<Stalls>>,
    threads: Vec<JoinHandle<M>>,
    home: tempfile::TempDir,
}

impl<M: Machine + Send + 'static> Shards<M> {
    /// Start a thread for each of `machines`, all with one listener each.
    pub fn start(machines: Vec<M>, adjust: impl Fn(&mut ReactorSettings)) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let directory = DataDirectory::open(home.path(), Duration::ZERO).expect("the directory is free");
        let (postboxes, control) = mesh(u16::try_from(machines.len()).expect("few"), 1024).expect("eventfds");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let (told, hear) = std::sync::mpsc::channel();
        let threads = machines
            .into_iter()
            .zip(postboxes)
            .map(|(machine, postbox): (M, ShardPostbox<M::Mail>)| {
                let (told, directory) = (told.clone(), directory.try_clone().expect("descriptors"));
                let listener = listener.try_clone().expect("descriptors");
                let mut settings = ReactorSettings::new(postbox.shard());
                adjust(&mut settings);
                std::thread::spawn(move || {
                    let reactor = Reactor::new(settings, vec![directory], vec![listener], postbox).expect("a reactor");
                    told.send(reactor.stalls()).expect("the test waits");
                    let (machine, leftover) = reactor.run(machine);
                    assert!(leftover.is_empty(), "the machine left files open");
                    machine
                })
            })
            .collect::<Vec<_>>();
        let stalls = threads.iter().map(|_| hear.recv().expect("every shard starts")).collect();
        Self { address, stop: control.stop_handle(), control, stalls, threads, home }
    }

    /// Try to take the data directory as another process would.
    pub fn try_lock(&self) -> Result<DataDirectory, flumen_reactor::LockError> {
        DataDirectory::open(self.home.path(), Duration::ZERO)
    }

    /// Wait until all have finished, and check that the directory's lock is free then.
    pub fn join(self) -> Vec<M> {
        let machines = self.threads.into_iter().map(|thread| thread.join().expect("the shard did not panic")).collect();
        DataDirectory::open(self.home.path(), Duration::from_secs(5)).expect("the lock is free when the loops have ended");
        machines
    }

    /// Ask to stop, and wait.
    pub fn stop(self) -> Vec<M> {
        self.stop.stop();
        self.join()
    }
}
