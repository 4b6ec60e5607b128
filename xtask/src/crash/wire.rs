//! A connection that asks and reads answers, whose end is an ordinary event here.

use bytes::Bytes;
use flumen_protocol::{ApiKey, Request, Response, decode_response};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::tally::Outcome;

pub(crate) struct Connection {
    stream: TcpStream,
    next: i32,
}

impl Connection {
    pub(crate) fn open(address: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { stream, next: 0 })
    }

    pub(super) fn send(&mut self, version: i16, request: &Request) -> Outcome<()> {
        self.next += 1;
        let frame = request.encode(version, self.next, Some("crash")).map_err(|error| format!("{error:?}"))?;
        Ok(self.stream.write_all(&frame)?)
    }

    pub(super) fn receive(&mut self, key: ApiKey, version: i16) -> Outcome<Response> {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(size))?];
        self.stream.read_exact(&mut frame)?;
        Ok(decode_response(key, version, Bytes::from(frame))?.1)
    }

    pub(crate) fn ask(&mut self, version: i16, request: &Request) -> Outcome<Response> {
        self.send(version, request)?;
        self.receive(request.api_key(), version)
    }
}
