//! `flumen topic describe`

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Args;
use flumen_client::admin::{
    ConfigEntry, DescribedPartition, DescribedTopic, EARLIEST_TIMESTAMP, FoundOffset, LATEST_TIMESTAMP, Place, Resource,
};
use flumen_client::{Admin, Error, Isolation};
use serde_json::{Value, json};

use super::{list, matching, say_failures};
use crate::cli::Failure;
use crate::cli::connect::ConnectionArguments;
use crate::cli::output::ListFormat;
use crate::cli::table::{Table, numbers, title};

/// What `describe` takes.
#[derive(Args, Debug)]
pub(super) struct DescribeArguments {
    /// The topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,

    /// Show the summary
    #[arg(short = 's', long = "print-summary", visible_alias = "summary")]
    summary: bool,

    /// Show the settings
    #[arg(short = 'c', long = "print-configs", visible_alias = "configs")]
    configs: bool,

    /// Show the partitions
    #[arg(short = 'p', long = "print-partitions", visible_alias = "partitions")]
    partitions: bool,

    /// Show everything
    #[arg(short = 'a', long = "print-all", visible_alias = "all")]
    all: bool,

    /// Show the last stable offsets too
    #[arg(long)]
    stable: bool,

    /// Take the names for regular expressions
    #[arg(short, long)]
    regex: bool,

    /// How it is written
    #[arg(short, long, value_enum, default_value_t)]
    format: ListFormat,
}

/// All that is shown of one topic.
struct Described {
    topic: DescribedTopic,
    configs: Option<Result<Vec<ConfigEntry>, Error>>,
    offsets: Option<Offsets>,
}

#[derive(Default)]
struct Offsets {
    start: Found,
    stable: Option<Found>,
    end: Found,
}

type Found = BTreeMap<Place, Result<FoundOffset, Error>>;

pub(super) async fn run(connection: &ConnectionArguments, arguments: DescribeArguments) -> Result<(), Failure> {
    let admin = Admin::new(connection.cluster().await?);
    let names = matching(&admin, &arguments.topics, arguments.regex, false).await?;
    let sections = Sections::of(&arguments);
    let mut described = Vec::new();
    let mut failed = Vec::new();
    for (name, outcome) in admin.describe_topics(&names).await? {
        match outcome {
            Ok(topic) => described.push(describe(&admin, topic, sections, arguments.stable).await?),
            Err(problem) => failed.push((name, problem)),
        }
    }
    if !described.is_empty() {
        arguments.format.write(
            || described.iter().map(|topic| topic.as_text(sections)).collect::<Vec<_>>().join("\n"),
            || described.iter().map(|topic| topic.as_json(sections)).collect(),
        )?;
    }
    say_failures(failed.iter().map(|(name, problem)| (name, problem)))
}

#[derive(Clone, Copy)]
struct Sections {
    summary: bool,
    configs: bool,
    partitions: bool,
}

impl Sections {
    fn of(arguments: &DescribeArguments) -> Self {
        let none = !(arguments.summary || arguments.configs || arguments.partitions);
        Self {
            summary: arguments.all || arguments.summary || none,
            configs: arguments.all || arguments.configs || none,
            partitions: arguments.all || arguments.partitions,
        }
    }

    fn has_titles(self) -> bool {
        [self.summary, self.configs, self.partitions].into_iter().filter(|section| *section).count() > 1
    }
}

async fn describe(admin: &Admin, topic: DescribedTopic, sections: Sections, stable: bool) -> Result<Described, Failure> {
    let mut described = Described { topic, configs: None, offsets: None };
    if sections.configs {
        let resource = Resource::Topic(described.topic.name.clone());
        let found = admin.describe_configs(&[resource], false).await?;
        described.configs = found.into_iter().next().map(|(_, outcome)| outcome);
    }
    if sections.partitions {
        let name: Arc<str> = Arc::from(described.topic.name.as_str());
        let asked = |timestamp| -> BTreeMap<Place, i64> {
            // One without leader has nobody to ask and would only be waited for.
            let led = described.topic.partitions.iter().filter(|partition| partition.leader.is_some());
            led.map(|partition| ((Arc::clone(&name), partition.index), timestamp)).collect()
        };
        let mut offsets = Offsets {
            start: admin.list_offsets(&asked(EARLIEST_TIMESTAMP), Isolation::ReadUncommitted).await,
            stable: None,
            end: admin.list_offsets(&asked(LATEST_TIMESTAMP), Isolation::ReadUncommitted).await,
        };
        if stable {
            offsets.stable = Some(admin.list_offsets(&asked(LATEST_TIMESTAMP), Isolation::ReadCommitted).await);
        }
        described.offsets = Some(offsets);
    }
    Ok(described)
}

