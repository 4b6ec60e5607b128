//! Every file operation, on the file system the tests run on.
#![allow(clippy::unwrap_used, reason = "tests")]

mod harness;

use std::{collections::VecDeque, path::Path};

use bytes::Bytes;
use flumen_log::io::{
    AlignedBuffer, BLOCK_BYTES, Event, FileHandle, FileOperation, IoError, OpenMode, Outcome, SyncScope, WriteData, WriteMode,
};
use harness::{Happening, Script, run_here, run_with};

type Ending = (Result<Outcome, IoError>, Option<AlignedBuffer>);
type Step = Box<dyn FnMut(Option<Ending>, &mut Option<FileHandle>) -> Option<FileOperation>>;

/// Do one operation after another: `step` gets the end of the last and gives the next.
fn in_order(home: &Path, truncate_by_ring: bool, mut step: impl FnMut(Option<Ending>) -> Option<FileOperation>) {
    let script = Script::<(), _>::new(move |happening, desk| {
        let ending = match happening {
            Happening::Start => None,
            Happening::Event(Event::Completed(completion)) => Some((completion.result, completion.buffer)),
            other => panic!("unexpected {other:?}"),
        };
        match step(ending) {
            Some(operation) => drop(desk.file(operation)),
            None => *desk.finished = true,
        }
    });
    let (_, leftover) = run_with(home, script, |settings| settings.truncate_by_ring = truncate_by_ring);
    assert!(leftover.is_empty(), "all files were closed");
}

/// Like [`in_order`], from a list; the file opened last goes to the next step.
fn all(home: &Path, steps: Vec<Step>) {
    all_with(home, true, steps);
}

fn all_with(home: &Path, truncate_by_ring: bool, steps: Vec<Step>) {
    let mut steps: VecDeque<Step> = steps.into();
    let mut file = None;
    in_order(home, truncate_by_ring, move |ending| {
        let mut step = steps.pop_front()?;
        if let Some((Ok(Outcome::Opened { file: opened, .. }), _)) = &ending {
            file = Some(*opened);
        }
        step(ending, &mut file)
    });
}

fn ask(operation: impl Fn(FileHandle) -> FileOperation + 'static, check: impl Fn(Ending) + 'static) -> Step {
    Box::new(move |ending, file| {
        if let Some(ending) = ending {
            check(ending);
        }
        Some(operation(file.unwrap_or(FileHandle(0))))
    })
}

fn end(check: impl Fn(Ending) + 'static) -> Step {
    Box::new(move |ending, _| {
        check(ending.unwrap());
        None
    })
}

fn done((result, buffer): Ending) {
    assert!(matches!(result, Ok(Outcome::Done)), "{result:?}");
    assert!(buffer.is_none());
}

fn opened(expected: u64) -> impl Fn(Ending) {
    move |(result, _)| assert!(matches!(result, Ok(Outcome::Opened { length, .. }) if length == expected), "{result:?}")
}

fn written(expected: u64) -> impl Fn(Ending) {
    move |(result, _)| assert!(matches!(result, Ok(Outcome::Written { bytes }) if bytes == expected), "{result:?}")
}

fn read(expected: &'static [u8]) -> impl Fn(Ending) {
    move |(result, _)| match result {
        Ok(Outcome::Read { data }) => assert_eq!(&data[..], expected),
        other => panic!("{other:?}"),
    }
}

fn failed(errno: i32) -> impl Fn(Ending) {
    move |(result, _)| assert_eq!(result.map(|_| ()), Err(IoError { errno }))
}

fn open(path: &'static str, mode: OpenMode) -> impl Fn(FileHandle) -> FileOperation {
    move |_| FileOperation::Open { path: path.to_owned(), mode }
}

fn write(offset: u64, parts: &'static [&'static [u8]], mode: WriteMode) -> impl Fn(FileHandle) -> FileOperation {
    move |file| FileOperation::Write {
        file,
        offset,
        data: WriteData::Gathered(parts.iter().map(|part| Bytes::from_static(part)).collect()),
        mode,
    }
}

fn close(file: FileHandle) -> FileOperation {
    FileOperation::Close { file }
}

