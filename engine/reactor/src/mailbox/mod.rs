//! Mail between threads: one bounded ring per ordered pair, and a wake-up that costs nothing while the other is awake.
//!
//! Invariants: a piece of mail is never lost, and two pieces from one thread to another keep their order. Room is reserved
//! before mail is sent (credits, in the brain), so a full ring is a bug and says so. Nothing here decides what is sent.

mod control;
mod doorbell;
mod mesh;
mod postbox;
#[allow(unsafe_code)]
pub mod ring;
mod sleep;

pub use control::{ControlPostbox, Waiter};
pub(crate) use doorbell::Doorbell;
pub use doorbell::StopHandle;
pub use mesh::mesh;
pub use postbox::ShardPostbox;
pub use sleep::Sleep;