impl Described {
    fn as_text(&self, sections: Sections) -> String {
        let mut parts = Vec::new();
        let mut section = |name: &str, body: String| {
            parts.push(if sections.has_titles() { format!("{}{body}", title(name)) } else { body });
        };
        if sections.summary {
            section("SUMMARY", self.summary());
        }
        if let Some(configs) = &self.configs {
            section("CONFIGS", config_table(configs));
        }
        if let Some(offsets) = &self.offsets {
            section("PARTITIONS", self.partition_table(offsets));
        }
        parts.join("\n")
    }

    fn summary(&self) -> String {
        let mut table = Table::new();
        table.row(["NAME", &self.topic.name]);
        if self.topic.is_internal {
            table.row(["INTERNAL", "true"]);
        }
        if !self.topic.id.is_zero() {
            table.row(["ID", &flumen_log::TopicId(self.topic.id.0).to_string()]);
        }
        table.row(["PARTITIONS", &self.topic.partitions.len().to_string()]);
        table.row(["REPLICAS", &list::replicas(&self.topic).to_string()]);
        table.render()
    }

    fn partition_table(&self, offsets: &Offsets) -> String {
        let partitions = &self.topic.partitions;
        let has_offline = partitions.iter().any(|partition| !partition.offline.is_empty());
        let has_problem = partitions.iter().any(|partition| self.problem(partition, offsets).is_some());
        let mut heading = vec!["PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR"];
        heading.extend(has_offline.then_some("OFFLINE-REPLICAS"));
        heading.extend(has_problem.then_some("LOAD-ERROR"));
        heading.push("LOG-START-OFFSET");
        heading.extend(offsets.stable.is_some().then_some("LAST-STABLE-OFFSET"));
        heading.push("HIGH-WATERMARK");
        let mut table = Table::with_heading(&heading);
        for partition in partitions {
            let place = self.place(partition);
            let cell = |found: &Found| offset(found, &place).map_or_else(|| String::from("-"), |offset| offset.to_string());
            let mut row = vec![
                partition.index.to_string(),
                partition.leader.map_or_else(|| String::from("-"), |leader| leader.to_string()),
                partition.leader_epoch.to_string(),
                numbers(&partition.replicas),
                numbers(&partition.in_sync),
            ];
            row.extend(has_offline.then(|| numbers(&partition.offline)));
            row.extend(has_problem.then(|| self.problem(partition, offsets).unwrap_or_else(|| String::from("-"))));
            row.push(cell(&offsets.start));
            row.extend(offsets.stable.as_ref().map(cell));
            row.push(cell(&offsets.end));
            table.row(row);
        }
        table.render()
    }

    fn place(&self, partition: &DescribedPartition) -> Place {
        (Arc::from(self.topic.name.as_str()), partition.index)
    }

    fn problem(&self, partition: &DescribedPartition, offsets: &Offsets) -> Option<String> {
        if let Some(code) = partition.problem {
            return Some(code.name().to_owned());
        }
        let problem = offsets.end.get(&self.place(partition))?.as_ref().err()?;
        Some(problem.code().map_or_else(|| problem.to_string(), |code| code.name().to_owned()))
    }

    fn as_json(&self, sections: Sections) -> Value {
        let mut object = list::as_json(&self.topic, sections.partitions);
        match &self.configs {
            Some(Ok(configs)) => object["configs"] = configs.iter().map(config_json).collect(),
            Some(Err(problem)) => object["configs_error"] = json!(problem.to_string()),
            None => {}
        }
        if let (Some(offsets), Some(details)) = (&self.offsets, object["partition_details"].as_array_mut()) {
            for (partition, detail) in self.topic.partitions.iter().zip(details) {
                let place = self.place(partition);
                detail["log_start_offset"] = json!(offset(&offsets.start, &place));
                if let Some(stable) = &offsets.stable {
                    detail["last_stable_offset"] = json!(offset(stable, &place));
                }
                detail["high_watermark"] = json!(offset(&offsets.end, &place));
            }
        }
        object
    }
}

fn offset(found: &Found, place: &Place) -> Option<i64> {
    Some(found.get(place)?.as_ref().ok()?.offset)
}

fn config_table(configs: &Result<Vec<ConfigEntry>, Error>) -> String {
    match configs {
        Ok(configs) => configs_as_text(configs),
        Err(problem) => format!("{problem}\n"),
    }
}

/// Settings for people.
pub(super) fn configs_as_text(configs: &[ConfigEntry]) -> String {
    let mut table = Table::with_heading(&["KEY", "VALUE", "SOURCE"]);
    for config in configs {
        let value = match &config.value {
            Some(value) => value.clone(),
            None if config.is_sensitive => String::from("(hidden)"),
            None => String::from("-"),
        };
        table.row([config.name.clone(), value, config.source.name().to_owned()]);
    }
    table.render()
}

/// A setting for programs.
pub(super) fn config_json(config: &ConfigEntry) -> Value {
    let mut object = json!({
        "key": config.name,
        "value": config.value,
        "source": config.source.name(),
        "read_only": config.is_read_only,
        "sensitive": config.is_sensitive,
    });
    if let Some(documentation) = &config.documentation {
        object["documentation"] = json!(documentation);
    }
    object
}
