//! Segments on a device that gives errors.
#![allow(clippy::unwrap_used, reason = "tests")]

mod harness;

use std::{
    fs::File,
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    sync::{Arc, mpsc::channel},
};

use flumen_log::io::{Event, FileOperation, FileSlice, NetEffect, OpenMode, Outcome, SegmentFile, SendPart};
use flumen_log::{Offset, PartitionIndex, TopicId, TopicPartition};
use harness::{Desk, Happening, Script, Shards};

const SEGMENT: (TopicPartition, Offset) =
    (TopicPartition { topic: TopicId([0; 16]), partition: PartitionIndex(0) }, Offset::ZERO);
const LENGTH: u32 = 1 << 20;
/// Behind it there is nothing any more, in the middle of what is read at once.
const BAD_FROM: u64 = 300 << 10;

/// A device of which only the beginning can be read: that of a file which became shorter.
struct Device {
    path: String,
    _backing: tempfile::NamedTempFile,
}

impl Device {
    fn new() -> Self {
        let mut backing = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        backing.write_all(&vec![7; LENGTH as usize]).unwrap();
        let made = Command::new("losetup").args(["--find", "--show"]).arg(backing.path()).output().unwrap();
        let path = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        assert!(!path.is_empty(), "{}", String::from_utf8_lossy(&made.stderr));
        backing.as_file().set_len(BAD_FROM).unwrap();
        Self { path, _backing: backing }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        Command::new("losetup").arg("--detach").arg(&self.path).status().unwrap();
    }
}

#[test]
#[ignore = "it needs root, and a loop device"]
fn what_cannot_be_read_is_told_and_the_connection_ends() {
    let device = Device::new();
    let mut byte = [0];
    let read = std::os::unix::fs::FileExt::read_at(&File::open(&device.path).unwrap(), &mut byte, BAD_FROM);
    assert_eq!(read.unwrap_err().raw_os_error(), Some(libc::EIO));

    let (told, hear) = channel();
    let path = device.path.clone();
    let (mut file, mut client) = (None, None);
    let machine = Script::new(move |happening: Happening<()>, desk: &mut Desk<'_, ()>| {
        match happening {
            Happening::Start => drop(desk.file(FileOperation::Open { path: path.clone(), mode: OpenMode::Read })),
            Happening::Event(Event::Completed(completion)) => match completion.result.unwrap() {
                Outcome::Opened { file: handle, .. } => file = Some(Arc::new(SegmentFile { handle, segment: SEGMENT })),
                _ => *desk.finished = true,
            },
            Happening::Event(Event::Accepted { connection, .. }) => client = Some(connection),
            Happening::Event(Event::Unreadable { connection, slice }) => {
                told.send((slice.position, slice.length)).unwrap();
                desk.net(NetEffect::Close { connection });
            }
            Happening::Event(Event::Closed { .. }) => {
                let SegmentFile { handle, .. } = Arc::try_unwrap(file.take().unwrap()).expect("no slice is left");
                desk.file(FileOperation::Close { file: handle });
            }
            Happening::Event(_) | Happening::Deadline => {}
        }
        if let (Some(file), Some(connection)) = (&file, client) {
            client = None;
            let slice = FileSlice { file: Arc::clone(file), position: 0, length: LENGTH };
            desk.net(NetEffect::Send { connection, parts: vec![SendPart::File(slice)] });
        }
    });
    let shards = Shards::start(vec![machine], |settings| settings.file_chunk_bytes = 128 << 10);
    let mut stream = TcpStream::connect(shards.address).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    // The chunks before the one that cannot be read whole.
    assert!(bytes.len() == 256 << 10 && bytes.iter().all(|byte| *byte == 7), "{} bytes", bytes.len());
    // How much of it the kernel fails to read with a bad byte is its business.
    let (position, length) = hear.recv().unwrap();
    assert!((256 << 10..=BAD_FROM).contains(&position) && position + u64::from(length) == 384 << 10, "{position} {length}");
    let cold = shards.stalls[0].cold_chunks();
    assert!(cold <= 3, "read again and again: {cold}");
    shards.join();
}
