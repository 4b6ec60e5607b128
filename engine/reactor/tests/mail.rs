//! Mail between shards, and between shards and the control thread.
#![allow(clippy::unwrap_used, reason = "tests")]

mod harness;

use std::{sync::mpsc, time::Instant};

use flumen_log::{
    ShardId,
    io::{Event, Thread},
};
use harness::{Desk, Happening, Script, Shards};

type Told = Box<dyn FnMut(Happening<u64>, &mut Desk<'_, u64>) + Send>;

const FIRST: Thread = Thread::Shard(ShardId(0));
const SECOND: Thread = Thread::Shard(ShardId(1));

/// Answers `n` with `n + 1` until `last`.
fn player(opening: Option<Thread>, last: u64) -> Script<u64, Told> {
    Script::new(Box::new(move |happening, desk| match happening {
        Happening::Start => {
            if let Some(partner) = opening {
                desk.effects.mail.push((partner, 0));
            }
        }
        Happening::Event(Event::Mail { from, mail }) => {
            if mail < last {
                desk.effects.mail.push((from, mail + 1));
            }
            // The one before the last is the partner's end.
            *desk.finished = mail + 1 >= last;
        }
        other => panic!("unexpected {other:?}"),
    }))
}

#[test]
fn a_hundred_thousand_there_and_back() {
    for (spin_us, wake_by_message) in [(5, true), (0, true), (0, false)] {
        let started = Instant::now();
        let last = if spin_us > 0 { 200_000 } else { 20_000 };
        let shards = Shards::start(vec![player(Some(SECOND), last), player(None, last)], |settings| {
            // Without the look around, every single one goes through sleep and wake-up.
            settings.spin = std::time::Duration::from_micros(spin_us);
            settings.wake_by_message = wake_by_message;
        });
        shards.join();
        let each_us = started.elapsed().as_secs_f64() * 1e6 / last as f64;
        println!("spin {spin_us} us, by message {wake_by_message}: {each_us:.2} us a piece of mail");
    }
}

#[test]
fn mail_arrives_in_order_and_whole_under_a_flood() {
    const ALL: u64 = 500_000;
    // Credits: the flood waits for word of every half mailbox.
    let flood: Told = {
        let (mut next, mut allowed) = (0, 1024);
        Box::new(move |happening, desk| {
            if let Happening::Event(Event::Mail { mail, .. }) = &happening {
                allowed = mail + 1024;
            }
            while next < allowed.min(ALL) {
                desk.effects.mail.push((SECOND, next));
                next += 1;
            }
            *desk.finished = next == ALL;
        })
    };
    let drain: Told = {
        let mut expected = 0;
        Box::new(move |happening, desk| {
            let Happening::Event(Event::Mail { from, mail }) = happening else { return };
            assert_eq!((from, mail), (FIRST, expected));
            expected += 1;
            if expected % 512 == 0 {
                desk.effects.mail.push((from, expected));
            }
            *desk.finished = expected == ALL;
        })
    };
    Shards::start(vec![Script::new(flood), Script::new(drain)], |_| {}).join();
}

#[test]
fn the_control_thread_writes_waits_and_stops() {
    let answer: Told = Box::new(|happening, desk| match happening {
        Happening::Event(Event::Mail { from, mail }) => desk.effects.mail.push((from, mail * 2)),
        Happening::Event(Event::Stop) => *desk.finished = true,
        _ => {}
    });
    let same: Told = Box::new(|happening, desk| match happening {
        Happening::Event(Event::Mail { from, mail }) => desk.effects.mail.push((from, mail * 3)),
        Happening::Event(Event::Stop) => *desk.finished = true,
        _ => {}
    });
    let mut shards = Shards::start(vec![Script::new(answer), Script::new(same)], |_| {});
    for round in 0..2_000 {
        let control = &mut shards.control;
        control.send(ShardId(0), round);
        control.send(ShardId(1), round);
        let mut answers = Vec::new();
        while answers.len() < 2 {
            control.drain(|from, mail| answers.push((from.0, mail)));
            if answers.len() < 2 && control.announce_sleep() {
                let waiter = control.waiter();
                let mut descriptors = [rustix::event::PollFd::new(&waiter, rustix::event::PollFlags::IN)];
                let limit = rustix::time::Timespec { tv_sec: 20, tv_nsec: 0 };
                assert_eq!(rustix::event::poll(&mut descriptors, Some(&limit)).unwrap(), 1, "a wake-up was lost");
                control.woke();
            }
        }
        answers.sort_unstable();
        assert_eq!(answers, [(0, round * 2), (1, round * 3)]);
    }
    shards.stop();
}

#[test]
fn stop_is_told_once_to_every_shard_however_often_it_is_asked() {
    let (told, hear) = mpsc::channel();
    let machine = |shard: u64| {
        let told = told.clone();
        let mut stops = 0;
        let closure: Told = Box::new(move |happening, desk| match happening {
            Happening::Event(Event::Stop) => {
                stops += 1;
                assert_eq!(stops, 1);
                told.send(shard).unwrap();
            }
            Happening::Event(Event::Mail { .. }) => *desk.finished = true,
            _ => {}
        });
        Script::new(closure)
    };
    let mut shards = Shards::start(vec![machine(0), machine(1)], |_| {});
    shards.stop.stop();
    let mut heard: Vec<u64> = (0..2).map(|_| hear.recv().unwrap()).collect();
    heard.sort_unstable();
    assert_eq!(heard, [0, 1]);
    // Nobody but the rings holds the lock by now, and it is held.
    assert!(matches!(shards.try_lock(), Err(flumen_reactor::LockError::Held { .. })));
    shards.stop.stop();
    shards.control.send(ShardId(0), 0);
    shards.control.send(ShardId(1), 0);
    shards.join();
}

#[test]
fn mail_to_oneself_comes_back() {
    let closure: Told = Box::new(|happening, desk| match happening {
        Happening::Start => desk.effects.mail.push((FIRST, 1)),
        Happening::Event(Event::Mail { from, mail }) => {
            assert_eq!(from, FIRST);
            desk.effects.mail.push((FIRST, mail + 1));
            *desk.finished = mail == 1000;
        }
        _ => {}
    });
    Shards::start(vec![Script::new(closure)], |_| {}).join();
}
