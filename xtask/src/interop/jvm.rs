//! Kafka's own command line tools, each with a look at what it prints.
//!
//! Tools that need consumer groups (ConsumerPerformance, a ConsoleConsumer without `--partition`) are not among them.

use super::Bench;
use super::kcat::expect;
use crate::tally::{Outcome, Tally};
use crate::workspace;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
const TOPIC: &str = "jvm-topic";

pub(super) fn run(bench: &Bench, tally: &mut Tally) {
    tally.check("jvm: TopicCommand", || topics(bench));
    tally.check("jvm: ConsoleProducer and ConsoleConsumer", || console(bench));
    tally.check("jvm: ConfigCommand on topics", || topic_configs(bench));
    tally.check("jvm: ConfigCommand on the broker", || broker_configs(bench));
    tally.check("jvm: GetOffsetShell", || offsets(bench));
    tally.check("jvm: DeleteRecordsCommand", || delete_records(bench));
    tally.check("jvm: LogDirsCommand", || log_directories(bench));
    tally.check("jvm: BrokerApiVersionsCommand", || api_versions(bench));
    tally.check("jvm: ProducerPerformance", || performance(bench));
    tally.check("jvm: VerifiableProducer", || verifiable(bench));
    tally.check("jvm: DumpLogSegments on our segments", || dump(bench));
    tally.check("jvm: TopicCommand deletes", || delete_topic(bench));
}

/// Runs a tool's main class.
pub(super) fn java(bench: &Bench, class: &str, arguments: &[&str], input: &str) -> Outcome<String> {
    let mut command = workspace::command("java");
    command.args(["-Xmx512m", "-cp", &format!("{}/*", bench.directory.join("tools").display()), class]).args(arguments);
    workspace::succeed_with(&mut command, input.as_bytes(), LIMIT)
}

/// Runs a tool of `org.apache.kafka.tools` against the broker.
pub(super) fn tool(bench: &Bench, class: &str, arguments: &[&str], input: &str) -> Outcome<String> {
    let arguments: Vec<&str> = ["--bootstrap-server", &bench.address].into_iter().chain(arguments.iter().copied()).collect();
    let class = if class.starts_with("kafka.") { class.to_owned() } else { format!("org.apache.kafka.tools.{class}") };
    java(bench, &class, &arguments, input)
}

fn topics(bench: &Bench) -> Outcome<()> {
    let create =
        ["--create", "--topic", TOPIC, "--partitions", "3", "--replication-factor", "1", "--config", "retention.ms=86400000"];
    expect(&tool(bench, "TopicCommand", &create, "")?, "Created topic jvm-topic.")?;
    expect(&tool(bench, "TopicCommand", &["--list"], "")?, TOPIC)?;
    let described = tool(bench, "TopicCommand", &["--describe", "--topic", TOPIC], "")?;
    expect(&described, "PartitionCount: 3")?;
    expect(&described, "ReplicationFactor: 1")?;
    expect(&described, "retention.ms=86400000")?;
    expect(&described, "Partition: 2")?;
    tool(bench, "TopicCommand", &["--alter", "--topic", TOPIC, "--partitions", "5"], "")?;
    expect(&tool(bench, "TopicCommand", &["--describe", "--topic", TOPIC], "")?, "PartitionCount: 5")?;
    match tool(bench, "TopicCommand", &create, "") {
        Ok(text) => Err(format!("a second creation succeeds: {text}").into()),
        Err(error) => expect(&error.to_string(), "already exists"),
    }
}

