//! Records read by a template: `%v\n` by default, `%k %v\n`, `%K{big16}%k%V{big32}%v`.
//!
//! A text ends where its size says, which must come before it, or else where the literal behind it begins. Each time the
//! template is through, a record is complete. Input may end only between two records, or in place of the template's last
//! line break.
//!
//! Invariant: no more than one record and a chunk of input is held at a time, and a record is at most [`RECORD_MAX`].

use std::io::{self, Read};

use super::number::NumberForm;
use super::text::TextForm;
use super::{Token, tokens};

/// The largest piece of input that may pass without a piece of the template ending in it.
const RECORD_MAX: usize = 128 << 20;
const CHUNK: usize = 64 << 10;

/// A record as read; absent is what the template does not name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Input {
    /// `%t`
    pub topic: Option<String>,
    /// `%k`
    pub key: Option<Vec<u8>>,
    /// `%v`
    pub value: Option<Vec<u8>>,
    /// `%h{…}`
    pub headers: Vec<(String, Vec<u8>)>,
    /// `%p`
    pub partition: Option<i32>,
    /// `%d`, in milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
}

/// A template that was checked.
#[derive(Clone, Debug)]
pub struct Template {
    pieces: Vec<Piece>,
    ends_in_line_break: bool,
}

#[derive(Clone, Debug)]
enum Piece {
    Literal(Vec<u8>),
    Size(Field, NumberForm),
    Text { field: Field, form: Form, end: End },
    Number(Numeric, NumberForm, End),
    Headers { pieces: Vec<Piece>, sized: bool },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Field {
    Topic,
    Key,
    Value,
    HeaderCount,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Numeric {
    Partition,
    Timestamp,
    /// Offsets, epochs and the like, which only a broker gives.
    Ignored,
}

#[derive(Clone, Debug)]
enum Form {
    Encoded(TextForm),
    Json,
}

/// How a piece ends.
#[derive(Clone, Debug)]
enum End {
    Sized,
    Before(Vec<u8>),
    AtEnd,
    /// Its own form says: fixed width, or JSON.
    Itself,
}

impl Template {
    /// Checks a template.
    pub fn parse(template: &str) -> Result<Self, String> {
        let found = tokens(template)?;
        if found.is_empty() {
            return Err(String::from("the input format is empty; a line for each value is %v\\n"));
        }
        if !found.iter().any(|token| matches!(token, Token::Verb { .. })) {
            return Err(String::from("the input format names no part of a record; a line for each value is %v\\n"));
        }
        let ends_in_line_break = matches!(found.last(), Some(Token::Literal(last)) if last == b"\n");
        Ok(Self { pieces: pieces(&found)?, ends_in_line_break })
    }

    /// Whether records may name their partition.
    #[must_use]
    pub fn names_partition(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Number(Numeric::Partition, ..)))
    }

    /// Whether records name their topic.
    #[must_use]
    pub fn names_topic(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Text { field: Field::Topic, .. }))
    }

    /// Whether a record's text ends only with the input: then there is only one record.
    fn takes_all(&self) -> bool {
        matches!(self.pieces.last(), Some(Piece::Text { end: End::AtEnd, .. } | Piece::Number(_, _, End::AtEnd)))
    }
}

fn pieces(found: &[Token]) -> Result<Vec<Piece>, String> {
    let mut sized = Vec::new();
    let mut pieces = Vec::new();
    for (at, token) in found.iter().enumerate() {
        let (name, modifier) = match token {
            Token::Literal(bytes) => {
                pieces.push(Piece::Literal(bytes.clone()));
                continue;
            }
            Token::Verb { name, modifier } => (*name, modifier.as_deref()),
        };
        let end = match found.get(at + 1) {
            None => Some(End::AtEnd),
            Some(Token::Literal(bytes)) => Some(End::Before(bytes.clone())),
            Some(Token::Verb { .. }) => None,
        };
        let piece = piece(name, modifier, end, &mut sized).map_err(|problem| format!("%{name}: {problem}"))?;
        pieces.push(piece);
    }
    Ok(pieces)
}

