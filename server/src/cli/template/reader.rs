//! Records read from a stream, by a template.
//!
//! Each time the template is through, a record is complete. Input may end only between two records, or in place of the
//! template's last line break.
//!
//! Invariant: no more than one record and a chunk of input is held at a time, and a record is at most [`RECORD_MAX`].

use std::io::{self, Read};
use std::sync::Arc;

use super::number::NumberForm;
use super::read::{End, Field, Form, Input, Numeric, Piece, Template};
use super::text::TextForm;

/// The largest piece of input that may pass without a piece of the template ending in it.
const RECORD_MAX: usize = 128 << 20;
const CHUNK: usize = 64 << 10;

/// Reads records from a stream by a template.
pub struct RecordReader<R> {
    source: R,
    template: Arc<Template>,
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
        Self { source, template: Arc::new(template), buffer: Vec::new(), position: 0, ended: false, records: 0 }
    }

    /// Whether some of the input was taken in and not yet given out.
    #[must_use]
    pub fn has_buffered(&self) -> bool {
        self.position < self.buffer.len()
    }

    /// The next record, or `None` at the end of input.
    pub fn next_record(&mut self) -> io::Result<Option<Input>> {
        if !self.fill(1)? && (self.records > 0 || !self.template.takes_all()) {
            return Ok(None);
        }
        let template = Arc::clone(&self.template);
        let mut input = Input::default();
        self.record(&template, &mut input)?;
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
                Piece::Headers(pieces) => {
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
                Piece::Number(..) | Piece::Headers(_) => {}
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
            (None, _) => self.until(&End::WithInput, false)?,
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
            End::WithInput | End::Sized | End::Itself => &[],
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
#[path = "reader_tests.rs"]
mod tests;
