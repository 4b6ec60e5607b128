//! Sending: memory by `sendmsg`, segments by `sendfile`, both at once if the socket has room and else when it has.
//!
//! A chunk of a file is sent only if it is in the page cache: a byte at each of its ends is probed without waiting, and a
//! cold chunk is read in through the ring first. What one connection, and all together, may send in a turn is bounded;
//! those who have more go on in the next.

use std::{io::IoSlice, os::fd::OwnedFd, rc::Rc};

use flumen_log::{
    Monotonic,
    io::{ConnectionId, Direction, Event, FileHandle, SendPart},
};
use rustix::{
    fs::sendfile,
    io::{Errno, IoSliceMut, ReadWriteFlags, preadv2},
    net::{SendAncillaryBuffer, SendFlags, sendmsg},
};

use super::{
    Network, Surroundings,
    connection::{Connection, Part, Warm},
};
use crate::{
    sys::{self, Outcome, Request},
    token::Token,
};

/// Pieces of memory that leave in one call.
const GATHERED: usize = 64;
/// How long a chunk that was seen in the page cache is believed to be there.
const WARM_MS: u64 = 100;

/// Why sending stops for now.
enum Pause {
    /// All is sent.
    Empty,
    /// The turn's share is used up.
    Share,
    /// The socket has no room.
    Full,
    /// A chunk must be read in first.
    Cold { request: Request },
    /// The connection is broken, or the file is shorter than promised.
    Broken,
}

impl Network {
    /// The machine wants to send; it leaves with [`Self::send_all`].
    pub(super) fn queue_send(&mut self, id: ConnectionId, parts: Vec<SendPart>) {
        let Some(connection) = self.connections.get(id).filter(|connection| !connection.closing) else { return };
        for part in parts {
            match part {
                SendPart::Bytes(bytes) if bytes.is_empty() => {}
                SendPart::Bytes(bytes) => connection.parts.push_back(Part::Bytes(bytes)),
                SendPart::File(slice) if slice.length == 0 => {}
                SendPart::File(slice) => connection.parts.push_back(Part::File(slice)),
            }
        }
        connection.parts.push_back(Part::End);
        self.queue_sendable(id);
    }

    fn queue_sendable(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get(id)
            && !connection.send_blocked
            && !connection.send_queued
        {
            connection.send_queued = true;
            self.sendable.push_back(id);
        }
    }

    /// There is room to send, or the peer is gone, which the next send will tell.
    pub(super) fn unblock_send(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get(id) {
            connection.send_blocked = false;
        }
        self.queue_sendable(id);
    }

    /// A cold chunk was read in.
    pub(super) fn warmed<Mail>(
        &mut self,
        id: ConnectionId,
        offset: u64,
        result: Result<Outcome, Errno>,
        around: &mut Surroundings<'_, Mail>,
    ) {
        if let Some(connection) = self.connections.get(id)
            && let Ok(Outcome::Count(count)) = result
        {
            connection.warm = Some(Warm { from: offset, until: offset + count as u64, since: around.now });
        }
        // A read that failed or found the end is met again by the send, and told as what it is.
        self.unblock_send(id);
    }

    /// Send for everybody who can, within the turn's share.
    pub(crate) fn send_all<Mail>(&mut self, around: &mut Surroundings<'_, Mail>) {
        for _ in 0..self.sendable.len() {
            if self.turn_send_left == 0 {
                return;
            }
            let Some(id) = self.sendable.pop_front() else { return };
            let Some(connection) = self.connections.get(id) else { continue };
            connection.send_queued = false;
            if connection.closing {
                continue;
            }
            let share = self.settings.connection_send_bytes.min(self.turn_send_left);
            let mut sending = Sending { connection, events: around.events, now: around.now, left: share };
            let pause = sending.run(self.settings.file_chunk_bytes);
            sending.tell_progress();
            self.turn_send_left -= share - sending.left;
            self.pause_send(id, pause, around);
        }
    }

    fn pause_send<Mail>(&mut self, id: ConnectionId, pause: Pause, around: &mut Surroundings<'_, Mail>) {
        match pause {
            Pause::Empty => {}
            Pause::Share => self.queue_sendable(id),
            Pause::Full => {
                self.block_send(id);
                let events = libc::POLLOUT as u32;
                self.start_on_socket(id, around, Token::Writable(id), |socket| Request::Poll { socket, events });
            }
            Pause::Cold { request } => {
                self.stalls.count_cold_chunk();
                self.block_send(id);
                self.start_on_socket(id, around, Token::Warmed(id), |_| request);
            }
            Pause::Broken => {
                if let Some(connection) = self.connections.get(id) {
                    connection.parts.clear();
                    connection.sent_bytes = 0;
                }
                self.hang_up(id, around.events);
            }
        }
    }

    fn block_send(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get(id) {
            connection.send_blocked = true;
        }
    }

