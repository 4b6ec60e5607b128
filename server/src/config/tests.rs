//! Configurations as people type them, wrong ones on purpose.

use super::*;
use flumen_controller::configs::{ConfigMap, EffectiveTopicConfig};

fn load(file: &str, variables: &[(&str, &str)], flags: ConfigFlags) -> Result<ServerConfig, Faults> {
    let flags = ConfigFlags { config: Some("server.toml".into()), ..flags };
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    ServerConfig::from_parts(Some(file), variables, &flags)
}

fn from_file(file: &str) -> ServerConfig {
    load(file, &[], ConfigFlags::default()).unwrap_or_else(|faults| panic!("{faults}"))
}

fn refusal(file: &str) -> String {
    load(file, &[], ConfigFlags::default()).expect_err("a refusal").to_string()
}

fn set(pairs: &[&str]) -> ConfigFlags {
    ConfigFlags { set: pairs.iter().map(|pair| (*pair).to_owned()).collect(), ..ConfigFlags::default() }
}

#[test]
fn nothing_given_is_a_broker_on_loopback() {
    let config = from_file("");
    assert_eq!(config.node, BrokerId(1));
    assert_eq!(config.log_dirs, [PathBuf::from("./flumen-data")]);
    assert_eq!(config.metadata_dir, config.log_dirs[0]);
    let address = Address { host: "127.0.0.1".into(), port: 9092 };
    assert_eq!(config.listeners, [Listener { name: "PLAINTEXT".into(), bind: address.clone(), advertised: address }]);
    assert_eq!(config.placement, Placement::EveryCore);
    assert_eq!(config.number("num.partitions"), Some(1));
    assert!(config.switch("auto.create.topics.enable"));
    let stated: ConfigMap = [
        ("advertised.listeners", "PLAINTEXT://127.0.0.1:9092"),
        ("broker.id", "1"),
        ("listeners", "PLAINTEXT://127.0.0.1:9092"),
        ("log.dirs", "./flumen-data"),
        ("node.id", "1"),
        ("process.roles", "broker,controller"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    assert_eq!(config.fixed, stated);
}

#[test]
fn the_three_ways_to_write_a_name_mean_the_same() {
    for file in
        ["log.retention.ms = 1000", "\"log.retention.ms\" = 1000", "[log.retention]\nms = 1000", "log = { retention.ms = 1000 }"]
    {
        assert_eq!(from_file(file).fixed.get("log.retention.ms").map(String::as_str), Some("1000"), "{file}");
    }
}

#[test]
fn values_have_their_types() {
    let config = from_file(
        "log.cleanup.policy = [\"compact\", \"delete\"]\nlog.cleaner.min.cleanable.ratio = 0.25\ndelete.topic.enable = false\n\
         broker.rack = \"r1\"\nflumen.durability = \"replicated\"\nlog.cleaner.io.buffer.load.factor = 1\n",
    );
    assert_eq!(config.fixed.get("log.cleanup.policy").map(String::as_str), Some("compact,delete"));
    assert_eq!(config.fixed.get("log.cleaner.min.cleanable.ratio").map(String::as_str), Some("0.25"));
    assert!(!config.switch("delete.topic.enable"));
    assert_eq!(config.rack.as_deref(), Some("r1"));
    let topic = config.broker_settings().topic_config(&flumen_controller::MetadataImage::default(), "t");
    assert!(topic.cleanup.compact);
    assert_eq!(topic, EffectiveTopicConfig::resolve(None, &config.layers()));
}

#[test]
fn file_then_variables_then_flags() {
    let file = "log.retention.ms = 1\nlog.roll.ms = 1\nlog.segment.bytes = 2000000\nnum.partitions = 2";
    let variables =
        [("FLUMEN_LOG_RETENTION_MS", "2"), ("FLUMEN_LOG_ROLL_MS", "2"), ("FLUMEN_DURABILITY", "replicated"), ("PATH", "x")];
    let config = load(file, &variables, set(&["log.retention.ms=3"])).expect("valid");
    assert_eq!(config.number("log.retention.ms"), Some(3));
    assert_eq!(config.number("log.roll.ms"), Some(2));
    assert_eq!(config.number("log.segment.bytes"), Some(2_000_000));
    assert_eq!(config.text("flumen.durability").as_deref(), Some("replicated"));
}

#[test]
fn a_wrong_name_is_told_with_its_place_and_the_right_one() {
    let refused = refusal("# comment\n\n  log.retention.mss = 1000\n");
    assert_eq!(refused, "server.toml:3:17: Unknown configuration log.retention.mss: did you mean log.retention.ms?");
    assert_eq!(
        refusal("retention = 1"),
        "server.toml:1:1: Unknown configuration retention: settings have Kafka's names, such as log.retention.ms"
    );
    assert!(refusal("[log]\nretention.ms = 1\nfoo = 2").starts_with("server.toml:3:1: Unknown configuration log.foo"));
}

#[test]
fn a_wrong_type_is_told_with_its_place_and_the_right_one() {
    for (file, told) in [
        ("log.retention.ms = \"1000\"", "server.toml:1:20: log.retention.ms must be a whole number, this is a text"),
        ("num.partitions = 1.5", "server.toml:1:18: num.partitions must be a whole number, this is a fraction"),
        ("\ndelete.topic.enable = \"no\"", "server.toml:2:23: delete.topic.enable must be true or false, this is a text"),
        ("broker.rack = 5", "server.toml:1:15: broker.rack must be a text in quotes, this is a whole number"),
        ("broker.rack = 1979-05-27", "server.toml:1:15: broker.rack must be a text in quotes, this is a date"),
        (
            "log.cleanup.policy = [1]",
            "server.toml:1:22: log.cleanup.policy must be an array of texts in quotes, or one text with commas, this is an array",
        ),
    ] {
        assert_eq!(refusal(file), told);
    }
    assert!(refusal("[[num.partitions]]\na = 1").contains("cannot be an array of tables"));
}

#[test]
fn a_wrong_value_is_told_with_its_place_and_the_rule() {
    assert_eq!(
        refusal("log.segment.bytes = 1"),
        "server.toml:1:21: Invalid value 1 for configuration log.segment.bytes: must be at least 1048576"
    );
    assert!(refusal("num.partitions = 99999999999").contains("32 bits"));
    assert!(refusal("flumen.durability = \"fsync\"").contains("must be one of synced, replicated"));
}

#[test]
fn what_is_no_toml_is_told_with_its_place() {
    assert!(refusal("num.partitions = \n").starts_with("server.toml:1:"), "{}", refusal("num.partitions = \n"));
    let both = refusal("max.connections = 5\nmax.connections.per.ip = 1\n");
    assert!(both.starts_with("server.toml:2:") && both.contains("put the longer name in quotes"), "{both}");
    let twice = refusal("num.partitions = 1\nnum.partitions = 2\n");
    assert!(twice.starts_with("server.toml:2:") && twice.contains("num.partitions is set before"), "{twice}");
    let apart = refusal("log.retention.ms = 1\n\"log.retention.ms\" = 2\n");
    assert_eq!(apart, "server.toml:2:22: log.retention.ms is set before, too, at server.toml:1:20; keep one of them");
    let large = refusal("num.partitions = 99999999999999999999\n");
    assert!(large.starts_with("server.toml:1:") && large.contains("at most 64 bits"), "{large}");
    assert_eq!(from_file("max.connections = 5\n\"max.connections.per.ip\" = 1").number("max.connections.per.ip"), Some(1));
}

#[test]
fn two_listeners_of_one_port_are_told_apart_from_another_program() {
    let refused =
        refusal("listeners = \"PLAINTEXT://localhost:1,B://127.0.0.1:1\"\nlistener.security.protocol.map = \"B:PLAINTEXT\"\n");
    assert!(refused.contains("listeners B and PLAINTEXT both want port 1 of localhost; give each its own"), "{refused}");
    let free =
        from_file("listeners = \"PLAINTEXT://localhost:0,B://localhost:0\"\nlistener.security.protocol.map = \"B:PLAINTEXT\"\n");
    assert_eq!(free.listeners.len(), 2, "the kernel chooses each its own");
}

#[test]
fn an_overridden_mistake_is_a_mistake() {
    let refused = load("num.partitions = 0", &[], set(&["num.partitions=1"])).expect_err("a refusal");
    assert!(refused.to_string().starts_with("server.toml:1:18:"), "{refused}");
}

#[test]
fn every_mistake_is_told_at_once() {
    let refused =
        load("num.partitions = 0\nfoo = 1", &[("FLUMEN_NUM_PARTITIONS", "x")], set(&["node.id"])).expect_err("a refusal");
    assert_eq!(refused.0.len(), 4, "{refused}");
}

#[test]
fn unknown_variables_are_refused_but_for_a_short_list() {
    let with = |name: &str, value: &str| load("", &[(name, value)], ConfigFlags::default());
    assert!(with("FLUMEN_LOG", "debug").is_ok());
    assert!(with("FLUMEN_CONFIG", "x").is_ok());
    let misspelt = with("FLUMEN_LOG_RETENTION_MSS", "1").expect_err("unknown").to_string();
    assert_eq!(
        misspelt,
        "environment variable FLUMEN_LOG_RETENTION_MSS: no setting has this variable: did you mean FLUMEN_LOG_RETENTION_MS?"
    );
    let ours = with("FLUMEN_DURABILTY", "synced").expect_err("unknown").to_string();
    assert!(ours.ends_with("did you mean FLUMEN_DURABILITY?"), "{ours}");
    assert!(with("FLUMEN_WHATEVER_THIS_IS", "1").is_err());
    let value = with("FLUMEN_NUM_PARTITIONS", "many").expect_err("a bad value").to_string();
    assert!(value.starts_with("environment variable FLUMEN_NUM_PARTITIONS: Invalid value many"), "{value}");
}

#[test]
fn flags_stand_for_settings() {
    let flags = ConfigFlags {
        data: Some("/data/x".into()),
        listen: Some("127.0.0.1:0".into()),
        cores: Some("0-1,3".into()),
        ..ConfigFlags::default()
    };
    let config = load("log.dirs = \"/other\"", &[], flags).expect("valid");
    assert_eq!(config.log_dirs, [PathBuf::from("/data/x")]);
    assert_eq!(config.listeners[0].bind.port, 0);
    assert_eq!(config.placement, Placement::Cores(vec![0, 1, 3]));
    let config = load("", &[], ConfigFlags { shards: Some(2), ..ConfigFlags::default() }).expect("valid");
    assert_eq!(config.placement, Placement::Shards(2));
    assert!(load("flumen.cores = \"0\"\nflumen.shards = 1", &[], ConfigFlags::default()).is_err());
    assert!(load("", &[], ConfigFlags { shards: Some(0), ..ConfigFlags::default() }).is_err());
    assert!(load("", &[], set(&["broker.rack"])).expect_err("no value").to_string().contains("KEY=VALUE"));
}

#[test]
fn beyond_loopback_must_be_asked_for() {
    for host in ["10.0.0.1", "broker.example", "[2001:db8::1]"] {
        let listen = format!("listeners = \"PLAINTEXT://{host}:9092\"");
        let refused = refusal(&listen);
        assert!(refused.contains("flumen.allow.insecure=true"), "{refused}");
        from_file(&format!("{listen}\nflumen.allow.insecure = true"));
    }
    for host in ["127.0.0.1", "localhost", "[::1]", "127.1.2.3"] {
        from_file(&format!("listeners = \"PLAINTEXT://{host}:9092\""));
    }
}

#[test]
fn a_wildcard_needs_an_advertised_host() {
    for host in ["0.0.0.0", "", "[::]"] {
        let listen = format!("listeners = \"PLAINTEXT://{host}:9092\"\nflumen.allow.insecure = true\n");
        assert!(refusal(&listen).contains("set advertised.listeners=PLAINTEXT://HOST:9092"), "{}", refusal(&listen));
        let config = from_file(&format!("{listen}advertised.listeners = \"PLAINTEXT://broker.example:19092\""));
        assert_eq!(config.listeners[0].advertised, Address { host: "broker.example".into(), port: 19092 });
        assert!(refusal(&format!("{listen}advertised.listeners = \"PLAINTEXT://0.0.0.0:1\"")).contains("cannot connect"));
    }
}

#[test]
fn listeners_have_names_protocols_and_places() {
    let two = "listeners = \"PLAINTEXT://127.0.0.1:9092,INNER://localhost:9093\"\n";
    let config = from_file(&format!("{two}listener.security.protocol.map = \"PLAINTEXT:PLAINTEXT,INNER:PLAINTEXT\""));
    let names: Vec<&str> = config.listeners.iter().map(|listener| listener.name.as_str()).collect();
    assert_eq!(names, ["INNER", "PLAINTEXT"]);
    assert!(refusal(two).contains("add INNER:PLAINTEXT to listener.security.protocol.map"));
    assert!(refusal("listeners = \"SSL://127.0.0.1:9092\"").contains("PLAINTEXT only"));
    for bad in ["127.0.0.1:9092", "PLAINTEXT://127.0.0.1", "PLAINTEXT://127.0.0.1:99999", "PLAINTEXT://::1:9092", "://h:1"] {
        assert!(refusal(&format!("listeners = \"{bad}\"")).contains("NAME://HOST:PORT"), "{bad}");
    }
    assert!(refusal("listeners = \"PLAINTEXT://127.0.0.1:1,PLAINTEXT://127.0.0.1:2\"").contains("a name of its own"));
    assert!(refusal("advertised.listeners = \"OTHER://h:1\"").contains("there is no listener OTHER"));
    let controller = "controller.listener.names = \"CONTROLLER\"\nlistener.security.protocol.map = \"CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\"\n\
                      listeners = \"PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093\"";
    assert!(refusal(controller).contains("leave CONTROLLER out"));
}

#[test]
fn one_node_one_directory_both_roles_no_tiers() {
    assert_eq!(from_file("broker.id = 7").node, BrokerId(7));
    assert_eq!(from_file("node.id = 7").fixed.get("broker.id").map(String::as_str), Some("7"));
    assert!(refusal("broker.id = 7\nnode.id = 8").contains("must be the same"));
    assert!(refusal("node.id = -2").contains("at least 0"));
    assert_eq!(from_file("log.dir = \"/d\"").log_dirs, [PathBuf::from("/d")]);
    let several = from_file("log.dirs = [\"/a\", \"/b\"]");
    assert_eq!(several.log_dirs, [PathBuf::from("/a"), PathBuf::from("/b")]);
    assert_eq!(several.metadata_dir, PathBuf::from("/a"));
    assert_eq!(from_file("log.dirs = \"/a,/b\"\nmetadata.log.dir = \"/c\"").metadata_dir, PathBuf::from("/c"));
    assert!(refusal("log.dirs = [\"/a\", \"/a\"]").contains("log.dirs"));
    assert!(refusal("\"flumen.log.dirs.lost\" = \"/a\"").contains("ids of log directories"));
    assert!(refusal("process.roles = \"broker\"").contains("broker,controller"));
    from_file("process.roles = \"controller,broker\"");
    assert!(refusal("remote.log.storage.system.enable = true").contains("no tiered storage"));
}

#[test]
fn a_password_is_never_told() {
    let refused = refusal("ssl.key.password = 5");
    assert!(!refused.contains('5') || refused.starts_with("server.toml:1:20: ssl.key.password must be a text"), "{refused}");
}

#[test]
fn the_corpus_of_configuration_files_is_read_without_a_panic() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/configuration");
    let mut refused = 0;
    let mut inputs = 0;
    for entry in std::fs::read_dir(corpus).expect("a corpus") {
        let text = std::fs::read(entry.expect("a readable corpus").path()).expect("a readable input");
        let Ok(text) = String::from_utf8(text) else { continue };
        inputs += 1;
        refused += usize::from(load(&text, &[], ConfigFlags::default()).is_err());
    }
    assert!(inputs > 3 && refused > 0 && refused < inputs, "{refused} of {inputs} were refused");
}
