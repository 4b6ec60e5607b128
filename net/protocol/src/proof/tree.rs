//! A message as names and leaves, whoever printed it.
//!
//! Made from what `#[derive(Debug)]` prints and from the JSON of Kafka's converters. Leaves are brought to one form: strings
//! as they are, bytes and UUIDs in hexadecimal, error codes and other numbers in decimal.

use std::borrow::ToOwned;
use std::format;
use std::iter::Peekable;
use std::str::Chars;
use std::string::{String, ToString};
use std::vec::Vec;

use crate::ErrorCode;

/// A message or a part of one.
#[derive(Debug, PartialEq)]
pub(super) enum Tree {
    Null,
    Leaf(String),
    List(Vec<Self>),
    Struct(Vec<(String, Self)>),
}

impl Tree {
    /// From what `{:?}` prints. `Some(…)` and tuple structs are looked through.
    pub(super) fn from_debug(printed: &str) -> Self {
        let mut characters = printed.chars().peekable();
        let tree = debug_value(&mut characters, "");
        assert_eq!(characters.next(), None, "everything printed is understood");
        tree
    }

    /// From Kafka's JSON.
    pub(super) fn from_json(json: &serde_json::Value) -> Self {
        json_value(json, "")
    }

    /// The same, but for fields of these names.
    pub(super) fn without(self, names: &[&str]) -> Self {
        match self {
            Self::List(elements) => Self::List(elements.into_iter().map(|element| element.without(names)).collect()),
            Self::Struct(fields) => Self::Struct(
                fields
                    .into_iter()
                    .filter(|(name, _)| !names.contains(&name.as_str()))
                    .map(|(name, value)| (name, value.without(names)))
                    .collect(),
            ),
            leaf => leaf,
        }
    }

    /// The fields of a struct.
    pub(super) fn fields(&self) -> &[(String, Self)] {
        match self {
            Self::Struct(fields) => fields,
            _ => &[],
        }
    }
}

/// Panics where `expected` names anything that `actual` has otherwise. What only `actual` has is not looked at.
pub(super) fn assert_contains(actual: &Tree, expected: &Tree, path: &str) {
    match (actual, expected) {
        (Tree::Struct(_), Tree::Struct(fields)) => {
            for (name, value) in fields {
                let found = actual.fields().iter().find(|(mine, _)| mine == name);
                let (_, found) = found.unwrap_or_else(|| panic!("{path} has no field {name}"));
                assert_contains(found, value, &format!("{path}.{name}"));
            }
        }
        (Tree::List(mine), Tree::List(theirs)) => {
            assert_eq!(mine.len(), theirs.len(), "elements of {path}");
            for (at, (mine, theirs)) in mine.iter().zip(theirs).enumerate() {
                assert_contains(mine, theirs, &format!("{path}[{at}]"));
            }
        }
        _ => assert_eq!(actual, expected, "{path}"),
    }
}

fn debug_value(characters: &mut Peekable<Chars<'_>>, field: &str) -> Tree {
    match characters.peek() {
        Some('"') => Tree::Leaf(String::from_utf8(quoted(characters)).unwrap()),
        Some('[') => {
            characters.next();
            Tree::List(sequence(characters, ']', |characters| debug_value(characters, field)))
        }
        Some('{') => {
            // A map: only the unknown tagged fields of kafka-protocol, which must be empty.
            characters.next();
            assert_eq!(characters.next(), Some('}'), "an unknown tagged field");
            Tree::Null
        }
        _ => debug_word(characters, field),
    }
}

/// A number, a variant, a struct, or something that wraps a value.
fn debug_word(characters: &mut Peekable<Chars<'_>>, field: &str) -> Tree {
    let mut word = String::new();
    while let Some(next) = characters.next_if(|next| next.is_alphanumeric() || matches!(next, '_' | '-')) {
        word.push(next);
    }
    match characters.peek().copied() {
        Some('"') if word == "b" => Tree::Leaf(hexadecimal(&quoted(characters))),
        Some('(') => {
            characters.next();
            let inner = debug_value(characters, field);
            assert_eq!(characters.next(), Some(')'));
            inner
        }
        Some(' ') if characters.clone().nth(1) == Some('{') => {
            characters.nth(1);
            Tree::Struct(sequence(characters, '}', debug_field))
        }
        _ => debug_leaf(word, field),
    }
}

