//! The configuration of a broker process: defaults, then the file, then `FLUMEN_*` variables, then flags.
//!
//! Names, types and rules are those of [`flumen_controller::configs::broker`]. A wrong name, type or value is refused with
//! where it was given and what would be right, also where a stronger place overrides it. Nothing is opened here but the file.

mod cores;
mod file;
mod flags;
mod given;
mod listeners;
mod origin;
#[cfg(test)]
mod tests;
mod variables;

pub use cores::Placement;
pub use flags::ConfigFlags;
pub use listeners::{Address, Listener};
pub use origin::{Fault, Faults, Origin};

use flumen_broker::admin::BrokerSettings;
use flumen_controller::configs::{BrokerLayers, ConfigMap};
use flumen_log::{BrokerId, directories::DirectoryId};
use given::Given;
use std::{collections::BTreeSet, path::PathBuf};

/// Where the data is kept unless somebody says so.
const DEFAULT_DATA: &str = "./flumen-data";
/// The number of this node unless somebody says so.
const DEFAULT_NODE: &str = "1";
/// What the process is; nothing else can be chosen in this version.
const ROLES: &str = "broker,controller";

/// What a broker starts with.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// `node.id`.
    pub node: BrokerId,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// `log.dirs`; there is at least one.
    pub log_dirs: Vec<PathBuf>,
    /// `metadata.log.dir`, or the first of `log.dirs`.
    pub metadata_dir: PathBuf,
    /// `flumen.log.dirs.lost`: directories that will not come back.
    pub lost_dirs: BTreeSet<DirectoryId>,
    /// `listeners` with `advertised.listeners`, in the order of their names; there is at least one.
    pub listeners: Vec<Listener>,
    /// `flumen.cores` or `flumen.shards`.
    pub placement: Placement,
    /// Everything that was given, and what the process states by itself: the static settings of DescribeConfigs.
    pub fixed: ConfigMap,
}

impl ServerConfig {
    /// Reads the configuration of this process.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(flags: &ConfigFlags) -> Result<Self, Faults> {
        let text = match &flags.config {
            Some(path) => Some(
                std::fs::read_to_string(path)
                    .map_err(|error| Fault::new(&Origin::Flag("--config"), format!("cannot read {}: {error}", path.display())))?,
            ),
            None => None,
        };
        // A variable that is not UTF-8 can be no setting's name, and no setting's value either.
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            Some((name, value.to_string_lossy().into_owned()))
        });
        Self::from_parts(text.as_deref(), variables, flags)
    }

    /// Works out a configuration from a file's text, an environment and flags.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn from_parts(
        file_text: Option<&str>,
        variables: impl IntoIterator<Item = (String, String)>,
        flags: &ConfigFlags,
    ) -> Result<Self, Faults> {
        let mut given = Given::default();
        if let Some(text) = file_text {
            file::read(flags.config.as_deref().unwrap_or_else(|| "configuration".as_ref()), text, &mut given);
        }
        variables::read(variables, &mut given);
        flags.read(&mut given);
        let node = node(&mut given);
        let log_dirs = log_dirs(&mut given);
        let lost_dirs = lost_dirs(&mut given);
        let listeners = listeners::read(&mut given);
        let placement = cores::read(&mut given);
        refuse_absent(&mut given);
        given.set_default("process.roles", ROLES);
        if !given.faults.is_empty() {
            return Err(Faults(given.faults));
        }
        let rack = given.get("broker.rack").map(|setting| setting.value.clone());
        let metadata_dir = given.get("metadata.log.dir").map(|setting| PathBuf::from(&setting.value));
        let metadata_dir = metadata_dir.or_else(|| log_dirs.first().cloned()).unwrap_or_else(|| DEFAULT_DATA.into());
        Ok(Self { node, rack, log_dirs, metadata_dir, lost_dirs, listeners, placement, fixed: given.values() })
    }

    /// The number in force of a setting that has one.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        self.layers().number(name)
    }

    /// The fraction in force of a setting that has one.
    #[must_use]
    pub fn fraction(&self, name: &str) -> Option<f64> {
        self.layers().fraction(name)
    }

    /// Whether a switch is on.
    #[must_use]
    pub fn switch(&self, name: &str) -> bool {
        self.layers().switch(name)
    }

    /// The text in force of a setting that has one.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.layers().text(name)
    }

    /// What requests about the cluster need to know.
    #[must_use]
    pub fn broker_settings(&self) -> BrokerSettings {
        let listeners = self.listeners.iter().map(|listener| listener.name.clone()).collect();
        BrokerSettings { broker: self.node, listeners, fixed: self.fixed.clone() }
    }

    fn layers(&self) -> BrokerLayers<'_> {
        BrokerLayers { fixed: Some(&self.fixed), ..BrokerLayers::default() }
    }
}

