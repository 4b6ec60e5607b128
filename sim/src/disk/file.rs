//! A file: what reads see, what is on stable storage, and which pages of the first are not yet in the second.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::random::Random;

/// The unit in which the page cache reaches the disk.
pub(super) const PAGE_BYTES: usize = 4096;
/// The unit that a disk writes whole.
const SECTOR_BYTES: usize = 512;

/// One file's content.
#[derive(Clone, Debug, Default)]
pub(super) struct SimFile {
    pub(super) cache: Vec<u8>,
    durable: Vec<u8>,
    /// Pages that differ, and when each was last written.
    dirty: BTreeMap<usize, u64>,
    version: u64,
    /// As of when the durable content is.
    synced: u64,
    /// Pages that a failed sync left clean: reads see them, the disk does not have them.
    lost: BTreeSet<usize>,
}

/// What a sync that was asked for will make stable.
#[derive(Clone, Debug)]
pub(super) struct SyncSnapshot {
    pages: Vec<(usize, u64, Vec<u8>)>,
    length: usize,
    version: u64,
}

impl SimFile {
    /// Write through the page cache.
    pub(super) fn write(&mut self, offset: usize, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        let end = offset + data.len();
        let old_length = self.cache.len();
        if self.cache.len() < end {
            self.cache.resize(end, 0);
        }
        self.cache[offset..end].copy_from_slice(data);
        self.version += 1;
        for page in offset.min(old_length) / PAGE_BYTES..end.div_ceil(PAGE_BYTES) {
            self.dirty.insert(page, self.version);
            self.lost.remove(&page);
        }
    }

    /// Write past it: stable when it completes. Does not grow the file.
    pub(super) fn write_durable(&mut self, offset: usize, data: &[u8]) {
        self.write(offset, data);
        let end = offset + data.len();
        if self.durable.len() < end {
            self.durable.resize(end, 0);
        }
        self.durable[offset..end].copy_from_slice(data);
        for page in offset.div_ceil(PAGE_BYTES)..end / PAGE_BYTES {
            self.dirty.remove(&page);
        }
    }

    pub(super) fn truncate(&mut self, length: usize) {
        let from = length.min(self.cache.len()) / PAGE_BYTES;
        let to = length.max(self.cache.len()).div_ceil(PAGE_BYTES);
        self.cache.resize(length, 0);
        self.version += 1;
        for page in from..to {
            self.dirty.insert(page, self.version);
        }
    }

    /// What a sync that is asked for now covers.
    pub(super) fn snapshot(&self) -> SyncSnapshot {
        let page = |(page, version): (&usize, &u64)| (*page, *version, self.page(&self.cache, *page).to_vec());
        SyncSnapshot { pages: self.dirty.iter().map(page).collect(), length: self.cache.len(), version: self.version }
    }

    /// A sync completes.
    pub(super) fn sync(&mut self, snapshot: &SyncSnapshot) {
        if snapshot.version < self.synced {
            // One that was asked for later has completed before.
            return;
        }
        self.synced = snapshot.version;
        self.durable.resize(snapshot.length, 0);
        for (page, version, content) in &snapshot.pages {
            let at = page * PAGE_BYTES;
            if at < self.durable.len() {
                let end = (at + content.len()).min(self.durable.len());
                self.durable[at..end].copy_from_slice(&content[..end - at]);
            }
            if self.dirty.get(page) == Some(version) {
                self.dirty.remove(page);
            }
        }
    }

    /// A sync fails: its pages are clean all the same, some of them on disk, and a later sync has nothing left to do.
    pub(super) fn fail_sync(&mut self, snapshot: &SyncSnapshot, random: &mut Random) {
        for (page, version, content) in &snapshot.pages {
            if self.dirty.get(page) != Some(version) {
                continue;
            }
            self.dirty.remove(page);
            let at = page * PAGE_BYTES;
            let end = (at + content.len()).min(self.durable.len());
            if at < end && random.one_in(4) {
                self.durable[at..end].copy_from_slice(&content[..end - at]);
            }
            self.lost.insert(*page);
        }
    }

    /// Clean pages may leave memory at any time; what is read then is what the disk has. Whether there were such that differ.
    pub(super) fn evict(&mut self) -> bool {
        let lost = core::mem::take(&mut self.lost);
        for page in &lost {
            let at = (page * PAGE_BYTES).min(self.cache.len());
            let end = (at + PAGE_BYTES).min(self.cache.len());
            for position in at..end {
                self.cache[position] = self.durable.get(position).copied().unwrap_or_default();
            }
        }
        !lost.is_empty()
    }

    /// Whether the disk has what reads see.
    pub(super) fn is_stable(&self) -> bool {
        self.cache == self.durable
    }

    /// Other bytes are in a place, on disk and so in memory.
    pub(super) fn replace(&mut self, position: usize, bytes: &[u8]) {
        for image in [&mut self.cache, &mut self.durable] {
            if let Some(place) = image.get_mut(position..position + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        }
    }

    /// What the disk had before, where the cache has something newer.
    pub(super) fn stale(&self, from: usize, to: usize) -> Vec<u8> {
        (from..to).map(|position| self.durable.get(position).copied().unwrap_or_default()).collect()
    }

    fn page<'a>(&self, bytes: &'a [u8], page: usize) -> &'a [u8] {
        let from = (page * PAGE_BYTES).min(bytes.len());
        &bytes[from..(from + PAGE_BYTES).min(bytes.len())]
    }

    /// The power fails: each page that was not synced is old, new, zero or torn, and the length is one of those it had.
    pub(super) fn crash(&mut self, random: &mut Random) {
        let length = if self.dirty.is_empty() {
            self.durable.len()
        } else {
            match random.below(3) {
                0 => self.durable.len(),
                1 => self.cache.len(),
                _ => {
                    let low = self.durable.len().min(self.cache.len());
                    let high = self.durable.len().max(self.cache.len());
                    low + random.index(high - low + 1)
                }
            }
        };
        let mut image = self.durable.clone();
        image.resize(length, 0);
        for page in self.dirty.keys() {
            let at = page * PAGE_BYTES;
            let end = (at + PAGE_BYTES).min(length);
            if at >= end {
                continue;
            }
            let mut new = self.page(&self.cache, *page).to_vec();
            new.resize(PAGE_BYTES, 0);
            match random.below(4) {
                0 => {}
                1 => image[at..end].copy_from_slice(&new[..end - at]),
                // Space that was reserved and never written; what was synced before stays in any case.
                2 => image[at.max(self.durable.len()).min(end)..end].fill(0),
                _ => {
                    for sector in (0..PAGE_BYTES / SECTOR_BYTES).map(|number| number * SECTOR_BYTES) {
                        let until = (sector + SECTOR_BYTES).min(end - at);
                        if sector < until && random.one_in(2) {
                            image[at + sector..at + until].copy_from_slice(&new[sector..until]);
                        }
                    }
                }
            }
        }
        self.durable.clone_from(&image);
        self.cache = image;
        self.dirty.clear();
        self.lost.clear();
    }
}
