//! Checksums put right, which no fuzzer guesses.

use flumen_log::directories::LIST_FILE_NAME;
use flumen_log::state::COPY_BYTES;

const BATCH_HEADER_BYTES: usize = 61;
const STEP_BYTES: usize = 96;

/// Put a checksum over `over` at `at`, if the bytes reach that far.
fn seal(bytes: &mut [u8], at: usize, over: std::ops::Range<usize>) {
    if let Some(covered) = bytes.get(over) {
        let checksum = crc32c::crc32c(covered).to_be_bytes();
        if let Some(place) = bytes.get_mut(at..at + 4) {
            place.copy_from_slice(&checksum);
        }
    }
}

/// Put the magic where it belongs.
fn begin(bytes: &mut [u8], magic: &[u8]) {
    if let Some(place) = bytes.get_mut(..magic.len()) {
        place.copy_from_slice(magic);
    }
}

fn length_at(bytes: &[u8], at: usize) -> usize {
    let field = bytes.get(at..at + 4).and_then(|field| field.try_into().ok()).unwrap_or_default();
    usize::try_from(u32::from_be_bytes(field)).unwrap_or(usize::MAX)
}

/// The kind of a file: what its name ends with, once the generation of one that compaction has not put in its place is off.
fn kind(name: &str) -> &str {
    let name = name.rsplit_once('/').map_or(name, |(_, name)| name);
    let name = name.strip_suffix(".partial").unwrap_or(name);
    let cleaned = name.strip_suffix(".cleaned").and_then(|name| name.rsplit_once('.'));
    let name = cleaned.map_or(name, |(name, _)| name);
    if let Some((kind @ ("clean-stop" | "steady-clock"), _)) = name.split_once('.') {
        return kind;
    }
    name.rsplit_once('.').map_or(name, |(_, suffix)| suffix)
}

/// Put right what no fuzzer guesses, by the file's name.
pub(super) fn mend(name: &str, bytes: &mut Vec<u8>) {
    let end = bytes.len();
    match kind(name) {
        "state" => {
            let (copies, trail) = bytes.split_at_mut(end.min(2 * COPY_BYTES));
            for copy in copies.chunks_mut(COPY_BYTES) {
                begin(copy, b"flumenPS");
                seal(copy, 8, 12..COPY_BYTES);
            }
            mend_trail(trail);
        }
        "trail" => mend_trail(bytes),
        "snapshot" => {
            begin(bytes, &[0, 1]);
            seal(bytes, 2, 6..end);
        }
        "checks" => {
            begin(bytes, b"flumenCK");
            seal(bytes, 12, 72..end);
            seal(bytes, 8, 12..72);
        }
        "manifest" => {
            begin(bytes, b"flumenCM");
            seal(bytes, 8, 12..end);
        }
        "journal" => {
            begin(bytes, b"flumenJ1");
            seal(bytes, 8, 12..64);
            mend_frames(bytes, 4096);
        }
        "frames" => mend_frames(bytes, 0),
        "log" => mend_batches(bytes),
        "clean-stop" => {
            begin(bytes, b"flumenCS");
            seal(bytes, 8, 12..24);
        }
        "steady-clock" => {
            begin(bytes, b"flumenCL");
            seal(bytes, 8, 12..20);
        }
        LIST_FILE_NAME => {
            bytes.splice(..0, *b"flumen log directories 1\n");
            let checksum = crc32c::crc32c(bytes);
            bytes.extend(format!("crc {checksum:08x}\n").into_bytes());
        }
        _ => {}
    }
}

/// The frames that are there, by their magic.
fn mend_frames(bytes: &mut [u8], from: usize) {
    for at in (from..bytes.len()).step_by(4096) {
        let frame = &mut bytes[at..];
        if frame.starts_with(b"flumenJF") && frame.len() >= 64 {
            seal(frame, 8, 12..length_at(frame, 12).max(12));
        }
    }
}

/// The batches one behind another, as far as their lengths lead.
fn mend_batches(mut bytes: &mut [u8]) {
    while bytes.len() >= BATCH_HEADER_BYTES {
        let total = length_at(bytes, 8).saturating_add(12);
        if total < BATCH_HEADER_BYTES || total > bytes.len() {
            return;
        }
        bytes[16] = 2;
        seal(bytes, 17, 21..total);
        bytes = &mut bytes[total..];
    }
}

/// The steps of a trail one behind another, as far as their lengths lead. Where there is nothing that could be a length, the step is
/// the only one.
fn mend_trail(mut bytes: &mut [u8]) {
    while bytes.len() >= STEP_BYTES && bytes[..8] != [0; 8] {
        begin(bytes, b"flumenTR");
        let mut length = length_at(bytes, 12);
        if length < STEP_BYTES || length > bytes.len() {
            length = bytes.len();
            bytes[12..16].copy_from_slice(&u32::try_from(length).unwrap_or_default().to_be_bytes());
        }
        seal(bytes, 8, 12..length);
        bytes = &mut bytes[length..];
    }
}
