//! What compaction had begun is finished or forgotten, before anything else is read of a partition.
//!
//! The manifest decides. A segment that it names and that is not in its place yet is put there, and the segments it covers go; a
//! file that no manifest names was never finished, and goes, to quarantine where the manifest is not to be relied on. Doing it again changes nothing. What is wrong with a file that is to be
//! put in place leaves the segments it should have covered as they are.

use alloc::{format, vec::Vec};
use bytes::Bytes;

use super::base::read_footer;
use super::directory::Directory;
use super::journals::QUARANTINE_DIRECTORY;
use super::partition::{make_stable, path, rewrite};
use super::reader::SegmentReader;
use super::{LogError, RecoveryReport};
use crate::compaction::{CleanedSegment, MANIFEST_FILE_NAME, MANIFEST_PARTIAL_NAME, Manifest, cleaned_file_name};
use crate::io::{Disk, IoError};
use crate::segment::{SUFFIXES, file_name, index};
use crate::{Offset, TopicPartition};

/// More than the manifest of any partition has.
const MANIFEST_BYTES_MAX: usize = 64 << 20;

/// What the names of files end with that were set aside in quarantine.
const ASIDE_SUFFIX: &str = ".aside";

/// Bring the directory in line with its manifest.
pub(super) fn finish(disk: &mut dyn Disk, found: &mut Directory, report: &mut RecoveryReport) -> Result<(), LogError> {
    if found.has_manifest {
        match read(disk, &found.name, found.identity)? {
            Some((manifest, _)) if !found.may_have(&manifest) => {
                // D grows, and it would be believed then.
                set_aside(disk, found, MANIFEST_FILE_NAME)?;
                found.manifest_lost = true;
            }
            Some((manifest, content)) => {
                if found.is_behind(&manifest) {
                    // Its name was perhaps never synced, nor what it holds: what it says must last before anything goes for it.
                    make_stable(disk, &format!("{}/{MANIFEST_FILE_NAME}", found.name), &content)?;
                    disk.sync_directory(&found.name)?;
                }
                found.manifest = manifest;
            }
            None => found.manifest_lost = true,
        }
    }
    // One that should be there and is gone says as little as one that cannot be read.
    found.manifest_lost |= !found.has_manifest && found.state.as_ref().is_some_and(|state| state.cleaned);
    if found.manifest_lost {
        report.manifests_lost.push(found.identity);
    }
    let (mut changed, mut undone) = (false, false);
    let named: Vec<(Offset, CleanedSegment)> = found.manifest.segments.iter().map(|(base, segment)| (*base, *segment)).collect();
    for (base, segment) in named {
        if !holds(disk, found, base, &segment)? {
            undo(disk, found, base, &segment)?;
            report.cleanings_undone += 1;
            undone = true;
            continue;
        }
        changed |= put_in_place(disk, found, base, &segment)?;
    }
    for name in core::mem::take(&mut found.leftovers) {
        if found.manifest_lost || undone {
            // What it was to replace is perhaps gone already.
            set_aside(disk, found, &name)?;
        } else {
            disk.unlink(&format!("{}/{name}", found.name))?;
        }
        changed = true;
    }
    if changed {
        disk.sync_directory(&found.name)?;
    }
    Ok(())
}

/// Keep a file that nothing vouches for, for people to look at: it may be all there is of some records.
fn set_aside(disk: &mut dyn Disk, found: &Directory, name: &str) -> Result<(), IoError> {
    disk.create_directory(QUARANTINE_DIRECTORY)?;
    disk.rename(&format!("{}/{name}", found.name), &format!("{QUARANTINE_DIRECTORY}/{}-{name}{ASIDE_SUFFIX}", found.name))?;
    // It must be there before it is gone here.
    disk.sync_directory(QUARANTINE_DIRECTORY)?;
    disk.sync_directory("")?;
    disk.sync_directory(&found.name)
}

fn read(disk: &mut dyn Disk, directory: &str, of: TopicPartition) -> Result<Option<(Manifest, Bytes)>, LogError> {
    let bytes = disk.read(&format!("{directory}/{MANIFEST_FILE_NAME}"), 0, MANIFEST_BYTES_MAX).map_err(LogError::Unreadable)?;
    Ok(Manifest::decode(&bytes, of).map(|manifest| (manifest, bytes)))
}

/// Nothing that lies behind the end of the log may be taken for something that compaction wrote: what the manifest says ends there,
/// too, before the files do.
pub(super) fn truncate_from_end(
    disk: &mut dyn Disk,
    found: &Directory,
    (end, position, chain): (Offset, u64, u32),
) -> Result<Manifest, IoError> {
    let mut manifest = found.manifest.clone();
    if manifest.truncate_from_end(end, position, chain) {
        manifest.generation += 1;
        let partial = format!("{}/{MANIFEST_PARTIAL_NAME}", found.name);
        rewrite(disk, &partial, &manifest.encode(found.identity))?;
        disk.sync(&partial)?;
        disk.rename(&partial, &format!("{}/{MANIFEST_FILE_NAME}", found.name))?;
        disk.sync_directory(&found.name)?;
    }
    Ok(manifest)
}