fn console(bench: &Bench) -> Outcome<()> {
    let produce =
        ["--topic", TOPIC, "--property", "parse.key=true", "--property", "key.separator=:", "--compression-codec", "lz4"];
    let lines: String = (0..100).map(|number| format!("key:value {number}\n")).collect();
    tool(bench, "ConsoleProducer", &produce, &lines)?;
    let read = |partition: &str, offset: &str, count: &str| {
        let arguments = [
            "--topic",
            TOPIC,
            "--partition",
            partition,
            "--offset",
            offset,
            "--max-messages",
            count,
            "--timeout-ms",
            "20000",
            "--property",
            "print.key=true",
            "--property",
            "print.offset=true",
        ];
        tool(bench, "consumer.ConsoleConsumer", &arguments, "")
    };
    // One key, so one partition: find it by its end.
    let partition = (0..5)
        .map(|partition| partition.to_string())
        .find(|partition| end(bench, TOPIC, partition).is_ok_and(|end| end == 100))
        .ok_or("no partition holds the 100 records of one key")?;
    let all = read(&partition, "earliest", "100")?;
    for number in [0, 50, 99] {
        expect(&all, &format!("Offset:{number}\tkey\tvalue {number}"))?;
    }
    let some = read(&partition, "97", "3")?;
    expect(&some, "Offset:97\tkey\tvalue 97")?;
    expect(&some, "Processed a total of 3 messages")
}

/// A partition's end by GetOffsetShell.
pub(super) fn end(bench: &Bench, topic: &str, partition: &str) -> Outcome<i64> {
    let text = tool(bench, "GetOffsetShell", &["--topic", topic, "--partitions", partition, "--time", "-1"], "")?;
    let wanted = format!("{topic}:{partition}:");
    let line = text.lines().find_map(|line| line.strip_prefix(&wanted)).ok_or_else(|| format!("no {wanted} in {text}"))?;
    Ok(line.trim().parse()?)
}

fn topic_configs(bench: &Bench) -> Outcome<()> {
    let entity = ["--entity-type", "topics", "--entity-name", TOPIC];
    let configs = |arguments: &[&str]| tool(bench, "kafka.admin.ConfigCommand", &[&entity[..], arguments].concat(), "");
    expect(
        &configs(&["--alter", "--add-config", "max.message.bytes=65536,cleanup.policy=delete"])?,
        "Completed updating config",
    )?;
    let described = configs(&["--describe"])?;
    expect(&described, "max.message.bytes=65536")?;
    expect(&described, "DYNAMIC_TOPIC_CONFIG:max.message.bytes=65536")?;
    expect(&configs(&["--describe", "--all"])?, "min.insync.replicas=1")?;
    expect(&configs(&["--alter", "--delete-config", "max.message.bytes"])?, "Completed updating config")?;
    if configs(&["--describe"])?.contains("max.message.bytes=65536") {
        return Err("a deleted configuration is still there".into());
    }
    match configs(&["--alter", "--add-config", "retention.ms=soon"]) {
        Ok(text) => Err(format!("a bad value is taken: {text}").into()),
        Err(error) => expect(&error.to_string(), "InvalidConfigurationException"),
    }
}

fn broker_configs(bench: &Bench) -> Outcome<()> {
    let described =
        tool(bench, "kafka.admin.ConfigCommand", &["--entity-type", "brokers", "--entity-name", "1", "--describe", "--all"], "")?;
    expect(&described, "num.partitions=1")?;
    expect(&described, "message.max.bytes=1048588")
}

fn offsets(bench: &Bench) -> Outcome<()> {
    let text = tool(bench, "GetOffsetShell", &["--topic", TOPIC, "--time", "-2"], "")?;
    for partition in 0..5 {
        expect(&text, &format!("{TOPIC}:{partition}:0"))?;
    }
    Ok(())
}

fn delete_records(bench: &Bench) -> Outcome<()> {
    expect(&tool(bench, "TopicCommand", &["--create", "--topic", "jvm-delete", "--partitions", "1"], "")?, "Created")?;
    tool(bench, "ConsoleProducer", &["--topic", "jvm-delete"], &"line\n".repeat(20))?;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), r#"{"partitions":[{"topic":"jvm-delete","partition":0,"offset":7}],"version":1}"#)?;
    let path = file.path().to_string_lossy().into_owned();
    expect(&tool(bench, "DeleteRecordsCommand", &["--offset-json-file", &path], "")?, "low_watermark: 7")?;
    expect(&tool(bench, "GetOffsetShell", &["--topic", "jvm-delete", "--time", "-2"], "")?, "jvm-delete:0:7")
}

fn log_directories(bench: &Bench) -> Outcome<()> {
    let text = tool(bench, "LogDirsCommand", &["--describe", "--topic-list", TOPIC], "")?;
    expect(&text, "\"partition\":\"jvm-topic-4\"")?;
    expect(&text, "\"error\":null")
}

