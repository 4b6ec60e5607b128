//! Frames: how records are laid out in the quorum's files, and what of a file can be believed.
//!
//! Invariant: a frame is synced before the next is written, so a bad frame is a torn tail only if nothing good comes behind it.
//! See `docs/on-disk-metadata.md`.

use std::fmt;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Opening = 1,
    Vote = 2,
    Committed = 3,
    Entries = 4,
    Purged = 5,
    SnapshotPlace = 6,
    Image = 7,
}

/// A frame that can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    pub(crate) payload: &'a [u8],
}

/// What of a file can be believed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scan<'a> {
    pub(crate) frames: Vec<Frame<'a>>,
    /// Where the last good frame ends. What comes behind it is torn.
    pub(crate) whole_bytes: usize,
}

/// Damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Where the bad frame begins.
    pub(crate) at: usize,
    /// Where the good one behind it begins.
    pub(crate) good_at: usize,
}

const MAGIC: &[u8; 4] = b"FLMQ";
const HEADER_BYTES: usize = 24;

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        let all = [Self::Opening, Self::Vote, Self::Committed, Self::Entries, Self::Purged, Self::SnapshotPlace, Self::Image];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the frame at byte {} is damaged, but a good one follows at byte {}", self.at, self.good_at)
    }
}

/// The bytes of a frame; `None` if the payload is too long for one.
pub(crate) fn encode(sequence: u64, kind: Kind, payload: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(payload.len()).ok()?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&[kind as u8, 0, 0, 0]);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), payload);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes.extend_from_slice(payload);
    Some(bytes)
}

/// Reads frames from the start, as far as they can be believed.
pub(crate) fn scan(bytes: &[u8]) -> Result<Scan<'_>, Damage> {
    let mut frames = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let sequence = u64::try_from(frames.len()).unwrap_or(u64::MAX);
        match decode(&bytes[at..]) {
            Some((found, frame)) if found == sequence => {
                frames.push(frame);
                at += HEADER_BYTES + frame.payload.len();
            }
            _ => {
                if let Some(good_at) = (at..bytes.len()).find(|behind| decode(&bytes[*behind..]).is_some()) {
                    return Err(Damage { at, good_at });
                }
                break;
            }
        }
    }
    Ok(Scan { frames, whole_bytes: at })
}

/// The frame at the start of `bytes`, if there is a good one, and its sequence.
fn decode(bytes: &[u8]) -> Option<(u64, Frame<'_>)> {
    let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
    if !header.starts_with(MAGIC) || header[17..20] != [0; 3] {
        return None;
    }
    let length = u32::from_be_bytes(header[4..8].try_into().ok()?);
    let sequence = u64::from_be_bytes(header[8..16].try_into().ok()?);
    let kind = Kind::from_byte(header[16])?;
    let crc = u32::from_be_bytes(header[20..24].try_into().ok()?);
    let payload = rest.get(..usize::try_from(length).ok()?)?;
    let good = crc32c::crc32c_append(crc32c::crc32c(&header[..20]), payload) == crc;
    good.then_some((sequence, Frame { kind, payload }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(payloads: &[&[u8]]) -> Vec<u8> {
        let frames = (0..).zip(payloads).map(|(sequence, payload)| encode(sequence, Kind::Entries, payload));
        frames.flat_map(|frame| frame.expect("a short payload")).collect()
    }

    #[test]
    fn the_layout_is_the_one_that_is_written_down() {
        let expected =
            [&b"FLMQ\0\0\0\x16\0\0\0\0\0\0\0\x02\x01\0\0\0"[..], &0xf690_366c_u32.to_be_bytes(), b"{\"format\":1,\"node\":17}"];
        let found = encode(2, Kind::Opening, b"{\"format\":1,\"node\":17}").expect("a short payload");
        assert_eq!(found, expected.concat(), "{found:02x?}");
    }

    #[test]
    fn a_file_cut_anywhere_keeps_its_whole_frames() {
        let bytes = file(&[b"one", b"", b"three"]);
        let ends = [27, 51, 80];
        for cut in 0..=bytes.len() {
            let scan = scan(&bytes[..cut]).expect("a torn tail is no damage");
            let whole = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(scan.frames.len(), whole, "cut at {cut}");
            assert_eq!(scan.whole_bytes, whole.checked_sub(1).map_or(0, |last| ends[last]));
        }
    }

    #[test]
    fn damage_before_a_good_frame_is_told_from_a_torn_tail() {
        let good = file(&[b"one", b"two", b"three"]);
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x40;
            let last_frame = 27 + 27;
            match scan(&bytes) {
                Err(damage) => assert!(at < last_frame && damage.at <= at && damage.good_at > at, "{at}: {damage}"),
                Ok(scan) => assert!(at >= last_frame && scan.frames.len() == 2, "damage at {at} went unnoticed"),
            }
        }
    }

    #[test]
    fn frames_of_another_place_are_not_believed() {
        let bytes = [file(&[b"one", b"two"]), file(&[b"one"])].concat();
        assert_eq!(scan(&bytes), Err(Damage { at: 54, good_at: 54 }), "a good frame that does not belong there");
        let bytes = [file(&[b"one", b"two"]), vec![0; 100]].concat();
        assert_eq!(scan(&bytes).expect("zeros are a torn tail").whole_bytes, 54);
    }
}