/// `node.id`, or its older name; both if they agree.
fn node(given: &mut Given) -> BrokerId {
    let older = given.get("broker.id").filter(|setting| setting.value != "-1").cloned();
    if let Some(older) = older {
        given.set_default("node.id", older.value.clone());
        if given.get("node.id").is_some_and(|setting| setting.value != older.value) {
            given.fault(&older.origin, "broker.id and node.id must be the same; give node.id alone");
        }
    }
    given.set_default("node.id", DEFAULT_NODE);
    let value = given.get("node.id").map_or_else(|| DEFAULT_NODE.to_owned(), |setting| setting.value.clone());
    given.set_default("broker.id", value.clone());
    match value.parse() {
        Ok(id) if id >= 0 => BrokerId(id),
        _ => {
            given.fault(&Origin::Default, format!("node.id must be at least 0, not {value}"));
            BrokerId(0)
        }
    }
}

/// The log directories, each once.
fn log_dirs(given: &mut Given) -> Vec<PathBuf> {
    if given.get("log.dirs").is_none() {
        let older = given.get("log.dir").map_or_else(|| DEFAULT_DATA.to_owned(), |setting| setting.value.clone());
        given.set_default("log.dirs", older);
    }
    let Some(setting) = given.get("log.dirs").cloned() else { return Vec::new() };
    let mut directories: Vec<PathBuf> = Vec::new();
    for text in setting.value.split(',').map(str::trim) {
        if text.is_empty() || text.contains('\n') || directories.iter().any(|other| other.as_os_str() == text) {
            given.fault(&setting.origin, format!("log.dirs must name directories, each once, not {}", setting.value));
            break;
        }
        directories.push(text.into());
    }
    directories
}

/// The directories given up, by their ids.
fn lost_dirs(given: &mut Given) -> BTreeSet<DirectoryId> {
    let Some(setting) = given.get("flumen.log.dirs.lost").cloned() else { return BTreeSet::new() };
    let ids = setting.value.split(',').map(str::trim).filter(|text| !text.is_empty());
    let ids: Result<_, _> = ids.map(str::parse).collect();
    ids.unwrap_or_else(|_| {
        let problem =
            format!("flumen.log.dirs.lost takes the ids of log directories, as the broker names them, not {}", setting.value);
        given.fault(&setting.origin, problem);
        BTreeSet::new()
    })
}

/// Refuses what would be taken for a promise that this version does not keep.
fn refuse_absent(given: &mut Given) {
    let roles = given.get("process.roles").cloned();
    if let Some(roles) = roles.filter(|roles| roles.value.split(',').count() != 2) {
        given.fault(&roles.origin, format!("a process is both broker and controller: process.roles must be {ROLES}"));
    }
    let remote = given.get("remote.log.storage.system.enable").cloned();
    if let Some(remote) = remote.filter(|remote| remote.value == "true") {
        given.fault(&remote.origin, "this version has no tiered storage: remote.log.storage.system.enable must be false");
    }
}
