//! segmentio/kafka-go's own test suite, by a checked-in list (`xtask/interop/kafka-go.toml`).
//!
//! The list names every test of the packages that talk to a broker: `true` for one that must pass here, else the reason why it is
//! left out. A test whose subtests differ is listed by its subtests. The suite is run test by test, because as one run it panics
//! against Kafka 4.4.0. A test that is not in the list fails the run, and so does a listed one that is gone.

use super::{Bench, Options, flumen};
use crate::broker::start_kafka;
use crate::tally::{Outcome, Tally};
use crate::workspace;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The packages with tests that talk to a broker; every other package works in memory.
pub(super) const PACKAGES: [&str; 4] = [".", "compress", "sasl", "topics"];
/// What the suite is told; it only asks for very old versions.
const KAFKA_VERSION: &str = "4.4.0";
/// One test's time.
const LIMIT: Duration = Duration::from_secs(120);

/// What is not this broker's business yet, by words in a test's name; one that ends in `$` is the whole name. The first that fits
/// counts: some names do not say what the test needs.
const LATER: [(&str, &[&str]); 9] = [
    ("consumer groups: its consumer joins one", &["TestClient$"]),
    ("consumer groups: it joins one before it commits", &["TestClientOffsetCommit$", "TestConn/test_fetch_and_commit_offset$"]),
    ("transactions: it looks for a transaction coordinator", &["TestClientFindCoordinator$"]),
    (
        "consumer groups",
        &["Group", "group", "Heartbeat", "heartbeat", "Rebalance", "CommitOffsets", "CommitLoop", "DeleteOffset", "OffsetFetch"],
    ),
    ("transactions", &["Txn"]),
    ("moving replicas between brokers (A07): needs a cluster", &["PartitionReassignments"]),
    ("ACLs", &["ACL"]),
    ("SCRAM and SASL", &["Scram", "SASL"]),
    ("quotas", &["Quota"]),
];

/// Package -> test (or `test/subtest`) -> what the list says.
type List = BTreeMap<String, BTreeMap<String, Entry>>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Run,
    Left(String),
}

/// A package's test binary.
pub(super) fn binary(directory: &Path, package: &str) -> PathBuf {
    directory.join(format!("kafka-go-{}.test", if package == "." { "kafka" } else { package }))
}

/// Runs what the list says.
pub(super) fn run(bench: &Bench, tally: &mut Tally) -> Outcome<()> {
    let list = parse(&std::fs::read_to_string(workspace::asset("interop/kafka-go.toml"))?)?;
    let mut left_out = 0;
    for package in PACKAGES {
        let entries = list.get(package).cloned().unwrap_or_default();
        let suite = Suite { directory: &bench.directory, package };
        for test in suite.tests()? {
            let mut listed = entries.keys().filter(|name| name.split('/').next() == Some(&test)).peekable();
            if listed.peek().is_none() {
                tally.fail(format_args!("kafka-go {package} {test}: not in the list; run --relist"));
            }
        }
        for (name, entry) in &entries {
            match entry {
                Entry::Left(_) => left_out += 1,
                Entry::Run => tally.check(&format!("kafka-go {package} {name}"), || {
                    let result = suite.run(name)?;
                    if result.passed && result.ran { Ok(()) } else { Err(result.complaint().into()) }
                }),
            }
        }
    }
    println!("kafka-go: {left_out} tests left out, each with its reason in xtask/interop/kafka-go.toml");
    Ok(())
}

/// Runs the suite on Kafka, and on ours if asked, and writes the list.
pub(super) fn relist(directory: &Path, ours: bool, options: &Options) -> Outcome<Tally> {
    let data = tempfile::tempdir_in(workspace::target())?;
    let kafka = start_kafka(data.path(), &directory.join("kafka"))?;
    let mut list = List::new();
    for package in PACKAGES {
        let suite = Suite { directory, package };
        let entries = list.entry(package.to_owned()).or_default();
        for test in suite.tests()? {
            entries.extend(entries_on_kafka(&suite, &test)?);
        }
    }
    kafka.stop()?;
    let mut tally = Tally::default();
    if ours {
        let broker = flumen(options, data.path().join("flumen")).start()?;
        for (package, entries) in &list {
            judge_ours(&Suite { directory, package }, entries, &mut tally)?;
        }
        broker.stop()?;
    }
    std::fs::write(workspace::asset("interop/kafka-go.toml"), written(&list))?;
    let run = list.values().flat_map(BTreeMap::values).filter(|entry| **entry == Entry::Run).count();
    println!("kafka-go.toml: {run} tests must pass");
    tally.pass();
    Ok(tally)
}

