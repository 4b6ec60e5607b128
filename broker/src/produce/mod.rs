//! Produce: checked on the connection's shard, appended by the owners, answered when acknowledged.

mod append;
mod held;
mod refusal;
mod request;

pub(crate) use append::Appends;
pub(crate) use refusal::{append_refusal, batch_refusal};
pub(crate) use request::ProduceGather;
