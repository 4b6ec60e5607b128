//! A record as a JSON object, as `consume` prints it by default.
//!
//! Keys and values that are not UTF-8 stand in `key_base64` and `value_base64`: nothing is lost in print.

use flumen_client::Header;
use serde_json::{Map, Value, json};

use super::template::print::Printed;
use super::template::text::base64;

/// The object. With `meta_only` the value is left out, its size stands in its place.
#[must_use]
pub fn record(record: &Printed<'_>, meta_only: bool) -> Value {
    let mut object = Map::new();
    object.insert(String::from("topic"), json!(record.topic));
    bytes(&mut object, "key", record.key);
    if meta_only {
        object.insert(String::from("value_size"), json!(record.value.map(<[u8]>::len)));
    } else {
        bytes(&mut object, "value", record.value);
    }
    if !record.headers.is_empty() {
        object.insert(String::from("headers"), record.headers.iter().map(header).collect());
    }
    object.insert(String::from("timestamp"), json!(record.timestamp_ms));
    object.insert(String::from("partition"), json!(record.partition));
    object.insert(String::from("offset"), json!(record.offset));
    Value::Object(object)
}

fn header(header: &Header) -> Value {
    let mut object = Map::new();
    object.insert(String::from("key"), json!(header.key));
    bytes(&mut object, "value", header.value.as_deref());
    Value::Object(object)
}

fn bytes(object: &mut Map<String, Value>, name: &str, bytes: Option<&[u8]>) {
    match bytes.map(std::str::from_utf8) {
        None => object.insert(name.to_owned(), Value::Null),
        Some(Ok(text)) => object.insert(name.to_owned(), json!(text)),
        Some(Err(_)) => {
            let mut encoded = Vec::new();
            base64(bytes.unwrap_or_default(), true, &mut encoded);
            object.insert(format!("{name}_base64"), json!(String::from_utf8_lossy(&encoded)))
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_text_bytes_empty_and_absent_apart() {
        let headers = [Header::new("h", vec![0xffu8]), Header { key: String::from("n"), value: None }];
        let printed = Printed { topic: "t", key: Some(b""), value: Some(b"\xff\xfe"), headers: &headers, ..Printed::default() };
        let object = record(&printed, false);
        assert_eq!(object["key"], "");
        assert_eq!(object["value_base64"], "//4=");
        assert_eq!(object["headers"][0]["value_base64"], "/w==");
        assert_eq!(object["headers"][1]["value"], Value::Null);
        let tombstone = Printed { topic: "t", value: None, ..Printed::default() };
        assert_eq!(record(&tombstone, false)["value"], Value::Null);
        assert_eq!(record(&printed, true)["value_size"], 2);
    }
}
