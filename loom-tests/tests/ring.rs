//! The ring between two threads: values arrive once, in order, and whole.
#![cfg(loom)]

use flumen_reactor::mailbox::ring::{Fault, Receiver, Sender, broken_ring};
use loom::{model::Builder, sync::Arc, thread};

const CAPACITY: usize = 2;
const VALUES: usize = 4;

fn push(sender: &mut Sender<Box<usize>>, value: usize) {
    let mut value = Box::new(value);
    while let Err(back) = sender.push(value) {
        value = back;
        thread::yield_now();
    }
}

fn pop(receiver: &mut Receiver<Box<usize>>) -> usize {
    loop {
        if let Some(value) = receiver.pop() {
            return *value;
        }
        thread::yield_now();
    }
}

/// More values than there is room for go through, so that slots are used again.
fn pass(fault: Fault) {
    let mut builder = Builder::new();
    // All orders of so many steps take minutes; every fault found with more preemptions was found with three.
    builder.preemption_bound = Some(3);
    builder.check(move || {
        let (mut sender, mut receiver) = broken_ring(CAPACITY, fault);
        let writer = thread::spawn(move || (0..VALUES).for_each(|value| push(&mut sender, value)));
        for expected in 0..VALUES {
            assert_eq!(pop(&mut receiver), expected);
        }
        assert!(receiver.is_empty());
        writer.join().expect("the writer does not panic");
    });
}

#[test]
fn values_arrive_once_and_in_order() {
    pass(Fault::None);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_slot_that_is_not_published_is_found() {
    pass(Fault::UnpublishedPush);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_slot_released_too_early_is_found() {
    pass(Fault::EarlyRelease);
}

#[test]
fn what_was_not_taken_is_dropped_with_the_last_end() {
    loom::model(|| {
        let (mut sender, mut receiver) = broken_ring(CAPACITY, Fault::None);
        let value = Arc::new(());
        let (first, second) = (Arc::clone(&value), Arc::clone(&value));
        let writer = thread::spawn(move || {
            assert!(sender.push(first).is_ok());
            assert!(sender.push(second).is_ok());
        });
        drop(receiver.pop());
        drop(receiver);
        writer.join().expect("the writer does not panic");
        assert_eq!(Arc::strong_count(&value), 1);
    });
}
