//! One listener per shard on the same port, and nobody else's beside them.
//!
//! `SO_REUSEPORT` alone would let a second broker of the same user share the port in silence. So the first listener is
//! bound, and listens, without it: the kernel refuses that if anybody listens there. Only then is the port opened to the
//! other shards.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

/// How many connections wait to be accepted, per shard.
pub const BACKLOG: i32 = 1024;

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody listens there.
    #[error("{address} is in use: another broker or program listens there. Stop it, or choose another port")]
    InUse {
        /// Where.
        address: SocketAddr,
    },
    /// No interface has the address.
    #[error("{address} is not an address of this machine")]
    NotLocal {
        /// Where.
        address: SocketAddr,
    },
    /// A privileged port, as a rule.
    #[error("{address} may not be used by this user: choose a port from 1024 up, or give the program CAP_NET_BIND_SERVICE")]
    Denied {
        /// Where.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// Where.
        address: SocketAddr,
        /// What the kernel said.
        source: std::io::Error,
    },
}

impl ListenError {
    fn new(address: SocketAddr, source: std::io::Error) -> Self {
        match source.kind() {
            ErrorKind::AddrInUse => Self::InUse { address },
            ErrorKind::AddrNotAvailable => Self::NotLocal { address },
            ErrorKind::PermissionDenied => Self::Denied { address },
            _ => Self::Other { address, source },
        }
    }
}

/// A listener for each of `shards` shards, all on `address`. For port 0 the kernel chooses one, the same for all.
///
/// # Errors
/// If the port is not free, or the kernel refuses for another reason.
pub fn listen(address: SocketAddr, shards: usize) -> Result<Vec<TcpListener>, ListenError> {
    listen_all(address, shards).map_err(|error| ListenError::new(address, error))
}

fn listen_all(address: SocketAddr, shards: usize) -> std::io::Result<Vec<TcpListener>> {
    let first = bind(address, false)?;
    first.listen(BACKLOG)?;
    let port = first.local_addr()?.as_socket().map_or_else(|| address.port(), |bound| bound.port());
    first.set_reuse_port(true)?;
    let mut listeners = vec![first.into()];
    for _ in 1..shards {
        let other = bind(SocketAddr::new(address.ip(), port), true)?;
        other.listen(BACKLOG)?;
        listeners.push(other.into());
    }
    Ok(listeners)
}

fn bind(address: SocketAddr, shared: bool) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of a broker that just ended may linger; they are nobody's.
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::{ListenError, listen};
    use std::{
        collections::BTreeSet,
        net::{SocketAddr, TcpStream},
        sync::Barrier,
    };

    fn any_port() -> SocketAddr {
        "127.0.0.1:0".parse().expect("an address")
    }

    #[test]
    fn shards_share_a_port_and_its_connections() {
        let listeners = listen(any_port(), 3).expect("a free port");
        let addresses: BTreeSet<_> = listeners.iter().map(|listener| listener.local_addr().expect("bound")).collect();
        assert_eq!((listeners.len(), addresses.len()), (3, 1));
        let address = *addresses.first().expect("one");
        let clients: Vec<TcpStream> = (0..64).map(|_| TcpStream::connect(address).expect("accepted")).collect();
        let accepted: Vec<usize> = listeners
            .iter()
            .map(|listener| {
                listener.set_nonblocking(true).expect("a listener");
                std::iter::from_fn(|| listener.accept().ok()).count()
            })
            .collect();
        assert_eq!(accepted.iter().sum::<usize>(), clients.len(), "{accepted:?}");
        // By chance a shard gets none of 64 once in 10^11 runs.
        assert!(accepted.iter().all(|&count| count > 0), "{accepted:?}");
    }

    #[test]
    fn a_port_in_use_is_refused() {
        let listeners = listen(any_port(), 2).expect("a free port");
        let address = listeners[0].local_addr().expect("bound");
        for shards in [1, 2] {
            assert!(matches!(listen(address, shards), Err(ListenError::InUse { .. })));
        }
        // Connections that linger after the end do not keep the port.
        let _client = TcpStream::connect(address).expect("accepted");
        drop(listeners);
        listen(address, 2).expect("free again");
    }

    #[test]
    fn of_two_that_start_at_once_one_is_refused() {
        for _ in 0..200 {
            // A port that was free a moment ago.
            let address = listen(any_port(), 1).expect("a free port")[0].local_addr().expect("bound");
            let barrier = Barrier::new(2);
            let attempt = || {
                barrier.wait();
                let listeners = listen(address, 2);
                // Nobody lets go before both have tried.
                barrier.wait();
                listeners.is_ok()
            };
            let both = std::thread::scope(|scope| {
                let other = scope.spawn(attempt);
                (attempt(), other.join().expect("no panic"))
            });
            assert!(!(both.0 && both.1), "two brokers share a port");
        }
    }

    #[test]
    fn strange_addresses_are_told() {
        let address = "192.0.2.1:9092".parse().expect("an address");
        assert!(matches!(listen(address, 1), Err(ListenError::NotLocal { .. })));
    }
}
