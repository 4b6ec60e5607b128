//! The yardstick for ingest: the least a durable-free log could do for a frame. It receives it, sums it up (CRC-32C), writes it
//! to the end of a file and answers with sixteen bytes. One thread, no protocol, no offsets, no allocation.
//!
//! The file is written in full once, before the first connection, and then over and over: its pages are in memory and its
//! blocks on disk, so a frame costs a copy and no bookkeeping. A log that grows cannot have this; the ratio says what it pays.

use crate::Outcome;
use clap::Args;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::{Errno, pwrite};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;

/// Bytes of a frame's length.
const PREFIX_BYTES: usize = 4;
/// Where a frame has its number: behind length, key and version.
const NUMBER: std::ops::Range<usize> = 8..12;
/// Frames above this are no frames.
const FRAME_BYTES_MAX: usize = 64 << 20;

#[derive(Args)]
pub(crate) struct Options {
    /// The file to write
    #[arg(long)]
    file: PathBuf,
    /// Its size in MiB
    #[arg(long, default_value_t = 1024)]
    mebibytes: u64,
}

/// The file, and where the next frame goes.
struct Log {
    file: File,
    at: u64,
    bytes: u64,
}

impl Log {
    fn create(options: &Options) -> Outcome<Self> {
        let file = File::options().create(true).truncate(true).read(true).write(true).open(&options.file)?;
        let bytes = options.mebibytes << 20;
        fallocate(&file, FallocateFlags::empty(), 0, bytes)?;
        let mut log = Self { file, at: 0, bytes };
        let block = vec![0x5a; 1 << 20];
        for _ in 0..options.mebibytes {
            log.append(&block)?;
        }
        log.file.sync_all()?;
        Ok(log)
    }

    fn append(&mut self, mut bytes: &[u8]) -> Outcome<()> {
        if self.at + bytes.len() as u64 > self.bytes {
            self.at = 0;
        }
        while !bytes.is_empty() {
            let written = pwrite(&self.file, bytes, self.at)?;
            self.at += written as u64;
            bytes = &bytes[written..];
        }
        Ok(())
    }
}

/// A connection: one frame at a time, in a buffer that stays.
struct Client {
    socket: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

impl Client {
    /// Take what has arrived. False when the connection has ended.
    fn receive(&mut self, log: &mut Log) -> Outcome<bool> {
        loop {
            let wanted = self.wanted()?;
            if self.buffer.len() < wanted {
                self.buffer.resize(wanted, 0);
            }
            match recv(&self.socket, &mut self.buffer[self.filled..wanted], RecvFlags::DONTWAIT) {
                Ok((0, _)) | Err(Errno::CONNRESET) => return Ok(false),
                Ok((count, _)) => self.filled += count,
                Err(Errno::AGAIN | Errno::INTR) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
            if self.filled > NUMBER.end && self.filled == self.wanted()? {
                self.take_frame(log)?;
            }
        }
    }

    /// Bytes to have in the buffer before anything can be done.
    fn wanted(&self) -> Outcome<usize> {
        if self.filled < NUMBER.end {
            return Ok(NUMBER.end);
        }
        let prefix = self.buffer.first_chunk().ok_or("a buffer without a prefix")?;
        let length = usize::try_from(i32::from_be_bytes(*prefix))?;
        let fits = (NUMBER.end - PREFIX_BYTES + 1..=FRAME_BYTES_MAX).contains(&length);
        if fits { Ok(PREFIX_BYTES + length) } else { Err("not a frame".into()) }
    }

    fn take_frame(&mut self, log: &mut Log) -> Outcome<()> {
        let frame = &self.buffer[..self.filled];
        let checksum = crc32c::crc32c(&frame[PREFIX_BYTES..]);
        log.append(frame)?;
        let mut answer = [0; 16];
        answer[..4].copy_from_slice(&12_i32.to_be_bytes());
        answer[4..8].copy_from_slice(&frame[NUMBER]);
        answer[8..12].copy_from_slice(&checksum.to_be_bytes());
        self.filled = 0;
        // Sixteen bytes always fit: the client reads every answer before it sends much more.
        match send(&self.socket, &answer, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            // One that went away with requests in flight is met by the next receive.
            Ok(16) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
            Ok(_) => Err("an answer was cut".into()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Serve until the process is ended.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    let mut log = Log::create(options)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening on {}", listener.local_addr()?);
    let mut clients: Vec<Client> = Vec::new();
    let mut ready: Vec<PollFlags> = Vec::new();
    loop {
        let mut waiting: Vec<PollFd<'_>> = vec![PollFd::new(&listener, PollFlags::IN)];
        waiting.extend(clients.iter().map(|client| PollFd::new(&client.socket, PollFlags::IN)));
        match poll(&mut waiting, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        ready.clear();
        ready.extend(waiting.iter().map(PollFd::revents));
        let mut ended = Vec::new();
        for (index, client) in clients.iter_mut().enumerate() {
            if !ready[index + 1].is_empty() && !client.receive(&mut log)? {
                ended.push(index);
            }
        }
        for index in ended.into_iter().rev() {
            clients.swap_remove(index);
        }
        if !ready[0].is_empty() {
            let (socket, _) = listener.accept()?;
            socket.set_nodelay(true)?;
            clients.push(Client { socket, buffer: Vec::new(), filled: 0 });
        }
    }
}
