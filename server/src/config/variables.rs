//! Settings in variables of the environment.
//!
//! The variable of `log.retention.ms` is `FLUMEN_LOG_RETENTION_MS`; ours drop their own prefix: `flumen.durability` is
//! `FLUMEN_DURABILITY`. Every other variable that begins with `FLUMEN_` is refused, so that none is misspelt in silence.

use super::given::Given;
use super::origin::Origin;
use flumen_controller::configs::broker;
use std::collections::BTreeMap;

/// What the name of every variable begins with.
const PREFIX: &str = "FLUMEN_";

/// Variables that are no settings: the log filter of the process, and the configuration file (as `--config`).
pub(super) const OTHERS: [&str; 2] = ["FLUMEN_LOG", "FLUMEN_CONFIG"];

/// Takes every setting of the environment.
pub(super) fn read(variables: impl IntoIterator<Item = (String, String)>, given: &mut Given) {
    let names: BTreeMap<String, &str> = broker::definitions().map(|setting| (variable(setting.name), setting.name)).collect();
    for (variable, value) in variables {
        if !variable.starts_with(PREFIX) || OTHERS.contains(&variable.as_str()) {
            continue;
        }
        let origin = Origin::Variable(variable.clone());
        match names.get(&variable) {
            Some(name) => given.set(name, &value, origin),
            None => given.fault(&origin, unknown(&variable)),
        }
    }
}

fn variable(setting: &str) -> String {
    let own = setting.strip_prefix("flumen.").unwrap_or(setting);
    format!("{PREFIX}{}", own.to_ascii_uppercase().replace(['.', '-'], "_"))
}

fn unknown(found: &str) -> String {
    let as_setting = found.trim_start_matches(PREFIX).to_ascii_lowercase().replace('_', ".");
    let nearest = broker::nearest(&as_setting).or_else(|| broker::nearest(&format!("flumen.{as_setting}")));
    match nearest {
        Some(setting) => format!("no setting has this variable: did you mean {}?", variable(setting)),
        None => format!("no setting has this variable (other than settings there are {})", OTHERS.join(" and ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_settings_share_a_variable_and_none_is_one_of_the_others() {
        let names: Vec<String> = broker::definitions().map(|setting| variable(setting.name)).collect();
        let once: BTreeSet<&String> = names.iter().collect();
        assert_eq!(once.len(), names.len());
        assert!(OTHERS.iter().all(|other| !names.iter().any(|name| name == other)));
    }
}
