//! `%v{unpack[>iI$]}`: numbers packed into bytes, written as digits.
//!
//! `<` and `>` set the byte order (big at first); `b B h H i I q Q` are signed and unsigned numbers of 1, 2, 4 and 8
//! bytes, `c` a byte as a character, `.` the same, `s` the rest as text, `$` the end. What does not fit is said in the output: it is
//! the data that is odd, not the command.

/// A pattern that was checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unpack(String);

impl Unpack {
    /// Checks a pattern.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        match pattern.chars().find(|letter| !"<>bBhHiIqQc.s$".contains(*letter)) {
            Some(letter) => Err(format!("unpack knows < > b B h H i I q Q c . s $, not {letter:?}")),
            None => Ok(Self(pattern.to_owned())),
        }
    }

    /// Appends what `bytes` hold.
    pub fn write(&self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        let mut little = false;
        for letter in self.0.chars() {
            let width = match letter {
                '<' | '>' => {
                    little = letter == '<';
                    continue;
                }
                's' => {
                    out.extend_from_slice(rest);
                    rest = &[];
                    continue;
                }
                '$' => {
                    if !rest.is_empty() {
                        out.extend_from_slice(format!("(unpack: {} bytes are left)", rest.len()).as_bytes());
                    }
                    return;
                }
                'b' | 'B' | 'c' | '.' => 1,
                'h' | 'H' => 2,
                'i' | 'I' => 4,
                _ => 8,
            };
            let Some((taken, left)) = rest.split_at_checked(width) else {
                let short = format!("(unpack: {letter} needs {width} bytes, {} are left)", rest.len());
                out.extend_from_slice(short.as_bytes());
                return;
            };
            rest = left;
            if matches!(letter, 'c' | '.') {
                out.extend_from_slice(taken);
            } else {
                out.extend_from_slice(digits(taken, little, letter.is_ascii_lowercase()).as_bytes());
            }
        }
    }
}

fn digits(bytes: &[u8], little: bool, signed: bool) -> String {
    let append = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
    let number = if little { bytes.iter().rev().fold(0, append) } else { bytes.iter().fold(0, append) };
    if signed {
        // The sign bit moves to the top, and back with its copies.
        let unused = 64 - 8 * bytes.len();
        ((number << unused).cast_signed() >> unused).to_string()
    } else {
        number.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(pattern: &str, bytes: &[u8]) -> String {
        let mut out = Vec::new();
        Unpack::parse(pattern).unwrap().write(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_of_every_width_sign_and_order() {
        assert_eq!(unpacked(">I", &[0, 0, 1, 2]), "258");
        assert_eq!(unpacked("<I", &[2, 1, 0, 0]), "258");
        assert_eq!(unpacked("b", &[0xff]), "-1");
        assert_eq!(unpacked("B", &[0xff]), "255");
        assert_eq!(unpacked("h", &[0xff, 0xfe]), "-2");
        assert_eq!(unpacked("q", &[0xff; 8]), "-1");
        assert_eq!(unpacked("Q", &[0xff; 8]), "18446744073709551615");
        assert_eq!(unpacked("<is$", &[1, 0, 0, 0, b'o', b'k']), "1ok");
        assert_eq!(unpacked("c.", b"ab"), "ab");
    }

    #[test]
    fn odd_data_is_said() {
        assert_eq!(unpacked("i", &[1]), "(unpack: i needs 4 bytes, 1 are left)");
        assert_eq!(unpacked("b$", &[1, 2, 3]), "1(unpack: 2 bytes are left)");
        assert!(Unpack::parse("z").is_err());
    }
}
