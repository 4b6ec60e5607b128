//! A record as a JSON object, as `consume` prints it by default.
//!
//! Keys and values that are not UTF-8 stand in `key_base64` and `value_base64`: nothing is lost in print.

use flumen_client::Header;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::template::print::Printed;
use super::template::text::base64;

/// A record to be written as JSON.
pub struct JsonRecord<'a> {
    /// The record.
    pub record: &'a Printed<'a>,
    /// Whether the value is left out and its size stands in its place.
    pub meta_only: bool,
}

impl Serialize for JsonRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = self.record;
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("topic", record.topic)?;
        bytes(&mut object, "key", "key_base64", record.key)?;
        if self.meta_only {
            object.serialize_entry("value_size", &record.value.map(<[u8]>::len))?;
        } else {
            bytes(&mut object, "value", "value_base64", record.value)?;
        }
        if !record.headers.is_empty() {
            let headers: Vec<JsonHeader<'_>> = record.headers.iter().map(JsonHeader).collect();
            object.serialize_entry("headers", &headers)?;
        }
        object.serialize_entry("timestamp", &record.timestamp_ms)?;
        object.serialize_entry("partition", &record.partition)?;
        object.serialize_entry("offset", &record.offset)?;
        object.end()
    }
}

struct JsonHeader<'a>(&'a Header);

impl Serialize for JsonHeader<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(2))?;
        object.serialize_entry("key", &self.0.key)?;
        bytes(&mut object, "value", "value_base64", self.0.value.as_deref())?;
        object.end()
    }
}

fn bytes<M: SerializeMap>(object: &mut M, name: &str, encoded: &str, bytes: Option<&[u8]>) -> Result<(), M::Error> {
    let Some(bytes) = bytes else { return object.serialize_entry(name, &None::<&str>) };
    match std::str::from_utf8(bytes) {
        Ok(text) => object.serialize_entry(name, text),
        Err(_) => {
            let mut digits = Vec::new();
            base64(bytes, true, &mut digits);
            object.serialize_entry(encoded, &String::from_utf8_lossy(&digits))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(record: &Printed<'_>, meta_only: bool) -> String {
        serde_json::to_string(&JsonRecord { record, meta_only }).unwrap()
    }

    #[test]
    fn tells_text_bytes_empty_and_absent_apart() {
        let headers = [Header::new("h", vec![0xffu8]), Header { key: String::from("n"), value: None }];
        let record = Printed { topic: "t", key: Some(b""), value: Some(b"\xff\xfe"), headers: &headers, ..Printed::default() };
        assert_eq!(
            written(&record, false),
            "{\"topic\":\"t\",\"key\":\"\",\"value_base64\":\"//4=\",\"headers\":[{\"key\":\"h\",\"value_base64\":\"/w==\"},\
             {\"key\":\"n\",\"value\":null}],\"timestamp\":0,\"partition\":0,\"offset\":0}"
        );
        let tombstone = Printed { topic: "t", ..Printed::default() };
        assert!(written(&tombstone, false).contains("\"key\":null,\"value\":null"));
        assert!(written(&record, true).contains("\"value_size\":2"));
        assert!(written(&tombstone, true).contains("\"value_size\":null"));
    }
}
