//! Making a script on the simulated disk.

use bytes::Bytes;
use flumen_log::io::{BLOCK_BYTES, OpenMode, Operation, OperationId, Outcome, Owner, SyncScope, WriteMode};
use flumen_sim::{disk::SimDisk, random::Random};

use crate::script::{Asked, Call, Part, Step, Told};

const ROUNDS: u64 = 120;
const CALLS: u64 = 80;
/// No file grows far beyond this.
const FILE_BYTES: u64 = 40_000;
const DIRECTORIES: [&str; 4] = ["a", "b", "a/c", "d"];
const FILES: [&str; 8] = ["f", "g", "a/f", "a/g", "a/c/f", "b/f", "b/g", "d/f"];

/// A file that the script has open.
#[derive(Clone, Debug)]
struct Handle {
    number: u32,
    mode: OpenMode,
    /// Which file it was when it was opened; it may have another name by now, or none.
    path: String,
}

fn one_of<'a>(names: &[&'a str], random: &mut Random) -> &'a str {
    names[random.index(names.len())]
}

fn bytes(random: &mut Random, most: usize) -> Bytes {
    let length = random.index(most);
    let seed = random.next();
    (0..length).map(|at| (seed >> (at % 8 * 8)) as u8 ^ at as u8).collect::<Vec<_>>().into()
}

/// A stretch for the reactor; at its end every file is closed.
pub(crate) fn rounds(disk: &mut SimDisk, random: &mut Random) -> Part {
    let mut rounds = Vec::new();
    let mut handles: Vec<Handle> = Vec::new();
    let mut sequence = 0;
    let mut run = |asked: Vec<Asked>, handles: &mut Vec<Handle>, disk: &mut SimDisk, random: &mut Random| {
        let first = sequence;
        for asked in &asked {
            let id = OperationId { owner: Owner(0), sequence };
            sequence += 1;
            disk.submit(Operation { id, kind: asked.operation(flumen_log::io::FileHandle) }, random);
        }
        let mut told = vec![None; asked.len()];
        while let Some(completion) = disk.step(random) {
            let opened = match &completion.result {
                Ok(Outcome::Opened { file, .. }) => Some(file.0),
                _ => None,
            };
            let place = usize::try_from(completion.id.sequence - first).unwrap();
            told[place] = Some((Told::of(&completion), opened));
        }
        let steps = asked.into_iter().zip(told).map(|(asked, told)| {
            let (told, opened) = told.unwrap();
            if let (Asked::Open(path, mode), Some(number)) = (&asked, opened) {
                handles.push(Handle { number, mode: *mode, path: path.clone() });
            }
            Step { asked, told, opened }
        });
        rounds.push(steps.collect());
    };
    for path in ["a", "b", "a/c"] {
        run(vec![Asked::CreateDirectory(path.to_owned())], &mut handles, disk, random);
    }
    for _ in 0..ROUNDS {
        let asked = if random.one_in(3) { together(&handles, random) } else { vec![alone(&mut handles, random)] };
        run(asked, &mut handles, disk, random);
    }
    for handle in std::mem::take(&mut handles) {
        run(vec![Asked::Close(handle.number)], &mut handles, disk, random);
    }
    Part::Rounds(rounds)
}

/// Operations on files that have nothing to do with one another. A file that was renamed since may have two of the names, so only
/// those that were opened under different names and have none in common now are taken: each path once.
fn together(handles: &[Handle], random: &mut Random) -> Vec<Asked> {
    let mut asked = vec![Asked::FreeSpace];
    let Some(first) = handles.get(random.index(handles.len())) else { return asked };
    asked.push(on_file(first, random));
    // What a sync waits for is the reads and advice beside it, which change nothing.
    for handle in handles.iter().filter(|handle| handle.path != first.path && is_calm(handle)).take(3) {
        asked.push(Asked::Read(handle.number, random.below(FILE_BYTES), random.index(9000)));
    }
    if matches!(asked[1], Asked::Write(..) | Asked::WriteDirect(..) | Asked::Truncate(..)) {
        // One may be the same file under another name.
        asked.truncate(2);
    }
    asked
}

/// Whether it can be read through: a direct handle would need aligned memory.
fn is_calm(handle: &Handle) -> bool {
    handle.mode != OpenMode::DirectDurable
}

