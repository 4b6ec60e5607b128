//! The command line against a running broker: what a person types, what comes back, and the exit codes scripts rely on.

#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test is a crate of its own, and all of it is test")]

#[path = "../harness/mod.rs"]
mod harness;

use harness::broker::Broker;
use std::io::Write;
use std::process::{Command, Stdio};

/// What a command printed and how it ended.
struct Ended {
    code: i32,
    out: String,
    err: String,
}

/// Runs `flumen` against a broker.
fn flumen(broker: &Broker, arguments: &[&str], input: &str) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_flumen"))
        .args(arguments)
        .args(["-b", &broker.bootstrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs a command that must work; what it printed.
fn works(broker: &Broker, arguments: &[&str], input: &str) -> String {
    let ended = flumen(broker, arguments, input);
    assert_eq!(ended.code, 0, "{arguments:?}: {}{}", ended.out, ended.err);
    ended.out
}

#[test]
fn a_topics_life() {
    let broker = Broker::start(&[]);
    let run = |arguments: &[&str]| works(&broker, arguments, "");
    run(&["topic", "create", "orders", "-p", "3", "-c", "retention.ms=1000000"]);
    assert!(run(&["topic", "list"]).lines().any(|line| line.split_whitespace().eq(["orders", "3", "1"])));
    let described = run(&["topic", "describe", "orders", "-a"]);
    assert!(described.contains("retention.ms") && described.contains("1000000"), "{described}");
    run(&["topic", "add-partitions", "orders", "-n", "2"]);
    assert!(run(&["topic", "list", "-f", "json"]).contains("orders"));
    assert!(run(&["topic", "list", "-r", "ord.*"]).lines().any(|line| line.split_whitespace().eq(["orders", "5", "1"])));
    run(&["topic", "alter-config", "orders", "-s", "retention.ms=2000000"]);
    assert!(run(&["topic", "describe", "orders", "-c"]).contains("2000000"));
    run(&["topic", "delete", "orders", "--yes"]);
    assert!(!run(&["topic", "list"]).contains("orders"));
    let cluster = run(&["cluster", "info"]);
    assert!(cluster.contains(&broker.address().port().to_string()), "{cluster}");
}

#[test]
fn records_go_in_and_come_out_as_they_were() {
    let broker = Broker::start(&[]);
    works(&broker, &["topic", "create", "letters", "-p", "4"], "");
    let mut input = String::new();
    for number in 0..500 {
        input.push_str(&format!("key{} value {number}\n", number % 50));
    }
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let arguments = ["produce", "letters", "-f", "%k %v\\n", "-z", codec, "-H", "codec:x", "-o", ""];
        assert_eq!(works(&broker, &arguments, &input), "", "{codec}");
    }
    let all = works(&broker, &["consume", "letters", "-o", ":end", "-f", "%p %o %k %v\\n"], "");
    assert_eq!(all.lines().count(), 2500);
    let mut partition_of_key = std::collections::BTreeMap::new();
    for line in all.lines() {
        let mut words = line.split(' ');
        let (partition, _offset, key) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        assert_eq!(*partition_of_key.entry(key).or_insert(partition), partition, "a key stays in its partition");
    }
    assert_eq!(partition_of_key.len(), 50);
    let some = works(&broker, &["consume", "letters", "-p", "1", "-o", "+2", "-n", "3", "-f", "%o\\n"], "");
    assert_eq!(some, "2\n3\n4\n");
    let json = works(&broker, &["consume", "letters", "-n", "1", "--pretty-print=false"], "");
    assert!(json.starts_with('{') && json.contains("\"topic\":\"letters\"") && json.contains("\"codec\""), "{json}");
    let text = works(&broker, &["consume", "letters", "-p", "0", "-o", "0", "-n", "1", "-f", "text"], "");
    assert!(text.starts_with("value "), "{text}");
}

#[test]
fn a_broker_that_may_open_hardly_a_file_says_so() {
    let data = tempfile::tempdir().unwrap();
    let start = format!(
        "ulimit -n 20; exec {} start --listen 127.0.0.1:0 --data {}",
        env!("CARGO_BIN_EXE_flumen"),
        data.path().display()
    );
    let output = Command::new("sh").args(["-c", &start]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("may have 20 files open") && said.contains("ulimit -n"), "{said}");
}

#[test]
fn what_cannot_be_done_is_said_and_has_an_exit_code() {
    let broker = Broker::start(&[("auto.create.topics.enable", "false")]);
    works(&broker, &["topic", "create", "there"], "");
    for (arguments, code, says) in [
        (&["topic", "create", "there"][..], 1, "TOPIC_ALREADY_EXISTS"),
        (&["topic", "create", "new", "-r", "5"], 1, "INVALID_REPLICATION_FACTOR"),
        (&["topic", "create", "new", "-c", "no.such.setting=1"], 1, "no.such.setting"),
        (&["topic", "create", "bad/name"], 1, "bad/name"),
        (&["topic", "delete", "nowhere", "--yes"], 1, "UNKNOWN_TOPIC_OR_PARTITION"),
        (&["topic", "describe", "nowhere"], 1, "nowhere"),
        (&["consume", "nowhere", "-n", "1"], 1, "nowhere"),
        (&["consume", "there", "-o", "yesterday"], 2, "yesterday"),
        (&["consume", "there", "-f", "neither"], 2, "neither"),
        (&["produce", "there", "-z", "rar"], 2, "rar"),
        (&["topic", "add-partitions", "there", "-n", "0"], 2, "-n"),
        (&["topic", "lisst"], 2, "list"),
    ] {
        let ended = flumen(&broker, arguments, "");
        assert_eq!(ended.code, code, "{arguments:?}: {}{}", ended.out, ended.err);
        let said = format!("{}{}", ended.out, ended.err);
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
    let ended = flumen(&broker, &["produce", "nowhere"], "lost\n");
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("nowhere"), "{}", ended.err);
}

#[test]
fn where_nobody_listens_it_says_so() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_flumen"))
        .args(["topic", "list", "--request-timeout", "500ms", "-b", &free.to_string()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&free.to_string()) && said.contains("flumen start"), "{said}");
}