fn piece(name: char, modifier: Option<&str>, end: Option<End>, sized: &mut Vec<Field>) -> Result<Piece, String> {
    let endless = "nothing says where it ends: put its size before it or a delimiter behind it";
    let field = match name.to_ascii_lowercase() {
        't' => Some(Field::Topic),
        'k' => Some(Field::Key),
        'v' => Some(Field::Value),
        'h' => Some(Field::HeaderCount),
        _ => None,
    };
    if let Some(field) = field.filter(|_| name.is_ascii_uppercase()) {
        sized.push(field);
        let form = number_form(modifier)?;
        if form.width().is_none() && !matches!(end, Some(End::Before(_))) {
            return Err(String::from("digits need a delimiter behind them; {big32} and the like do not"));
        }
        return Ok(Piece::Size(field, form));
    }
    match (name, field) {
        ('h', _) => {
            let inner = modifier.ok_or("needs to know how a header is written, as in %H{big16}%h{%k=%v,}")?;
            let pieces = pieces(&tokens(inner)?)?;
            if !pieces.iter().all(header_piece) {
                return Err(String::from("a header has %k, %v, %K and %V"));
            }
            if !sized.contains(&Field::HeaderCount) {
                return Err(String::from("how many headers there are must come before, as %H"));
            }
            Ok(Piece::Headers { pieces, sized: true })
        }
        (_, Some(field)) => {
            let form = match modifier {
                None => Form::Encoded(TextForm::Raw),
                Some("json") => Form::Json,
                Some(other) => match TextForm::parse(other)? {
                    TextForm::Unpack(_) => return Err(String::from("unpack is for output")),
                    form => Form::Encoded(form),
                },
            };
            let end = if sized.contains(&field) {
                End::Sized
            } else if matches!(form, Form::Json) {
                End::Itself
            } else {
                end.ok_or(endless)?
            };
            Ok(Piece::Text { field, form, end })
        }
        ('p' | 'd' | 'o' | 'e' | 'x' | 'y', None) => {
            let numeric = match name {
                'p' => Numeric::Partition,
                'd' => Numeric::Timestamp,
                _ => Numeric::Ignored,
            };
            let form = number_form(modifier)?;
            let end = if form.width().is_some() { End::Itself } else { end.ok_or(endless)? };
            Ok(Piece::Number(numeric, form, end))
        }
        _ => Err(String::from("unknown in an input format; there are %t %k %v %h %T %K %V %H %p %d")),
    }
}

fn header_piece(piece: &Piece) -> bool {
    match piece {
        Piece::Literal(_) => true,
        Piece::Size(field, _) | Piece::Text { field, .. } => matches!(field, Field::Key | Field::Value),
        Piece::Number(..) | Piece::Headers { .. } => false,
    }
}

/// A number's form; a bare count is that many bytes, as in `%K{4}`.
fn number_form(modifier: Option<&str>) -> Result<NumberForm, String> {
    match modifier {
        None => Ok(NumberForm::Ascii),
        Some("1") => Ok(NumberForm::Big(1)),
        Some("2") => Ok(NumberForm::Big(2)),
        Some("4") => Ok(NumberForm::Big(4)),
        Some("8") => Ok(NumberForm::Big(8)),
        Some(other) => NumberForm::parse(other),
    }
}

/// Reads records from a stream by a template.
pub struct RecordReader<R> {
    source: R,
    template: Template,
    buffer: Vec<u8>,
    position: usize,
    ended: bool,
    records: u64,
}

/// Sizes that were read and wait for their text.
#[derive(Default)]
struct Sizes {
    topic: usize,
    key: usize,
    value: usize,
    headers: usize,
}

impl<R: Read> RecordReader<R> {
    /// Reads `source` by `template`.
    pub fn new(source: R, template: Template) -> Self {
        Self { source, template, buffer: Vec::new(), position: 0, ended: false, records: 0 }
    }

    /// The next record, or `None` at the end of input.
    pub fn next_record(&mut self) -> io::Result<Option<Input>> {
        if !self.fill(1)? && !(self.records == 0 && self.template.takes_all()) {
            return Ok(None);
        }
        let template = std::mem::replace(&mut self.template, Template { pieces: Vec::new(), ends_in_line_break: false });
        let mut input = Input::default();
        let outcome = self.record(&template, &mut input);
        self.template = template;
        outcome?;
        self.records += 1;
        Ok(Some(input))
    }

