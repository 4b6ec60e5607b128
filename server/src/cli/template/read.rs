//! Templates by which records are read: `%v\n` by default, `%k %v\n`, `%K{big16}%k%V{big32}%v`.
//!
//! A text ends where its size says, which must come before it, or else where the literal behind it begins. What a template
//! says is checked here, before anything is read; [`super::reader`] follows it.

use super::number::NumberForm;
use super::text::TextForm;
use super::{Token, tokens};

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
    pub(super) pieces: Vec<Piece>,
    pub(super) ends_in_line_break: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Piece {
    Literal(Vec<u8>),
    Size(Field, NumberForm),
    Text { field: Field, form: Form, end: End },
    Number(Numeric, NumberForm, End),
    Headers(Vec<Self>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Field {
    Topic,
    Key,
    Value,
    HeaderCount,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Numeric {
    Partition,
    Timestamp,
    /// Offsets, epochs and the like, which only a broker gives.
    Ignored,
}

#[derive(Clone, Debug)]
pub(super) enum Form {
    Encoded(TextForm),
    Json,
}

/// How a piece ends.
#[derive(Clone, Debug)]
pub(super) enum End {
    Sized,
    Before(Vec<u8>),
    WithInput,
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

    /// Whether records name their topic.
    #[must_use]
    pub fn names_topic(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Text { field: Field::Topic, .. }))
    }

    /// Whether a record's text ends only with the input: then there is only one record.
    pub(super) fn takes_all(&self) -> bool {
        matches!(self.pieces.last(), Some(Piece::Text { end: End::WithInput, .. } | Piece::Number(_, _, End::WithInput)))
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
            None => Some(End::WithInput),
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
            if pieces.iter().any(|piece| matches!(piece, Piece::Text { end: End::WithInput, .. })) {
                return Err(String::from("its last part needs a size before it or a delimiter behind it"));
            }
            if !pieces.iter().all(header_piece) {
                return Err(String::from("a header has %k, %v, %K and %V"));
            }
            if !sized.contains(&Field::HeaderCount) {
                return Err(String::from("how many headers there are must come before, as %H"));
            }
            Ok(Piece::Headers(pieces))
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
        Piece::Number(..) | Piece::Headers(_) => false,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_must_have_an_end() {
        for wrong in ["", "no verb", "%k%v", "%k%v\\n", "%V%v", "%h{%k=%v}", "%h", "%q\\n", "%v{unpack[i]}", "%H %h{%k}"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
        for right in ["%v\\n", "%k %v\\n", "%v", "%V{4}%v", "%V %v", "%p %v\\n", "%v{json}", "%H{1}%h{%K{1}%k%V{1}%v}%v\\n"] {
            assert!(Template::parse(right).is_ok(), "{right}: {:?}", Template::parse(right));
        }
        assert!(Template::parse("%t %v\\n").is_ok_and(|template| template.names_topic()));
    }
}
