//! What kind of address a listener is on.

use std::net::IpAddr;

/// Whether only this machine can reach it. IPv4 addresses written as IPv6 count as what they are.
#[must_use]
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Whether it stands for all addresses of this machine, so that no client could be told to connect to it.
#[must_use]
pub fn is_wildcard(address: IpAddr) -> bool {
    address.to_canonical().is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::{is_loopback, is_wildcard};
    use std::net::IpAddr;

    #[test]
    fn kinds() {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        for loopback in ["127.0.0.1", "127.255.0.3", "::1", "::ffff:127.0.0.1"] {
            assert!(is_loopback(address(loopback)) && !is_wildcard(address(loopback)), "{loopback}");
        }
        for wildcard in ["0.0.0.0", "::", "::ffff:0.0.0.0"] {
            assert!(is_wildcard(address(wildcard)) && !is_loopback(address(wildcard)), "{wildcard}");
        }
        for other in ["10.0.0.1", "192.168.1.1", "fe80::1", "::ffff:10.0.0.1"] {
            assert!(!is_loopback(address(other)) && !is_wildcard(address(other)), "{other}");
        }
    }
}
