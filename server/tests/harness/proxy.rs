//! A TCP proxy that loses answers: it forwards a produce request, lets the broker answer, and cuts the connection instead of handing
//! the answer on. What was sent has then been appended, and its sender cannot know.
//!
//! A broker behind it must advertise the proxy's address, so the proxy's port exists before the broker starts.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

const PRODUCE: [u8; 2] = [0, 0];

/// The proxy; its threads end with the process.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: OnceLock<SocketAddr>,
    /// Every so many produce requests one loses its answer.
    every: usize,
    produced: AtomicUsize,
    cut: AtomicUsize,
}

impl Proxy {
    /// Listens; connections wait until [`Proxy::forward_to`] says where they go.
    pub fn listen(every: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let shared =
            Arc::new(Shared { upstream: OnceLock::new(), every, produced: AtomicUsize::new(0), cut: AtomicUsize::new(0) });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&accepting);
                // A failed connection is what this proxy is for.
                std::thread::spawn(move || drop(serve(client, &shared)));
            }
        });
        Self { address, shared }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn forward_to(&self, upstream: SocketAddr) {
        self.shared.upstream.set(upstream).expect("set once");
    }

    /// How many answers were lost so far.
    pub fn cuts(&self) -> usize {
        self.shared.cut.load(Ordering::Relaxed)
    }
}

/// Carries one connection, a request at a time, each with its answer (clients that pipeline wait a little longer).
fn serve(mut client: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let upstream = shared.upstream.get().copied().ok_or(std::io::ErrorKind::NotConnected)?;
    let mut broker = TcpStream::connect(upstream)?;
    broker.set_nodelay(true)?;
    client.set_nodelay(true)?;
    loop {
        let request = frame(&mut client)?;
        broker.write_all(&request)?;
        let answer = frame(&mut broker)?;
        if request.get(4..6) == Some(&PRODUCE)
            && (shared.produced.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(shared.every)
        {
            shared.cut.fetch_add(1, Ordering::Relaxed);
            return client.shutdown(Shutdown::Both);
        }
        client.write_all(&answer)?;
    }
}

/// One frame with its size.
fn frame(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let length = usize::try_from(i32::from_be_bytes(size)).map_err(|_| std::io::ErrorKind::InvalidData)?;
    let mut bytes = vec![0; 4 + length];
    bytes[..4].copy_from_slice(&size);
    stream.read_exact(&mut bytes[4..])?;
    Ok(bytes)
}
