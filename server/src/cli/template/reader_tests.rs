//! Input templates against texts.

use super::*;

/// Gives a byte at a time, so that every piece is met cut in two.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
        buffer[0] = *first;
        self.0 = rest;
        Ok(1)
    }
}

fn read(template: &str, input: &[u8]) -> Result<Vec<Input>, String> {
    let template = Template::parse(template)?;
    let all = |mut reader: RecordReader<&mut dyn Read>| -> Result<Vec<Input>, String> {
        let mut records = Vec::new();
        while let Some(record) = reader.next_record().map_err(|problem| problem.to_string())? {
            records.push(record);
        }
        Ok(records)
    };
    let mut whole = input;
    let mut trickle = Trickle(input);
    let one = all(RecordReader::new(&mut whole, template.clone()));
    let other = all(RecordReader::new(&mut trickle, template));
    assert_eq!(one, other);
    one
}

fn values(template: &str, input: &[u8]) -> Vec<String> {
    let records = read(template, input).unwrap_or_else(|problem| panic!("{problem}"));
    let text = |bytes: Option<Vec<u8>>| bytes.map(|bytes| String::from_utf8(bytes).unwrap());
    records
        .into_iter()
        .map(|record| match text(record.key) {
            Some(key) => format!("{key}={}", text(record.value).unwrap_or_default()),
            None => text(record.value).unwrap_or_default(),
        })
        .collect()
}

#[test]
fn a_line_for_each_value() {
    assert_eq!(values("%v\\n", b"one\ntwo\n\nfour"), ["one", "two", "", "four"]);
    assert_eq!(values("%v\\n", b""), [""; 0]);
    assert_eq!(values("%v\\n", b"\n"), [""]);
    assert_eq!(values("%k %v\\n", b"a 1\nb 2 3\n"), ["a=1", "b=2 3"]);
    assert_eq!(values("%k::%v\\r\\n", b"a:b::1\r\n"), ["a:b=1"]);
}

#[test]
fn everything_is_one_value() {
    assert_eq!(values("%v", b"one\ntwo\n"), ["one\ntwo\n"]);
    assert_eq!(values("%v", b""), [""]);
}

#[test]
fn sizes_say_where_texts_end() {
    assert_eq!(values("%K{big16}%k%V{4}%v", b"\0\x01a\0\0\0\x02\n\n\0\0\0\0\0\0"), ["a=\n\n", "="]);
    assert_eq!(values("%V,%v;", b"3,a;b;0,;"), ["a;b", ""]);
    assert!(read("%V{4}%v", b"\xff\xff\xff\xff").unwrap_err().contains("at most"));
    assert!(read("%V{4}%v", b"\0\0\0\x05abc").unwrap_err().contains("ends 3 bytes into"));
}

#[test]
fn headers_partitions_topics_and_times() {
    let records = read("%t %p %d %H{1}%h{%k=%v,}%v\\n", b"orders 3 1700000000000 \x02a=1,b=,hello\n").unwrap();
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!((record.topic.as_deref(), record.partition), (Some("orders"), Some(3)));
    assert_eq!((record.timestamp_ms, record.value.as_deref()), (Some(1_700_000_000_000), Some(&b"hello"[..])));
    assert_eq!(record.headers, [(String::from("a"), b"1".to_vec()), (String::from("b"), Vec::new())]);
    assert!(read("%p %v\\n", b"x y\n").unwrap_err().contains("no number"));
}

#[test]
fn encoded_texts_are_decoded() {
    assert_eq!(values("%k{hex} %v{base64}\\n", b"666f6f YmFy\n"), ["foo=bar"]);
    assert!(read("%v{hex}\\n", b"xyz\n").unwrap_err().contains("record 1"));
}

#[test]
fn json_ends_itself() {
    assert_eq!(
        values("%v{json}\\n", b"{\"a\":\"}\\\"\"}\n[1,[2]]\n\"x\"\n-1.5e3\nnull\n"),
        ["{\"a\":\"}\\\"\"}", "[1,[2]]", "\"x\"", "-1.5e3", "null"]
    );
    assert_eq!(values("%k %v{json}\\n", b"k {\"a\": 1}"), ["k={\"a\": 1}"]);
    assert!(read("%v{json}\\n", b"{\"a\":\n").is_err());
    assert!(read("%v{json}\\n", b"nope\n").is_err());
}

#[test]
fn what_does_not_follow_the_format_is_named() {
    assert!(read("%k %v\\n", b"a 1\nb\n").is_err());
    let problem = read("%k,%v\\n", b"a,1\nb,2\nc").unwrap_err();
    assert!(problem.contains("record 3"), "{problem}");
    assert!(read("[%v]\\n", b"(x]\n").unwrap_err().contains("should be"));
}
