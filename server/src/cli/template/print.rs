//! Records printed by a template.

use flumen_client::Header;

use super::date::DateForm;
use super::number::NumberForm;
use super::text::TextForm;
use super::{Token, tokens};

/// All that a template may print of a record.
#[derive(Clone, Copy, Debug, Default)]
pub struct Printed<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: &'a [Header],
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its leader epoch.
    pub leader_epoch: i32,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The attributes of its batch.
    pub attributes: i16,
    /// The producer's id.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// The partition's log start offset.
    pub log_start_offset: i64,
    /// The partition's last stable offset.
    pub last_stable_offset: i64,
    /// The partition's high watermark.
    pub high_watermark: i64,
}

/// A template that was checked.
#[derive(Clone, Debug)]
pub struct Printer {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Literal(Vec<u8>),
    Text(TextField, TextForm),
    Number(NumberField, NumberForm),
    Timestamp(DateForm),
    Compression(Option<NumberForm>),
    Headers(Vec<HeaderPiece>),
}

#[derive(Clone, Copy, Debug)]
enum TextField {
    Topic,
    Key,
    Value,
}

#[derive(Clone, Copy, Debug)]
enum NumberField {
    TopicLength,
    KeyLength,
    ValueLength,
    HeaderCount,
    Partition,
    Offset,
    LeaderEpoch,
    ProducerId,
    ProducerEpoch,
    LogStartOffset,
    LastStableOffset,
    HighWatermark,
    Iteration,
    TimestampType,
    Transactional,
    Control,
}

#[derive(Clone, Debug)]
enum HeaderPiece {
    Literal(Vec<u8>),
    Key(TextForm),
    Value(TextForm),
    KeyLength(NumberForm),
    ValueLength(NumberForm),
}

impl Printer {
    /// Checks a template.
    pub fn parse(template: &str) -> Result<Self, String> {
        let pieces = tokens(template)?.into_iter().map(|token| match token {
            Token::Literal(bytes) => Ok(Piece::Literal(bytes)),
            Token::Verb { name, modifier } => piece(name, modifier.as_deref()).map_err(|problem| format!("%{name}: {problem}")),
        });
        Ok(Self { pieces: pieces.collect::<Result<_, _>>()? })
    }

    /// Whether it prints nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Appends one record; `iteration` counts those printed before it.
    pub fn print(&self, record: &Printed<'_>, iteration: u64, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(bytes) => out.extend_from_slice(bytes),
                Piece::Text(field, form) => form.write(field.of(record), out),
                Piece::Number(field, form) => form.write(field.of(record, iteration), out),
                Piece::Timestamp(form) => form.write(record.timestamp_ms, out),
                Piece::Compression(Some(form)) => form.write(i64::from(record.attributes & 7), out),
                Piece::Compression(None) => out.extend_from_slice(codec_name(record.attributes).as_bytes()),
                Piece::Headers(inner) => {
                    for header in record.headers {
                        print_header(inner, header, out);
                    }
                }
            }
        }
    }
}

fn piece(name: char, modifier: Option<&str>) -> Result<Piece, String> {
    let text = |field| text_form(modifier).map(|form| Piece::Text(field, form));
    let number = |field| number_form(modifier).map(|form| Piece::Number(field, form));
    match name {
        't' => text(TextField::Topic),
        'k' => text(TextField::Key),
        'v' => text(TextField::Value),
        'T' => number(NumberField::TopicLength),
        'K' => number(NumberField::KeyLength),
        'V' => number(NumberField::ValueLength),
        'H' => number(NumberField::HeaderCount),
        'p' => number(NumberField::Partition),
        'o' => number(NumberField::Offset),
        'e' => number(NumberField::LeaderEpoch),
        'x' => number(NumberField::ProducerId),
        'y' => number(NumberField::ProducerEpoch),
        '[' => number(NumberField::LogStartOffset),
        '|' => number(NumberField::LastStableOffset),
        ']' => number(NumberField::HighWatermark),
        'i' => number(NumberField::Iteration),
        'd' => match modifier {
            Some(modifier) => DateForm::parse(modifier).map(Piece::Timestamp),
            None => Ok(Piece::Timestamp(DateForm::Number(NumberForm::Ascii))),
        },
        'a' => attribute(modifier),
        'h' => headers(modifier),
        _ => Err(String::from("unknown; there are %t %k %v %h %T %K %V %H %p %o %e %d %a %x %y %i %[ %| %] and %% %{ %}")),
    }
}

fn text_form(modifier: Option<&str>) -> Result<TextForm, String> {
    modifier.map_or(Ok(TextForm::Raw), TextForm::parse)
}

fn number_form(modifier: Option<&str>) -> Result<NumberForm, String> {
    modifier.map_or(Ok(NumberForm::Ascii), NumberForm::parse)
}

fn attribute(modifier: Option<&str>) -> Result<Piece, String> {
    let needed = "needs to know which attribute: {compression}, {timestamp-type}, {transactional-bit} or {control-bit}";
    let modifier = modifier.ok_or(needed)?;
    let (name, form) = match modifier.split_once(';') {
        Some((name, form)) => (name, Some(NumberForm::parse(form)?)),
        None => (modifier, None),
    };
    let number = |field| Ok(Piece::Number(field, form.unwrap_or_default()));
    match name {
        "compression" => Ok(Piece::Compression(form)),
        "timestamp-type" => number(NumberField::TimestampType),
        "transactional-bit" => number(NumberField::Transactional),
        "control-bit" => number(NumberField::Control),
        _ => Err(needed.to_owned()),
    }
}

