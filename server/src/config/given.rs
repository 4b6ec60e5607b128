//! The settings that were given, by name, each with where it was given last.
//!
//! Invariant: every name is a broker setting and every value keeps its rule, also one that a stronger place overrides.

use super::origin::{Fault, Origin};
use flumen_controller::configs::{ConfigMap, Problem, broker};
use std::collections::BTreeMap;

/// One setting as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// All settings that were given, and what was wrong with others.
#[derive(Debug, Default)]
pub(super) struct Given {
    settings: BTreeMap<String, Setting>,
    pub(super) faults: Vec<Fault>,
}

impl Given {
    /// Takes one setting; what was given before in a weaker place is forgotten.
    pub(super) fn set(&mut self, name: &str, value: &str, origin: Origin) {
        // One file may write one name in several ways, and means one of them.
        if let Some(earlier @ Origin::File { .. }) = self.get(name).map(|setting| &setting.origin)
            && matches!(origin, Origin::File { .. })
        {
            let problem = format!("{name} is set before, too, at {earlier}; keep one of them");
            self.fault(&origin, problem);
            return;
        }
        match broker::validate(name, value) {
            Ok(value) => {
                self.settings.insert(name.into(), Setting { value: value.canonical(), origin });
            }
            Err(error) => {
                let advice = match error.problem {
                    Problem::Unknown { nearest: None } => ": settings have Kafka's names, such as log.retention.ms",
                    _ => "",
                };
                self.faults.push(Fault::new(&origin, format!("{error}{advice}")));
            }
        }
    }

    /// Takes a value the broker itself knows, unless it was given.
    pub(super) fn set_default(&mut self, name: &str, value: impl Into<String>) {
        let setting = Setting { value: value.into(), origin: Origin::Default };
        self.settings.entry(name.into()).or_insert(setting);
    }

    pub(super) fn get(&self, name: &str) -> Option<&Setting> {
        self.settings.get(name)
    }

    pub(super) fn fault(&mut self, origin: &Origin, problem: impl Into<String>) {
        self.faults.push(Fault::new(origin, problem));
    }

    /// The values alone.
    pub(super) fn values(&self) -> ConfigMap {
        self.settings.iter().map(|(name, setting)| (name.clone(), setting.value.clone())).collect()
    }
}
