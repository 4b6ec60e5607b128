//! Which cores run shards, or how many shards there are.

use super::given::Given;
use crate::digits;

/// The highest core number that is taken; the kernel's own limit.
const CORE_MAX: usize = 8191;

/// Where shards run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// One on each core that the process may use.
    EveryCore,
    /// One on each of these cores.
    Cores(Vec<usize>),
    /// This many, on the cores that the process may use.
    Shards(u16),
}

pub(super) fn read(given: &mut Given) -> Placement {
    let cores = given.get("flumen.cores").cloned();
    let shards = given.get("flumen.shards").cloned();
    match (cores, shards) {
        (None, None) => Placement::EveryCore,
        (Some(cores), None) => parse(&cores.value).map_or_else(
            || {
                given.fault(&cores.origin, format!("{} is no list of cores such as 0-3,6", cores.value));
                Placement::EveryCore
            },
            Placement::Cores,
        ),
        (None, Some(shards)) => shards.value.parse().map_or_else(
            |_| {
                given.fault(&shards.origin, format!("{} shards are more than there can be ({})", shards.value, u16::MAX));
                Placement::EveryCore
            },
            Placement::Shards,
        ),
        (Some(_), Some(shards)) => {
            given.fault(&shards.origin, "give flumen.cores or flumen.shards, not both");
            Placement::EveryCore
        }
    }
}

/// The cores of a list such as `0-3,6`, in its order, each once.
fn parse(list: &str) -> Option<Vec<usize>> {
    let mut cores = Vec::new();
    for part in list.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (digits::parse(first.trim())?, digits::parse(last.trim())?);
        if first > last || last > CORE_MAX {
            return None;
        }
        for core in first..=last {
            if cores.contains(&core) {
                return None;
            }
            cores.push(core);
        }
    }
    Some(cores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores() {
        assert_eq!(parse("0-3,6"), Some(vec![0, 1, 2, 3, 6]));
        assert_eq!(parse(" 5 , 1 "), Some(vec![5, 1]));
        for bad in ["", "a", "+1", "0-+1", "3-1", "1,1", "0-2,2", "-1", "1-", "99999"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