    /// Start an operation that keeps the connection until its completion.
    pub(super) fn start_on_socket<Mail>(
        &mut self,
        id: ConnectionId,
        around: &mut Surroundings<'_, Mail>,
        token: Token,
        request: impl FnOnce(Rc<OwnedFd>) -> Request,
    ) {
        let connection = self.connections.get(id).expect("a connection is there until its last operation has ended");
        connection.operations += 1;
        around.ring.start(request(Rc::clone(connection.socket())), token);
    }
}

/// One connection's turn to send.
struct Sending<'a, Mail> {
    connection: &'a mut Connection,
    events: &'a mut std::collections::VecDeque<Event<Mail>>,
    now: Monotonic,
    /// What is left of its share.
    left: usize,
}

impl<Mail> Sending<'_, Mail> {
    fn run(&mut self, chunk_bytes: usize) -> Pause {
        loop {
            self.take_ends();
            let sent = match self.connection.parts.front() {
                None | Some(Part::End) => return Pause::Empty,
                Some(_) if self.left == 0 => return Pause::Share,
                Some(Part::Bytes(_)) => self.send_bytes(),
                Some(Part::File(slice)) => {
                    let (file, offset, chunk) = (slice.file.handle, slice.position, chunk_bytes.min(slice.length as usize));
                    let length = chunk.min(self.left);
                    if !self.is_warm(file, offset, length) {
                        return Pause::Cold { request: Request::Warm { file, offset, length: chunk } };
                    }
                    self.send_file(file, offset, length)
                }
            };
            match sent {
                Ok(0) => return Pause::Broken,
                Ok(bytes) => {
                    self.left = self.left.saturating_sub(bytes);
                    self.connection.sent_bytes += bytes;
                    self.advance(bytes);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Pause::Full,
                Err(_) => return Pause::Broken,
            }
        }
    }

    /// Send the memory at the head, up to the next slice of a file; across sends, since order is all that matters.
    fn send_bytes(&self) -> Result<usize, Errno> {
        let mut slices = [IoSlice::new(&[]); GATHERED];
        let (mut count, mut room) = (0, self.left);
        let mut flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        for part in &self.connection.parts {
            match part {
                Part::End => {}
                Part::Bytes(bytes) if count < GATHERED && room > 0 => {
                    let taken = bytes.len().min(room);
                    slices[count] = IoSlice::new(&bytes[..taken]);
                    count += 1;
                    room -= taken;
                }
                Part::File(_) => {
                    // The file's first bytes go into the same segment.
                    flags |= SendFlags::MORE;
                    break;
                }
                Part::Bytes(_) => break,
            }
        }
        sendmsg(&**self.connection.socket(), &slices[..count], &mut SendAncillaryBuffer::default(), flags)
    }

    fn send_file(&self, file: FileHandle, mut offset: u64, length: usize) -> Result<usize, Errno> {
        sendfile(&**self.connection.socket(), sys::borrow(file), Some(&mut offset), length)
    }

    /// Whether a chunk at the head of a slice can be sent without waiting for the disk.
    fn is_warm(&mut self, file: FileHandle, from: u64, length: usize) -> bool {
        let until = from + length as u64;
        if let Some(warm) = self.connection.warm
            && warm.from <= from
            && until <= warm.until
            && self.now.ms_since(warm.since) < WARM_MS
        {
            return true;
        }
        let file = sys::borrow(file);
        let is_there = |position: u64| {
            let mut byte = [0];
            let mut into = [IoSliceMut::new(&mut byte)];
            // Anything but "not without waiting" is met again by the send.
            preadv2(file, &mut into, position, ReadWriteFlags::NOWAIT) != Err(Errno::AGAIN)
        };
        let found = is_there(from) && is_there(until - 1);
        self.connection.warm = found.then_some(Warm { from, until, since: self.now });
        found
    }

    /// Take so many sent bytes off the head.
    fn advance(&mut self, mut bytes: usize) {
        while bytes > 0 {
            self.take_ends();
            match self.connection.parts.front_mut() {
                Some(Part::Bytes(part)) if part.len() > bytes => {
                    bytes::Buf::advance(part, bytes);
                    return;
                }
                Some(Part::Bytes(part)) => bytes -= part.len(),
                Some(Part::File(slice)) if slice.length as usize > bytes => {
                    slice.position += bytes as u64;
                    // Less than the length, so it fits.
                    slice.length -= bytes as u32;
                    return;
                }
                Some(Part::File(slice)) => {
                    bytes -= slice.length as usize;
                    self.connection.warm = None;
                }
                Some(Part::End) | None => return,
            }
            self.connection.parts.pop_front();
        }
    }

    /// Tell the sends that are complete.
    fn take_ends(&mut self) {
        while let Some(Part::End) = self.connection.parts.front() {
            self.connection.parts.pop_front();
            self.connection.sent_bytes = 0;
            self.events.push_back(Event::Sent { connection: self.connection.id });
        }
    }

    /// Tell what moved of a send that is not complete.
    fn tell_progress(&mut self) {
        let bytes = std::mem::take(&mut self.connection.sent_bytes);
        if bytes > 0 && !self.connection.parts.is_empty() {
            self.events.push_back(Event::Progress { connection: self.connection.id, direction: Direction::Out, bytes });
        }
    }
}
