//! The flags of `flumen start` that set something.

use super::given::Given;
use super::origin::Origin;
use std::path::PathBuf;

/// What may be given on the command line; it goes before the environment and the file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConfigFlags {
    /// Configuration file (TOML; keys are the names of settings)
    #[arg(long, value_name = "FILE", env = "FLUMEN_CONFIG")]
    pub config: Option<PathBuf>,
    /// Directory of the data (log.dirs)
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address to listen on, HOST:PORT (listeners)
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Cores that run shards, as 0-3,6 (flumen.cores)
    #[arg(long, value_name = "LIST")]
    pub cores: Option<String>,
    /// How many shards there are (flumen.shards)
    #[arg(long, value_name = "N", conflicts_with = "cores")]
    pub shards: Option<u16>,
    /// Listen beyond loopback without TLS and authentication (flumen.allow.insecure)
    #[arg(long)]
    pub allow_insecure: bool,
    /// Any setting; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl ConfigFlags {
    /// Takes every setting of the command line. Flags of their own go before `--set`.
    pub(super) fn read(&self, given: &mut Given) {
        for pair in &self.set {
            let origin = Origin::Flag("--set");
            match pair.split_once('=') {
                Some((name, value)) => given.set(name.trim(), value, origin),
                None => given.fault(&origin, format!("{pair} is not KEY=VALUE")),
            }
        }
        if let Some(directory) = &self.data {
            match directory.to_str() {
                Some(text) => given.set("log.dirs", text, Origin::Flag("--data")),
                None => given.fault(&Origin::Flag("--data"), "the name of the directory must be UTF-8"),
            }
        }
        if let Some(address) = &self.listen {
            let listener = if address.contains("://") { address.clone() } else { format!("PLAINTEXT://{address}") };
            given.set("listeners", &listener, Origin::Flag("--listen"));
        }
        if let Some(cores) = &self.cores {
            given.set("flumen.cores", cores, Origin::Flag("--cores"));
        }
        if let Some(shards) = self.shards {
            given.set("flumen.shards", &shards.to_string(), Origin::Flag("--shards"));
        }
        if self.allow_insecure {
            given.set("flumen.allow.insecure", "true", Origin::Flag("--allow-insecure"));
        }
    }
}
