//! Which cluster, as every command takes it.

use std::time::Duration;

use clap::Args;
use flumen_client::{Cluster, ClusterOptions};

use super::Failure;
use super::moment::duration;

const DEFAULT_BROKER: &str = "127.0.0.1:9092";
const DEFAULT_PORT: u16 = 9092;

/// Which cluster.
#[derive(Args, Clone, Debug, Default)]
pub struct ConnectionArguments {
    /// Brokers to start from, separated by commas [default: 127.0.0.1:9092]
    #[arg(short = 'b', long, value_name = "HOST:PORT", value_delimiter = ',', global = true, help_heading = "Cluster")]
    pub brokers: Vec<String>,

    /// Settings as rpk takes them; brokers=HOST:PORT,... is known
    #[arg(short = 'X', long = "option", value_name = "KEY=VALUE", global = true, help_heading = "Cluster")]
    pub options: Vec<String>,

    /// How long an answer may take
    #[arg(long, value_name = "DURATION", value_parser = duration, global = true, help_heading = "Cluster")]
    pub request_timeout: Option<Duration>,

    /// Say on standard error what is going on
    #[arg(short = 'v', long, global = true, help_heading = "Cluster")]
    pub verbose: bool,
}

impl ConnectionArguments {
    /// The addresses to start from.
    pub fn addresses(&self) -> Result<Vec<String>, Failure> {
        let mut addresses = self.brokers.clone();
        for option in &self.options {
            match option.split_once('=') {
                Some(("brokers", brokers)) => addresses.extend(brokers.split(',').map(str::to_owned)),
                Some((key, _)) => return Err(Failure::usage(format!("-X {key} is not known; there is brokers=HOST:PORT,..."))),
                None => return Err(Failure::usage(format!("-X {option} is no setting; give KEY=VALUE"))),
            }
        }
        addresses.retain(|address| !address.is_empty());
        if addresses.is_empty() {
            addresses.push(DEFAULT_BROKER.to_owned());
        }
        addresses.iter().map(|address| with_port(address)).collect()
    }

    /// Connects.
    pub async fn cluster(&self) -> Result<Cluster, Failure> {
        let mut options = ClusterOptions::new(self.addresses()?);
        if let Some(timeout) = self.request_timeout {
            options.connection.request_timeout = timeout;
            options.connection.connect_timeout = options.connection.connect_timeout.min(timeout);
            options.retry_timeout = options.retry_timeout.min(timeout * 2);
        }
        Ok(Cluster::connect(options).await?)
    }
}

/// The address with Kafka's port where it has none.
fn with_port(address: &str) -> Result<String, Failure> {
    let wrong = || Failure::usage(format!("{address:?} is no broker's address; give HOST:PORT"));
    // An IPv6 address has colons of its own and so stands in brackets.
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (address, None),
    };
    let is_bare_ipv6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
    if host.is_empty() || is_bare_ipv6 || host.contains(['/', ' ']) {
        return Err(wrong());
    }
    match port {
        None => Ok(format!("{host}:{DEFAULT_PORT}")),
        Some(port) => {
            let port: u16 = port.parse().map_err(|_| wrong())?;
            Ok(format!("{host}:{port}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(brokers: &[&str], options: &[&str]) -> Result<Vec<String>, Failure> {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        ConnectionArguments { brokers: own(brokers), options: own(options), ..Default::default() }.addresses()
    }

    #[test]
    fn addresses_from_either_flag_with_kafkas_port() {
        assert_eq!(addresses(&[], &[]).unwrap(), ["127.0.0.1:9092"]);
        assert_eq!(
            addresses(&["one", "two:1"], &["brokers=three:2,[::1]"]).unwrap(),
            ["one:9092", "two:1", "three:2", "[::1]:9092"]
        );
        assert_eq!(addresses(&["[::1]:77"], &[]).unwrap(), ["[::1]:77"]);
    }

    #[test]
    fn what_is_no_address_is_misuse() {
        for wrong in [":9092", "host:x", "host:99999", "::1", "http://host:1"] {
            assert!(matches!(addresses(&[wrong], &[]), Err(Failure::Usage(_))), "{wrong}");
        }
        assert!(matches!(addresses(&[], &["tls.enabled=true"]), Err(Failure::Usage(_))));
        assert!(matches!(addresses(&[], &["brokers"]), Err(Failure::Usage(_))));
    }
}
