//! The allowed edges between crates, and each brain's crates from outside.
//!
//! Read from `cargo metadata`, so a renamed or optional dependency is seen as what it is. Development dependencies between our own
//! crates follow the arrows too; from elsewhere they are free.

use crate::tally::Outcome;
use crate::workspace;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// What one crate may use.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Allowed {
    #[serde(default)]
    brain: bool,
    uses: BTreeSet<String>,
    #[serde(default)]
    outside: BTreeSet<String>,
    /// Our own crates that only its tests may use.
    #[serde(default)]
    tests_use: BTreeSet<String>,
}

/// `xtask/arrows.toml`.
pub(super) struct Arrows(BTreeMap<String, Allowed>);

/// One crate of the workspace as cargo sees it.
#[derive(Deserialize)]
pub(super) struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// The workspace's crates.
pub(super) fn packages() -> Outcome<Vec<Package>> {
    let mut command = workspace::cargo();
    command.args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--quiet"]).stderr(std::process::Stdio::null());
    let text = workspace::succeed(&mut command, Duration::from_secs(120))?;
    let json = text.lines().find(|line| line.starts_with('{')).ok_or("cargo metadata printed no JSON")?;
    Ok(serde_json::from_str::<Metadata>(json)?.packages)
}

impl Arrows {
    pub(super) fn read(text: &str) -> Outcome<Self> {
        Ok(Self(toml_edit::de::from_str(text)?))
    }

    pub(super) fn check(&self, packages: &[Package]) -> Vec<String> {
        let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
        let mut findings: Vec<String> = self
            .0
            .keys()
            .filter(|name| !ours.contains(name.as_str()))
            .map(|name| format!("{name}: listed, but no such crate"))
            .collect();
        for package in packages {
            let Some(allowed) = self.0.get(&package.name) else {
                findings.push(format!("{}: not in xtask/arrows.toml", package.name));
                continue;
            };
            for dependency in &package.dependencies {
                let name = dependency.name.as_str();
                let in_tests = dependency.kind.as_deref() == Some("dev");
                let fits = if ours.contains(name) {
                    allowed.uses.contains("*") || allowed.uses.contains(name) || (in_tests && allowed.tests_use.contains(name))
                } else {
                    in_tests || !allowed.brain || allowed.outside.contains(name)
                };
                if !fits {
                    findings.push(format!("{} -> {name}: no such arrow", package.name));
                }
            }
        }
        findings
    }

    /// Source directories of the brains, relative to the root.
    pub(super) fn brain_directories(&self, packages: &[Package]) -> Vec<PathBuf> {
        let brains = packages.iter().filter(|package| self.0.get(&package.name).is_some_and(|allowed| allowed.brain));
        brains
            .filter_map(|package| Some(package.manifest_path.parent()?.strip_prefix(workspace::root()).ok()?.join("src")))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependencies =
            dependencies.iter().map(|(name, kind)| Dependency { name: (*name).into(), kind: kind.map(Into::into) }).collect();
        Package { name: name.into(), manifest_path: workspace::root().join(name).join("Cargo.toml"), dependencies }
    }

    fn arrows() -> Arrows {
        Arrows::read("[log]\nbrain = true\nuses = []\noutside = [\"bytes\"]\n[hands]\nuses = [\"log\"]\n").unwrap()
    }

    #[test]
    fn allowed_edges_pass() {
        let packages =
            [package("log", &[("bytes", None), ("proptest", Some("dev"))]), package("hands", &[("log", None), ("tokio", None)])];
        assert_eq!(arrows().check(&packages), Vec::<String>::new());
    }

    #[test]
    fn an_edge_against_the_arrows_is_found_even_in_tests() {
        let packages = [package("log", &[("hands", Some("dev"))]), package("hands", &[])];
        assert_eq!(arrows().check(&packages), ["log -> hands: no such arrow"]);
    }

    #[test]
    fn a_brain_may_not_link_an_unlisted_crate() {
        let packages = [package("log", &[("tokio", None)]), package("hands", &[])];
        assert_eq!(arrows().check(&packages), ["log -> tokio: no such arrow"]);
    }

    #[test]
    fn crates_and_list_must_match() {
        let packages = [package("log", &[]), package("new", &[])];
        assert_eq!(arrows().check(&packages), ["hands: listed, but no such crate", "new: not in xtask/arrows.toml"]);
    }
}
