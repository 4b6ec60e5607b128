//! The nouns every room shares: who and what, as types that cannot be mistaken for one another.
//!
//! Invariant: no bare `i64` or `i32` crosses a room. A wrapped value is what Kafka puts on the wire, unchanged.

use core::fmt;

macro_rules! number {
    ($(#[$meta:meta])* $name:ident($inner:ty)) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }
    };
}

number!(
    /// A record's position in its partition, counted from zero.
    Offset(i64)
);
number!(
    /// The reign of a partition's leader; it rises with every new leader and every start of a broker (KIP-101).
    LeaderEpoch(i32)
);
number!(
    /// A partition's number within its topic.
    PartitionIndex(i32)
);
number!(
    /// An idempotent producer, as handed out by InitProducerId (KIP-98).
    ProducerId(i64)
);
number!(
    /// The incarnation of a producer id; a lower one is fenced (KIP-98).
    ProducerEpoch(i16)
);
number!(
    /// A broker of the cluster (`node.id`).
    BrokerId(i32)
);
number!(
    /// A core's owner thread, never a partition.
    ShardId(u16)
);

impl Offset {
    /// The first offset of an empty log.
    pub const ZERO: Self = Self(0);

    /// The offset `count` records further on.
    #[must_use]
    pub const fn plus(self, count: i64) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// The offset after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl LeaderEpoch {
    /// What Kafka writes where no epoch is known.
    pub const NONE: Self = Self(-1);
}

impl ProducerId {
    /// What a batch of a producer without idempotence carries.
    pub const NONE: Self = Self(-1);
}

/// A topic's identity for life: a topic deleted and made again has another (KIP-516).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TopicId(pub [u8; 16]);

impl TopicId {
    /// The absent topic id on the wire.
    pub const ZERO: Self = Self([0; 16]);
}

impl fmt::Debug for TopicId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Display for TopicId {
    /// Kafka's form: URL-safe base64 without padding, 22 characters.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let value = u128::from_be_bytes(self.0);
        for position in 0..22u32 {
            // 128 bits are 21 groups of six and one of two, which is padded on the right.
            let group = if position < 21 { (value >> (122 - 6 * position)) & 63 } else { (value << 4) & 63 };
            let index = usize::try_from(group).unwrap_or_default();
            fmt::Write::write_char(formatter, char::from(ALPHABET[index]))?;
        }
        Ok(())
    }
}

/// One partition of one topic, by identity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicId,
    /// Which of its partitions.
    pub partition: PartitionIndex,
}