fn api_versions(bench: &Bench) -> Outcome<()> {
    let text = tool(bench, "BrokerApiVersionsCommand", &[], "")?;
    expect(&text, "Produce(0): 0 to 13")?;
    expect(&text, "Fetch(1): 4 to 18")?;
    expect(&text, "InitProducerId(22): 0 to ")
}

fn performance(bench: &Bench) -> Outcome<()> {
    let properties = format!("bootstrap.servers={}", bench.address);
    let arguments = [
        "--topic",
        "jvm-performance",
        "--num-records",
        "20000",
        "--record-size",
        "1024",
        "--throughput",
        "-1",
        "--producer-props",
    ];
    let small_segments = ["--create", "--topic", "jvm-performance", "--partitions", "4", "--config", "segment.bytes=1048576"];
    tool(bench, "TopicCommand", &small_segments, "")?;
    let class = "org.apache.kafka.tools.ProducerPerformance";
    let text = java(bench, class, &[&arguments[..], &[&properties, "acks=all"]].concat(), "")?;
    expect(&text, "20000 records sent")?;
    let ends: i64 = (0..4).map(|partition| end(bench, "jvm-performance", &partition.to_string())).sum::<Outcome<i64>>()?;
    if ends == 20_000 { Ok(()) } else { Err(format!("{ends} records are there").into()) }
}

fn verifiable(bench: &Bench) -> Outcome<()> {
    tool(bench, "TopicCommand", &["--create", "--topic", "jvm-verifiable", "--partitions", "2"], "")?;
    let arguments = ["--topic", "jvm-verifiable", "--max-messages", "1000", "--acks", "-1"];
    let text = tool(bench, "VerifiableProducer", &arguments, "")?;
    expect(&text, "\"sent\":1000")?;
    expect(&text, "\"acked\":1000")
}

fn dump(bench: &Bench) -> Outcome<()> {
    let segments: Vec<PathBuf> = segments(&bench.data)?;
    let of = |topic: &str| segments.iter().filter(|path| path.to_string_lossy().contains(topic)).cloned().collect::<Vec<_>>();
    let dump = |path: &Path, arguments: &[&str]| {
        let files = ["--files", &path.to_string_lossy()];
        java(bench, "org.apache.kafka.tools.DumpLogSegments", &[&files[..], arguments].concat(), "")
    };
    let mut records = 0;
    for segment in of(TOPIC) {
        let text = dump(&segment, &["--print-data-log", "--deep-iteration"])?;
        expect(&text, "Log starting offset: 0")?;
        if text.contains("isvalid: false") || text.contains("invalid") {
            return Err(format!("{}: an invalid batch:\n{}", segment.display(), workspace::end_of(&text, 5)).into());
        }
        records += text.matches("payload: value ").count();
    }
    if records != 100 {
        return Err(format!("{records} of the console's 100 records are in the dump").into());
    }
    let indexes = |extension: &str| {
        let files =
            of("jvm-performance").into_iter().map(|segment| segment.with_extension(extension)).filter(|path| path.exists());
        files.map(|path| path.to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    for extension in ["index", "timeindex"] {
        let files = indexes(extension);
        if files.len() < 8 {
            return Err(format!("only {} files end in .{extension}: too few to mean anything", files.len()).into());
        }
        let class = "org.apache.kafka.tools.DumpLogSegments";
        let text = java(bench, class, &["--verify-index-only", "--files", &files.join(",")], "")?;
        if ["mismatch", "do not match", "out of order", "Found"].iter().any(|word| text.contains(word)) {
            return Err(format!(".{extension}: {}", workspace::end_of(&text, 5)).into());
        }
    }
    Ok(())
}

/// All segment files below the data directory.
pub(super) fn segments(data: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting = vec![data.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "log") {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn delete_topic(bench: &Bench) -> Outcome<()> {
    tool(bench, "TopicCommand", &["--delete", "--topic", TOPIC], "")?;
    if tool(bench, "TopicCommand", &["--list"], "")?.lines().any(|line| line == TOPIC) {
        return Err("a deleted topic is still listed".into());
    }
    Ok(())
}
