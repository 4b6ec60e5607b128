//! Who may have how many files open: a process that has none left can neither accept nor write.
//!
//! Connections and open segments come in any number, so what the limit leaves beside everything else is theirs, half each.

/// What the process has open beside its shards: the control thread, the metadata log, locks, standard streams.
const OF_PROCESS: u64 = 64;
/// What a shard has open beside connections: its ring, its listeners, its mailboxes' bells.
const OF_SHARD: u64 = 64;
/// What a shard has open in a log directory beside segments: journal files, files that are being made, checkpoints, compaction.
const OF_STORE: u64 = 192;
/// Fewer than this, of connections and of segments, are not worth a shard.
const LEAST: u64 = 32;

/// One shard's share of the files that may be open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OpenFiles {
    /// Connections.
    pub(crate) connections: usize,
    /// Segments, over all log directories.
    pub(crate) segments: usize,
}

impl OpenFiles {
    /// The share of each of so many shards with so many log directories, where the process may have `limit` files open.
    ///
    /// # Errors
    /// How many it has to have at least.
    pub(crate) fn of_shard(limit: u64, shards: u16, directories: usize) -> Result<Self, u64> {
        let shards = u64::from(shards.max(1));
        let fixed = OF_SHARD + OF_STORE * u64::try_from(directories.max(1)).unwrap_or(u64::MAX / 1024);
        let least = OF_PROCESS + shards * (fixed + 2 * LEAST);
        if limit < least {
            return Err(least);
        }
        let half = usize::try_from(((limit - OF_PROCESS) / shards - fixed) / 2).unwrap_or(usize::MAX);
        Ok(Self { connections: half, segments: half })
    }
}

#[cfg(test)]
mod tests {
    use super::OpenFiles;

    #[test]
    fn what_is_left_goes_to_connections_and_segments() {
        assert_eq!(OpenFiles::of_shard(20_000, 2, 1), Ok(OpenFiles { connections: 4856, segments: 4856 }));
        assert_eq!(OpenFiles::of_shard(1024, 1, 1), Ok(OpenFiles { connections: 352, segments: 352 }));
        assert_eq!(OpenFiles::of_shard(400, 1, 1), Ok(OpenFiles { connections: 40, segments: 40 }));
        assert_eq!(OpenFiles::of_shard(256, 1, 1), Err(384));
        assert_eq!(OpenFiles::of_shard(1024, 2, 3), Err(1472));
    }
}
