//! Sending: memory by `sendmsg`, segments by `sendfile`, both at once if the socket has room and else when it has.
//!
//! A chunk of a file is sent only if it is in the page cache: a byte at each of its ends is probed without waiting, and a
//! cold chunk is read in through the ring first; one that cannot be read ends the sending, and is told. What one connection, and all together, may send in a turn is bounded;
//! those who have more go on in the next.

use std::{io::IoSlice, os::fd::OwnedFd, rc::Rc};

use flumen_log::{
    Monotonic,
    io::{ConnectionId, Direction, Event, FileHandle, FileSlice, SendPart},
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
    /// The disk does not give these bytes of the slice at the head.
    Unreadable { offset: u64, length: usize },
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

    /// A cold chunk was read in, or the first part of it, or cannot be.
    pub(super) fn warmed<Mail>(
        &mut self,
        id: ConnectionId,
        (file, offset, length): (FileHandle, u64, usize),
        result: Result<Outcome, Errno>,
        around: &mut Surroundings<'_, Mail>,
    ) {
        let Some(connection) = self.connections.get(id) else { return };
        match result {
            Ok(Outcome::Count(count)) if 0 < count && count < length => {
                // Whatever ended the read is met by that of the rest.
                let (offset, length) = (offset + count as u64, length - count);
                return self.start_on_socket(id, around, Token::Warmed(id), |_| Request::Warm { file, offset, length });
            }
            // At the end of a file that is shorter than promised, which the send will tell.
            Ok(Outcome::Count(0) | Outcome::Opened(_)) | Err(Errno::INTR | Errno::AGAIN) => {}
            Ok(Outcome::Count(count)) => {
                let from = if let Some(Part::File(slice)) = connection.parts.front() { slice.position } else { offset };
                connection.warm = Some(Warm { from, until: offset + count as u64, since: around.now });
            }
            Err(_) => return self.pause_send(id, Pause::Unreadable { offset, length }, around),
        }
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
            Pause::Unreadable { offset, length } => self.give_up_send(id, offset, length, around),
            Pause::Broken => {
                if let Some(connection) = self.connections.get(id) {
                    connection.parts.clear();
                    connection.sent_bytes = 0;
                }
                self.hang_up(id, around.events);
            }
        }
    }

    /// Send nothing more, and tell which bytes of the slice at the head cannot be read.
    fn give_up_send<Mail>(&mut self, id: ConnectionId, offset: u64, length: usize, around: &mut Surroundings<'_, Mail>) {
        self.block_send(id);
        let Some(connection) = self.connections.get(id) else { return };
        connection.sent_bytes = 0;
        if let Some(Part::File(FileSlice { file, .. })) = std::mem::take(&mut connection.parts).pop_front() {
            // A part of a slice, so it fits.
            let slice = FileSlice { file, position: offset, length: length as u32 };
            around.events.push_back(Event::Unreadable { connection: id, slice });
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
                    match self.send_file(file, offset, length) {
                        // No socket says that: it is the file.
                        Err(Errno::IO) => return Pause::Unreadable { offset, length },
                        sent => sent,
                    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::{collections::VecDeque, io::Write, time::Duration};

    use flumen_log::{Offset, PartitionIndex, ShardId, TopicId, TopicPartition, io::SegmentFile};
    use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, recv, socketpair};

    use super::*;
    use crate::{
        ReactorSettings,
        stalls::Detector,
        sys::{Finished, HandledFile, Ring},
    };

    /// A connection with a slice of a file to send, all of which is about to be read in.
    struct Stage {
        network: Network,
        ring: Ring<Token>,
        events: VecDeque<Event<()>>,
        id: ConnectionId,
        peer: OwnedFd,
        file: HandledFile,
    }

    impl Stage {
        fn new() -> Self {
            let settings = ReactorSettings::new(ShardId(0));
            let stalls = Detector::new(ShardId(0), Duration::from_secs(1)).stalls();
            let mut network = Network::new(&settings, Vec::new(), stalls).unwrap();
            let ring = Ring::new(8, settings.file_chunk_bytes).unwrap();
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let (ours, peer) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
            let id = network.connections.insert(|id| Connection::new(id, ours));
            let mut content = tempfile::tempfile().unwrap();
            content.write_all(&[7; 100]).unwrap();
            let file = HandledFile::new(content.into()).unwrap();
            let mut stage = Self { network, ring, events: VecDeque::new(), id, peer, file };
            stage.network.block_send(id);
            stage.send();
            stage.network.connections.get(id).unwrap().operations = 1;
            stage
        }

        fn send(&mut self) {
            let partition = TopicPartition { topic: TopicId([1; 16]), partition: PartitionIndex(2) };
            let file = std::sync::Arc::new(SegmentFile { handle: self.file.handle(), segment: (partition, Offset(3)) });
            self.network.queue_send(self.id, vec![SendPart::File(FileSlice { file, position: 0, length: 100 })]);
        }

        fn warm(&self) -> Request {
            Request::Warm { file: self.file.handle(), offset: 0, length: 100 }
        }

        fn finished(&mut self, request: Request, result: Result<usize, Errno>) {
            let mut around = Surroundings { ring: &mut self.ring, events: &mut self.events, now: Monotonic(1) };
            self.network.finished(Token::Warmed(self.id), request, result.map(Outcome::Count), &mut around);
            self.network.send_all(&mut around);
        }

        /// Which bytes cannot be read, if that is all that was told.
        fn unreadable(&mut self) -> Option<(u64, u32)> {
            let event = self.events.pop_front()?;
            let Event::Unreadable { connection, slice } = event else { panic!("{event:?}") };
            assert!(connection == self.id && self.events.is_empty());
            assert_eq!(slice.file.segment.1, Offset(3));
            Some((slice.position, slice.length))
        }

        fn received(&self) -> usize {
            recv(&self.peer, &mut [0; 200][..], RecvFlags::empty()).map_or(0, |(bytes, _)| bytes)
        }

        fn end(self) {
            self.file.close();
        }
    }

    #[test]
    fn what_was_read_in_is_sent() {
        let mut stage = Stage::new();
        stage.finished(stage.warm(), Ok(100));
        assert_eq!(stage.received(), 100);
        assert!(matches!(stage.events.pop_front(), Some(Event::Sent { .. })));
        stage.end();
    }

    #[test]
    fn what_cannot_be_read_in_is_told_and_nothing_more_is_sent() {
        let mut stage = Stage::new();
        stage.finished(stage.warm(), Err(Errno::IO));
        assert_eq!(stage.unreadable(), Some((0, 100)));
        stage.send();
        let mut around = Surroundings { ring: &mut stage.ring, events: &mut stage.events, now: Monotonic(1) };
        stage.network.send_all(&mut around);
        assert_eq!((stage.received(), stage.unreadable()), (0, None));
        stage.end();
    }

    /// A page in the middle that is bad ends the read before it; the read of the rest says so.
    #[test]
    fn a_read_that_ends_early_goes_on_where_it_ended() {
        let mut stage = Stage::new();
        stage.finished(stage.warm(), Ok(60));
        assert_eq!((stage.received(), stage.unreadable()), (0, None));
        stage.ring.wait(None);
        let Some(Finished::Operation { request, .. }) = stage.ring.next() else { panic!("the rest is asked for") };
        assert!(matches!(request, Request::Warm { offset: 60, length: 40, .. }), "{request:?}");
        stage.finished(request, Err(Errno::IO));
        assert_eq!((stage.received(), stage.unreadable()), (0, Some((60, 40))));
        stage.end();
    }
}
