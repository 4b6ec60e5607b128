//! Sleeping and waking: whoever sleeps on mail is woken.
//!
//! A lost wake-up shows as a deadlock: the reader waits for a bell that nobody rings.
#![cfg(loom)]

use std::mem::ManuallyDrop;

use flumen_reactor::mailbox::{
    Sleep,
    ring::{Receiver, Sender, ring},
};
use loom::{
    model::Builder,
    sync::{Arc, Condvar, Mutex},
    thread,
};

/// The bell: keeps a ring until it is heard, as an eventfd and a completion do.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().expect("no panic holds it") = true;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().expect("no panic holds it");
        while !*rung {
            rung = self.changed.wait(rung).expect("no panic holds it");
        }
        *rung = false;
    }
}

struct Sleeper {
    sleep: Sleep,
    bell: Bell,
}

fn write(sender: &mut Sender<usize>, value: usize, to: &Sleeper) {
    assert!(sender.push(value).is_ok(), "there is room for all");
    if to.sleep.claim() {
        to.bell.ring();
    }
}

/// What a shard does between turns. `looks` is false in the control that skips the second look.
fn read(receivers: &mut [Receiver<usize>], mut left: usize, me: &Sleeper, looks: bool) {
    while left > 0 {
        for receiver in receivers.iter_mut() {
            while receiver.pop().is_some() {
                left -= 1;
            }
        }
        if left > 0 && me.sleep.announce(|| looks && receivers.iter_mut().any(|receiver| !receiver.is_empty())) {
            me.bell.wait();
            me.sleep.woke();
        }
    }
}

fn conversation(writers: usize, each: usize, sleep: fn() -> Sleep, looks: bool) {
    let mut builder = Builder::new();
    // With more writers all orders are too many; three preemptions find every known fault of this kind.
    builder.preemption_bound = (writers > 1).then_some(3);
    builder.check(move || {
        // Dropped by hand: a deadlock unwinds, and the checker cannot drop its own things then.
        let me = ManuallyDrop::new(Arc::new(Sleeper { sleep: sleep(), bell: Bell::default() }));
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..writers).map(|_| ring(each)).unzip();
        let mut receivers = ManuallyDrop::new(receivers);
        let threads: Vec<_> = senders
            .into_iter()
            .map(|mut sender| {
                let to = Arc::clone(&*me);
                thread::spawn(move || (0..each).for_each(|value| write(&mut sender, value, &to)))
            })
            .collect();
        read(receivers.as_mut_slice(), writers * each, &me, looks);
        for thread in threads {
            thread.join().expect("the writer does not panic");
        }
        drop((ManuallyDrop::into_inner(me), ManuallyDrop::into_inner(receivers)));
    });
}

#[test]
fn no_wake_up_is_lost_by_one_writer() {
    conversation(1, 2, Sleep::default, true);
}

#[test]
fn no_wake_up_is_lost_by_two_writers() {
    conversation(2, 1, Sleep::default, true);
}

#[test]
#[should_panic(expected = "deadlock")]
fn sleeping_without_a_second_look_is_found() {
    conversation(1, 1, Sleep::default, false);
}

#[test]
#[should_panic(expected = "deadlock")]
fn looking_without_fences_is_found() {
    conversation(1, 1, Sleep::without_fences, true);
}
