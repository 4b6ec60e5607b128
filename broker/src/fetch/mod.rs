//! Fetch: planned on the connection's shard, waited for and located by the owners, gathered and answered as one.

mod gather;
mod owner;
mod purgatory;
mod request;
mod session;

pub(crate) use gather::{FetchGather, Tell};
pub(crate) use owner::{Collecting, epoch_error};
pub(crate) use purgatory::{FetchKey, Purgatory};
pub(crate) use session::{Sessions, TopicRef};
