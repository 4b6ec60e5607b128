//! Record templates: `%k %v\n`, as the printing and the reading side share them.
//!
//! A template is literals and verbs; a verb is a percent sign, a letter and, in braces, how it is written:
//! `%v{hex}`, `%d{strftime[%F]}`, `%h{%k=%v }`. Backslashes escape `\t \n \r \\ \xNN`; `%% %{ %}` stand for
//! themselves. What a verb means is up to [`print`] and [`read`].

pub mod date;
pub mod number;
pub mod print;
pub mod read;
pub mod reader;
pub mod text;
pub mod unpack;

/// A piece of a template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Token {
    /// Bytes that stand for themselves.
    Literal(Vec<u8>),
    /// A percent escape.
    Verb {
        /// Its letter or sign.
        name: char,
        /// What stands in its braces.
        modifier: Option<String>,
    },
}

/// Splits a template into its pieces; neighbouring literals are one.
pub fn tokens(template: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut literal = Vec::new();
    let mut rest = template;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        match character {
            '\\' => literal.push(escaped(&mut rest)?),
            '%' => {
                let name = rest.chars().next().ok_or("the template ends in a single %; a percent sign is %%")?;
                rest = &rest[name.len_utf8()..];
                if matches!(name, '%' | '{' | '}') {
                    literal.push(u8::try_from(name).expect("one of three ASCII signs"));
                    continue;
                }
                if !literal.is_empty() {
                    found.push(Token::Literal(std::mem::take(&mut literal)));
                }
                let modifier = braces(&mut rest).map_err(|problem| format!("%{name}: {problem}"))?;
                found.push(Token::Verb { name, modifier });
            }
            other => literal.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    if !literal.is_empty() {
        found.push(Token::Literal(literal));
    }
    Ok(found)
}

fn escaped(rest: &mut &str) -> Result<u8, String> {
    let letter = rest.chars().next().ok_or("the template ends in a single backslash; a backslash is \\\\")?;
    *rest = &rest[letter.len_utf8()..];
    match letter {
        't' => Ok(b'\t'),
        'n' => Ok(b'\n'),
        'r' => Ok(b'\r'),
        '\\' => Ok(b'\\'),
        'x' => {
            let digits = rest.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
            let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            let byte = byte.ok_or_else(|| String::from("\\x needs two hexadecimal digits behind it, as in \\x00"))?;
            *rest = &rest[2..];
            Ok(byte)
        }
        other => Err(format!("unknown escape \\{other}: there are \\t \\n \\r \\\\ and \\xNN")),
    }
}

/// What stands in the braces that may follow a verb; inner braces pair up, escaped ones do not count.
fn braces(rest: &mut &str) -> Result<Option<String>, String> {
    let Some(inside) = rest.strip_prefix('{') else { return Ok(None) };
    let mut depth = 1;
    let mut previous = None;
    for (at, character) in inside.char_indices() {
        let escaped = previous == Some('%');
        match character {
            '{' if !escaped => depth += 1,
            '}' if !escaped => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let found = inside[..at].to_owned();
            *rest = &inside[at + 1..];
            return Ok(Some(found));
        }
        // "%%{" is a percent sign before an opening brace.
        previous = if escaped { None } else { Some(character) };
    }
    Err(String::from("its brace is never closed"))
}

/// What stands between the delimiters of `strftime[%F]`: any run of opening brackets, or of `#` or other signs, that the
/// end repeats.
fn delimited<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let wrapped = text.strip_prefix(name)?;
    let opening = wrapped.chars().next()?;
    let closing = match opening {
        '[' => ']',
        '(' => ')',
        '{' => '}',
        '<' => '>',
        sign if sign.is_ascii_punctuation() => sign,
        _ => return None,
    };
    let width = wrapped.chars().take_while(|character| *character == opening).count();
    // "##" alone is one sign on each side around nothing.
    let width = if wrapped.len() < 2 * width { wrapped.len() / 2 } else { width };
    let inside = wrapped.get(width..wrapped.len().checked_sub(width)?)?;
    let end = &wrapped[width + inside.len()..];
    (width > 0 && end.chars().all(|character| character == closing)).then_some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verb(name: char, modifier: Option<&str>) -> Token {
        Token::Verb { name, modifier: modifier.map(str::to_owned) }
    }

    fn literal(bytes: &[u8]) -> Token {
        Token::Literal(bytes.to_vec())
    }

    #[test]
    fn splits_literals_and_verbs() {
        assert_eq!(tokens("%k %v\\n").unwrap(), [verb('k', None), literal(b" "), verb('v', None), literal(b"\n")]);
        assert_eq!(
            tokens("a%%\\x41%{%}\\\\\\t%T{big32}é").unwrap(),
            [literal(b"a%A{}\\\t"), verb('T', Some("big32")), literal("é".as_bytes())]
        );
        assert_eq!(tokens("%h{%k=%v{hex} %{%}}.").unwrap(), [verb('h', Some("%k=%v{hex} %{%}")), literal(b".")]);
        assert_eq!(tokens("%[%|%]").unwrap(), [verb('[', None), verb('|', None), verb(']', None)]);
    }

    #[test]
    fn refuses_what_is_cut_short() {
        for wrong in ["%", "\\", "\\x4", "\\q", "%v{hex", "%h{%k{}", "\\xé"] {
            assert!(tokens(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn delimiters_come_in_pairs() {
        assert_eq!(delimited("strftime[%F]", "strftime"), Some("%F"));
        assert_eq!(delimited("go[[15:04]]", "go"), Some("15:04"));
        assert_eq!(delimited("strftime###[%F]###", "strftime"), Some("[%F]"));
        assert_eq!(delimited("unpack(<i)", "unpack"), Some("<i"));
        assert_eq!(delimited("go[15", "go"), None);
        assert_eq!(delimited("go", "go"), None);
        assert_eq!(delimited("strftimeabc", "strftime"), None);
    }
}
