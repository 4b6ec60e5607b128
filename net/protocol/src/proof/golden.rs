//! Frames that Kafka 4.4.0's own classes encoded (see `tests/golden/GoldenFrames.java`).

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::format;
use std::path::Path;
use std::string::String;
use std::vec::Vec;

use bytes::Bytes;

use super::every_version;
use super::tree::{Tree, assert_contains};
use crate::offsets_topic::{Key, OffsetCommitValue};
use crate::{ApiKey, decode_request, decode_response};

/// A line of a golden file.
struct Golden {
    kind: String,
    version: i16,
    bytes: Bytes,
    json: Tree,
}

impl Golden {
    fn file(name: &str) -> Vec<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        text.lines().map(Self::parse).collect()
    }

    fn parse(line: &str) -> Self {
        let [kind, version, bytes, json] = line.splitn(4, ' ').collect::<Vec<_>>().try_into().unwrap();
        let bytes = (0..bytes.len()).step_by(2).map(|at| u8::from_str_radix(&bytes[at..at + 2], 16).unwrap()).collect();
        let json = Tree::from_json(&serde_json::from_str(json).unwrap());
        Self { kind: kind.into(), version: version.parse().unwrap(), bytes, json }
    }

    /// The frame without its size.
    fn frame(&self) -> Bytes {
        let size = u32::from_be_bytes(self.bytes[..4].try_into().unwrap());
        assert_eq!(usize::try_from(size).unwrap(), self.bytes.len() - 4);
        self.bytes.slice(4..)
    }

    fn check(&self, decoded: &impl Debug, encoded: &Bytes, path: &str) {
        assert_contains(&Tree::from_debug(&format!("{decoded:?}")), &self.json, path);
        assert_eq!(encoded, &self.bytes, "{path}, encoded again");
    }
}

#[test]
fn kafka_and_we_read_and_write_the_same_frames() {
    let mut seen = BTreeSet::new();
    for api_key in ApiKey::ALL {
        for golden in Golden::file(&format!("{}.txt", file_name(api_key.name()))) {
            let path = format!("{} {} {}", api_key.name(), golden.kind, golden.version);
            let version = golden.version;
            if golden.kind == "request" {
                let (header, request) = decode_request(golden.frame()).unwrap();
                assert_eq!((header.api_key, header.version, header.correlation_id), (*api_key, version, 0x0102_0304));
                let encoded = request.encode(version, header.correlation_id, header.client_id.as_deref()).unwrap();
                golden.check(&request, &encoded, &path);
            } else {
                let (correlation_id, response) = decode_response(*api_key, version, golden.frame()).unwrap();
                assert_eq!(correlation_id, 0x0102_0304);
                let encoded = response.encode_strictly(version, correlation_id).unwrap();
                golden.check(&response, &encoded.bytes, &path);
            }
            seen.insert((*api_key, version, golden.kind));
        }
    }
    for (api_key, version) in every_version() {
        for kind in ["request", "response"] {
            assert!(seen.contains(&(api_key, version, kind.into())), "no golden {kind} of {api_key:?} {version}");
        }
    }
}

#[test]
fn kafka_and_we_read_and_write_the_same_committed_offsets() {
    let lines = Golden::file("offsets_topic.txt");
    assert_eq!(lines.len(), 18);
    for golden in lines {
        let path = format!("{} {}", golden.kind, golden.version);
        if golden.kind == "key" {
            let Ok(Key::OffsetCommit(key)) = Key::decode(golden.bytes.clone()) else { panic!("{path}") };
            golden.check(&key, &key.encode().unwrap(), &path);
        } else {
            let value = OffsetCommitValue::decode(golden.bytes.clone()).unwrap();
            golden.check(&value, &value.encode(golden.version).unwrap(), &path);
        }
    }
}

fn file_name(api: &str) -> String {
    let mut name = String::new();
    for (at, letter) in api.char_indices() {
        if at > 0 && letter.is_uppercase() {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}
