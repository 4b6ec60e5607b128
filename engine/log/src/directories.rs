//! Which of the configured log directories are what they were.
//!
//! Every log directory holds a list: its own id, and the id and path of every other one that this broker has. So a directory
//! that is missing is missed, and an empty place where one used to be mounted is not taken for a new one. While a directory is
//! missing, a partition that is found nowhere may be in it, and is not made again.
//!
//! Nothing here reads or writes: the hands say what they saw at each path and are told what to do with it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The list's name in a log directory.
pub const LIST_FILE_NAME: &str = "log-directories";

const HEADLINE: &str = "flumen log directories 1";

/// A log directory, wherever it is mounted. Random.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DirectoryId(pub u128);

impl fmt::Display for DirectoryId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl core::str::FromStr for DirectoryId {
    type Err = core::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

/// What a log directory's list says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirectoryList {
    /// The directory it lies in.
    pub own: DirectoryId,
    /// All of the broker's, this one included, with the paths they had.
    pub known: BTreeMap<DirectoryId, String>,
}

impl DirectoryList {
    /// The file's text.
    #[must_use]
    pub fn encode(&self) -> String {
        let known: String = self.known.iter().map(|(id, path)| format!("knows {id} {path}\n")).collect();
        let body = format!("{HEADLINE}\nself {}\n{known}", self.own);
        let checksum = crc32c::crc32c(body.as_bytes());
        format!("{body}crc {checksum:08x}\n")
    }

    /// What a file says; `None` if it is damaged.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(bytes).ok()?;
        let (body, checksum) = text.split_at_checked(text.rfind("crc ")?)?;
        let checksum = u32::from_str_radix(checksum.strip_prefix("crc ")?.strip_suffix('\n')?, 16).ok()?;
        if checksum != crc32c::crc32c(body.as_bytes()) {
            return None;
        }
        let mut lines = body.lines();
        if lines.next()? != HEADLINE {
            return None;
        }
        let own = lines.next()?.strip_prefix("self ")?.parse().ok()?;
        let known = lines.map(|line| {
            let (id, path) = line.strip_prefix("knows ")?.split_once(' ')?;
            Some((id.parse().ok()?, String::from(path)))
        });
        Some(Self { own, known: known.collect::<Option<_>>()? })
    }
}

/// What is at a configured path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen {
    /// Nothing.
    Missing,
    /// A directory without a list.
    Bare,
    /// A directory with a list that cannot be read.
    Damaged,
    /// A directory with its list.
    List(DirectoryList),
    /// Something that cannot be used, and why.
    Unusable(String),
}

/// What becomes of a configured path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is used as this directory; one that is missing is made.
    Use(DirectoryId),
    /// It stays offline and is not touched, and why.
    Offline(String),
}

/// What was made out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judgement {
    /// For each configured path.
    pub verdicts: Vec<Verdict>,
    /// Directories the broker has that are not among those used, with the paths they had.
    pub missing: BTreeMap<DirectoryId, String>,
}

