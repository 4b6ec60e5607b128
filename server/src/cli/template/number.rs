//! How a number is written: digits, hexadecimal, or raw bytes of either endianness. Too large a number is truncated.

/// The ways.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum NumberForm {
    /// Decimal digits.
    #[default]
    Ascii,
    /// This many hexadecimal digits.
    Hex(usize),
    /// This many bytes, the largest first.
    Big(usize),
    /// This many bytes, the smallest first.
    Little(usize),
    /// `true` unless zero.
    Bool,
}

impl NumberForm {
    /// Reads what stands in the braces.
    pub fn parse(modifier: &str) -> Result<Self, String> {
        Ok(match modifier {
            "ascii" | "number" => Self::Ascii,
            "hex64" => Self::Hex(16),
            "hex32" => Self::Hex(8),
            "hex16" => Self::Hex(4),
            "hex8" => Self::Hex(2),
            "hex4" => Self::Hex(1),
            "big64" => Self::Big(8),
            "big32" => Self::Big(4),
            "big16" => Self::Big(2),
            "byte" | "big8" | "little8" => Self::Big(1),
            "little64" => Self::Little(8),
            "little32" => Self::Little(4),
            "little16" => Self::Little(2),
            "bool" => Self::Bool,
            other => {
                return Err(format!(
                    "{other:?} is no way to write a number: there are ascii, hex64/32/16/8/4, big64/32/16/8, \
                     little64/32/16/8, byte and bool"
                ));
            }
        })
    }

    /// Appends `number`.
    pub fn write(self, number: i64, out: &mut Vec<u8>) {
        match self {
            Self::Ascii => out.extend_from_slice(number.to_string().as_bytes()),
            Self::Hex(digits) => {
                let all = format!("{number:016x}");
                out.extend_from_slice(&all.as_bytes()[16 - digits..]);
            }
            Self::Big(width) => out.extend_from_slice(&number.to_be_bytes()[8 - width..]),
            Self::Little(width) => out.extend_from_slice(&number.to_le_bytes()[..width]),
            Self::Bool => out.extend_from_slice(if number == 0 { b"false" } else { b"true" }),
        }
    }

    /// How many bytes hold the number, where that is fixed.
    #[must_use]
    pub fn width(self) -> Option<usize> {
        match self {
            Self::Hex(width) | Self::Big(width) | Self::Little(width) => Some(width),
            Self::Ascii | Self::Bool => None,
        }
    }

    /// The number written in `bytes`; unsigned where the form is a fixed number of bytes under eight.
    #[must_use]
    pub fn read(self, bytes: &[u8]) -> Option<i64> {
        let raw = |bytes: &mut dyn Iterator<Item = &u8>| bytes.fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
        match self {
            Self::Ascii => std::str::from_utf8(bytes).ok()?.parse().ok(),
            Self::Hex(_) => u64::from_str_radix(std::str::from_utf8(bytes).ok()?, 16).ok().map(u64::cast_signed),
            Self::Big(_) => Some(raw(&mut bytes.iter()).cast_signed()),
            Self::Little(_) => Some(raw(&mut bytes.iter().rev()).cast_signed()),
            Self::Bool => match bytes {
                b"true" => Some(1),
                b"false" => Some(0),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(form: &str, number: i64) -> Vec<u8> {
        let mut out = Vec::new();
        NumberForm::parse(form).unwrap().write(number, &mut out);
        out
    }

    #[test]
    fn every_form() {
        assert_eq!(written("ascii", -5), b"-5");
        assert_eq!(written("hex64", 255), b"00000000000000ff");
        assert_eq!(written("hex32", 255), b"000000ff");
        assert_eq!(written("hex16", 0x1_2345), b"2345");
        assert_eq!(written("hex8", 255), b"ff");
        assert_eq!(written("hex4", 255), b"f");
        assert_eq!(written("big64", 1), [0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(written("big32", 258), [0, 0, 1, 2]);
        assert_eq!(written("big16", 256), [1, 0]);
        assert_eq!(written("byte", 256), [0]);
        assert_eq!(written("little32", 258), [2, 1, 0, 0]);
        assert_eq!(written("bool", 0), b"false");
        assert_eq!(written("bool", 7), b"true");
        assert!(NumberForm::parse("big33").is_err());
    }

    #[test]
    fn reads_what_it_wrote() {
        for form in ["ascii", "hex64", "hex32", "big64", "big32", "big16", "little64", "little16"] {
            let parsed = NumberForm::parse(form).unwrap();
            let bytes = written(form, 1234);
            assert_eq!(parsed.read(&bytes), Some(1234), "{form}");
            assert!(parsed.width().is_none_or(|width| width == bytes.len()), "{form}");
        }
        assert_eq!(NumberForm::Big(2).read(&[0xff, 0xff]), Some(65535));
        assert_eq!(NumberForm::Ascii.read(b"x"), None);
    }
}
