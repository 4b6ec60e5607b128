//! Licences, bans and sources of everything that is linked, from `deny.toml` and `cargo metadata`.
//!
//! `cargo deny` reads the same file; this needs nothing installed. Advisories are not looked at: their database is elsewhere.

use crate::tally::Outcome;
use crate::workspace;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// `deny.toml`, as far as it is held here.
#[derive(Deserialize)]
pub(super) struct Policy {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

/// One crate from elsewhere.
#[derive(Deserialize)]
pub(super) struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// Every crate the workspace's lock file names and a Linux build may use.
pub(super) fn packages() -> Outcome<Vec<Package>> {
    let mut command = workspace::cargo();
    command.args(["metadata", "--format-version", "1", "--locked", "--quiet", "--filter-platform", "x86_64-unknown-linux-gnu"]);
    let text = workspace::succeed(&mut command, Duration::from_secs(300))?;
    let json = text.lines().find(|line| line.starts_with('{')).ok_or("cargo metadata printed no JSON")?;
    Ok(serde_json::from_str::<Metadata>(json)?.packages)
}

impl Policy {
    pub(super) fn read(text: &str) -> Outcome<Self> {
        Ok(toml_edit::de::from_str(text)?)
    }

    pub(super) fn check(&self, packages: &[Package]) -> Vec<String> {
        let mut findings = Vec::new();
        for package in packages {
            let who = format!("{} {}", package.name, package.version);
            let Some(source) = &package.source else { continue };
            if !self.sources.allow_registry.iter().any(|registry| source == &format!("registry+{registry}")) {
                findings.push(format!("{who}: from {source}"));
            }
            if let Some(ban) = self.bans.deny.iter().find(|ban| ban.name == package.name) {
                findings.push(format!("{who}: banned: {}", ban.reason));
            }
            match &package.license {
                Some(license) if self.allows(license) => {}
                other => findings.push(format!("{who}: licence {other:?}")),
            }
        }
        findings
    }

    /// An SPDX expression: every part of an `AND`, some part of an `OR`. Old crates say `/` for `OR`.
    fn allows(&self, expression: &str) -> bool {
        let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut rest = words.as_slice();
        self.any(&mut rest) && rest.is_empty()
    }

    fn any(&self, words: &mut &[&str]) -> bool {
        let mut allowed = self.all(words);
        while let [first, rest @ ..] = *words
            && *first == "OR"
        {
            *words = rest;
            allowed |= self.all(words);
        }
        allowed
    }

    fn all(&self, words: &mut &[&str]) -> bool {
        let mut allowed = self.one(words);
        while let [first, rest @ ..] = *words
            && *first == "AND"
        {
            *words = rest;
            allowed &= self.one(words);
        }
        allowed
    }

    fn one(&self, words: &mut &[&str]) -> bool {
        match *words {
            ["(", rest @ ..] => {
                *words = rest;
                let allowed = self.any(words);
                let closed = words.first() == Some(&")");
                *words = words.get(1..).unwrap_or_default();
                allowed && closed
            }
            [name, "WITH", exception, rest @ ..] => {
                *words = rest;
                self.licenses.allow.contains(&format!("{name} WITH {exception}"))
            }
            [name, rest @ ..] => {
                *words = rest;
                self.licenses.allow.contains(*name)
            }
            [] => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        let text = "[licenses]\nallow = [\"MIT\", \"Apache-2.0\", \"Apache-2.0 WITH LLVM-exception\"]\n[bans]\n\
                    deny = [{ crate = \"bad\", reason = \"it is\" }]\n[sources]\nallow-registry = [\"https://here\"]\n";
        Policy::read(text).unwrap()
    }

    fn package(name: &str, license: Option<&str>, source: &str) -> Package {
        Package { name: name.into(), version: "1.0.0".into(), license: license.map(Into::into), source: Some(source.into()) }
    }

    #[test]
    fn licence_expressions_are_understood() {
        for good in ["MIT", "MIT OR GPL-3.0", "MIT/GPL-3.0", "(MIT OR GPL-3.0) AND Apache-2.0", "Apache-2.0 WITH LLVM-exception"]
        {
            assert!(policy().allows(good), "{good}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT", "", "GPL-3.0 WITH LLVM-exception"] {
            assert!(!policy().allows(bad), "{bad}");
        }
    }

    #[test]
    fn sources_bans_and_missing_licences_are_found() {
        let packages = [
            package("good", Some("MIT"), "registry+https://here"),
            package("bad", Some("MIT"), "registry+https://here"),
            package("from-git", Some("MIT"), "git+https://there"),
            package("unlicensed", None, "registry+https://here"),
        ];
        assert_eq!(policy().check(&packages).len(), 3);
    }
}
