//! What Flumen adds: durability, the journal, cores, and how open a listener may be.

use crate::configs::definition::{Definition, boolean, int, list, long, string};
use crate::configs::topic::DURABILITIES;

#[rustfmt::skip]
pub(super) static DEFINITIONS: &[Definition] = &[
    boolean("flumen.allow.insecure").or("false").in_force()
        .doc("Whether listeners beyond loopback may go without TLS and authentication."),
    string("flumen.cores").in_force()
        .doc("The cores that run shards, as 0-3,6; unset, every core the process may use."),
    string("flumen.durability").or("synced").one_of(DURABILITIES).cluster_wide().high().in_force()
        .doc("The default of a topic's `flumen.durability`."),
    long("flumen.free.space.bytes").or("536870912").at_least(1_048_576).in_force()
        .doc("Appends are refused while a log directory's file system has less free than this and what its journals hold."),
    long("flumen.inflight.bytes").at_least(1_048_576).in_force()
        .doc("How many bytes of requests all shards together may hold; unset, an eighth of the memory."),
    long("flumen.journal.bytes").or("268435456").at_least(67_108_864).in_force()
        .doc("How large the journal of one shard may grow, and by one file more that a batch of over 32 MiB needs."),
    list("flumen.log.dirs.lost").or("")
        .in_force()
        .doc("Ids of log directories that will not come back: partitions that only they held are made anew, empty."),
    int("flumen.shards").at_least(1).in_force()
        .doc("How many shards there are; unset, one per core."),
    boolean("flumen.validate.compressed").or("false").cluster_wide().in_force()
        .doc("The default of a topic's `flumen.validate.compressed`."),
];
