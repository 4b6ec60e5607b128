//! A file as the page cache has it, as stable storage has it, and every state of its pages that may have got there in between.
//!
//! Invariant: the states of a page and the sizes that are pending are in the order in which they came about; a sync moves all that
//! had come about when it was asked for, and no more.

use flumen_sim::random::Random;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The unit in which the page cache reaches the disk.
pub(super) const PAGE_BYTES: usize = 4096;
/// The unit that a disk writes whole.
const SECTOR_BYTES: usize = 512;

type Page = Arc<[u8; PAGE_BYTES]>;

/// Counts changes, over all files and directories of a disk.
pub(super) type Version = u64;

/// What a power failure leaves of what was not synced.
#[derive(Clone, Copy, Debug)]
pub(super) enum Survival {
    /// Nothing.
    Nothing,
    /// Everything.
    Everything,
    /// What came about up to a moment: a file system that keeps order.
    Until(Version),
    /// Each page, sector and name as chance has it.
    Anything,
}

#[derive(Clone, Debug, Default)]
struct Pages {
    size: u64,
    pages: BTreeMap<u64, Page>,
}

/// One file.
#[derive(Clone, Debug, Default)]
pub(super) struct ImageFile {
    cache: Pages,
    durable: Pages,
    pending: BTreeMap<u64, Vec<(Version, Page)>>,
    sizes: Vec<(Version, u64)>,
}

fn zeros() -> Page {
    Arc::new([0; PAGE_BYTES])
}

fn page_of(offset: u64) -> u64 {
    offset / PAGE_BYTES as u64
}

fn within(offset: u64) -> usize {
    usize::try_from(offset % PAGE_BYTES as u64).unwrap_or_default()
}

impl Pages {
    fn page(&self, number: u64) -> Page {
        self.pages.get(&number).cloned().unwrap_or_else(zeros)
    }

    fn read(&self, offset: u64, length: usize) -> Vec<u8> {
        let end = offset.saturating_add(length as u64).min(self.size);
        let mut bytes = Vec::new();
        let mut at = offset;
        while at < end {
            let from = within(at);
            let take = (PAGE_BYTES - from).min(usize::try_from(end - at).unwrap_or(PAGE_BYTES));
            match self.pages.get(&page_of(at)) {
                Some(page) => bytes.extend_from_slice(&page[from..from + take]),
                None => bytes.resize(bytes.len() + take, 0),
            }
            at += take as u64;
        }
        bytes
    }

    /// Set the size; what lies behind it is forgotten.
    fn resize(&mut self, size: u64) {
        if size < self.size {
            let _ = self.pages.split_off(&page_of(size.next_multiple_of(PAGE_BYTES as u64)));
            if let Some(page) = self.pages.get_mut(&page_of(size)).filter(|_| within(size) > 0) {
                Arc::make_mut(page)[within(size)..].fill(0);
            }
        }
        self.size = size;
    }
}

impl ImageFile {
    pub(super) const fn size(&self) -> u64 {
        self.cache.size
    }

    pub(super) fn read(&self, offset: u64, length: usize) -> Vec<u8> {
        self.cache.read(offset, length)
    }

    /// Write through the page cache.
    pub(super) fn write(&mut self, offset: u64, data: &[u8], version: Version) {
        let mut at = offset;
        let mut left = data;
        while !left.is_empty() {
            let (number, from) = (page_of(at), within(at));
            let (now, rest) = left.split_at(left.len().min(PAGE_BYTES - from));
            let mut page = self.cache.page(number);
            Arc::make_mut(&mut page)[from..from + now.len()].copy_from_slice(now);
            self.cache.pages.insert(number, Arc::clone(&page));
            self.pending.entry(number).or_default().push((version, page));
            at += now.len() as u64;
            left = rest;
        }
        if !data.is_empty() && at > self.cache.size {
            self.cache.size = at;
            self.sizes.push((version, at));
        }
    }

    /// A write past the page cache has completed: its pages are stable as they are now.
    pub(super) fn settle(&mut self, offset: u64, length: u64) {
        for number in page_of(offset)..page_of((offset + length).next_multiple_of(PAGE_BYTES as u64)) {
            self.pending.remove(&number);
            self.durable.pages.insert(number, self.cache.page(number));
        }
        if offset + length > self.durable.size {
            // Its size is what is needed to read it back.
            self.durable.size = offset + length;
            self.sizes.retain(|(_, size)| *size > offset + length);
        }
    }

    pub(super) fn truncate(&mut self, size: u64, version: Version) {
        if size == self.cache.size {
            return;
        }
        let cut: Vec<u64> = self.cache.pages.range(page_of(size)..).map(|(number, _)| *number).collect();
        self.cache.resize(size);
        for number in cut {
            self.pending.entry(number).or_default().push((version, self.cache.page(number)));
        }
        self.sizes.push((version, size));
    }