#[test]
fn a_files_life() {
    let home = tempfile::tempdir().unwrap();
    let nothing = |_: Ending| {};
    all(
        home.path(),
        vec![
            ask(|_| FileOperation::CreateDirectory { path: "t-0".to_owned() }, nothing),
            ask(|_| FileOperation::CreateDirectory { path: "t-0".to_owned() }, done),
            ask(open("t-0/missing", OpenMode::ReadWrite), done),
            ask(open("t-0/a", OpenMode::Create), failed(libc::ENOENT)),
            ask(|file| FileOperation::Allocate { file, offset: 0, length: 1 << 20 }, opened(0)),
            ask(write(0, &[b"one"], WriteMode::Queued), done),
            ask(write(3, &[b"two", b"", b"three"], WriteMode::Queued), written(3)),
            ask(write(11, &[b"four", b"five"], WriteMode::Inline), written(8)),
            ask(write(19, &[b"!"], WriteMode::Inline), written(8)),
            ask(|file| FileOperation::Read { file, offset: 0, length: 100 }, written(1)),
            ask(|file| FileOperation::Read { file, offset: 6, length: 5 }, read(b"onetwothreefourfive!")),
            ask(|file| FileOperation::Read { file, offset: 100, length: 5 }, read(b"three")),
            ask(|file| FileOperation::WriteOut { file, offset: 0, length: 20 }, read(b"")),
            ask(|file| FileOperation::Sync { file, scope: SyncScope::Data }, done),
            ask(|file| FileOperation::Sync { file, scope: SyncScope::All }, done),
            ask(|_| FileOperation::SyncDirectory { path: "t-0".to_owned() }, done),
            ask(|_| FileOperation::SyncDirectory { path: String::new() }, done),
            ask(|file| FileOperation::Truncate { file, length: 6 }, done),
            ask(|file| FileOperation::Read { file, offset: 0, length: 100 }, done),
            ask(close, read(b"onetwo")),
            ask(|_| FileOperation::Rename { from: "t-0/a".to_owned(), to: "t-0/b".to_owned() }, done),
            ask(open("t-0/b", OpenMode::Read), done),
            ask(write(0, &[b"x"], WriteMode::Queued), opened(6)),
            ask(close, failed(libc::EBADF)),
            ask(open("t-0/b", OpenMode::CreateEmpty), done),
            ask(close, opened(0)),
            ask(|_| FileOperation::RemoveDirectory { path: "t-0".to_owned() }, done),
            ask(|_| FileOperation::Unlink { path: "t-0/b".to_owned() }, failed(libc::ENOTEMPTY)),
            ask(|_| FileOperation::Unlink { path: "t-0/b".to_owned() }, done),
            ask(|_| FileOperation::RemoveDirectory { path: "t-0".to_owned() }, done),
            ask(|_| FileOperation::RemoveDirectory { path: "t-0".to_owned() }, done),
            ask(|_| FileOperation::SyncDirectory { path: "t-0".to_owned() }, done),
            ask(|_| FileOperation::Unlink { path: "a\0b".to_owned() }, failed(libc::ENOENT)),
            ask(|_| FileOperation::FreeSpace, failed(libc::EINVAL)),
            end(|(result, _)| {
                assert!(
                    matches!(result, Ok(Outcome::Free { bytes, total_bytes }) if bytes > 0 && total_bytes >= bytes),
                    "{result:?}"
                )
            }),
        ],
    );
}

#[test]
fn a_file_is_cut_beside_the_shard_where_the_ring_cannot() {
    let home = tempfile::tempdir().unwrap();
    all_with(
        home.path(),
        false,
        vec![
            ask(open("a", OpenMode::Create), |_| {}),
            ask(write(0, &[b"onetwothree"], WriteMode::Queued), opened(0)),
            ask(|file| FileOperation::Truncate { file, length: 6 }, written(11)),
            ask(|file| FileOperation::Read { file, offset: 0, length: 100 }, done),
            ask(close, read(b"onetwo")),
            ask(open("a", OpenMode::Read), done),
            ask(|file| FileOperation::Truncate { file, length: 0 }, opened(6)),
            ask(close, failed(libc::EINVAL)),
            end(done),
        ],
    );
}

#[test]
fn durable_writes_past_the_page_cache_give_their_buffer_back() {
    let home = tempfile::Builder::new().tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let journal = |seed: u8, blocks: usize| {
        let mut buffer = AlignedBuffer::default();
        buffer.put(&vec![seed; blocks * BLOCK_BYTES - 100]);
        buffer.pad();
        buffer
    };
    all(
        home.path(),
        vec![
            ask(open("journal", OpenMode::DirectDurable), |_| {}),
            ask(open("journal", OpenMode::Create), failed(libc::ENOENT)),
            ask(
                move |file| FileOperation::Write {
                    file,
                    offset: 0,
                    data: WriteData::Aligned(journal(0, 64)),
                    mode: WriteMode::Queued,
                },
                opened(0),
            ),
            ask(close, |(result, buffer)| {
                assert!(matches!(result, Ok(Outcome::Written { bytes }) if bytes == 64 * BLOCK_BYTES as u64), "{result:?}");
                assert_eq!(buffer.unwrap().len(), 64 * BLOCK_BYTES);
            }),
            ask(open("journal", OpenMode::DirectDurable), done),
            ask(
                move |file| FileOperation::Write {
                    file,
                    offset: 2 * BLOCK_BYTES as u64,
                    data: WriteData::Aligned(journal(7, 3)),
                    mode: WriteMode::Queued,
                },
                opened(64 * BLOCK_BYTES as u64),
            ),
            ask(close, |(result, buffer)| {
                assert!(matches!(result, Ok(Outcome::Written { bytes }) if bytes == 3 * BLOCK_BYTES as u64), "{result:?}");
                assert_eq!(buffer.unwrap().own()[0], 7);
            }),
            end(done),
        ],
    );
    let bytes = std::fs::read(home.path().join("journal")).unwrap();
    assert_eq!(bytes.len(), 64 * BLOCK_BYTES);
    for (index, block) in bytes.chunks(BLOCK_BYTES).enumerate() {
        let expected = if (2..5).contains(&index) { 7 } else { 0 };
        assert_eq!(block[0], expected, "block {index}");
    }
}