/// What must pass and does not is a failure. What is about a later subject stays out, passing or not, until that subject's row goes.
fn judge_ours(suite: &Suite<'_>, entries: &BTreeMap<String, Entry>, tally: &mut Tally) -> Outcome<()> {
    for name in entries.iter().filter(|(_, entry)| **entry == Entry::Run).map(|(name, _)| name) {
        let result = suite.run(name)?;
        println!("ours: {} {name}: {}", suite.package, if result.passed { "passes" } else { "fails" });
        if !(result.passed && result.ran) {
            tally.fail(format_args!("kafka-go {} {name} passes on Kafka and fails here: {}", suite.package, result.complaint()));
        }
    }
    Ok(())
}

/// One test on Kafka as lines of the list: as a whole, or by subtest where these differ.
fn entries_on_kafka(suite: &Suite<'_>, test: &str) -> Outcome<Vec<(String, Entry)>> {
    let whole = suite.run_twice(test)?;
    println!("Kafka: {} {test}: {}", suite.package, if whole.passed { "passes" } else { "fails" });
    if !is_mixed(test, &whole) {
        return Ok(vec![(test.to_owned(), judged(test, &whole))]);
    }
    let each = whole.subtests.iter().map(|name| {
        let result = suite.run_twice(name)?;
        println!("Kafka: {} {name}: {}", suite.package, if result.passed { "passes" } else { "fails" });
        Ok((name.clone(), judged(name, &result)))
    });
    each.collect()
}

/// Whether a test is better listed by its subtests: one of them fails, or is about something that comes later.
fn is_mixed(test: &str, whole: &TestResult) -> bool {
    let differs = !whole.passed || whole.subtests.iter().any(|name| about(name).is_some());
    about(test).is_none() && !whole.subtests.is_empty() && differs
}

fn judged(name: &str, result: &TestResult) -> Entry {
    match (result.passed && result.ran, about(name)) {
        (false, _) => Entry::Left(format!("fails against Apache Kafka 4.4.0: {}", result.complaint())),
        (true, Some(about)) => Entry::Left(format!("about {about}")),
        (true, None) => Entry::Run,
    }
}

/// Which later subject a test's name speaks of.
fn about(name: &str) -> Option<&'static str> {
    let fits = |word: &&str| word.strip_suffix('$').map_or_else(|| name.contains(*word), |whole| name == whole);
    LATER.iter().find(|(_, words)| words.iter().any(&fits)).map(|(about, _)| *about)
}

struct Suite<'a> {
    directory: &'a Path,
    package: &'a str,
}

struct TestResult {
    passed: bool,
    /// Whether a test of that name ran at all.
    ran: bool,
    /// Direct subtests as `test/subtest`, in the order they started.
    subtests: Vec<String>,
    text: String,
}

impl Suite<'_> {
    fn command(&self) -> std::process::Command {
        let mut command = workspace::command(binary(self.directory, self.package));
        command.current_dir(self.directory.join("kafka-go").join(self.package)).env("KAFKA_VERSION", KAFKA_VERSION);
        command
    }

    /// All tests of the package.
    fn tests(&self) -> Outcome<Vec<String>> {
        let text = workspace::succeed(self.command().args(["-test.list", "^Test"]), LIMIT)?;
        Ok(text.lines().filter(|line| line.starts_with("Test")).map(ToOwned::to_owned).collect())
    }

    /// Runs one test or subtest; one that does not end in time has failed.
    fn run(&self, name: &str) -> Outcome<TestResult> {
        let pattern = name.split('/').map(|part| format!("^{}$", escaped(part))).collect::<Vec<_>>().join("/");
        let mut command = self.command();
        command.args(["-test.v", "-test.run", &pattern, "-test.timeout", "110s"]);
        let (passed, text) = workspace::output(&mut command, LIMIT)?;
        Ok(TestResult { passed, ran: text.contains(&format!(": {name} (")), subtests: subtests(&text), text })
    }
}

impl Suite<'_> {
    /// A failure is tried once more: what fails by chance is no reason to leave a test out.
    fn run_twice(&self, name: &str) -> Outcome<TestResult> {
        let first = self.run(name)?;
        if first.passed { Ok(first) } else { self.run(name) }
    }
}

impl TestResult {
    /// The first thing the test complained of, without what differs from run to run.
    fn complaint(&self) -> String {
        let is_news = |line: &&str| {
            let noise = ["waitForTopic", "retrying after", "createTopic("];
            (line.contains("_test.go:") && !noise.iter().any(|word| line.contains(word))) || line.starts_with("panic:")
        };
        let Some(line) = self.text.lines().find(is_news) else {
            return if self.ran { "no message".into() } else { "no such test ran".into() };
        };
        let at = self.text.find(line).unwrap_or(0) + line.len();
        let next = self.text[at..].lines().nth(1).unwrap_or_default();
        let whole =
            if line.trim_end().ends_with(':') { format!("{} {}", line.trim(), next.trim()) } else { line.trim().to_owned() };
        let words: Vec<String> = whole.split_whitespace().map(without_chance).collect();
        words.join(" ").chars().take(140).collect()
    }
}

