//! One connection to one broker: frames, correlation, pipelining.
//!
//! Invariants: requests leave in the order in which [`Connection::begin`] was called; each has its own correlation id and
//! gets exactly its own answer; once anything is out of step (an answer nobody asked for, a deadline missed) the
//! connection is closed and every request without an answer is told so. Nothing here retries.
//!
//! Memory is bounded by what the caller has in flight and by [`ConnectionOptions::frame_bytes_max`] for one answer.

mod apis;
mod frame;
mod negotiate;
mod reply;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use flumen_protocol::{ApiKey, Response, decode_response};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

pub use apis::Api;
pub use negotiate::ApiRanges;
pub use reply::Reply;

use crate::Error;

/// How connections are made.
#[derive(Clone, Debug)]
pub struct ConnectionOptions {
    /// What the broker is told of the client.
    pub client_id: String,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long an answer may take.
    pub request_timeout: Duration,
    /// The largest answer that is read.
    pub frame_bytes_max: usize,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            client_id: String::from("flumen"),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            frame_bytes_max: 128 << 20,
        }
    }
}

/// A connection whose versions are negotiated.
#[derive(Debug)]
pub struct Connection {
    shared: Arc<Shared>,
    outgoing: mpsc::UnboundedSender<Outgoing>,
    ranges: ApiRanges,
    options: ConnectionOptions,
    reader: JoinHandle<()>,
}

/// What reader, writer and askers share.
#[derive(Debug)]
struct Shared {
    address: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    correlation_id: i32,
    pending: BTreeMap<i32, Pending>,
    closed: Option<Error>,
}

/// A request whose answer is awaited.
#[derive(Debug)]
struct Pending {
    api: ApiKey,
    version: i16,
    answer: oneshot::Sender<Result<Response, Error>>,
}

/// A frame on its way out.
#[derive(Debug)]
struct Outgoing {
    frame: Bytes,
    /// Told when the frame was handed to the socket: the only sign of life of a request without an answer.
    written: Option<Written>,
}

/// Who is told that a frame was written, and the answer to be told with.
#[derive(Debug)]
struct Written {
    answer: oneshot::Sender<Result<Response, Error>>,
    response: Response,
}

impl Connection {
    /// Connects to `host:port` over TCP and agrees on versions.
    pub async fn open(address: &str, options: ConnectionOptions) -> Result<Self, Error> {
        let unreachable = |reason: String| Error::Unreachable { address: address.to_owned(), reason };
        let connecting = timeout(options.connect_timeout, TcpStream::connect(address)).await;
        let stream = match connecting {
            Ok(Ok(stream)) => stream,
            Ok(Err(problem)) => return Err(unreachable(problem.to_string())),
            Err(_) => return Err(unreachable(format!("no connection within {:?}", options.connect_timeout))),
        };
        stream.set_nodelay(true).map_err(|problem| unreachable(problem.to_string()))?;
        Self::over(stream, address, options).await
    }

