//! Any bytes as a response, after two that choose API and version: no panic, and what is read can be written.
#![no_main]

use bytes::Bytes;
use flumen_protocol::{ApiKey, decode_response};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let [api, version, frame @ ..] = bytes else { return };
    let api_key = ApiKey::ALL[usize::from(*api) % ApiKey::ALL.len()];
    let versions = api_key.versions();
    let version = versions.start() + i16::from(*version) % (versions.end() - versions.start() + 1);
    let Ok((correlation_id, response)) = decode_response(api_key, version, Bytes::copy_from_slice(frame)) else { return };
    let _ = response.encode(version, correlation_id);
});