    /// A sync that was asked for as of `version` has completed.
    pub(super) fn sync(&mut self, version: Version) {
        self.pending.retain(|number, states| {
            let covered = states.partition_point(|(of, _)| *of <= version);
            if let Some((_, page)) = covered.checked_sub(1).and_then(|last| states.get(last)) {
                self.durable.pages.insert(*number, Arc::clone(page));
            }
            states.drain(..covered);
            !states.is_empty()
        });
        let covered = self.sizes.partition_point(|(of, _)| *of <= version);
        if let Some((_, size)) = covered.checked_sub(1).and_then(|last| self.sizes.get(last)) {
            self.durable.resize(*size);
        }
        self.sizes.drain(..covered);
    }

    /// The power fails.
    pub(super) fn crash(&mut self, survival: Survival, random: &mut Random) {
        if !self.pending.is_empty() || !self.sizes.is_empty() {
            let size = surviving_size(&self.sizes, self.durable.size, survival, random);
            for (number, states) in std::mem::take(&mut self.pending) {
                let before = self.durable.page(number);
                let page = surviving_page(&states, before, survival, random);
                self.durable.pages.insert(number, page);
            }
            self.sizes.clear();
            // Of pages that were written behind what is now the end nothing is left.
            self.durable.size = u64::MAX;
            self.durable.resize(size);
        }
        self.cache = self.durable.clone();
    }
}

fn surviving_size(sizes: &[(Version, u64)], durable: u64, survival: Survival, random: &mut Random) -> u64 {
    let last_until = |until: Version| {
        let covered = sizes.partition_point(|(of, _)| *of <= until);
        covered.checked_sub(1).map_or(durable, |last| sizes[last].1)
    };
    match survival {
        Survival::Nothing => durable,
        Survival::Everything => last_until(Version::MAX),
        Survival::Until(version) => last_until(version),
        Survival::Anything => {
            let chosen = random.index(sizes.len() + 1).checked_sub(1).map_or(durable, |index| sizes[index].1);
            if !random.one_in(4) {
                return chosen;
            }
            // Written back while it grew.
            let (low, high) = (chosen.min(durable), chosen.max(durable));
            low + random.below(high - low + 1)
        }
    }
}

fn surviving_page(states: &[(Version, Page)], before: Page, survival: Survival, random: &mut Random) -> Page {
    let state = |count: usize| count.checked_sub(1).map_or(&before, |last| &states[last].1);
    match survival {
        Survival::Nothing => before,
        Survival::Everything => Arc::clone(state(states.len())),
        Survival::Until(version) => Arc::clone(state(states.partition_point(|(of, _)| *of <= version))),
        Survival::Anything if random.one_in(3) => {
            // Torn: each sector is of one state or another.
            let mut torn = *before;
            for (number, bytes) in torn.chunks_mut(SECTOR_BYTES).enumerate() {
                let of = state(random.index(states.len() + 1));
                bytes.copy_from_slice(&of[number * SECTOR_BYTES..(number + 1) * SECTOR_BYTES]);
            }
            Arc::new(torn)
        }
        Survival::Anything => Arc::clone(state(random.index(states.len() + 1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crashed(file: &ImageFile, survival: Survival) -> Vec<u8> {
        let mut copy = file.clone();
        copy.crash(survival, &mut Random::new(1));
        copy.read(0, 1 << 20)
    }

    #[test]
    fn a_sync_covers_what_came_before_it_was_asked_for() {
        let mut file = ImageFile::default();
        file.write(0, b"one", 1);
        file.write(3, b"two", 2);
        file.sync(1);
        assert_eq!(crashed(&file, Survival::Nothing), b"one");
        assert_eq!(crashed(&file, Survival::Everything), b"onetwo");
        file.truncate(1, 3);
        assert_eq!(crashed(&file, Survival::Nothing), b"one");
        assert_eq!(crashed(&file, Survival::Until(2)), b"onetwo");
        assert_eq!(crashed(&file, Survival::Everything), b"o");
        file.sync(3);
        file.write(4, b"x", 4);
        assert_eq!(crashed(&file, Survival::Everything), b"o\0\0\0x", "what was cut does not come back");
        assert_eq!(crashed(&file, Survival::Nothing), b"o");
    }

    #[test]
    fn chance_gives_every_mixture_of_sectors() {
        let mut file = ImageFile::default();
        file.write(0, &[1; 8192], 1);
        file.sync(1);
        file.write(0, &[2; 8192], 2);
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..2000 {
            let mut copy = file.clone();
            copy.crash(Survival::Anything, &mut Random::new(seed));
            let bytes = copy.read(0, 8192);
            assert!(bytes.chunks(SECTOR_BYTES).all(|sector| sector.iter().all(|byte| *byte == sector[0])), "sectors are whole");
            seen.insert(bytes.chunks(SECTOR_BYTES).map(|sector| sector[0]).collect::<Vec<_>>());
        }
        assert!(seen.len() > 500, "{} images", seen.len());
    }
}
