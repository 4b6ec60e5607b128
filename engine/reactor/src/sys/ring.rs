//! The ring and the slab of operations in flight.
//!
//! Invariant: an operation enters the slab before the kernel hears of it and leaves it with its completion, so nothing it
//! owns can be dropped in between. `T` is what the caller wants to be told with the completion.

use std::{
    mem::ManuallyDrop,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    time::Duration,
};

use io_uring::{IoUring, Probe, opcode, squeue, types};
use rustix::io::Errno;

use super::Request;
use crate::{cores, kernel};

/// Completions that carry no operation: what a message leaves in the ring it woke, and the ends of cancellations.
const NOTHING: u64 = u64::MAX;
/// Marks the failure of a message to another ring.
const MESSAGE: u64 = 1 << 63;

/// Names an operation in flight, so that it can be cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OperationKey(u64);

/// What came of an operation that did not fail.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The kernel's number: bytes moved, events seen, or nothing.
    Count(usize),
    /// A file was opened.
    Opened(OwnedFd),
}

/// An operation's end.
pub(crate) enum Finished<T> {
    Operation {
        token: T,
        /// What it owned. Buffers hold what was received or read.
        request: Request,
        result: Result<Outcome, Errno>,
    },
    /// A message with this number could not be given to the other ring.
    MessageFailed(u32),
}

struct Operation<T> {
    token: T,
    request: Request,
    /// The pieces of a vectored write, which the kernel may read until the completion.
    vectors: Vec<libc::iovec>,
}

#[cfg(test)]
pub(super) const fn operation_bytes<T>() -> usize {
    size_of::<Option<Operation<T>>>()
}

/// A ring and everything in flight on it.
pub(crate) struct Ring<T> {
    // Dropped by hand: see `drop`.
    io: ManuallyDrop<IoUring>,
    operations: Vec<Option<Operation<T>>>,
    free: Vec<usize>,
    in_flight: usize,
    /// Where [`Request::Warm`] reads to. Many operations may write to it at a time and nobody ever reads it, so it is only
    /// ever a pointer, made from this allocation.
    discard: *mut u8,
    discard_bytes: usize,
    messages: bool,
    truncates: bool,
}

impl<T> Ring<T> {
    /// A ring for the calling thread, which alone may use it. `discard_bytes` is the most a [`Request::Warm`] may read.
    pub(crate) fn new(entries: u32, discard_bytes: usize) -> std::io::Result<Self> {
        let (io, _) = kernel::build(entries)?;
        let mut probe = Probe::new();
        io.submitter().register_probe(&mut probe)?;
        let discard = Box::into_raw(vec![0_u8; discard_bytes].into_boxed_slice()).cast();
        Ok(Self {
            io: ManuallyDrop::new(io),
            operations: Vec::new(),
            free: Vec::new(),
            in_flight: 0,
            discard,
            discard_bytes,
            messages: probe.is_supported(opcode::MsgRingData::CODE),
            truncates: probe.is_supported(opcode::Ftruncate::CODE),
        })
    }

    /// Bound the kernel's workers for this ring, and keep them on a core if one is named.
    pub(crate) fn limit_workers(&self, most: u32, core: Option<usize>) -> std::io::Result<()> {
        self.io.submitter().register_iowq_max_workers(&mut [most, most])?;
        if let Some(core) = core {
            cores::check(core)?;
            // SAFETY: all zeros is an empty set.
            let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
            // SAFETY: the number was checked to lie within the set.
            unsafe { libc::CPU_SET(core, &mut set) };
            self.io.submitter().register_iowq_aff(&set)?;
        }
        Ok(())
    }

    /// Let the ring hold files until it is gone, its last operation included; the caller's descriptors are closed.
    pub(crate) fn hold(&self, files: Vec<OwnedFd>) -> std::io::Result<()> {
        let descriptors: Vec<_> = files.iter().map(AsRawFd::as_raw_fd).collect();
        self.io.submitter().register_files(&descriptors)
    }

    /// Let go of the held files, though others may still know the ring.
    pub(crate) fn release(&self) {
        // A failure leaves the files to the end of the ring.
        let _ = self.io.submitter().unregister_files();
    }

    /// Another descriptor of the ring, for messages to it.
    pub(crate) fn duplicate(&self) -> std::io::Result<OwnedFd> {
        // SAFETY: the ring is open, here and during the call.
        let ring = unsafe { BorrowedFd::borrow_raw(self.io.as_raw_fd()) };
        ring.try_clone_to_owned()
    }

    pub(crate) fn has_messages(&self) -> bool {
        self.messages
    }

    pub(crate) fn has_truncate(&self) -> bool {
        self.truncates
    }

