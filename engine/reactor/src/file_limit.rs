//! The limit of open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The largest number of a file that the reactor can name, plus one.
pub const MAX_FILES: u64 = 1 << 20;

/// Raise the soft limit to the hard one, at most to [`MAX_FILES`]. Returns what it is now.
///
/// # Errors
/// If the kernel refuses, which it does not for a soft limit within the hard one.
pub fn raise() -> std::io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(MAX_FILES, |maximum| maximum.min(MAX_FILES));
    match limit.current {
        Some(current) if current < wanted => {
            setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum })?;
            Ok(wanted)
        }
        Some(current) => Ok(current),
        None => Ok(MAX_FILES),
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_FILES, raise};
    use rustix::process::{Resource, getrlimit};

    #[test]
    fn soft_becomes_hard() {
        let now = raise().expect("within the hard limit");
        let limit = getrlimit(Resource::Nofile);
        assert!(now >= limit.maximum.map_or(MAX_FILES, |maximum| maximum.min(MAX_FILES)));
        assert_eq!(limit.current, Some(now));
    }
}
