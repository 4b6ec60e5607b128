//! What it means that a member of the in-sync set has a record.

/// A topic's durability (`flumen.durability`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// The default: the record is synced to the member's disk.
    #[default]
    Journaled,
    /// `replicated`: the record is in the member's page cache, Kafka's meaning.
    Replicated,
}
