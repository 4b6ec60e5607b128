//! Where the broker listens and where clients are told to connect.
//!
//! Invariants: a listener's name is its own; every listener speaks PLAINTEXT, the one protocol there is; a listener beyond
//! loopback was asked for in as many words; one on a wildcard address has an advertised host.

use super::given::{Given, Setting};
use super::origin::Origin;
use crate::digits;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Where the broker listens unless it is told.
const DEFAULT_LISTENERS: &str = "PLAINTEXT://127.0.0.1:9092";
/// The one security protocol of this version.
const PLAINTEXT: &str = "PLAINTEXT";

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port; zero lets the kernel choose.
    pub port: u16,
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub bind: Address,
    /// Where clients are told to connect; its port is zero if that is the one the kernel chose.
    pub advertised: Address,
}

/// Works out the listeners; what is wrong goes to `given`.
pub(super) fn read(given: &mut Given) -> Vec<Listener> {
    given.set_default("listeners", DEFAULT_LISTENERS);
    let Some(listeners) = given.get("listeners").cloned() else { return Vec::new() };
    let bound = endpoints(&listeners, given);
    let advertised = match given.get("advertised.listeners").cloned() {
        Some(setting) => Some((endpoints(&setting, given), setting.origin)),
        None => None,
    };
    if let Some((advertised, origin)) = &advertised {
        check_advertised(&bound, advertised, origin, given);
    }
    check_names(&bound, &listeners.origin, given);
    check_apart(&bound, &listeners.origin, given);
    let allow_insecure = given.get("flumen.allow.insecure").is_some_and(|setting| setting.value == "true");
    let mut result = Vec::with_capacity(bound.len());
    for (name, bind) in bound {
        let told = advertised.as_ref().and_then(|(advertised, _)| advertised.get(&name)).cloned();
        check_exposure(&name, &bind, told.as_ref(), allow_insecure, &listeners.origin, given);
        let advertised = told.unwrap_or_else(|| bind.clone());
        result.push(Listener { name, bind, advertised });
    }
    let told: Vec<String> = result.iter().map(|listener| written(&listener.name, &listener.advertised)).collect();
    given.set_default("advertised.listeners", told.join(","));
    result
}

fn written(name: &str, address: &Address) -> String {
    let Address { host, port } = address;
    if host.contains(':') { format!("{name}://[{host}]:{port}") } else { format!("{name}://{host}:{port}") }
}

/// The listeners of one setting, by name.
fn endpoints(setting: &Setting, given: &mut Given) -> BTreeMap<String, Address> {
    let mut found = BTreeMap::new();
    for text in setting.value.split(',') {
        match endpoint(text) {
            Some((name, address)) => {
                if found.insert(name.clone(), address).is_some() {
                    given.fault(&setting.origin, format!("two listeners are named {name}; each needs a name of its own"));
                }
            }
            None => given.fault(&setting.origin, format!("{text} is not of the form NAME://HOST:PORT")),
        }
    }
    found
}

fn endpoint(text: &str) -> Option<(String, Address)> {
    let (name, address) = text.trim().split_once("://")?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.is_empty() || !name.bytes().all(legal) {
        return None;
    }
    let (host, port) = address.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    Some((name.to_ascii_uppercase(), Address { host: host.into(), port: digits::parse(port)? }))
}

fn check_advertised(
    bound: &BTreeMap<String, Address>,
    advertised: &BTreeMap<String, Address>,
    origin: &Origin,
    given: &mut Given,
) {
    for (name, address) in advertised {
        if !bound.contains_key(name) {
            let names: Vec<&str> = bound.keys().map(String::as_str).collect();
            given.fault(origin, format!("there is no listener {name}; there are {}", names.join(", ")));
        }
        if is_wildcard(&address.host) {
            let problem = format!("clients cannot connect to {}; name a host they can reach", written(name, address));
            given.fault(origin, problem);
        }
    }
}

/// No two listeners want one port of one address.
fn check_apart(bound: &BTreeMap<String, Address>, origin: &Origin, given: &mut Given) {
    let mut names = BTreeMap::new();
    for (name, address) in bound.iter().filter(|(_, address)| address.port != 0) {
        let host = if address.host.eq_ignore_ascii_case("localhost") { "127.0.0.1" } else { &address.host };
        if let Some(other) = names.insert((host, address.port), name) {
            let problem = format!("listeners {other} and {name} both want port {} of {}", address.port, address.host);
            given.fault(origin, format!("{problem}; give each its own"));
        }
    }
}

/// A listener's name stands for its protocol, unless the map says otherwise.
fn check_names(bound: &BTreeMap<String, Address>, origin: &Origin, given: &mut Given) {
    let map = given.get("listener.security.protocol.map").map(|setting| setting.value.clone());
    let controllers = given.get("controller.listener.names").map(|setting| setting.value.to_ascii_uppercase());
    for name in bound.keys() {
        if controllers.as_ref().is_some_and(|names| names.split(',').any(|controller| controller.trim() == name)) {
            let problem = format!("the controller needs no listener in this version; leave {name} out");
            given.fault(origin, problem);
            continue;
        }
        let mapped = map.as_ref().and_then(|map| {
            let mut pairs = map.split(',').filter_map(|pair| pair.split_once(':'));
            let found = pairs.find(|(listener, _)| listener.trim().eq_ignore_ascii_case(name))?;
            Some(found.1.trim().to_ascii_uppercase())
        });
        let protocol = mapped.unwrap_or_else(|| name.clone());
        match protocol.as_str() {
            PLAINTEXT => {}
            "SSL" | "SASL_PLAINTEXT" | "SASL_SSL" => {
                given.fault(origin, format!("listener {name} asks for {protocol}; this version speaks PLAINTEXT only"));
            }
            _ => {
                let problem = format!(
                    "listener {name} has no protocol; call it PLAINTEXT or add {name}:PLAINTEXT to \
                     listener.security.protocol.map"
                );
                given.fault(origin, problem);
            }
        }
    }
}

fn check_exposure(name: &str, bind: &Address, told: Option<&Address>, allow_insecure: bool, origin: &Origin, given: &mut Given) {
    if !is_loopback(&bind.host) && !allow_insecure {
        let problem = format!(
            "{} can be reached from other machines without TLS or authentication; set flumen.allow.insecure=true (or \
             --allow-insecure) to allow this, or listen on 127.0.0.1",
            written(name, bind)
        );
        given.fault(origin, problem);
    }
    if is_wildcard(&bind.host) && told.is_none() {
        let problem = format!(
            "{} listens on every address, so clients must be told one: set advertised.listeners={name}://HOST:{}",
            written(name, bind),
            bind.port
        );
        given.fault(origin, problem);
    }
}

fn is_wildcard(host: &str) -> bool {
    host.is_empty() || host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified())
}

/// A name other than `localhost` may be anything and counts as beyond loopback.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