    /// Operations in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Queue an operation; the kernel hears of it at the next [`Self::submit`].
    pub(crate) fn start(&mut self, request: Request, token: T) -> OperationKey {
        if let Request::Warm { length, .. } = &request {
            assert!(*length <= self.discard_bytes, "more is warmed at a time than there is memory to discard it in");
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.operations.push(None);
            self.operations.len() - 1
        });
        let operation = self.operations[index].insert(Operation { token, request, vectors: Vec::new() });
        let entry = operation.request.entry(&mut operation.vectors, self.discard).user_data(index as u64);
        self.in_flight += 1;
        self.push(&entry);
        OperationKey(index as u64)
    }

    /// Ask the kernel to end an operation early. It completes as cancelled, or as what it was if that came first.
    pub(crate) fn cancel(&mut self, OperationKey(key): OperationKey) {
        let entry = opcode::AsyncCancel::new(key).build().user_data(NOTHING);
        self.push(&entry);
    }

    /// Wake the thread that waits on another ring. `number` names the message if it fails.
    pub(crate) fn message(&mut self, other: &OwnedFd, number: u32) {
        let entry = opcode::MsgRingData::new(types::Fd(other.as_raw_fd()), 0, NOTHING, None).build();
        let entry = entry.flags(squeue::Flags::SKIP_SUCCESS).user_data(MESSAGE | u64::from(number));
        // The caller keeps `other` open beyond the next submit: its owner is shared by all who write to that thread.
        self.push(&entry);
    }

    fn push(&mut self, entry: &squeue::Entry) {
        loop {
            // SAFETY: every pointer in the entry leads to the heap memory of an operation in the slab (or to `discard`),
            // which stays where it is until the completion.
            if unsafe { self.io.submission().push(entry) }.is_ok() {
                return;
            }
            self.submit();
        }
    }

    /// Hand everything queued to the kernel and let it finish what it can, without waiting.
    pub(crate) fn submit(&mut self) {
        self.enter(|io| io.submit());
    }

    /// Whether [`Self::submit`] has anything to do.
    pub(crate) fn has_queued(&mut self) -> bool {
        !self.io.submission().is_empty()
    }

    /// Whether a completion is there, or would be after a [`Self::submit`]. Costs two loads.
    pub(crate) fn is_ready(&mut self) -> bool {
        let submission = self.io.submission();
        if submission.taskrun() || submission.cq_overflow() {
            return true;
        }
        drop(submission);
        !self.io.completion().is_empty()
    }

    /// Hand over everything queued and wait for a completion, at most for `timeout`.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) {
        match timeout {
            None => self.enter(|io| io.submit_and_wait(1)),
            Some(timeout) => {
                let timespec = types::Timespec::from(timeout);
                let arguments = types::SubmitArgs::new().timespec(&timespec);
                self.enter(|io| io.submitter().submit_with_args(1, &arguments));
            }
        }
    }

    fn enter(&mut self, call: impl FnOnce(&mut IoUring) -> std::io::Result<usize>) {
        let Err(error) = call(&mut self.io) else { return };
        match error.raw_os_error() {
            // The timeout; a signal; completions that must be taken first; memory that is short this moment. The loop
            // comes back in any case, and what was not submitted stays queued.
            Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => {}
            _ => panic!("the kernel refused to run the ring: {error}"),
        }
    }

    /// The next completion.
    pub(crate) fn next(&mut self) -> Option<Finished<T>> {
        loop {
            let completion = self.io.completion().next()?;
            let (key, result) = (completion.user_data(), completion.result());
            if key == NOTHING {
                continue;
            }
            if key & MESSAGE != 0 {
                // The number was put in as 32 bits.
                return Some(Finished::MessageFailed(key as u32));
            }
            return Some(self.finish(key as usize, result));
        }
    }

    fn finish(&mut self, index: usize, result: i32) -> Finished<T> {
        let operation = self.operations[index].take().expect("the kernel completes an operation once");
        self.free.push(index);
        self.in_flight -= 1;
        let Operation { token, mut request, vectors } = operation;
        drop(vectors);
        let result = match u32::try_from(result) {
            Err(_) => Err(Errno::from_raw_os_error(-result)),
            Ok(count) => {
                let count = count as usize;
                if let Request::Receive { buffer, .. } | Request::Read { buffer, .. } = &mut request {
                    // SAFETY: the kernel wrote `count` bytes behind the buffer's length, within what was reserved.
                    unsafe { buffer.set_len(buffer.len() + count) };
                }
                Ok(match &request {
                    // SAFETY: the kernel just made this descriptor and nobody else knows it.
                    Request::Open { .. } => Outcome::Opened(unsafe { OwnedFd::from_raw_fd(result) }),
                    _ => Outcome::Count(count),
                })
            }
        };
        Finished::Operation { token, request, result }
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        if self.in_flight > 0 {
            // Only a panic leads here. The kernel may still use what the operations own, so all of it is leaked.
            std::mem::forget(std::mem::take(&mut self.operations));
            return;
        }
        // SAFETY: nothing uses the ring after its drop, and with nothing in flight the kernel uses no memory of ours;
        // `discard` is the box it was made from, with its length.
        unsafe {
            ManuallyDrop::drop(&mut self.io);
            drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(self.discard, self.discard_bytes)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Finished, Outcome, Ring};
    use crate::sys::Request;
    use rustix::{event::EventfdFlags, io::Errno};
    use std::{fs::File, os::fd::OwnedFd, rc::Rc, time::Duration};

    fn ring() -> Ring<u32> {
        Ring::new(8, 4096).expect("tests run where the broker would")
    }

    fn never_readable() -> Rc<OwnedFd> {
        Rc::new(rustix::event::eventfd(0, EventfdFlags::CLOEXEC).expect("descriptors"))
    }

    fn poll(socket: &Rc<OwnedFd>) -> Request {
        Request::Poll { socket: Rc::clone(socket), events: libc::POLLIN as u32 }
    }

    /// The tokens of what has ended, with how.
    fn take(ring: &mut Ring<u32>) -> Vec<(u32, Result<(), Errno>)> {
        std::iter::from_fn(|| ring.next())
            .map(|finished| match finished {
                Finished::Operation { token, result, .. } => (token, result.map(drop)),
                Finished::MessageFailed(number) => (number, Err(Errno::BADFD)),
            })
            .collect()
    }

    #[test]
    fn a_message_wakes_another_ring_and_leaves_nothing() {
        let mut ours = ring();
        assert!(ours.has_messages(), "the kernels we test on have them");
        let other = ours.duplicate().expect("descriptors");
        let writer = std::thread::spawn(move || {
            let mut theirs = ring();
            theirs.message(&other, 3);
            theirs.submit();
            take(&mut theirs).len()
        });
        ours.wait(Some(Duration::from_secs(20)));
        assert!(!ours.io.completion().is_empty(), "the message is there");
        assert_eq!(take(&mut ours), []);
        assert_eq!(writer.join().expect("no panic"), 0, "a success is not told");
    }

    #[test]
    fn a_message_to_what_is_no_ring_is_told_as_failed() {
        let mut ours = ring();
        // Open until the kernel has seen the message: a number given back may be a ring's a moment later.
        let no_ring = OwnedFd::from(File::open("/dev/null").expect("there"));
        ours.message(&no_ring, 3);
        ours.wait(None);
        assert_eq!(take(&mut ours), [(3, Err(Errno::BADFD))]);
    }

    #[test]
    fn an_operation_owns_its_descriptor_until_it_ends() {
        let mut ours = ring();
        let socket = never_readable();
        let key = ours.start(poll(&socket), 9);
        ours.wait(Some(Duration::ZERO));
        assert_eq!((ours.in_flight(), Rc::strong_count(&socket)), (1, 2));
        ours.cancel(key);
        while ours.in_flight() > 0 {
            ours.wait(None);
            for (token, result) in take(&mut ours) {
                assert_eq!((token, result), (9, Err(Errno::CANCELED)));
            }
        }
        assert_eq!(Rc::strong_count(&socket), 1);
    }

    #[test]
    fn more_operations_than_the_queue_has_entries() {
        let mut ours = ring();
        let socket = never_readable();
        rustix::io::write(&*socket, &1_u64.to_ne_bytes()).expect("readable from here on");
        for token in 0..1000 {
            ours.start(poll(&socket), token);
        }
        let mut ended = Vec::new();
        while ours.in_flight() > 0 {
            ours.wait(None);
            ended.extend(take(&mut ours));
        }
        ended.sort_unstable_by_key(|(token, _)| *token);
        assert_eq!(ended, (0..1000).map(|token| (token, Ok(()))).collect::<Vec<_>>());
        assert!(ours.operations.iter().all(Option::is_none));
    }

    #[test]
    fn a_file_that_was_opened_is_handed_over() {
        let mut ours = ring();
        let directory = Rc::new(OwnedFd::from(File::open("/").expect("there")));
        ours.start(Request::Open { directory, path: c"dev/null".to_owned(), flags: libc::O_RDONLY }, 1);
        ours.wait(None);
        match ours.next() {
            Some(Finished::Operation { result: Ok(Outcome::Opened(_)), .. }) => {}
            _ => panic!("a file was to be opened"),
        }
    }
}
