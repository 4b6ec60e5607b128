//! A script repeated on real files.

use std::{cell::RefCell, collections::BTreeMap, path::Path, rc::Rc, time::Duration};

use bytes::Bytes;
use flumen_log::io::{Completion, Event, FileHandle, IoError, Outcome};
use flumen_reactor::{BlockingDisk, DataDirectory};

use crate::harness::{Happening, Script, run_here};
use crate::script::{self, Answer, Call, Step, Told};

/// The rounds, through the ring.
pub(crate) fn rounds(home: &Path, rounds: Vec<Vec<Step>>, place: &str) {
    let place = place.to_owned();
    let total = rounds.len();
    let told = Rc::new(RefCell::new(0));
    let counted = Rc::clone(&told);
    let mut rounds = rounds.into_iter();
    let mut round = Vec::new();
    let mut outstanding = BTreeMap::new();
    // The script's handles to the reactor's.
    let mut handles: BTreeMap<u32, FileHandle> = BTreeMap::new();
    let script = Script::<(), _>::new(move |happening, desk| {
        match happening {
            Happening::Start => {}
            Happening::Event(Event::Completed(completion)) => {
                let index: usize = outstanding.remove(&completion.id).unwrap();
                let step: &Step = &round[index];
                check(step, &completion, &format!("{place}, round {}", counted.borrow()));
                if let (Some(number), Ok(Outcome::Opened { file, .. })) = (step.opened, &completion.result) {
                    handles.insert(number, *file);
                }
            }
            other => panic!("unexpected {other:?}"),
        }
        if !outstanding.is_empty() {
            return;
        }
        match rounds.next() {
            Some(next) => {
                *counted.borrow_mut() += 1;
                round = next;
                for (index, step) in round.iter().enumerate() {
                    let id = desk.file(step.asked.operation(|number| handles[&number]));
                    outstanding.insert(id, index);
                }
            }
            None => *desk.finished = true,
        }
    });
    let (_, leftover) = run_here(home, script);
    assert!(leftover.is_empty(), "every file was closed");
    assert_eq!(*told.borrow(), total, "every round was run");
}

fn check(step: &Step, completion: &Completion, place: &str) {
    let told = Told::of(completion);
    assert!(told == step.told, "{place}: {:?}\nsimulated: {:?}\nreal: {told:?}", step.asked, step.told);
}

fn disk(home: &Path) -> BlockingDisk {
    let directory = DataDirectory::open(home, Duration::from_secs(5)).unwrap();
    BlockingDisk::new(&directory).unwrap()
}

/// The calls, through recovery's disk.
pub(crate) fn calls(home: &Path, calls: &[(Call, Result<Answer, IoError>)], place: &str) {
    let mut disk = disk(home);
    for (number, (call, simulated)) in calls.iter().enumerate() {
        let real = call.make(&mut disk);
        assert!(&real == simulated, "{place}, call {number}: {call:?}\nsimulated: {simulated:?}\nreal: {real:?}");
    }
}

/// What is there.
pub(crate) fn contents(home: &Path) -> Vec<(String, Option<Bytes>)> {
    script::contents(&mut disk(home), "")
}
