//! Compacted segments under the eyes of Kafka's dump tool.

use super::Bench;
use super::jvm::{end, java, segments, tool};
use super::kcat::expect;
use crate::tally::{Outcome, Tally};
use crate::workspace;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const TOPIC: &str = "jvm-compacted";
const KEYS: usize = 10;
const ROUNDS: usize = 60;
const VALUE_BYTES: usize = 10_000;
/// One record of each key, and as much again.
const CLEAN_BYTES_MAX: u64 = 2 * (KEYS * VALUE_BYTES) as u64;
/// How long a log may stay uncompacted once it is dirty.
const LIMIT: Duration = Duration::from_secs(90);

pub(super) fn run(bench: &Bench, tally: &mut Tally) {
    tally.check("jvm: DumpLogSegments on compacted segments", || dump(bench));
}

/// Text of so many bytes that no codec makes much smaller.
fn noise(seed: usize, bytes: usize) -> String {
    let mut state = seed as u64 + 1;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-"[(state >> 58) as usize])
    };
    (0..bytes).map(next).collect()
}

fn dump(bench: &Bench) -> Outcome<()> {
    let configs = ["cleanup.policy=compact", "segment.bytes=1048576", "min.cleanable.dirty.ratio=0"];
    let configs: Vec<&str> = configs.iter().flat_map(|config| ["--config", config]).collect();
    let create = ["--create", "--topic", TOPIC, "--partitions", "1", "--replication-factor", "1"];
    tool(bench, "TopicCommand", &[&create[..], &configs].concat(), "")?;
    let mut lines = String::from("gone:value\ngone:NONE\n");
    for round in 0..ROUNDS {
        for key in 0..KEYS {
            lines.push_str(&format!("key {key}:round {round} {}\n", noise(round * KEYS + key, VALUE_BYTES)));
        }
    }
    let properties = ["parse.key=true", "key.separator=:", "null.marker=NONE"];
    let properties: Vec<&str> = properties.iter().flat_map(|property| ["--property", property]).collect();
    let produce = [&["--topic", TOPIC, "--compression-codec", "lz4"][..], &properties].concat();
    tool(bench, "ConsoleProducer", &produce, &lines)?;
    let logs = until_compacted(bench)?;
    let mut values = 0;
    let mut horizons = 0;
    for log in &logs {
        let arguments = ["--files", &log.to_string_lossy(), "--print-data-log", "--deep-iteration"].map(String::from);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let text = java(bench, "org.apache.kafka.tools.DumpLogSegments", &arguments, "")?;
        if text.contains("isvalid: false") || text.contains("invalid") {
            return Err(format!("{}: an invalid batch:\n{}", log.display(), workspace::end_of(&text, 5)).into());
        }
        values += text.matches("payload: round ").count();
        horizons += text.matches("deleteHorizonMs: OptionalLong[").count();
        if Some(log) == logs.last() {
            for key in 0..KEYS {
                expect(&text, &format!("key: key {key} "))?;
            }
        }
    }
    if !(KEYS..=ROUNDS * KEYS / 2).contains(&values) || horizons == 0 {
        return Err(format!("{values} values and {horizons} delete horizons are in {} segments", logs.len()).into());
    }
    for extension in ["index", "timeindex"] {
        let files: Vec<String> = logs
            .iter()
            .map(|log| log.with_extension(extension))
            .filter(|path| path.exists())
            .map(|path| path.to_string_lossy().into_owned())
            .collect();
        let arguments = ["--verify-index-only", "--files", &files.join(",")];
        let text = java(bench, "org.apache.kafka.tools.DumpLogSegments", &arguments, "")?;
        if ["mismatch", "do not match", "out of order", "Found"].iter().any(|word| text.contains(word)) {
            return Err(format!(".{extension}: {}", workspace::end_of(&text, 5)).into());
        }
    }
    if end(bench, TOPIC, "0")? == 2 + i64::try_from(ROUNDS * KEYS)? { Ok(()) } else { Err("the end moved".into()) }
}

/// The segments, once those before the active one hold little more than one record of each key. How many they are depends on how
/// often the cleaner came by while they were written: what it has cleaned it joins when there is dirt again, as Kafka does.
fn until_compacted(bench: &Bench) -> Outcome<Vec<PathBuf>> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let mut logs: Vec<PathBuf> =
            segments(&bench.data)?.into_iter().filter(|path| path.to_string_lossy().contains(TOPIC)).collect();
        logs.sort();
        let manifest = logs.first().map(|log| log.with_file_name("compaction.manifest"));
        // Between the listing and this a file may have been replaced.
        let bytes = |log: &PathBuf| log.metadata().map_or(u64::MAX, |metadata| metadata.len());
        let clean = logs.split_last().map_or(&[][..], |(_, clean)| clean);
        let clean_bytes = clean.iter().map(bytes).fold(0, u64::saturating_add);
        if !clean.is_empty() && clean_bytes <= CLEAN_BYTES_MAX && manifest.is_some_and(|manifest| manifest.exists()) {
            return Ok(logs);
        }
        if Instant::now() > deadline {
            return Err(format!("{} segments, {clean_bytes} bytes before the last, after {LIMIT:?}", logs.len()).into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
