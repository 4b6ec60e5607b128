//! The yardstick for fetches: a file that is in memory, sent by `sendfile` to whoever connects, over and over, whenever the
//! socket has room. No requests, no headers, no positions.

use crate::Outcome;
use clap::Args;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Options {
    /// The file to make and send
    #[arg(long)]
    file: PathBuf,
    /// Its size in MiB
    #[arg(long, default_value_t = 256)]
    mebibytes: u64,
    /// What one call moves at most, in KiB
    #[arg(long, default_value_t = 1024)]
    chunk: usize,
}

struct Reader {
    socket: TcpStream,
    at: u64,
}

impl Reader {
    /// Send until the socket is full. False when the reader is gone.
    fn send(&mut self, file: &File, bytes: u64, chunk: usize) -> Outcome<bool> {
        loop {
            if self.at >= bytes {
                self.at = 0;
            }
            match rustix::fs::sendfile(&self.socket, file, Some(&mut self.at), chunk) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(true),
                Err(Errno::PIPE | Errno::CONNRESET) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Serve until the process is ended.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    let mut file = File::options().create(true).truncate(true).read(true).write(true).open(&options.file)?;
    let block = vec![0x5a; 1 << 20];
    for _ in 0..options.mebibytes {
        file.write_all(&block)?;
    }
    file.sync_all()?;
    let bytes = options.mebibytes << 20;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening on {}", listener.local_addr()?);
    let mut readers: Vec<Reader> = Vec::new();
    loop {
        let mut waiting: Vec<PollFd<'_>> = vec![PollFd::new(&listener, PollFlags::IN)];
        waiting.extend(readers.iter().map(|reader| PollFd::new(&reader.socket, PollFlags::OUT)));
        match poll(&mut waiting, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<PollFlags> = waiting.iter().map(PollFd::revents).collect();
        let mut ended = Vec::new();
        for (index, reader) in readers.iter_mut().enumerate() {
            if !ready[index + 1].is_empty() && !reader.send(&file, bytes, options.chunk << 10)? {
                ended.push(index);
            }
        }
        for index in ended.into_iter().rev() {
            readers.swap_remove(index);
        }
        if !ready[0].is_empty() {
            let (socket, _) = listener.accept()?;
            socket.set_nonblocking(true)?;
            readers.push(Reader { socket, at: 0 });
        }
    }
}
