//! A key's fingerprint: SipHash-2-4 with 128 bits of output, under a key that is new for each start.
//!
//! Two keys with one fingerprint would be taken for one, and the older one's record lost. At 128 bits that does not happen by
//! chance, and because the hash is keyed nobody can make it happen.

/// What the hash is keyed with.
pub(crate) type HashKey = [u8; 16];

struct Sip {
    v: [u64; 4],
}

impl Sip {
    const fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.v;
        a = a.wrapping_add(b);
        b = b.rotate_left(13) ^ a;
        a = a.rotate_left(32);
        c = c.wrapping_add(d);
        d = d.rotate_left(16) ^ c;
        a = a.wrapping_add(d);
        d = d.rotate_left(21) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
        self.v = [a, b, c, d];
    }

    const fn absorb(&mut self, word: u64) {
        self.v[3] ^= word;
        self.round();
        self.round();
        self.v[0] ^= word;
    }

    const fn squeeze(&mut self) -> u64 {
        self.round();
        self.round();
        self.round();
        self.round();
        self.v[0] ^ self.v[1] ^ self.v[2] ^ self.v[3]
    }
}

fn word(bytes: &[u8]) -> u64 {
    let mut padded = [0; 8];
    padded[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(padded)
}

/// The fingerprint of some bytes.
pub(crate) fn fingerprint(key: &HashKey, bytes: &[u8]) -> [u64; 2] {
    let (low, high) = (word(&key[..8]), word(&key[8..]));
    let mut sip = Sip {
        v: [
            low ^ 0x736f_6d65_7073_6575,
            high ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            low ^ 0x6c79_6765_6e65_7261,
            high ^ 0x7465_6462_7974_6573,
        ],
    };
    let (words, rest) = bytes.as_chunks::<8>();
    for chunk in words {
        sip.absorb(u64::from_le_bytes(*chunk));
    }
    sip.absorb(word(rest) | (bytes.len() as u64) << 56);
    sip.v[2] ^= 0xee;
    let first = sip.squeeze();
    sip.v[1] ^= 0xdd;
    [first, sip.squeeze()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference implementation's own vectors: key 00..0f, message 00, 00 01, …
    #[test]
    fn as_the_reference_has_it() {
        let key: HashKey = core::array::from_fn(|index| index as u8);
        let message: [u8; 64] = core::array::from_fn(|index| index as u8);
        let of = |length: usize| {
            let [first, second] = fingerprint(&key, &message[..length]);
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&first.to_le_bytes());
            bytes[8..].copy_from_slice(&second.to_le_bytes());
            bytes
        };
        assert_eq!(u128::from_be_bytes(of(0)), 0xa381_7f04_ba25_a8e6_6df6_7214_c755_0293);
        assert_eq!(u128::from_be_bytes(of(1)), 0xda87_c1d8_6b99_af44_3476_5911_9b22_fc45);
        assert_eq!(u128::from_be_bytes(of(8)), 0x3b62_a9ba_6258_f561_0f83_e264_f314_97b4);
        assert_eq!(u128::from_be_bytes(of(15)), 0x5493_e999_33b0_a811_7e08_ec0f_97cf_c3d9);
    }
}
