//! The loop of one core.
//!
//! A turn: mail in, completions, deadlines, the machine's end of turn, effects out, submit. Then a short look around, and
//! sleep in the ring. Every step has a budget, so that a turn stays short whatever arrives; what is over budget is taken
//! in the next, which then begins at once.

mod sleep;
mod turn;

use std::{collections::VecDeque, net::TcpListener, sync::Arc, time::Duration};

use flumen_log::io::{Effects, Event, Machine};

use crate::{
    DataDirectory, ReactorSettings, StallReport, Stalls, clock, cores,
    files::Files,
    mailbox::ShardPostbox,
    net::{Network, Surroundings},
    stalls::Detector,
    sys::{Finished, HandledFile, OperationKey, Request, Ring},
    token::Token,
};

/// Why a reactor could not be made.
#[derive(Debug, thiserror::Error)]
#[error("shard {shard}: cannot {action}: {source}")]
pub struct ReactorError {
    /// Which shard.
    pub shard: flumen_log::ShardId,
    /// What was tried.
    pub action: &'static str,
    /// What the kernel said.
    pub source: std::io::Error,
}

/// Files a machine left open. Other shards may still send from them, so they are closed by dropping this when all loops
/// have ended.
#[derive(Debug)]
#[must_use = "drop it when every shard's loop has ended"]
pub struct LeftoverFiles {
    files: Vec<HandledFile>,
}

impl LeftoverFiles {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether the machine closed all it opened.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

impl Drop for LeftoverFiles {
    fn drop(&mut self) {
        for file in self.files.drain(..) {
            file.close();
        }
    }
}

/// A shard's loop, ready to run a machine. It lives on the thread that made it.
pub struct Reactor<Mail> {
    settings: ReactorSettings,
    ring: Ring<Token>,
    files: Files,
    network: Network,
    postbox: ShardPostbox<Mail>,
    /// What the machine has to be told, beside mail and completions of files.
    events: VecDeque<Event<Mail>>,
    detector: Detector,
    /// The operation that waits for the doorbell.
    listening: Option<OperationKey>,
    /// Sleeping peers are woken by messages to their rings.
    messages: bool,
    stop_told: bool,
    /// Work was left for want of budget.
    busy: bool,
    ending: bool,
}

impl<Mail: Send + 'static> Reactor<Mail> {
    /// Make the loop on the thread that will run it. The thread is pinned if the settings name a core. `listeners` are
    /// bound and listening; accepting begins with [`Self::run`]. `directories` are in the order of the numbers of their owners;
    /// their locks are held by the ring from here on.
    ///
    /// # Errors
    /// If the kernel refuses; see [`crate::kernel::probe`] for refusals told better.
    pub fn new(
        settings: ReactorSettings,
        directories: Vec<DataDirectory>,
        listeners: Vec<TcpListener>,
        postbox: ShardPostbox<Mail>,
    ) -> Result<Self, ReactorError> {
        let shard = settings.shard;
        let fault = |action| move |source| ReactorError { shard, action, source };
        assert_eq!(postbox.shard(), shard, "a shard gets its own postbox");
        assert!(u16::try_from(listeners.len()).is_ok(), "listeners are numbered by 16 bits");
        if let Some(core) = settings.core {
            cores::pin(core).map_err(fault("stay on its core"))?;
        }
        let ring = Ring::new(settings.ring_entries, settings.file_chunk_bytes).map_err(fault("make a ring"))?;
        ring.limit_workers(settings.max_kernel_workers, settings.core.filter(|_| settings.pin_kernel_workers))
            .map_err(fault("limit the kernel's workers"))?;
        let (directories, locks) = directories.into_iter().map(DataDirectory::into_parts).unzip();
        ring.hold(locks).map_err(fault("hold the log directories' locks"))?;
        if ring.has_messages() {
            postbox.bell().attach_ring(ring.duplicate().map_err(fault("share its ring"))?);
        }
        let detector = Detector::new(shard, settings.stall);
        let network = Network::new(&settings, listeners, detector.stalls()).map_err(fault("use its listeners"))?;
        Ok(Self {
            files: Files::new(directories, Arc::clone(postbox.bell()), settings.truncate_by_ring && ring.has_truncate()),
            network,
            detector,
            events: VecDeque::new(),
            listening: None,
            messages: settings.wake_by_message && ring.has_messages(),
            stop_told: false,
            busy: false,
            ending: false,
            settings,
            ring,
            postbox,
        })
    }

    /// Counters of stalled turns, for any thread to read.
    #[must_use]
    pub fn stalls(&self) -> Arc<Stalls> {
        self.detector.stalls()
    }

    /// Call `report` for every stall, on the loop's thread, at the end of the turn.
    pub fn on_stall(&mut self, report: StallReport) {
        self.detector.on_stall(report);
    }

    /// Run until the machine is finished, then end everything in flight. Gives the machine back.
    pub fn run<M: Machine<Mail = Mail>>(mut self, mut machine: M) -> (M, LeftoverFiles) {
        let mut effects = Effects::default();
        self.listen();
        self.network.arm_listeners(&mut self.ring);
        loop {
            self.turn(&mut machine, &mut effects);
            // Its last words are carried out, too.
            let silent = effects.files.is_empty() && effects.net.is_empty() && effects.mail.is_empty();
            if machine.is_finished() && silent {
                break;
            }
            self.rest(machine.next_deadline());
        }
        (machine, self.end())
    }

    /// Wait for the doorbell.
    fn listen(&mut self) {
        let request = Request::Listen { bell: Arc::clone(self.postbox.bell()), count: Box::default() };
        self.listening = Some(self.ring.start(request, Token::Woken));
    }

    /// Take one completion to whom it concerns.
    fn dispatch(&mut self, finished: Finished<Token>, now: flumen_log::Monotonic) {
        let (token, request, result) = match finished {
            Finished::Operation { token, request, result } => (token, request, result),
            Finished::MessageFailed(number) => {
                self.messages = false;
                // The peer still sleeps on its mail.
                self.postbox.peer(number as usize).write();
                return;
            }
        };
        match token {
            Token::File(id) => self.files.finished(id, request, result, &mut self.ring),
            Token::Woken => {
                self.listening = None;
                if !self.ending {
                    self.listen();
                }
            }
            Token::Forgotten => {}
            token => {
                let mut around = Surroundings { ring: &mut self.ring, events: &mut self.events, now };
                self.network.finished(token, request, result, &mut around);
            }
        }
    }

    /// Cancel what waits, close what is open, and let the slab run empty.
    fn end(mut self) -> LeftoverFiles {
        self.ending = true;
        let now = clock::monotonic();
        let mut around = Surroundings { ring: &mut self.ring, events: &mut self.events, now };
        self.network.shut_down(&mut around);
        if let Some(key) = self.listening {
            self.ring.cancel(key);
        }
        while self.ring.in_flight() > 0 {
            self.ring.wait(None);
            while let Some(finished) = self.ring.next() {
                self.dispatch(finished, now);
            }
            // Nobody is told any more.
            self.events.clear();
            self.files.done.clear();
        }
        assert!(self.network.is_empty(), "a connection outlived its last operation");
        self.ring.release();
        LeftoverFiles { files: self.files.into_open() }
    }

    /// How long the loop may sleep.
    fn patience(&self, deadline: Option<flumen_log::Monotonic>) -> Option<Duration> {
        let deadline = [deadline, self.network.next_deadline()].into_iter().flatten().min()?;
        Some(Duration::from_nanos(deadline.0.saturating_sub(clock::monotonic().0)))
    }
}