#[test]
fn an_inline_write_is_told_in_the_same_turn() {
    let home = tempfile::tempdir().unwrap();
    let mut file = None;
    let mut asked_at = None;
    let mut left = 100;
    let mut same_turn = 0;
    let script = Script::<(), _>::new(move |happening, desk| {
        match happening {
            Happening::Start => drop(desk.file(FileOperation::Open { path: "a".to_owned(), mode: OpenMode::Create })),
            Happening::Event(Event::Completed(completion)) => match completion.result.unwrap() {
                Outcome::Opened { file: opened, .. } => file = Some(opened),
                Outcome::Written { bytes } => {
                    assert_eq!(bytes, 1);
                    left -= 1;
                    // Within a turn the clocks stand still.
                    same_turn += usize::from(asked_at == Some(desk.now));
                }
                Outcome::Done => {
                    // All but those asked for in the last of a turn's rounds.
                    assert!(same_turn >= 80, "{same_turn} of 100");
                    return *desk.finished = true;
                }
                other => panic!("{other:?}"),
            },
            other => panic!("unexpected {other:?}"),
        }
        if let Some(file) = file {
            asked_at = Some(desk.now);
            desk.file(if left > 0 {
                let data = WriteData::Gathered(vec![Bytes::from_static(b"x")]);
                FileOperation::Write { file, offset: left, data, mode: WriteMode::Inline }
            } else {
                FileOperation::Close { file }
            });
        }
    });
    assert!(run_here(home.path(), script).1.is_empty());
}

#[test]
fn a_thousand_operations_at_once() {
    const FILES: u64 = 250;
    let home = tempfile::tempdir().unwrap();
    let mut outstanding = 0;
    let script = Script::<(), _>::new(move |happening, desk| {
        match happening {
            Happening::Start => {
                for number in 0..FILES {
                    desk.file(FileOperation::Open { path: format!("f{number}"), mode: OpenMode::Create });
                    outstanding += 1;
                }
                return;
            }
            Happening::Event(Event::Completed(completion)) => {
                outstanding -= 1;
                if let Outcome::Opened { file, .. } = completion.result.unwrap() {
                    for number in 0..16 {
                        let data = WriteData::Gathered((0..3000).map(|_| Bytes::from_static(b"y")).collect());
                        desk.file(FileOperation::Write { file, offset: number * 3000, data, mode: WriteMode::Queued });
                        outstanding += 1;
                    }
                }
            }
            other => panic!("unexpected {other:?}"),
        }
        *desk.finished = outstanding == 0;
    });
    let (_, leftover) = run_here(home.path(), script);
    assert_eq!(leftover.len(), FILES as usize, "left open, to be closed by the drop");
    for number in 0..FILES {
        // Each write stopped at the kernel's bound of 1024 pieces, and was told so as it was.
        assert_eq!(std::fs::metadata(home.path().join(format!("f{number}"))).unwrap().len(), 15 * 3000 + 1024);
    }
}

#[test]
#[should_panic(expected = "operations outstanding")]
fn a_close_with_operations_outstanding_is_a_bug() {
    let home = tempfile::tempdir().unwrap();
    let script = Script::<(), _>::new(|happening, desk| match happening {
        Happening::Start => drop(desk.file(FileOperation::Open { path: "a".to_owned(), mode: OpenMode::Create })),
        Happening::Event(Event::Completed(completion)) => {
            if let Outcome::Opened { file, .. } = completion.result.unwrap() {
                desk.file(FileOperation::Sync { file, scope: SyncScope::All });
                desk.file(FileOperation::Close { file });
            }
        }
        other => panic!("unexpected {other:?}"),
    });
    let _ = run_here(home.path(), script);
}

#[test]
fn a_deadline_turns_the_loop() {
    let home = tempfile::tempdir().unwrap();
    let mut expected = None;
    let script = Script::<(), _>::new(move |happening, desk| match happening {
        Happening::Start => {
            expected = Some(desk.now.monotonic.after_ms(20));
            *desk.deadline = expected;
        }
        Happening::Deadline => {
            assert!(expected.is_some_and(|expected| expected <= desk.now.monotonic));
            *desk.finished = true;
        }
        Happening::Event(other) => panic!("unexpected {other:?}"),
    });
    let _ = run_here(home.path(), script);
}