fn debug_leaf(word: String, field: &str) -> Tree {
    if let Some(code) = ErrorCode::ALL.iter().find(|code| is_error_code(field) && format!("{code:?}") == word) {
        return Tree::Leaf(code.code().to_string());
    }
    if word == "None" { Tree::Null } else { Tree::Leaf(word) }
}

fn debug_field(characters: &mut Peekable<Chars<'_>>) -> (String, Tree) {
    let mut name = String::new();
    while let Some(next) = characters.next_if(|next| *next != ':') {
        name.push(next);
    }
    assert_eq!((characters.next(), characters.next()), (Some(':'), Some(' ')));
    let value = debug_value(characters, &name);
    (name, value)
}

/// What stands between an opening bracket, already taken, and `close`.
fn sequence<T>(
    characters: &mut Peekable<Chars<'_>>,
    close: char,
    mut element: impl FnMut(&mut Peekable<Chars<'_>>) -> T,
) -> Vec<T> {
    let mut elements = Vec::new();
    loop {
        while characters.next_if(|next| matches!(next, ' ' | ',')).is_some() {}
        if characters.next_if_eq(&close).is_some() {
            return elements;
        }
        elements.push(element(characters));
    }
}

/// The bytes of a quoted string or byte string.
fn quoted(characters: &mut Peekable<Chars<'_>>) -> Vec<u8> {
    assert_eq!(characters.next(), Some('"'));
    let mut bytes = Vec::new();
    loop {
        match characters.next().expect("the quote ends") {
            '"' => return bytes,
            '\\' => match characters.next().expect("an escape has a letter") {
                'n' => bytes.push(b'\n'),
                'r' => bytes.push(b'\r'),
                't' => bytes.push(b'\t'),
                '0' => bytes.push(0),
                'x' => {
                    let digits: String = characters.take(2).collect();
                    bytes.push(u8::from_str_radix(&digits, 16).unwrap());
                }
                other => bytes.extend(other.to_string().as_bytes()),
            },
            other => bytes.extend(other.to_string().as_bytes()),
        }
    }
}

fn json_value(json: &serde_json::Value, field: &str) -> Tree {
    match json {
        serde_json::Value::Null => Tree::Null,
        serde_json::Value::String(text) if field == "topic_id" || field == "replica_directory_id" => Tree::Leaf(uuid(text)),
        serde_json::Value::String(text) => Tree::Leaf(text.to_owned()),
        serde_json::Value::Bool(value) => Tree::Leaf(value.to_string()),
        serde_json::Value::Number(number) => Tree::Leaf(number.to_string()),
        serde_json::Value::Array(elements) => Tree::List(elements.iter().map(|element| json_value(element, field)).collect()),
        serde_json::Value::Object(fields) => Tree::Struct(
            // Kafka prints only the size of records; the frames are compared byte by byte besides.
            fields
                .iter()
                .filter(|(name, _)| *name != "recordsSizeInBytes")
                .map(|(name, value)| {
                    let name = snake_case(name);
                    let value = json_value(value, &name);
                    (name, value)
                })
                .collect(),
        ),
    }
}

fn is_error_code(field: &str) -> bool {
    field.ends_with("error_code")
}

fn snake_case(name: &str) -> String {
    name.chars().fold(String::new(), |mut snake, letter| {
        if letter.is_uppercase() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
        snake
    })
}

fn uuid(text: &str) -> String {
    let mut groups = hexadecimal(&base64(text));
    for at in [20, 16, 12, 8] {
        groups.insert(at, '-');
    }
    groups
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Both alphabets of base64, padded or not.
fn base64(text: &str) -> Vec<u8> {
    let (mut bits, mut count, mut bytes) = (0u32, 0, Vec::new());
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let six = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => panic!("{letter} is not base64"),
        };
        bits = (bits << 6) | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}
