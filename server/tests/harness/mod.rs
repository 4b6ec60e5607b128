//! What the tests through the wire share: a broker process, connections that speak the protocol, record batches made by hand.
//!
//! The broker is the real binary, started as a child on a free port. A batch is made here and not by `flumen-log`, so that it can be
//! wrong in any way and so that a mistake there is not made twice. With `FLUMEN_TEST_KAFKA=host:port` the tests that need no broker
//! of their own run against that one: this is how their expectations are checked against Apache Kafka.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod batch;
pub mod broker;
pub mod client;
pub mod connection;
