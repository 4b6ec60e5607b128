//! Any bytes as a request: no panic, and what is read is the same after another round.
#![no_main]

use bytes::Bytes;
use flumen_protocol::decode_request;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok((header, request)) = decode_request(Bytes::copy_from_slice(bytes)) else { return };
    // Text that is not UTF-8 grows when it is read, and may then be too long to be written.
    let Ok(again) = request.encode(header.version, header.correlation_id, header.client_id.as_deref()) else { return };
    assert_eq!(decode_request(again.slice(4..)), Ok((header, request)));
});
