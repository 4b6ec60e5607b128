//! The configuration file: TOML whose keys are the settings' names.
//!
//! `log.retention.ms = 1000`, `"log.retention.ms" = 1000` and `[log.retention]` followed by `ms = 1000` mean the same. A value
//! has the type of its setting; a list may be written as an array or as text with commas.

use super::given::Given;
use super::origin::{Fault, Origin};
use flumen_controller::configs::{ConfigType, broker};
use std::ops::Range;
use std::path::Path;
use toml_edit::{Document, Item, Key, TableLike, Value};

/// Takes every setting of a file's text.
pub(super) fn read(path: &Path, text: &str, given: &mut Given) {
    let place = Place { path, text };
    match Document::parse(text) {
        Ok(document) => table(&place, "", document.as_table(), given),
        Err(error) => {
            let message = error.message().trim_end().trim_end_matches('.');
            let advice = advice(&place, message, error.span());
            given.faults.push(Fault::new(&place.origin(error.span()), format!("not valid TOML: {message}{advice}.")));
        }
    }
}

/// What to do about it, where that can be told.
fn advice(place: &Place<'_>, message: &str, span: Option<Range<usize>>) -> String {
    let before = place.before(span);
    let line_start = line_start(before);
    let line = place.text[line_start..].lines().next().unwrap_or_default();
    let name = |line: &str| line.split('=').next().unwrap_or_default().trim().replace('"', "");
    let wanted = name(line);
    let earlier = || before[..line_start].lines().filter(|line| line.contains('=')).map(name);
    if earlier().any(|other| other == wanted) {
        return format!(": {wanted} is set before, too; keep one of them");
    }
    let nested = |other: &str| wanted.starts_with(&format!("{other}.")) || other.starts_with(&format!("{wanted}."));
    match earlier().find(|other| nested(other)) {
        Some(other) => format!(": {other} is a setting, too; put the longer name in quotes"),
        None if message.contains("duplicate key") => ": it is set before, too; keep one of them".to_owned(),
        None if message.contains("integer") => ": a number has at most 64 bits".to_owned(),
        None => String::new(),
    }
}

/// Where the line begins that a text ends in.
fn line_start(text: &str) -> usize {
    text.rfind('\n').map_or(0, |end| end + 1)
}

/// A file, to tell places in it.
struct Place<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Place<'_> {
    /// What stands before it.
    fn before(&self, span: Option<Range<usize>>) -> &str {
        let until = span.map_or(0, |span| span.start).min(self.text.len());
        self.text.get(..until).unwrap_or_default()
    }

    fn origin(&self, span: Option<Range<usize>>) -> Origin {
        let before = self.before(span);
        let line_start = line_start(before);
        Origin::File {
            path: self.path.into(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

fn table(place: &Place<'_>, prefix: &str, table: &dyn TableLike, given: &mut Given) {
    for (part, _) in table.iter() {
        if let Some((key, item)) = table.get_key_value(part) {
            let name = if prefix.is_empty() { part.to_owned() } else { format!("{prefix}.{part}") };
            setting(place, &name, key, item, given);
        }
    }
}

fn setting(place: &Place<'_>, name: &str, key: &Key, item: &Item, given: &mut Given) {
    if let Some(inner) = item.as_table_like() {
        table(place, name, inner, given);
        return;
    }
    let key_origin = place.origin(key.span());
    let Some(value) = item.as_value() else {
        given.fault(&key_origin, format!("{name} cannot be an array of tables"));
        return;
    };
    // A name nobody knows is said at the name, a bad value at the value.
    let Some(definition) = broker::lookup(name) else {
        given.set(name, "", key_origin);
        return;
    };
    let origin = place.origin(value.span());
    match text_of(definition.kind, value) {
        Some(text) => given.set(name, &text, origin),
        None => {
            let problem = format!("{name} must be {}, this is {}", expected(definition.kind), found(value));
            given.fault(&origin, problem);
        }
    }
}

/// The value as a setting's text, if it has the setting's type.
fn text_of(kind: ConfigType, value: &Value) -> Option<String> {
    match (kind, value) {
        (ConfigType::Boolean, Value::Boolean(value)) => Some(value.value().to_string()),
        (ConfigType::Int | ConfigType::Short | ConfigType::Long | ConfigType::Double, Value::Integer(value)) => {
            Some(value.value().to_string())
        }
        (ConfigType::Double, Value::Float(value)) => Some(value.value().to_string()),
        (ConfigType::String | ConfigType::Class | ConfigType::Password | ConfigType::List, Value::String(value)) => {
            Some(value.value().clone())
        }
        (ConfigType::List, Value::Array(elements)) => {
            let texts: Option<Vec<&str>> = elements.iter().map(Value::as_str).collect();
            texts.map(|texts| texts.join(","))
        }
        _ => None,
    }
}

const fn expected(kind: ConfigType) -> &'static str {
    match kind {
        ConfigType::Boolean => "true or false",
        ConfigType::Int | ConfigType::Short | ConfigType::Long => "a whole number",
        ConfigType::Double => "a number",
        ConfigType::List => "an array of texts in quotes, or one text with commas",
        ConfigType::String | ConfigType::Class | ConfigType::Password => "a text in quotes",
    }
}

const fn found(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "an array",
        Value::InlineTable(_) => "a table",
    }
}
