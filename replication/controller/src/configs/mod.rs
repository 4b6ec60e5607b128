//! The settings of topics and brokers: which there are, what they take, where a value comes from, and what is in force.
//!
//! The tables hold every setting of Kafka 4.4 and ours under `flumen.`. Nothing here reads files or changes anything; the
//! metadata image keeps what was set ([`crate::image`]), and [`rules::KafkaConfigRules`] judges it there.

pub mod broker;
mod definition;
mod describe;
mod effective;
mod error;
mod layers;
mod rules;
pub mod topic;
mod value;

pub use definition::{Allowed, ConfigType, Definition, Importance, Synonym, UpdateMode};
pub use describe::{
    ConfigEntry, ConfigSynonym, describe_broker, describe_broker_default, describe_created_topic, describe_topic,
};
pub use effective::{CleanupPolicy, CompressionType, Durability, EffectiveTopicConfig, TimestampType};
pub use error::{ConfigError, Problem};
pub use layers::{BrokerLayers, ConfigSource};
pub use rules::KafkaConfigRules;
pub use value::{Value, parse};

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// Settings by name, as text.
pub type ConfigMap = BTreeMap<String, String>;

/// Names longer than this are not compared with the known ones: the longest known one has 59 characters.
const LONGEST_NAME: usize = 80;

/// The known name that looks most like `name`, if any is close.
fn nearest<'a>(name: &str, definitions: impl IntoIterator<Item = &'a Definition>) -> Option<&'static str> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let most = (name.len() / 4).clamp(1, 4);
    let measured = definitions.into_iter().map(|definition| (distance(name, definition.name), definition.name));
    measured.filter(|(distance, _)| *distance <= most).min().map(|(_, name)| name)
}

/// How many characters must be added, dropped or changed to make one name of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, wanted) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (left, found) in other.iter().enumerate() {
            let changed = diagonal + usize::from(wanted != *found);
            diagonal = row[left + 1];
            row[left + 1] = changed.min(row[left] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (one, other, edits) in [("", "abc", 3), ("kitten", "sitting", 3), ("same", "same", 0), ("ab", "ba", 2)] {
            assert_eq!(distance(one, other), edits, "{one} {other}");
            assert_eq!(distance(other, one), edits, "{other} {one}");
        }
    }

    #[test]
    fn only_a_close_name_is_offered() {
        assert_eq!(nearest("num.partition", broker::definitions()), Some("num.partitions"));
        assert_eq!(nearest("something.else.entirely", broker::definitions()), None);
    }
}