/// `kafka-go-39ae6c702bbbd751` differs from run to run.
fn without_chance(word: &str) -> String {
    match word.find("kafka-go-") {
        Some(at) => {
            let rest = &word[at + "kafka-go-".len()..];
            let random = rest.chars().take_while(char::is_ascii_hexdigit).count();
            format!("{}kafka-go-*{}", &word[..at], &rest[random..])
        }
        None => word.to_owned(),
    }
}

/// Direct subtests in the verbose output.
fn subtests(text: &str) -> Vec<String> {
    let started = text.lines().filter_map(|line| line.strip_prefix("=== RUN ")).map(str::trim);
    started.filter(|name| name.matches('/').count() == 1).map(ToOwned::to_owned).collect()
}

/// A name as a regular expression that matches just it.
fn escaped(name: &str) -> String {
    let mut pattern = String::new();
    for character in name.chars() {
        if !character.is_alphanumeric() && character != '_' && character != '-' {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

fn parse(text: &str) -> Outcome<List> {
    let document: toml_edit::DocumentMut = text.parse()?;
    let mut list = List::new();
    for (package, table) in document.as_table() {
        let table = table.as_table().ok_or_else(|| format!("{package}: not a table"))?;
        for (test, value) in table {
            let entry = match (value.as_bool(), value.as_str()) {
                (Some(true), _) => Entry::Run,
                (_, Some(reason)) if !reason.is_empty() => Entry::Left(reason.to_owned()),
                _ => return Err(format!("{package} {test}: neither true nor a reason").into()),
            };
            list.entry(package.to_owned()).or_default().insert(test.to_owned(), entry);
        }
    }
    Ok(list)
}

fn written(list: &List) -> String {
    let mut text = format!(
        "# The tests of {} that need a broker: `true` must pass here, else the reason why it is left out.\n\
         # Made by `cargo xtask interop --relist`, which runs each on Apache Kafka 4.4.0 and on Flumen. Packages that are not named\n\
         # here (protocol and the codecs) work in memory only.\n",
        super::install::KAFKA_GO
    );
    for (package, entries) in list {
        writeln!(text, "\n[{}]", toml_edit::Key::new(package)).expect("a String takes all");
        for (test, entry) in entries {
            let value = match entry {
                Entry::Run => toml_edit::Value::from(true),
                Entry::Left(reason) => toml_edit::Value::from(reason.as_str()),
            };
            writeln!(text, "{} = {value}", toml_edit::Key::new(test)).expect("a String takes all");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(text: &str) -> TestResult {
        TestResult { passed: false, ran: true, subtests: subtests(text), text: text.to_owned() }
    }

    #[test]
    fn a_list_reads_back_as_written() {
        let entries = BTreeMap::from([
            ("TestA".to_owned(), Entry::Run),
            ("TestB/reads_\"all\"_(of_it)".to_owned(), Entry::Left("about transactions".to_owned())),
        ]);
        let list = List::from([(".".to_owned(), entries)]);
        assert_eq!(parse(&written(&list)).unwrap(), list);
    }

    #[test]
    fn the_list_says_what_the_tool_would_write() {
        let list = parse(&std::fs::read_to_string(workspace::asset("interop/kafka-go.toml")).unwrap()).unwrap();
        for (name, entry) in list.values().flatten() {
            match entry {
                Entry::Left(reason) if reason.starts_with("about ") => {
                    assert_eq!(Some(reason.as_str()), about(name).map(|about| format!("about {about}")).as_deref(), "{name}");
                }
                Entry::Left(_) => {}
                Entry::Run => assert_eq!(about(name), None, "{name}"),
            }
        }
    }

    #[test]
    fn an_entry_without_a_reason_is_refused() {
        assert!(parse("[\".\"]\nTestA = false\n").is_err());
        assert!(parse("[\".\"]\nTestA = \"\"\n").is_err());
    }

    #[test]
    fn differing_subtests_are_listed_one_by_one() {
        let text = "=== RUN   TestC\n=== RUN   TestC/one\n=== RUN   TestC/two\n=== RUN   TestC/two/deep\n";
        assert_eq!(result(text).subtests, ["TestC/one", "TestC/two"]);
        assert!(is_mixed("TestC", &result(text)));
        assert!(!is_mixed("TestC", &TestResult { passed: true, ..result(text) }));
        assert!(!is_mixed("TestGroup", &result(text)));
        let with_group = format!("{text}=== RUN   TestC/group\n");
        assert!(is_mixed("TestC", &TestResult { passed: true, ..result(&with_group) }));
    }

    #[test]
    fn complaints_do_not_change_from_run_to_run() {
        let text = "    a_test.go:3: waitForTopic: x\n    a_test.go:4: bad kafka-go-39ae6c702bbbd751\n";
        assert_eq!(result(text).complaint(), "a_test.go:4: bad kafka-go-*");
    }

    #[test]
    fn names_are_matched_literally() {
        assert_eq!(escaped("of_(it)"), "of_\\(it\\)");
    }
}