    fn record(&mut self, template: &Template, input: &mut Input) -> io::Result<()> {
        let mut sizes = Sizes::default();
        let last = template.pieces.len() - 1;
        for (at, piece) in template.pieces.iter().enumerate() {
            // The last line of a file may lack its break.
            let optional = at + 1 >= last && template.ends_in_line_break;
            match piece {
                Piece::Literal(bytes) => self.literal(bytes, optional && at == last)?,
                Piece::Size(field, form) => *sizes.of(*field) = self.size(*form, template.pieces.get(at + 1))?,
                Piece::Number(numeric, form, end) => {
                    let bytes = match form.width() {
                        Some(width) => self.exactly(width)?,
                        None => self.until(end, optional)?,
                    };
                    let number = form.read(&bytes).ok_or_else(|| self.wrong(&format!("{:?} is no number", lossy(&bytes))))?;
                    match numeric {
                        Numeric::Partition => {
                            let partition = i32::try_from(number);
                            input.partition = Some(partition.map_err(|_| self.wrong("a partition is too large"))?);
                        }
                        Numeric::Timestamp => input.timestamp_ms = Some(number),
                        Numeric::Ignored => {}
                    }
                }
                Piece::Text { field, form, end } => {
                    let text = self.text(form, end, *sizes.of(*field), optional)?;
                    match field {
                        Field::Topic => {
                            let topic = String::from_utf8(text);
                            input.topic = Some(topic.map_err(|_| self.wrong("a topic's name is not UTF-8"))?);
                        }
                        Field::Key => input.key = Some(text),
                        Field::Value | Field::HeaderCount => input.value = Some(text),
                    }
                }
                Piece::Headers { pieces, .. } => {
                    for _ in 0..sizes.headers {
                        let header = self.header(pieces)?;
                        input.headers.push(header);
                    }
                }
            }
        }
        Ok(())
    }

