//! Which segments of a log may go: whole ones, by time and by size, only below the high watermark.

use crate::partition::{Life, PartitionLog};
use crate::segment::Segment;
use crate::{Offset, Timestamp};

/// Where the log should start now, if segments may go. When that is the end of the active segment, it has to roll first.
///
/// By time it is the greatest record timestamp of the segment that counts, never a file's (D03); by size the segments that may go
/// are those without which the log is still as large as it may be. Segments that lie before the log's start go in any case.
pub(crate) fn new_log_start(log: &PartitionLog, now: Timestamp) -> Option<Offset> {
    if log.life != Life::Ready || log.offline || !log.configured {
        return None;
    }
    let mut start = log.log_start;
    let mut left_bytes = log.size_bytes();
    let mut goes = false;
    for segment in log.segments.values() {
        if segment.bytes == 0 || segment.next_offset > log.high_watermark {
            break;
        }
        let before_start = segment.next_offset <= log.log_start;
        let expired = log.config.cleanup_delete && is_expired(log, segment, now);
        let too_large = log.config.cleanup_delete && is_surplus(log, segment, left_bytes);
        if !before_start && !expired && !too_large {
            // What compaction left without a record has no time; it goes with what follows.
            if segment.sparse && segment.max_timestamp.0 < 0 {
                left_bytes -= segment.bytes;
                continue;
            }
            break;
        }
        left_bytes -= segment.bytes;
        start = start.max(segment.next_offset);
        goes = true;
    }
    goes.then_some(start)
}

fn is_expired(log: &PartitionLog, segment: &Segment, now: Timestamp) -> bool {
    let age_ms = now.0.saturating_sub(segment.max_timestamp.0);
    log.config.retention_ms >= 0 && segment.max_timestamp.0 >= 0 && age_ms > log.config.retention_ms
}

fn is_surplus(log: &PartitionLog, segment: &Segment, left_bytes: u64) -> bool {
    let Ok(limit) = u64::try_from(log.config.retention_bytes) else { return false };
    left_bytes.saturating_sub(segment.bytes) >= limit
}
