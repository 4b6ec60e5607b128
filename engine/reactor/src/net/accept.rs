//! Accepting connections.
//!
//! A listener is waited for, then accepted from without waiting, a bounded number at a time. Nothing waits while the
//! machine wants none, at the limit of connections, or for a while after the kernel ran out of something.

use std::{net::TcpListener, os::fd::OwnedFd, rc::Rc};

use flumen_log::{Monotonic, io::Event};
use rustix::{
    io::Errno,
    net::{SocketAddr, SocketFlags, accept_with, getpeername, sockopt::set_tcp_nodelay},
};

use super::{Network, Surroundings, connection::Connection, table::Table};
use crate::{
    sys::{OperationKey, Request, Ring},
    token::Token,
};

/// Connections accepted from one listener in a row.
const BURST: usize = 64;
/// How long accepting rests when file descriptors or memory ran out.
const REST_MS: u64 = 100;

pub(super) struct Listener {
    socket: Rc<OwnedFd>,
    /// The operation that waits for a connection.
    armed: Option<OperationKey>,
}

impl Listener {
    pub(super) fn new(listener: TcpListener) -> std::io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { socket: Rc::new(listener.into()), armed: None })
    }
}

impl Network {
    /// Wait for connections on every listener where we may, and nowhere else.
    pub(crate) fn arm_listeners(&mut self, ring: &mut Ring<Token>) {
        let most = self.settings.max_connections.min(Table::MOST);
        let wanted = self.accepting && self.accept_again.is_none() && self.connections.len() < most;
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            match listener.armed {
                None if wanted => {
                    let request = Request::Poll { socket: Rc::clone(&listener.socket), events: libc::POLLIN as u32 };
                    listener.armed = Some(ring.start(request, Token::Acceptable(index)));
                }
                Some(key) if !self.accepting => ring.cancel(key),
                _ => {}
            }
        }
    }

    /// A listener has a connection, or the wait was given up.
    pub(super) fn accept<Mail>(&mut self, index: usize, given_up: bool, around: &mut Surroundings<'_, Mail>) {
        self.listeners[index].armed = None;
        if self.accepting && !given_up {
            let most = self.settings.max_connections.min(Table::MOST);
            for _ in 0..BURST {
                if self.connections.len() >= most || !self.accept_one(index, around) {
                    break;
                }
            }
        }
        self.arm_listeners(around.ring);
    }

    /// Accept one. False if there is none, or none can be had now.
    fn accept_one<Mail>(&mut self, index: usize, around: &mut Surroundings<'_, Mail>) -> bool {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        match accept_with(&*self.listeners[index].socket, flags) {
            Ok(socket) => {
                // A reply is written as a whole; waiting for more would only delay it. Where it fails the connection is
                // gone already, which the first receive will tell.
                let _ = set_tcp_nodelay(&socket, true);
                let peer = getpeername(&socket).ok().flatten().and_then(|address| SocketAddr::try_from(address).ok());
                let peer = peer.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
                let connection = self.connections.insert(|id| Connection::new(id, socket));
                // The number of listeners is checked to fit when the reactor is made.
                let listener = index as u16;
                around.events.push_back(Event::Accepted { connection, listener, peer });
                true
            }
            Err(Errno::AGAIN) => false,
            Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                self.accept_again = Some(Monotonic::after_ms(around.now, REST_MS));
                false
            }
            // That connection failed before it was accepted; others may be behind it.
            Err(_) => true,
        }
    }
}