/// A directory goes out of the way, as that of a removed partition does, or comes back.
fn rename_directory(random: &mut Random) -> (String, String) {
    let (here, away) = ("b".to_owned(), "b.away".to_owned());
    if random.one_in(2) { (here, away) } else { (away, here) }
}

/// One operation.
fn alone(handles: &mut Vec<Handle>, random: &mut Random) -> Asked {
    let path = |random: &mut Random| one_of(&FILES, random).to_owned();
    let directory = |random: &mut Random| one_of(&DIRECTORIES, random).to_owned();
    match random.below(20) {
        0 => Asked::CreateDirectory(directory(random)),
        1..=4 => {
            let modes = [OpenMode::ReadWrite, OpenMode::Read, OpenMode::Create, OpenMode::Create, OpenMode::CreateEmpty];
            let mode = if random.one_in(4) { OpenMode::DirectDurable } else { modes[random.index(modes.len())] };
            Asked::Open(path(random), mode)
        }
        5 => Asked::SyncDirectory(if random.one_in(3) { String::new() } else { directory(random) }),
        6 if random.one_in(3) => {
            let (from, to) = rename_directory(random);
            Asked::Rename(from, to)
        }
        6 => Asked::Rename(path(random), path(random)),
        7 => Asked::Unlink(path(random)),
        8 => Asked::RemoveDirectory(directory(random)),
        9 if handles.len() > 3 => Asked::Close(handles.swap_remove(random.index(handles.len())).number),
        _ if handles.is_empty() => Asked::Open(path(random), OpenMode::Create),
        _ => on_file(&handles[random.index(handles.len())], random),
    }
}

/// One operation on an open file.
fn on_file(handle: &Handle, random: &mut Random) -> Asked {
    let (file, offset) = (handle.number, random.below(FILE_BYTES));
    let scope = if random.one_in(2) { SyncScope::Data } else { SyncScope::All };
    if handle.mode == OpenMode::DirectDurable {
        if random.one_in(4) {
            return Asked::Sync(file, scope);
        }
        // Sometimes not where a direct write may go.
        let at = random.below(8) * BLOCK_BYTES as u64 + if random.one_in(8) { 512 + 1 } else { 0 };
        let mut data = bytes(random, 3 * BLOCK_BYTES).to_vec();
        data.resize(data.len().next_multiple_of(BLOCK_BYTES).max(BLOCK_BYTES), 0);
        return Asked::WriteDirect(file, at, data.into());
    }
    if handle.mode == OpenMode::Read {
        return Asked::Read(file, offset, random.index(9000));
    }
    match random.below(12) {
        0..=4 => {
            let mode = if random.one_in(2) { WriteMode::Inline } else { WriteMode::Queued };
            let parts = (0..1 + random.below(4)).map(|_| bytes(random, 3000)).collect();
            Asked::Write(file, offset, parts, mode)
        }
        5..=7 => Asked::Read(file, offset, random.index(9000)),
        8 => Asked::Truncate(file, random.below(FILE_BYTES)),
        9 => Asked::Sync(file, scope),
        10 => Asked::WriteOut(file, offset, random.below(9000)),
        _ => Asked::Allocate(file, offset, 1 + random.below(9000)),
    }
}

/// A stretch for recovery's disk.
pub(crate) fn calls(disk: &mut SimDisk, random: &mut Random) -> Part {
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        let path = one_of(&FILES, random).to_owned();
        let directory = one_of(&DIRECTORIES, random).to_owned();
        let call = match random.below(16) {
            0 => Call::List(if random.one_in(3) { String::new() } else { directory }),
            1..=4 => Call::Read(path, random.below(FILE_BYTES), random.index(9000)),
            5..=7 => Call::Write(path, random.below(FILE_BYTES), bytes(random, 6000)),
            8 => Call::Truncate(path, random.below(FILE_BYTES)),
            9..=10 => Call::Sync(path),
            11 => Call::SyncDirectory(if random.one_in(3) { String::new() } else { directory }),
            12 => Call::CreateDirectory(directory),
            13 if random.one_in(3) => {
                let (from, to) = rename_directory(random);
                Call::Rename(from, to)
            }
            13 => Call::Rename(path, one_of(&FILES, random).to_owned()),
            14 => Call::Unlink(path),
            _ => Call::RemoveDirectory(directory),
        };
        let answer = call.make(disk);
        calls.push((call, answer));
    }
    Part::Calls(calls)
}
