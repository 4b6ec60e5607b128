//! How bytes are written: as they are, in hexadecimal, in base64, or unpacked into the numbers they hold.

use super::delimited;
use super::unpack::Unpack;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The ways.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum TextForm {
    /// The bytes themselves.
    #[default]
    Raw,
    /// Two hexadecimal digits a byte.
    Hex,
    /// Base64 with padding.
    Base64,
    /// Base64 without padding.
    Base64Raw,
    /// The numbers packed into them.
    Unpack(Unpack),
}

impl TextForm {
    /// Reads what stands in the braces.
    pub fn parse(modifier: &str) -> Result<Self, String> {
        if let Some(pattern) = delimited(modifier, "unpack") {
            return Unpack::parse(pattern).map(Self::Unpack);
        }
        match modifier {
            "hex" => Ok(Self::Hex),
            "base64" => Ok(Self::Base64),
            "base64raw" => Ok(Self::Base64Raw),
            other => Err(format!("{other:?} is no way to write text: there are hex, base64, base64raw and unpack[...]")),
        }
    }

    /// Appends `bytes`.
    pub fn write(&self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Raw => out.extend_from_slice(bytes),
            Self::Hex => {
                for byte in bytes {
                    out.extend_from_slice(format!("{byte:02x}").as_bytes());
                }
            }
            Self::Base64 => base64(bytes, true, out),
            Self::Base64Raw => base64(bytes, false, out),
            Self::Unpack(unpack) => unpack.write(bytes, out),
        }
    }

    /// The bytes that were written in this form.
    pub fn read(&self, written: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Self::Raw => Ok(written.to_vec()),
            Self::Hex => unhex(written).ok_or_else(|| String::from("it is not hexadecimal")),
            Self::Base64 | Self::Base64Raw => unbase64(written).ok_or_else(|| String::from("it is not base64")),
            Self::Unpack(_) => Err(String::from("unpack is for output")),
        }
    }
}

/// Appends `bytes` in base64's standard alphabet.
pub fn base64(bytes: &[u8], padded: bool, out: &mut Vec<u8>) {
    for group in bytes.chunks(3) {
        let mut bits = 0u32;
        for place in 0..3 {
            bits = (bits << 8) | group.get(place).map_or(0, |byte| u32::from(*byte));
        }
        for place in 0..4 {
            if place <= group.len() {
                let index = (bits >> (18 - 6 * place)) & 63;
                out.push(ALPHABET[usize::try_from(index).expect("six bits")]);
            } else if padded {
                out.push(b'=');
            }
        }
    }
}

fn unbase64(written: &[u8]) -> Option<Vec<u8>> {
    let padding = written.iter().rev().take_while(|byte| **byte == b'=').count();
    let digits = &written[..written.len() - padding];
    if padding > 2 || digits.len() % 4 == 1 || (padding > 0 && !written.len().is_multiple_of(4)) {
        return None;
    }
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.chunks(4) {
        let mut bits = 0u32;
        for place in 0..4 {
            let value = match group.get(place) {
                Some(digit) => u32::try_from(ALPHABET.iter().position(|letter| letter == digit)?).ok()?,
                None => 0,
            };
            bits = (bits << 6) | value;
        }
        out.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(out)
}

fn unhex(written: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = written.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(form: &str, bytes: &[u8]) -> String {
        let mut out = Vec::new();
        TextForm::parse(form).unwrap().write(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn hex_and_base64_as_everybody_writes_them() {
        assert_eq!(written("hex", b"foo\xff"), "666f6fff");
        for (plain, encoded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(written("base64", plain.as_bytes()), encoded);
            assert_eq!(written("base64raw", plain.as_bytes()), encoded.trim_end_matches('='));
            assert_eq!(TextForm::Base64.read(encoded.as_bytes()).unwrap(), plain.as_bytes());
            assert_eq!(TextForm::Base64.read(encoded.trim_end_matches('=').as_bytes()).unwrap(), plain.as_bytes());
        }
        assert_eq!(TextForm::Hex.read(b"666F6fff").unwrap(), b"foo\xff");
    }

    #[test]
    fn what_is_not_encoded_is_refused() {
        for wrong in ["Z", "Zg=", "Zg===", "Z!==", "====", "=Zg="] {
            assert!(TextForm::Base64.read(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(TextForm::Hex.read(b"6").is_err());
        assert!(TextForm::Hex.read(b"6g").is_err());
        assert!(TextForm::parse("hexx").is_err());
    }
}
