//! A bounded queue between exactly two threads, without locks.
//!
//! Invariants: one [`Sender`] and one [`Receiver`] exist and neither can be cloned; positions only grow (and wrap); a slot
//! between head and tail holds a value, every other slot is free; only the sender writes `tail`, only the receiver `head`.
//!
//! It does not wake anybody: see [`super::Sleep`]. With `--cfg loom` the same code runs under the model checker, where a
//! [`Fault`] can be put in to show that the model finds it.

use std::mem::MaybeUninit;
#[cfg(not(loom))]
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

#[cfg(loom)]
use loom::{
    cell::UnsafeCell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The standard cell with the model checker's interface.
#[cfg(not(loom))]
struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// What a model breaks on purpose.
#[cfg(loom)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing.
    None,
    /// The sender moves `tail` without publishing the slot it wrote.
    UnpublishedPush,
    /// The receiver moves `head` before it took the value out of the slot.
    EarlyRelease,
}

/// Keeps the two positions on cache lines of their own: each is written by another core.
#[repr(align(128))]
struct Position(AtomicUsize);

struct Shared<T> {
    /// The next slot to take from; written by the receiver.
    head: Position,
    /// The next slot to fill; written by the sender.
    tail: Position,
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
    #[cfg(loom)]
    fault: Fault,
}

// SAFETY: a slot is touched by the sender while it is free and by the receiver while it is filled, and the positions hand
// it over with release and acquire; so values move between threads, which `T: Send` allows, and are never shared.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    fn slot(&self, position: usize) -> &UnsafeCell<MaybeUninit<T>> {
        &self.slots[position & (self.slots.len() - 1)]
    }

    fn publish(&self) -> Ordering {
        #[cfg(loom)]
        if self.fault == Fault::UnpublishedPush {
            return Ordering::Relaxed;
        }
        Ordering::Release
    }

    fn releases_early(&self) -> bool {
        #[cfg(loom)]
        return self.fault == Fault::EarlyRelease;
        #[cfg(not(loom))]
        false
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        let tail = self.tail.0.load(Ordering::Acquire);
        let mut head = self.head.0.load(Ordering::Acquire);
        while head != tail {
            // SAFETY: both ends are gone, and slots from head to tail hold values.
            self.slot(head).with_mut(|slot| unsafe { (*slot).assume_init_drop() });
            head = head.wrapping_add(1);
        }
    }
}

/// The writing end.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
    tail: usize,
    /// The head as last seen: the other core's cache line is read only when the ring looks full.
    head: usize,
}

/// The reading end.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    head: usize,
    /// The tail as last seen.
    tail: usize,
}

/// A ring with room for `capacity` values, rounded up to a power of two.
#[must_use]
pub fn ring<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let slots = (0..capacity.next_power_of_two()).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect();
    ends(Shared {
        head: Position(AtomicUsize::new(0)),
        tail: Position(AtomicUsize::new(0)),
        slots,
        #[cfg(loom)]
        fault: Fault::None,
    })
}

/// A ring that is broken on purpose.
#[cfg(loom)]
#[must_use]
pub fn broken_ring<T>(capacity: usize, fault: Fault) -> (Sender<T>, Receiver<T>) {
    let slots = (0..capacity.next_power_of_two()).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect();
    ends(Shared { head: Position(AtomicUsize::new(0)), tail: Position(AtomicUsize::new(0)), slots, fault })
}

fn ends<T>(shared: Shared<T>) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(shared);
    (Sender { shared: Arc::clone(&shared), tail: 0, head: 0 }, Receiver { shared, head: 0, tail: 0 })
}

impl<T> Sender<T> {
    /// How many more values fit.
    pub fn room(&mut self) -> usize {
        self.head = self.shared.head.0.load(Ordering::Acquire);
        self.shared.slots.len() - self.tail.wrapping_sub(self.head)
    }

    /// Put a value in, or get it back if the ring is full.
    ///
    /// # Errors
    /// The value, if there is no room.
    pub fn push(&mut self, value: T) -> Result<(), T> {
        if self.tail.wrapping_sub(self.head) == self.shared.slots.len() && self.room() == 0 {
            return Err(value);
        }
        self.shared.slot(self.tail).with_mut(|slot| {
            // SAFETY: the receiver has moved its head past this slot (acquired above), so nothing else touches it until the
            // tail moves.
            unsafe { (*slot).write(value) };
        });
        self.tail = self.tail.wrapping_add(1);
        self.shared.tail.0.store(self.tail, self.shared.publish());
        Ok(())
    }
}

impl<T> Receiver<T> {
    /// Whether there is nothing to take at the moment.
    pub fn is_empty(&mut self) -> bool {
        if self.head == self.tail {
            self.tail = self.shared.tail.0.load(Ordering::Acquire);
        }
        self.head == self.tail
    }

    /// Take the oldest value.
    pub fn pop(&mut self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let position = self.head;
        self.head = self.head.wrapping_add(1);
        if self.shared.releases_early() {
            self.shared.head.0.store(self.head, Ordering::Release);
        }
        // SAFETY: the sender has moved its tail past this slot (acquired in `is_empty`), so it holds a value and the sender
        // leaves it alone until the head moves.
        let value = self.shared.slot(position).with_mut(|slot| unsafe { (*slot).assume_init_read() });
        self.shared.head.0.store(self.head, Ordering::Release);
        Some(value)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::ring;
    use std::sync::Arc;

    #[test]
    fn keeps_order_and_refuses_when_full() {
        let (mut sender, mut receiver) = ring(3);
        for value in 0..4 {
            sender.push(value).expect("rounded up to four");
        }
        assert_eq!(sender.push(4), Err(4));
        assert_eq!(receiver.pop(), Some(0));
        sender.push(4).expect("a slot was freed");
        assert_eq!(sender.room(), 0);
        assert_eq!(std::iter::from_fn(|| receiver.pop()).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert!(receiver.is_empty());
    }

    #[test]
    fn drops_what_was_not_taken() {
        let value = Arc::new(());
        let (mut sender, mut receiver) = ring(4);
        for _ in 0..3 {
            sender.push(Arc::clone(&value)).expect("room for four");
        }
        drop(receiver.pop());
        drop((sender, receiver));
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn carries_a_million_values_between_threads() {
        let (mut sender, mut receiver) = ring(64);
        let writer = std::thread::spawn(move || {
            for value in 0..1_000_000_u64 {
                let mut value = value;
                while let Err(back) = sender.push(value) {
                    value = back;
                    std::thread::yield_now();
                }
            }
        });
        for expected in 0..1_000_000_u64 {
            loop {
                if let Some(value) = receiver.pop() {
                    assert_eq!(value, expected);
                    break;
                }
                std::thread::yield_now();
            }
        }
        writer.join().expect("the writer does not panic");
    }
}