    fn header(&mut self, pieces: &[Piece]) -> io::Result<(String, Vec<u8>)> {
        let mut sizes = Sizes::default();
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for (at, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Literal(bytes) => self.literal(bytes, false)?,
                Piece::Size(field, form) => *sizes.of(*field) = self.size(*form, pieces.get(at + 1))?,
                Piece::Text { field, form, end } => {
                    let text = self.text(form, end, *sizes.of(*field), false)?;
                    *(if *field == Field::Key { &mut key } else { &mut value }) = text;
                }
                Piece::Number(..) | Piece::Headers { .. } => {}
            }
        }
        let key = String::from_utf8(key).map_err(|_| self.wrong("a header's name is not UTF-8"))?;
        Ok((key, value))
    }

    fn text(&mut self, form: &Form, end: &End, size: usize, optional: bool) -> io::Result<Vec<u8>> {
        let bytes = match (end, form) {
            (End::Sized, _) => self.exactly(size)?,
            (End::Itself, Form::Json) => self.json()?,
            _ => self.until(end, optional)?,
        };
        match form {
            Form::Encoded(TextForm::Raw) | Form::Json => Ok(bytes),
            Form::Encoded(encoding) => encoding.read(&bytes).map_err(|problem| self.wrong(&problem)),
        }
    }

    fn size(&mut self, form: NumberForm, next: Option<&Piece>) -> io::Result<usize> {
        let bytes = match (form.width(), next) {
            (Some(width), _) => self.exactly(width)?,
            (None, Some(Piece::Literal(end))) => self.until(&End::Before(end.clone()), false)?,
            (None, _) => self.until(&End::AtEnd, false)?,
        };
        let size = form.read(&bytes).and_then(|size| usize::try_from(size).ok());
        let size = size.ok_or_else(|| self.wrong(&format!("{:?} is no size", lossy(&bytes))))?;
        if size > RECORD_MAX {
            return Err(self.wrong(&format!("a size of {size} bytes; at most {RECORD_MAX} are taken")));
        }
        Ok(size)
    }

    fn literal(&mut self, expected: &[u8], optional: bool) -> io::Result<()> {
        let whole = self.fill(expected.len())?;
        let found = &self.buffer[self.position..];
        if !whole {
            if optional && found.is_empty() {
                return Ok(());
            }
            return Err(self.wrong(&format!("the input ends where {:?} should be", lossy(expected))));
        }
        if !found.starts_with(expected) {
            let seen = lossy(&found[..expected.len()]);
            return Err(self.wrong(&format!("{:?} should be where {seen:?} is", lossy(expected))));
        }
        self.position += expected.len();
        Ok(())
    }

    fn exactly(&mut self, size: usize) -> io::Result<Vec<u8>> {
        if !self.fill(size)? {
            let left = self.buffer.len() - self.position;
            return Err(self.wrong(&format!("the input ends {left} bytes into a piece of {size}")));
        }
        let taken = self.buffer[self.position..self.position + size].to_vec();
        self.position += size;
        Ok(taken)
    }

    /// What stands before the delimiter, which stays.
    fn until(&mut self, end: &End, optional: bool) -> io::Result<Vec<u8>> {
        let delimiter = match end {
            End::Before(delimiter) => delimiter.as_slice(),
            End::AtEnd | End::Sized | End::Itself => &[],
        };
        let mut searched = 0;
        loop {
            let window = &self.buffer[self.position..];
            let found = match delimiter {
                [] => None,
                [byte] => window[searched..].iter().position(|candidate| candidate == byte).map(|at| searched + at),
                _ => {
                    let mut windows = window[searched..].windows(delimiter.len());
                    windows.position(|candidate| candidate == delimiter).map(|at| searched + at)
                }
            };
            if let Some(at) = found {
                let text = window[..at].to_vec();
                self.position += at;
                return Ok(text);
            }
            let held = window.len();
            // A delimiter may be cut in two by the end of what is here.
            searched = (held + 1).saturating_sub(delimiter.len().max(1));
            if !self.fill(held + 1)? {
                if delimiter.is_empty() || optional {
                    let text = self.buffer[self.position..].to_vec();
                    self.position = self.buffer.len();
                    return Ok(text);
                }
                return Err(self.wrong(&format!("the input ends before {:?}", lossy(delimiter))));
            }
        }
    }

    /// One JSON value: nested brackets outside strings, or up to what cannot belong to a word or number.
    fn json(&mut self) -> io::Result<Vec<u8>> {
        let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
        let mut at = 0;
        loop {
            if !self.fill(at + 1)? {
                if at > 0 && depth == 0 && !in_string {
                    break;
                }
                return Err(self.wrong("the input ends inside a JSON value"));
            }
            let byte = self.buffer[self.position + at];
            if in_string {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' => escaped = true,
                    b'"' => in_string = false,
                    _ => {}
                }
                if !in_string && depth == 0 {
                    at += 1;
                    break;
                }
            } else {
                match byte {
                    b'"' => in_string = true,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' if depth > 0 => {
                        depth -= 1;
                        if depth == 0 {
                            at += 1;
                            break;
                        }
                    }
                    _ if depth == 0 && !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'+' | b'.') => break,
                    _ => {}
                }
            }
            at += 1;
        }
        let value = self.exactly(at)?;
        match serde_json::from_slice::<serde::de::IgnoredAny>(&value) {
            Ok(_) => Ok(value),
            Err(problem) => Err(self.wrong(&format!("no JSON value: {problem}"))),
        }
    }

    /// Makes at least `wanted` bytes present behind the position; says whether they are.
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        while self.buffer.len() - self.position < wanted {
            if self.ended {
                return Ok(false);
            }
            if wanted > RECORD_MAX {
                return Err(self.wrong(&format!("no end within {RECORD_MAX} bytes")));
            }
            if self.position > 0 {
                self.buffer.drain(..self.position);
                self.position = 0;
            }
            let held = self.buffer.len();
            self.buffer.resize(held + CHUNK, 0);
            let outcome = self.source.read(&mut self.buffer[held..]);
            self.buffer.truncate(held + outcome.as_ref().copied().unwrap_or(0));
            match outcome {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(problem) if problem.kind() == io::ErrorKind::Interrupted => {}
                Err(problem) => return Err(problem),
            }
        }
        Ok(true)
    }

    fn wrong(&self, problem: &str) -> io::Error {
        let number = self.records + 1;
        io::Error::new(io::ErrorKind::InvalidData, format!("record {number} does not follow the format: {problem}"))
    }
}

impl Sizes {
    fn of(&mut self, field: Field) -> &mut usize {
        match field {
            Field::Topic => &mut self.topic,
            Field::Key => &mut self.key,
            Field::Value => &mut self.value,
            Field::HeaderCount => &mut self.headers,
        }
    }
}

fn lossy(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(40)];
    String::from_utf8_lossy(shown).into_owned()
}

#[cfg(test)]
mod tests;