/// Whether the new segment may take the place of those it covers. What lies in that place already, while they are still there, may
/// be an old segment that an earlier start left for a new one that was not whole.
fn holds(disk: &mut dyn Disk, found: &Directory, base: Offset, segment: &CleanedSegment) -> Result<bool, LogError> {
    let new_name = cleaned_file_name(base, "log", segment.generation);
    if found.leftovers.contains(&new_name) {
        return is_whole(disk, found, &new_name, segment);
    }
    let in_place = file_name(base, "log");
    if covered(found, base, segment).is_empty() {
        let is_gone = !found.logs.iter().any(|(other, _)| *other == base);
        if is_gone || found.leftovers.contains(&cleaned_file_name(base, "checks", segment.generation)) {
            // What the log no longer begins with was perhaps deleted; the manifest goes on naming it for a while.
            return Ok(true);
        }
        // Once an earlier start has removed what was not whole, the old segment is still there: its sidecar tells.
        return match read_footer(disk, found, base).filter(|footer| footer.base == base) {
            Some(footer) => Ok(footer.next_offset > segment.end || footer.chain == segment.chain),
            None => is_whole(disk, found, &in_place, segment),
        };
    }
    Ok(found.logs.contains(&(base, segment.length)) && is_whole(disk, found, &in_place, segment)?)
}

/// The old segments count. Of a key they may have records that were taken to be gone; and compaction may have written them, too: what
/// the manifest said of that went with them, so holes in them are taken for its work.
fn undo(disk: &mut dyn Disk, found: &mut Directory, base: Offset, segment: &CleanedSegment) -> Result<(), LogError> {
    found.manifest.cleaned_to = found.manifest.cleaned_to.min(base);
    let waits = found.leftovers.contains(&cleaned_file_name(base, "log", segment.generation));
    let old: Vec<(Offset, u64)> = found.logs.iter().copied().filter(|(old, _)| *old >= base && *old < segment.end).collect();
    for (number, (old_base, length)) in old.iter().copied().enumerate() {
        let end = old.get(number + 1).map_or(segment.end, |(next, _)| *next);
        let footer = read_footer(disk, found, old_base).filter(|footer| footer.base == old_base);
        let is_of_new = footer.is_some_and(|footer| footer.chain == segment.chain && footer.length == segment.length);
        if waits && old_base == base && is_of_new {
            // The new segment's came to its place before it: of the old one it says nothing.
            disk.unlink(&path(found, base, "checks"))?;
        }
        let by_footer = footer.filter(|footer| !is_of_new && footer.length == length && footer.next_offset == end);
        let chain = match by_footer {
            Some(footer) => Some(footer.chain),
            None => chain_of(disk, found, &file_name(old_base, "log"), length)?,
        };
        if let Some(chain) = chain {
            found.manifest.segments.insert(old_base, CleanedSegment { end, length, generation: segment.generation, chain });
        }
    }
    Ok(())
}

/// Whether a file holds what the manifest says of the new segment.
fn is_whole(disk: &mut dyn Disk, found: &Directory, name: &str, segment: &CleanedSegment) -> Result<bool, LogError> {
    Ok(chain_of(disk, found, name, segment.length)? == Some(segment.chain))
}

/// The chain value over all batches of a file, if they are whole.
fn chain_of(disk: &mut dyn Disk, found: &Directory, name: &str, length: u64) -> Result<Option<u32>, LogError> {
    let mut reader = SegmentReader::new(format!("{}/{name}", found.name), length);
    let (mut position, mut chain) = (0, 0);
    while position < length {
        let Some((header, _)) = reader.batch(disk, position)? else { return Ok(None) };
        chain = index::chain(chain, &header);
        position += header.total_bytes() as u64;
    }
    Ok(Some(chain))
}

/// The segments in whose place the new one is, but for the one of its own name.
fn covered(found: &Directory, base: Offset, segment: &CleanedSegment) -> Vec<Offset> {
    found.logs.iter().map(|(other, _)| *other).filter(|other| *other > base && *other < segment.end).collect()
}

/// Rename what is not in its place, and remove what the segment covers. Whether there was something to do.
fn put_in_place(disk: &mut dyn Disk, found: &mut Directory, base: Offset, segment: &CleanedSegment) -> Result<bool, IoError> {
    let mut changed = false;
    for suffix in SUFFIXES {
        let name = cleaned_file_name(base, suffix, segment.generation);
        let Some(place) = found.leftovers.iter().position(|leftover| *leftover == name) else { continue };
        disk.rename(&format!("{}/{name}", found.name), &path(found, base, suffix))?;
        found.leftovers.swap_remove(place);
        changed = true;
        if suffix == "log" {
            found.logs.retain(|(other, _)| *other != base);
            found.logs.push((base, segment.length));
            found.logs.sort_unstable();
        }
    }
    for other in covered(found, base, segment) {
        for suffix in SUFFIXES {
            disk.unlink(&path(found, other, suffix))?;
        }
        found.logs.retain(|(base, _)| *base != other);
        changed = true;
    }
    Ok(changed)
}

impl Directory {
    /// Whether the manifest can be one of this log's: compaction replaces what lies before D, and nothing else. One that says more would
    /// have what it never read removed. Where D was perhaps later, in a copy that is gone or before the log was cut, nobody can say.
    fn may_have(&self, manifest: &Manifest) -> bool {
        let known = self.state.as_ref().filter(|state| !state.cut && !self.has_lost_copy);
        known.is_none_or(|state| manifest.segments.values().all(|segment| segment.end <= state.point.offset))
    }

    /// Whether something that the manifest names is not in its place, or something that it covers is still there.
    fn is_behind(&self, manifest: &Manifest) -> bool {
        let behind = |(base, segment): (&Offset, &CleanedSegment)| !covered(self, *base, segment).is_empty();
        !self.leftovers.is_empty() || manifest.segments.iter().any(behind)
    }

    /// Whether offsets may be missing in the segment: compaction wrote it, or nobody knows any more.
    pub(super) fn is_sparse(&self, base: Offset) -> bool {
        self.manifest_lost || self.manifest.segments.contains_key(&base)
    }
}

/// Whether the name is of a file that compaction had not put in its place.
pub(super) fn is_leftover(name: &str) -> bool {
    name.ends_with(crate::compaction::CLEANED_SUFFIX) || name == MANIFEST_PARTIAL_NAME
}
