//! The table checklist id -> tests, and the ids without one.
//!
//! A test carries its ids as the beginning of its name: `c04_…`, `m01_m13_…`. Only functions marked `#[test]` count, and not those
//! marked `#[ignore]`.

use crate::tally::Outcome;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use syn::visit::Visit;

/// `xtask/checklist.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Checklist {
    now: BTreeSet<String>,
    later: BTreeMap<String, String>,
}

/// Tests by the id they carry.
pub(super) type Tests = BTreeMap<String, Vec<String>>;

impl Checklist {
    pub(super) fn read(text: &str) -> Outcome<Self> {
        Ok(toml_edit::de::from_str(text)?)
    }

    pub(super) fn check(&self, tests: &Tests) -> Vec<String> {
        let mut findings: Vec<String> =
            self.now.iter().filter(|id| !tests.contains_key(*id)).map(|id| format!("{id}: no test carries this id")).collect();
        let known = |id: &String| self.now.contains(id) || self.later.contains_key(id);
        findings.extend(tests.keys().filter(|id| !known(id)).map(|id| format!("{id}: not in xtask/checklist.toml")));
        findings.extend(self.later.keys().filter(|id| self.now.contains(*id)).map(|id| format!("{id}: both now and later")));
        findings
    }

    /// What is proven by which test, and what waits for what.
    pub(super) fn table(&self, tests: &Tests) -> String {
        let mut table = String::new();
        for (id, names) in tests {
            writeln!(table, "{id}  {}", names.join(", ")).expect("a String takes all");
        }
        for (id, reason) in &self.later {
            writeln!(table, "{id}  later: {reason}").expect("a String takes all");
        }
        table
    }
}

/// The ids that begin a test's name.
fn ids(name: &str) -> Vec<String> {
    let is_id = |word: &&str| {
        let bytes = word.as_bytes();
        bytes.len() == 3 && bytes[0].is_ascii_lowercase() && bytes[1..].iter().all(u8::is_ascii_digit)
    };
    name.split('_').take_while(is_id).map(str::to_ascii_uppercase).collect()
}

struct Finder<'a> {
    file: &'a Path,
    tests: &'a mut Tests,
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        let has = |name: &str| function.attrs.iter().any(|attribute| attribute.path().is_ident(name));
        if has("test") && !has("ignore") {
            let name = function.sig.ident.to_string();
            let stem = self.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            for id in ids(&name) {
                self.tests.entry(id).or_default().push(format!("{stem}::{name}"));
            }
        }
    }
}

/// All tests of these sources that carry an id.
pub(super) fn tests<'a>(sources: impl Iterator<Item = &'a (PathBuf, String)>) -> Tests {
    let mut tests = Tests::new();
    for (file, text) in sources {
        if let Ok(parsed) = syn::parse_file(text) {
            Finder { file, tests: &mut tests }.visit_file(&parsed);
        }
    }
    tests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_carry_several_ids() {
        assert_eq!(ids("m01_m13_all_topics"), ["M01", "M13"]);
        assert_eq!(ids("crc32_of_m01"), Vec::<String>::new());
    }

    #[test]
    fn ignored_tests_prove_nothing() {
        let source = (PathBuf::from("a.rs"), "#[test] fn c01_x() {} #[test] #[ignore] fn c02_x() {} fn c03_x() {}".to_owned());
        let tests = tests([source].iter());
        assert_eq!(tests.keys().collect::<Vec<_>>(), ["C01"]);
    }

    #[test]
    fn an_id_without_a_test_and_a_test_without_an_id_are_found() {
        let list = Checklist::read("now = [\"C01\", \"C02\"]\n[later]\nC10 = \"needs SASL\"").unwrap();
        let tests = Tests::from([("C01".to_owned(), vec!["a".to_owned()]), ("Z99".to_owned(), vec!["b".to_owned()])]);
        assert_eq!(list.check(&tests), ["C02: no test carries this id", "Z99: not in xtask/checklist.toml"]);
    }
}