fn headers(modifier: Option<&str>) -> Result<Piece, String> {
    let inner = modifier.ok_or("needs to know how a header is written, as in %h{%k=%v }")?;
    let pieces = tokens(inner)?.into_iter().map(|token| match token {
        Token::Literal(bytes) => Ok(HeaderPiece::Literal(bytes)),
        Token::Verb { name, modifier } => match name {
            'k' => text_form(modifier.as_deref()).map(HeaderPiece::Key),
            'v' => text_form(modifier.as_deref()).map(HeaderPiece::Value),
            'K' => number_form(modifier.as_deref()).map(HeaderPiece::KeyLength),
            'V' => number_form(modifier.as_deref()).map(HeaderPiece::ValueLength),
            other => Err(format!("a header has %k, %v, %K and %V, not %{other}")),
        },
    });
    Ok(Piece::Headers(pieces.collect::<Result<_, _>>()?))
}

fn print_header(pieces: &[HeaderPiece], header: &Header, out: &mut Vec<u8>) {
    let value = header.value.as_deref().unwrap_or_default();
    for piece in pieces {
        match piece {
            HeaderPiece::Literal(bytes) => out.extend_from_slice(bytes),
            HeaderPiece::Key(form) => form.write(header.key.as_bytes(), out),
            HeaderPiece::Value(form) => form.write(value, out),
            HeaderPiece::KeyLength(form) => form.write(length(header.key.as_bytes()), out),
            HeaderPiece::ValueLength(form) => form.write(length(value), out),
        }
    }
}

impl TextField {
    fn of<'a>(self, record: &Printed<'a>) -> &'a [u8] {
        match self {
            Self::Topic => record.topic.as_bytes(),
            Self::Key => record.key.unwrap_or_default(),
            Self::Value => record.value.unwrap_or_default(),
        }
    }
}

impl NumberField {
    fn of(self, record: &Printed<'_>, iteration: u64) -> i64 {
        let bit = |place: i16| i64::from((record.attributes >> place) & 1);
        match self {
            Self::TopicLength => length(record.topic.as_bytes()),
            Self::KeyLength => length(record.key.unwrap_or_default()),
            Self::ValueLength => length(record.value.unwrap_or_default()),
            Self::HeaderCount => i64::try_from(record.headers.len()).unwrap_or(i64::MAX),
            Self::Partition => i64::from(record.partition),
            Self::Offset => record.offset,
            Self::LeaderEpoch => i64::from(record.leader_epoch),
            Self::ProducerId => record.producer_id,
            Self::ProducerEpoch => i64::from(record.producer_epoch),
            Self::LogStartOffset => record.log_start_offset,
            Self::LastStableOffset => record.last_stable_offset,
            Self::HighWatermark => record.high_watermark,
            Self::Iteration => i64::try_from(iteration).unwrap_or(i64::MAX),
            Self::TimestampType => bit(3),
            Self::Transactional => bit(4),
            Self::Control => bit(5),
        }
    }
}

fn length(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).unwrap_or(i64::MAX)
}

/// The codec that a batch's attributes name.
fn codec_name(attributes: i16) -> &'static str {
    match attributes & 7 {
        0 => "none",
        1 => "gzip",
        2 => "snappy",
        3 => "lz4",
        4 => "zstd",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(template: &str) -> String {
        let headers = [Header::new("a", "1"), Header { key: String::from("bb"), value: None }];
        let record = Printed {
            topic: "foo",
            key: Some(b"key"),
            value: Some(b"value"),
            headers: &headers,
            partition: 3,
            offset: 47,
            leader_epoch: 5,
            timestamp_ms: 1_644_796_800_000,
            attributes: 0x1c,
            producer_id: 9,
            producer_epoch: 2,
            log_start_offset: 40,
            last_stable_offset: 48,
            high_watermark: 50,
        };
        let mut out = Vec::new();
        Printer::parse(template).unwrap_or_else(|problem| panic!("{problem}")).print(&record, 7, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_verb() {
        assert_eq!(printed("%t %k %v %p %o %e %x %y\\n"), "foo key value 3 47 5 9 2\n");
        assert_eq!(printed("%T %K %V %H %i"), "3 3 5 2 7");
        assert_eq!(printed("%[ %| %] %% %{%}"), "40 48 50 % {}");
        assert_eq!(printed("%d %d{strftime[%F]} %d{go[2006]}"), "1644796800000 2022-02-14 2022");
        assert_eq!(printed("%h{<%k=%v> }%h{%K{big8}}"), "<a=1> <bb=> \x01\x02");
        assert_eq!(printed("%a{compression} %a{compression;number} %a{compression;hex8}"), "zstd 4 04");
        assert_eq!(printed("%a{timestamp-type} %a{transactional-bit;bool} %a{control-bit}"), "1 true 0");
    }

    #[test]
    fn lengths_are_those_of_the_raw_bytes() {
        assert_eq!(printed("%T %t{hex}"), "3 666f6f");
        assert_eq!(printed("%K{hex32}%k{base64}"), "00000003a2V5");
    }

    #[test]
    fn a_wrong_template_is_refused_by_name() {
        for wrong in ["%q", "%v{rot13}", "%a", "%a{colour}", "%h", "%h{%o}", "%o{hex}", "%d{strftime[%Q]}"] {
            assert!(Printer::parse(wrong).expect_err(wrong).contains('%'), "{wrong}");
        }
    }
}
