//! Segments to sockets, warm and cold.
#![allow(clippy::unwrap_used, reason = "tests")]

mod harness;

use std::{
    fs::File,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use flumen_log::io::{ConnectionId, Event, FileOperation, FileSlice, NetEffect, OpenMode, Outcome, SegmentFile, SendPart};
use flumen_log::{Offset, PartitionIndex, TopicId, TopicPartition};
use harness::{Desk, Happening, Script, Shards};
use rustix::fs::{Advice, fadvise};

const SEGMENT: (TopicPartition, Offset) =
    (TopicPartition { topic: TopicId([0; 16]), partition: PartitionIndex(0) }, Offset::ZERO);

type Told = Box<dyn FnMut(Happening<()>, &mut Desk<'_, ()>) + Send>;

/// A directory on a real disk: the one for temporary files may be memory.
fn home() -> tempfile::TempDir {
    tempfile::Builder::new().tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn segment(home: &Path, length: usize) -> (PathBuf, Vec<u8>) {
    let bytes: Vec<u8> =
        (0..length / 8).flat_map(|index| (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()).collect();
    let path = home.join("segment");
    let mut file = File::create(&path).unwrap();
    file.write_all(&bytes).unwrap();
    file.sync_all().unwrap();
    (path, bytes)
}

fn forget(path: &Path) {
    fadvise(File::open(path).unwrap(), 0, None, Advice::DontNeed).unwrap();
}

/// Opens the file at `path`, and answers each eight bytes (offset, length) with a header, that slice and a trailer.
fn serve(path: PathBuf) -> Told {
    let mut file: Option<Arc<SegmentFile>> = None;
    let mut waiting = Vec::new();
    let mut stopping = false;
    Box::new(move |happening, desk| match happening {
        Happening::Start => {
            // An absolute path stands on its own.
            let path = path.to_str().unwrap().to_owned();
            desk.file(FileOperation::Open { path, mode: OpenMode::Read });
        }
        Happening::Event(Event::Completed(completion)) => match completion.result.unwrap() {
            Outcome::Opened { file: handle, .. } => {
                file = Some(Arc::new(SegmentFile { handle, segment: SEGMENT }));
                for connection in waiting.drain(..) {
                    ask(desk, connection, Bytes::new());
                }
            }
            _ => *desk.finished = true,
        },
        Happening::Event(Event::Accepted { connection, .. }) => match file {
            Some(_) => ask(desk, connection, Bytes::new()),
            None => waiting.push(connection),
        },
        Happening::Event(Event::Received { connection, mut data }) => {
            while data.len() >= 8 {
                let request = data.split_to(8);
                let number = |at: usize| u32::from_be_bytes(request[at..at + 4].try_into().unwrap());
                let file = Arc::clone(file.as_ref().unwrap());
                let slice = FileSlice { file, position: u64::from(number(0)), length: number(4) };
                let parts = vec![
                    SendPart::Bytes(Bytes::from_static(b"head")),
                    SendPart::File(slice),
                    SendPart::Bytes(Bytes::from_static(b"tail")),
                ];
                desk.net(NetEffect::Send { connection, parts });
            }
            ask(desk, connection, data);
        }
        Happening::Event(Event::Hangup { connection }) => desk.net(NetEffect::Close { connection }),
        Happening::Event(Event::Stop) => {
            stopping = true;
            close(desk, &mut file);
        }
        Happening::Event(Event::Closed { .. }) if stopping => close(desk, &mut file),
        Happening::Event(_) | Happening::Deadline => {}
    })
}

fn ask(desk: &mut Desk<'_, ()>, connection: ConnectionId, prefix: Bytes) {
    desk.net(NetEffect::Receive { connection, prefix, at_least: 8 });
}

/// Close the file if this is the last reference to it.
fn close(desk: &mut Desk<'_, ()>, file: &mut Option<Arc<SegmentFile>>) {
    match file.take().map(Arc::try_unwrap) {
        Some(Ok(SegmentFile { handle, .. })) => drop(desk.file(FileOperation::Close { file: handle })),
        Some(Err(shared)) => *file = Some(shared),
        None => {}
    }
}

fn request(stream: &mut TcpStream, position: usize, length: usize) {
    stream.write_all(&[(position as u32).to_be_bytes(), (length as u32).to_be_bytes()].concat()).unwrap();
}

fn expect(stream: &mut TcpStream, content: &[u8]) {
    let mut bytes = vec![0; content.len() + 8];
    stream.read_exact(&mut bytes).unwrap();
    assert!(bytes.starts_with(b"head") && bytes.ends_with(b"tail"));
    assert!(&bytes[4..bytes.len() - 4] == content, "{} bytes differ", content.len());
}

#[test]
fn slices_of_a_warm_file_arrive_whole_and_in_order() {
    let home = home();
    let (path, content) = segment(home.path(), 8 << 20);
    let shards = Shards::start(vec![Script::new(serve(path))], |settings| settings.file_chunk_bytes = 64 << 10);
    let mut client = TcpStream::connect(shards.address).unwrap();
    let slices = [(0, 1), (1, 0), (7, 100_000), (4096, 65536), ((8 << 20) - 3, 3), (0, 8 << 20)];
    for (position, length) in slices {
        request(&mut client, position, length);
    }
    for (position, length) in slices {
        expect(&mut client, &content[position..position + length]);
    }
    drop(client);
    assert_eq!(shards.stalls[0].cold_chunks(), 0);
    shards.stop();
}

#[test]
fn a_cold_file_larger_than_any_socket_buffer() {
    let home = home();
    let (path, content) = segment(home.path(), 64 << 20);
    forget(&path);
    let shards = Shards::start(vec![Script::new(serve(path.clone()))], |_| {});
    let mut clients: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(shards.address).unwrap()).collect();
    for client in &mut clients {
        request(client, 12345, (64 << 20) - 20000);
    }
    for client in &mut clients {
        expect(client, &content[12345..(64 << 20) - 20000 + 12345]);
        // Again cold for the next, in the middle of it.
        forget(&path);
    }
    drop(clients);
    // At least the chunks of the first pass; how far ahead the kernel reads is its business.
    assert!(shards.stalls[0].cold_chunks() > 10, "{} chunks were cold", shards.stalls[0].cold_chunks());
    shards.stop();
}

#[test]
fn a_file_that_ends_too_early_ends_the_connection() {
    let home = home();
    let (path, content) = segment(home.path(), 1 << 20);
    let shards = Shards::start(vec![Script::new(serve(path))], |_| {});
    let mut client = TcpStream::connect(shards.address).unwrap();
    request(&mut client, 0, (1 << 20) + 1);
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).unwrap();
    assert!(bytes[4..] == content);
    shards.stop();
}

#[test]
fn a_reader_that_leaves_in_the_middle_frees_the_file() {
    let home = home();
    let (path, _) = segment(home.path(), 64 << 20);
    for cold in [false, true] {
        if cold {
            forget(&path);
        }
        let shards = Shards::start(vec![Script::new(serve(path.clone()))], |_| {});
        let mut client = TcpStream::connect(shards.address).unwrap();
        request(&mut client, 0, 64 << 20);
        client.read_exact(&mut [0; 1000]).unwrap();
        drop(client);
        // The machine finishes only when it has the last reference to the file.
        shards.stop();
    }
}

#[test]
fn another_shard_sends_from_our_file() {
    let home = home();
    let (path, content) = segment(home.path(), 4 << 20);
    // The first shard opens and mails the handle; the second, which alone has clients, sends.
    let shards = Shards::start(vec![lender(path), borrower()], |_| {});
    let mut client = loop {
        // Both listen on one socket: until the borrower accepts it, the lender turns clients away.
        let mut client = TcpStream::connect(shards.address).unwrap();
        if client.read_exact(&mut [0]).is_ok() {
            break client;
        }
    };
    let mut bytes = vec![0; content.len()];
    client.read_exact(&mut bytes).unwrap();
    assert!(bytes == content);
    shards.join();
}

type Lease = Arc<SegmentFile>;
type Shared = Script<Option<Lease>, Box<dyn FnMut(Happening<Option<Lease>>, &mut Desk<'_, Option<Lease>>) + Send>>;
const LENDER: flumen_log::io::Thread = flumen_log::io::Thread::Shard(flumen_log::ShardId(0));
const BORROWER: flumen_log::io::Thread = flumen_log::io::Thread::Shard(flumen_log::ShardId(1));

fn lender(path: PathBuf) -> Shared {
    Script::new(Box::new(move |happening, desk| match happening {
        Happening::Start => {
            let path = path.to_str().unwrap().to_owned();
            desk.file(FileOperation::Open { path, mode: OpenMode::Read });
        }
        Happening::Event(Event::Completed(completion)) => match completion.result.unwrap() {
            Outcome::Opened { file, .. } => {
                desk.effects.mail.push((BORROWER, Some(Arc::new(SegmentFile { handle: file, segment: SEGMENT }))));
            }
            _ => *desk.finished = true,
        },
        Happening::Event(Event::Accepted { connection, .. }) => desk.net(NetEffect::Close { connection }),
        Happening::Event(Event::Mail { mail, .. }) => {
            let lease = Arc::try_unwrap(mail.unwrap()).expect("the borrower gave up its reference");
            desk.file(FileOperation::Close { file: lease.handle });
        }
        _ => {}
    }))
}

fn borrower() -> Shared {
    let mut lease: Option<Lease> = None;
    let mut serving = None;
    Script::new(Box::new(move |happening, desk| {
        match happening {
            Happening::Event(Event::Mail { mail, .. }) => lease = mail,
            Happening::Event(Event::Accepted { connection, .. }) if serving.is_none() => serving = Some(connection),
            Happening::Event(Event::Accepted { connection, .. }) => desk.net(NetEffect::Close { connection }),
            Happening::Event(Event::Sent { connection }) => desk.net(NetEffect::Close { connection }),
            Happening::Event(Event::Closed { connection }) if serving == Some(connection) => {
                desk.effects.mail.push((LENDER, lease.take()));
                *desk.finished = true;
                return;
            }
            _ => return,
        }
        if let (Some(lease), Some(connection)) = (&lease, serving) {
            let slice = FileSlice { file: Arc::clone(lease), position: 0, length: 4 << 20 };
            let parts = vec![SendPart::Bytes(Bytes::from_static(b"!")), SendPart::File(slice)];
            desk.net(NetEffect::Send { connection, parts });
        }
    }))
}
