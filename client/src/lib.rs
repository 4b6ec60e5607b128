//! The Rust client of a Kafka cluster: producer, consumer and administration, over TCP.
//!
//! [`Cluster`] is the way in; [`Producer`], [`Consumer`] and [`Admin`] are made from one and share its connections. They
//! need a tokio runtime. There are no consumer groups and no transactions.
#![forbid(unsafe_code)]

pub mod admin;
mod backoff;
pub mod cluster;
pub mod connection;
pub mod consumer;
mod error;
pub mod murmur2;
pub mod partitioner;
pub mod producer;
mod record;

pub use admin::Admin;
pub use cluster::{Cluster, ClusterOptions};
pub use connection::{Connection, ConnectionOptions};
pub use consumer::{Consumer, ConsumerOptions, Fetched, Isolation, Position};
pub use error::Error;
pub use flumen_log::compression::Codec;
pub use flumen_protocol::ErrorCode;
pub use partitioner::{DefaultPartitioner, Explicit, Partitioner, Placement, RoundRobin};
pub use producer::{Acknowledged, Acks, Delivery, Producer, ProducerOptions};
pub use record::{ConsumerRecord, Header, ProducerRecord};