/// Judge the configured paths. `remembered` is what the place of the metadata knows, where that is none of them: all may be away at
/// once. `lost` are directories that the operator has given up; `fresh` makes the id of a new one.
pub fn judge(
    configured: &[(String, Seen)],
    remembered: &BTreeMap<DirectoryId, String>,
    lost: &BTreeSet<DirectoryId>,
    mut fresh: impl FnMut() -> DirectoryId,
) -> Judgement {
    let mut known = remembered.clone();
    for (path, seen) in configured {
        if let Seen::List(list) = seen {
            known.extend(list.known.iter().map(|(id, path)| (*id, path.clone())));
            known.insert(list.own, path.clone());
        }
    }
    // Where a directory is now goes before where others remember it.
    for (path, seen) in configured {
        if let Seen::List(list) = seen {
            known.insert(list.own, path.clone());
        }
    }
    let present = |id: &DirectoryId| configured.iter().any(|(_, seen)| matches!(seen, Seen::List(list) if list.own == *id));
    known.retain(|id, _| !lost.contains(id) || present(id));
    let known_at = |path: &str| known.iter().find(|(_, there)| there.as_str() == path).map(|(id, _)| *id);
    let mut used = BTreeSet::new();
    let mut verdicts = Vec::with_capacity(configured.len());
    for (path, seen) in configured {
        let verdict = match (seen, known_at(path)) {
            (Seen::Unusable(why), _) => Verdict::Offline(why.clone()),
            (Seen::List(list), _) => Verdict::Use(list.own),
            (Seen::Damaged, Some(id)) => Verdict::Use(id),
            (Seen::Missing | Seen::Bare, Some(id)) => {
                Verdict::Offline(format!("log directory {id} was here and is not: is its disk mounted?"))
            }
            (Seen::Missing | Seen::Bare | Seen::Damaged, None) => Verdict::Use(fresh()),
        };
        verdicts.push(match verdict {
            Verdict::Use(id) if !used.insert(id) => Verdict::Offline(format!("log directory {id} is there twice")),
            verdict => verdict,
        });
    }
    known.retain(|id, _| !used.contains(id));
    Judgement { verdicts, missing: known }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    const ONE: DirectoryId = DirectoryId(1);
    const TWO: DirectoryId = DirectoryId(2);
    const NEW: DirectoryId = DirectoryId(9);

    fn list(own: DirectoryId) -> Seen {
        Seen::List(DirectoryList { own, known: BTreeMap::from([(ONE, "/1".to_string()), (TWO, "/2".to_string())]) })
    }

    fn judged(one: Seen, two: Seen, lost: &[DirectoryId]) -> Judgement {
        judge(&[("/1".to_string(), one), ("/2".to_string(), two)], &BTreeMap::new(), &lost.iter().copied().collect(), || NEW)
    }

    #[test]
    fn a_list_reads_back_and_damage_is_seen() {
        let list = DirectoryList { own: TWO, known: BTreeMap::from([(ONE, "/a b".to_string()), (TWO, "/2".to_string())]) };
        let text = list.encode();
        assert_eq!(DirectoryList::decode(text.as_bytes()), Some(list));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            assert_eq!(DirectoryList::decode(&bytes), None, "byte {at}");
            assert_eq!(DirectoryList::decode(&text.as_bytes()[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn what_was_there_is_used_and_new_places_are_new_directories() {
        let judgement = judged(list(ONE), list(TWO), &[]);
        assert_eq!(judgement.verdicts, [Verdict::Use(ONE), Verdict::Use(TWO)]);
        assert!(judgement.missing.is_empty());
        let first = judge(&[("/1".to_string(), Seen::Missing)], &BTreeMap::new(), &BTreeSet::new(), || NEW);
        assert_eq!((first.verdicts, first.missing.len()), (vec![Verdict::Use(NEW)], 0));
        let third = judge(
            &[("/1".to_string(), list(ONE)), ("/2".to_string(), list(TWO)), ("/3".to_string(), Seen::Bare)],
            &BTreeMap::new(),
            &BTreeSet::new(),
            || NEW,
        );
        assert_eq!(third.verdicts[2], Verdict::Use(NEW));
    }

    #[test]
    fn an_empty_place_is_not_the_directory_that_was_there() {
        for seen in [Seen::Missing, Seen::Bare, Seen::Unusable("EIO".to_string())] {
            let judgement = judged(list(ONE), seen, &[]);
            assert!(matches!(&judgement.verdicts[..], [Verdict::Use(ONE), Verdict::Offline(_)]), "{judgement:?}");
            assert_eq!(judgement.missing, BTreeMap::from([(TWO, "/2".to_string())]));
        }
    }

    #[test]
    fn all_may_be_away_at_once() {
        let configured = [("/1".to_string(), Seen::Bare), ("/2".to_string(), Seen::Missing)];
        let remembered = BTreeMap::from([(ONE, "/1".to_string()), (TWO, "/2".to_string())]);
        let judgement = judge(&configured, &remembered, &BTreeSet::new(), || NEW);
        assert!(matches!(&judgement.verdicts[..], [Verdict::Offline(_), Verdict::Offline(_)]), "{judgement:?}");
        assert_eq!(judgement.missing, remembered);
        let judgement = judge(&configured, &remembered, &BTreeSet::from([ONE]), || NEW);
        assert!(matches!(&judgement.verdicts[..], [Verdict::Use(NEW), Verdict::Offline(_)]), "{judgement:?}");
    }

    #[test]
    fn a_directory_that_is_no_longer_configured_is_missed() {
        let judgement = judge(&[("/1".to_string(), list(ONE))], &BTreeMap::new(), &BTreeSet::new(), || NEW);
        assert_eq!(judgement.missing, BTreeMap::from([(TWO, "/2".to_string())]));
    }

    #[test]
    fn one_that_is_given_up_is_not_missed() {
        let judgement = judged(list(ONE), Seen::Bare, &[TWO]);
        assert_eq!(judgement.verdicts, [Verdict::Use(ONE), Verdict::Use(NEW)]);
        assert!(judgement.missing.is_empty());
        assert_eq!(judged(list(ONE), list(TWO), &[TWO]).verdicts, [Verdict::Use(ONE), Verdict::Use(TWO)], "it is there");
    }

    #[test]
    fn directories_may_change_places_and_lists_may_rot() {
        assert_eq!(judged(list(TWO), list(ONE), &[]).verdicts, [Verdict::Use(TWO), Verdict::Use(ONE)]);
        assert_eq!(judged(list(ONE), Seen::Damaged, &[]).verdicts, [Verdict::Use(ONE), Verdict::Use(TWO)]);
        assert!(matches!(&judged(list(ONE), list(ONE), &[]).verdicts[..], [Verdict::Use(ONE), Verdict::Offline(_)]));
    }
}
