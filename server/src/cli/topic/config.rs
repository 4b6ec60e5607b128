//! `flumen topic config`, and `flumen topic alter-config` with the flags of rpk.

use clap::{Args, Subcommand};
use flumen_client::Admin;
use flumen_client::admin::{AlterOperation, ConfigAlteration, Resource};
use serde_json::{Value, json};

use super::describe::{config_json, configs_as_text};
use super::{report, say_failures, setting};
use crate::cli::Failure;
use crate::cli::connect::ConnectionArguments;
use crate::cli::output::ListFormat;
use crate::cli::table::title;

/// What `config` takes.
#[derive(Args, Debug)]
pub(super) struct ConfigArguments {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Subcommand, Debug)]
enum ConfigCommand {
    /// Show the settings of topics
    #[command(visible_alias = "get")]
    Describe(DescribeArguments),
    /// Give settings values
    Set(ChangeArguments),
    /// Give settings their defaults back
    Delete(DeleteArguments),
    /// Add members to settings that are lists
    Append(ChangeArguments),
    /// Take members from settings that are lists
    Subtract(ChangeArguments),
}

#[derive(Args, Debug)]
struct DescribeArguments {
    /// The topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,

    /// Only this setting; repeat for more
    #[arg(short = 'k', long = "key", value_name = "NAME")]
    keys: Vec<String>,

    /// Say what each setting means
    #[arg(long)]
    docs: bool,

    /// How it is written
    #[arg(short, long, value_enum, default_value_t)]
    format: ListFormat,
}

#[derive(Args, Debug)]
struct ChangeArguments {
    /// The topic
    topic: String,

    /// The settings
    #[arg(required = true, value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,

    /// Only say whether it could be done
    #[arg(long, visible_alias = "dry")]
    dry_run: bool,
}

#[derive(Args, Debug)]
struct DeleteArguments {
    /// The topic
    topic: String,

    /// The settings
    #[arg(required = true, value_name = "NAME")]
    settings: Vec<String>,

    /// Only say whether it could be done
    #[arg(long, visible_alias = "dry")]
    dry_run: bool,
}

/// What `alter-config` takes.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
pub(super) struct AlterArguments {
    /// The topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,

    /// Give a setting a value
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = setting, group = "change")]
    set: Vec<(String, String)>,

    /// Give a setting its default back
    #[arg(short, long, value_name = "NAME", group = "change")]
    delete: Vec<String>,

    /// Add members to a setting that is a list
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting, group = "change")]
    append: Vec<(String, String)>,

    /// Take members from a setting that is a list
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting, group = "change")]
    subtract: Vec<(String, String)>,

    /// Only say whether it could be done
    #[arg(long = "dry-run", visible_alias = "dry")]
    dry_run: bool,
}

pub(super) async fn run(connection: &ConnectionArguments, arguments: ConfigArguments) -> Result<(), Failure> {
    let (topic, alterations, dry_run) = match arguments.command {
        ConfigCommand::Describe(describe) => return self::describe(connection, describe).await,
        ConfigCommand::Set(change) => (change.topic, with_values(AlterOperation::Set, change.settings), change.dry_run),
        ConfigCommand::Append(change) => (change.topic, with_values(AlterOperation::Append, change.settings), change.dry_run),
        ConfigCommand::Subtract(change) => (change.topic, with_values(AlterOperation::Subtract, change.settings), change.dry_run),
        ConfigCommand::Delete(delete) => (delete.topic, deletions(delete.settings), delete.dry_run),
    };
    change(connection, &[topic], alterations, dry_run).await
}

pub(super) async fn alter(connection: &ConnectionArguments, arguments: AlterArguments) -> Result<(), Failure> {
    let mut alterations = with_values(AlterOperation::Set, arguments.set);
    alterations.extend(deletions(arguments.delete));
    alterations.extend(with_values(AlterOperation::Append, arguments.append));
    alterations.extend(with_values(AlterOperation::Subtract, arguments.subtract));
    change(connection, &super::unique(&arguments.topics), alterations, arguments.dry_run).await
}

fn with_values(operation: AlterOperation, settings: Vec<(String, String)>) -> Vec<ConfigAlteration> {
    let alteration = |(name, value)| ConfigAlteration { name, operation, value: Some(value) };
    settings.into_iter().map(alteration).collect()
}

fn deletions(names: Vec<String>) -> Vec<ConfigAlteration> {
    let deletion = |name| ConfigAlteration { name, operation: AlterOperation::Delete, value: None };
    names.into_iter().map(deletion).collect()
}

async fn change(
    connection: &ConnectionArguments,
    topics: &[String],
    alterations: Vec<ConfigAlteration>,
    dry_run: bool,
) -> Result<(), Failure> {
    let admin = Admin::new(connection.cluster().await?);
    let change = |topic: &String| (Resource::Topic(topic.clone()), alterations.clone());
    let changes: Vec<_> = topics.iter().map(change).collect();
    let outcomes = admin.incremental_alter_configs(&changes, dry_run).await?;
    let outcomes = topics.iter().cloned().zip(outcomes.into_iter().map(|(_, outcome)| outcome)).collect();
    report(&outcomes, if dry_run { "OK (not changed)" } else { "OK" })
}

async fn describe(connection: &ConnectionArguments, arguments: DescribeArguments) -> Result<(), Failure> {
    let admin = Admin::new(connection.cluster().await?);
    let topics = super::unique(&arguments.topics);
    let resources: Vec<Resource> = topics.iter().cloned().map(Resource::Topic).collect();
    let mut described = Vec::new();
    let mut failed = Vec::new();
    let found = admin.describe_configs(&resources, arguments.docs).await?;
    for (name, (_, outcome)) in topics.iter().zip(found) {
        match outcome {
            Ok(mut configs) => {
                configs.retain(|config| arguments.keys.is_empty() || arguments.keys.contains(&config.name));
                described.push((name.clone(), configs));
            }
            Err(problem) => failed.push((name, problem)),
        }
    }
    if !described.is_empty() {
        let as_text = || {
            let section = |(name, configs): &(String, Vec<_>)| {
                let heading = if topics.len() > 1 { title(name) } else { String::new() };
                format!("{heading}{}", if arguments.docs { documented(configs) } else { configs_as_text(configs) })
            };
            described.iter().map(section).collect::<Vec<_>>().join("\n")
        };
        let as_json = || -> Value {
            let object = |(name, configs): &(String, Vec<_>)| {
                json!({
                    "topic": name,
                    "configs": configs.iter().map(config_json).collect::<Value>(),
                })
            };
            described.iter().map(object).collect()
        };
        arguments.format.write(as_text, as_json)?;
    }
    say_failures(failed.iter().map(|(name, problem)| (*name, problem)))
}

fn documented(configs: &[flumen_client::admin::ConfigEntry]) -> String {
    let mut out = String::new();
    for config in configs {
        let value = config.value.as_deref().unwrap_or("-");
        out.push_str(&format!("{} = {value}  ({})\n", config.name, config.source.name()));
        out.push_str(&format!("    {}\n", config.documentation.as_deref().unwrap_or("(not documented)")));
    }
    out
}
