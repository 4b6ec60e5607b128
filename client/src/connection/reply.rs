//! The answer to one request, to be awaited.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use flumen_protocol::Response;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{Api, Shared};
use crate::Error;

/// Resolves to the answer, or to why there is none. A missed deadline ends the connection: what would come later on it
/// could not be told apart from what was asked since.
pub struct Reply<A> {
    answer: oneshot::Receiver<Result<Response, Error>>,
    shared: Arc<Shared>,
    deadline: Pin<Box<Sleep>>,
    timeout: Duration,
    request: PhantomData<fn() -> A>,
}

impl<A: Api> Reply<A> {
    pub(super) fn new(
        answer: oneshot::Receiver<Result<Response, Error>>,
        shared: Arc<Shared>,
        deadline: Instant,
        timeout: Duration,
    ) -> Self {
        Self { answer, shared, deadline: Box::pin(sleep_until(deadline)), timeout, request: PhantomData }
    }
}

impl<A: Api> Future for Reply<A> {
    type Output = Result<A::Answer, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = self.get_mut();
        if let Poll::Ready(outcome) = Pin::new(&mut reply.answer).poll(context) {
            let address = || reply.shared.address.clone();
            let outcome = outcome.unwrap_or_else(|_| {
                let lost = || Error::Disconnected { address: address(), reason: String::from("it was closed") };
                Err(reply.shared.state().closed.clone().unwrap_or_else(lost))
            });
            return Poll::Ready(outcome.and_then(|response| {
                let reason = || format!("an answer of another kind than {}", A::KEY.name());
                A::from_response(response).ok_or_else(|| Error::Malformed { address: address(), reason: reason() })
            }));
        }
        ready!(reply.deadline.as_mut().poll(context));
        let late = Error::TimedOut { address: reply.shared.address.clone(), request: A::KEY.name(), waited: reply.timeout };
        reply.shared.close_with(late.clone());
        Poll::Ready(Err(late))
    }
}