    /// Speaks over a stream that is connected already.
    pub async fn over<S>(stream: S, address: &str, options: ConnectionOptions) -> Result<Self, Error>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (mut incoming, mut outgoing) = split(stream);
        let negotiation = negotiate::negotiate(&mut incoming, &mut outgoing, address, &options);
        let (ranges, correlation_id) = match timeout(options.request_timeout, negotiation).await {
            Ok(agreed) => agreed?,
            Err(_) => {
                let (address, waited) = (address.to_owned(), options.request_timeout);
                return Err(Error::TimedOut { address, request: ApiKey::ApiVersions.name(), waited });
            }
        };
        let state = Mutex::new(State { correlation_id, ..State::default() });
        let shared = Arc::new(Shared { address: address.to_owned(), state });
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(write_frames(outgoing, receiver, Arc::clone(&shared)));
        let reader = tokio::spawn(read_frames(incoming, Arc::clone(&shared), options.frame_bytes_max));
        Ok(Self { shared, outgoing: sender, ranges, options, reader })
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.shared.address
    }

    /// What the broker said it serves.
    #[must_use]
    pub fn ranges(&self) -> &ApiRanges {
        &self.ranges
    }

    /// Whether it can be used no more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.state().closed.is_some()
    }

    /// Asks, and waits for the answer.
    pub async fn call<A: Api>(&self, request: A) -> Result<A::Answer, Error> {
        self.begin(request, i16::MAX)?.await
    }

    /// The version in which `A` would be asked, of those up to `highest`.
    pub fn version_of<A: Api>(&self, highest: i16) -> Result<i16, Error> {
        self.ranges
            .agreed(A::KEY, highest)
            .ok_or_else(|| Error::Unsupported { address: self.shared.address.clone(), request: A::KEY.name() })
    }

    /// Sends a request, in a version of at most `highest`, and returns at once; the answer is the reply's.
    pub fn begin<A: Api>(&self, request: A, highest: i16) -> Result<Reply<A>, Error> {
        let version = self.version_of::<A>(highest)?;
        let (sender, receiver) = oneshot::channel();
        let answered = request.is_answered();
        let mut state = self.shared.state();
        if let Some(problem) = &state.closed {
            return Err(problem.clone());
        }
        let correlation_id = state.correlation_id;
        // Ids only have to differ among the requests in flight.
        state.correlation_id = correlation_id.wrapping_add(1);
        let frame = request.into().encode(version, correlation_id, Some(&self.options.client_id));
        let frame =
            frame.map_err(|problem| Error::Inexpressible { request: A::KEY.name(), version, reason: problem.to_string() })?;
        let mut outgoing = Outgoing { frame, written: None };
        if answered {
            state.pending.insert(correlation_id, Pending { api: A::KEY, version, answer: sender });
        } else {
            outgoing.written = Some(Written { answer: sender, response: A::Answer::default().into() });
        }
        // Under the lock, so that the order of ids is the order of frames. A writer that is gone has said why in `closed`.
        let gone = self.outgoing.send(outgoing).is_err();
        drop(state);
        if gone {
            self.shared.close("the writer ended");
        }
        let deadline = Instant::now() + self.options.request_timeout;
        Ok(Reply::new(receiver, Arc::clone(&self.shared), deadline, self.options.request_timeout))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The writer ends with its channel; the reader would wait for a broker that has nothing to say.
        self.reader.abort();
        self.shared.close("the connection was dropped");
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the connection for everybody who waits or will ask.
    fn close(&self, reason: &str) {
        self.close_with(Error::Disconnected { address: self.address.clone(), reason: reason.to_owned() });
    }

    fn close_with(&self, problem: Error) {
        let pending = {
            let mut state = self.state();
            state.closed.get_or_insert_with(|| problem.clone());
            std::mem::take(&mut state.pending)
        };
        for (_, waiting) in pending {
            // Whoever asked may have gone.
            let _ = waiting.answer.send(Err(problem.clone()));
        }
    }

    fn answer(&self, frame: Bytes) -> Result<(), String> {
        let correlation_id = frame::correlation_id(&frame).ok_or("a frame too short for a header")?;
        let pending = self.state().pending.remove(&correlation_id);
        let pending = pending.ok_or_else(|| format!("an answer to request {correlation_id}, which nobody made"))?;
        let (answer, outcome) = match decode_response(pending.api, pending.version, frame) {
            Ok((_, response)) => (Ok(response), Ok(())),
            Err(problem) => {
                let reason = format!("{} {}: {problem}", pending.api.name(), pending.version);
                (Err(Error::Malformed { address: self.address.clone(), reason: reason.clone() }), Err(reason))
            }
        };
        // Whoever asked may have gone.
        let _ = pending.answer.send(answer);
        outcome
    }
}

async fn write_frames<S: AsyncWrite>(
    mut stream: WriteHalf<S>,
    mut frames: mpsc::UnboundedReceiver<Outgoing>,
    shared: Arc<Shared>,
) {
    while let Some(outgoing) = frames.recv().await {
        let outcome = stream.write_all(&outgoing.frame).await;
        let outcome = match outcome {
            Ok(()) if frames.is_empty() => stream.flush().await,
            other => other,
        };
        if let Err(problem) = outcome {
            return shared.close(&problem.to_string());
        }
        if let Some(written) = outgoing.written {
            let _ = written.answer.send(Ok(written.response));
        }
        if shared.state().closed.is_some() {
            break;
        }
    }
    // The broker learns of it with the socket's end; there is nobody left to tell of a failure here.
    let _ = stream.shutdown().await;
}

async fn read_frames<S: AsyncRead>(mut stream: ReadHalf<S>, shared: Arc<Shared>, bytes_max: usize) {
    loop {
        let outcome = match frame::read(&mut stream, bytes_max).await {
            Ok(frame) => shared.answer(frame),
            Err(problem) => Err(problem),
        };
        if let Err(problem) = outcome {
            return shared.close(&problem);
        }
    }
}

#[cfg(test)]
mod tests;
