//! `flumen topic …`

mod add_partitions;
mod config;
mod create;
mod delete;
mod describe;
mod list;

use std::io::{self, IsTerminal, Write};

use clap::{Args, Subcommand};
use flumen_client::admin::Outcomes;
use flumen_client::{Admin, Error};
use regex::Regex;

pub(super) use list::{as_json, brief, detailed};

use super::connect::ConnectionArguments;
use super::failure::explain;
use super::table::Table;
use super::{Failure, output};

/// Everything about topics.
#[derive(Args, Debug)]
pub struct TopicArguments {
    #[command(subcommand)]
    command: TopicCommand,
    #[command(flatten)]
    connection: ConnectionArguments,
}

impl TopicArguments {
    /// Which cluster.
    #[must_use]
    pub fn connection(&self) -> &ConnectionArguments {
        &self.connection
    }
}

#[derive(Subcommand, Debug)]
enum TopicCommand {
    /// Create topics
    Create(create::CreateArguments),
    /// List topics
    #[command(visible_alias = "ls")]
    List(list::ListArguments),
    /// Describe topics
    #[command(visible_alias = "info")]
    Describe(describe::DescribeArguments),
    /// Delete topics and all they hold
    Delete(delete::DeleteArguments),
    /// Add partitions to topics
    AddPartitions(add_partitions::AddPartitionsArguments),
    /// Show and change settings
    Config(config::ConfigArguments),
    /// Change settings, with the flags of rpk
    AlterConfig(config::AlterArguments),
}

/// Does it.
pub async fn run(arguments: TopicArguments) -> Result<(), Failure> {
    let connection = &arguments.connection;
    match arguments.command {
        TopicCommand::Create(create) => create::run(connection, create).await,
        TopicCommand::List(list) => list::run(connection, list).await,
        TopicCommand::Describe(describe) => describe::run(connection, describe).await,
        TopicCommand::Delete(delete) => delete::run(connection, delete).await,
        TopicCommand::AddPartitions(add) => add_partitions::run(connection, add).await,
        TopicCommand::Config(config) => config::run(connection, config).await,
        TopicCommand::AlterConfig(alter) => config::alter(connection, alter).await,
    }
}

/// A table of what became of each topic; the reasons of failures on standard error, and a failure if there is one.
fn report<T>(outcomes: &Outcomes<T>, done: &str) -> Result<(), Failure> {
    let mut table = Table::with_heading(&["TOPIC", "STATUS"]);
    for (name, outcome) in outcomes {
        let status = match outcome {
            Ok(_) => done.to_owned(),
            Err(problem) => problem.code().map_or_else(|| String::from("FAILED"), |code| code.name().to_owned()),
        };
        table.row([name.clone(), status]);
    }
    output::write(table.render().as_bytes())?;
    let failed = outcomes.iter().filter_map(|(name, outcome)| Some((name, outcome.as_ref().err()?)));
    say_failures(failed)
}

fn say_failures<'a>(failed: impl Iterator<Item = (&'a String, &'a Error)>) -> Result<(), Failure> {
    let mut any = false;
    for (name, problem) in failed {
        eprintln!("flumen: topic {name:?}: {}", explain(problem));
        any = true;
    }
    if any { Err(Failure::Reported) } else { Ok(()) }
}

/// The topics meant by names, or by expressions of which one must match the whole name; internal ones only if asked for.
pub(super) async fn matching(
    admin: &Admin,
    names: &[String],
    as_expressions: bool,
    internal: bool,
) -> Result<Vec<String>, Failure> {
    if !as_expressions {
        return Ok(unique(names));
    }
    let expressions = expressions(names)?;
    let topics = admin.list_topics().await?;
    let matches = |name: &str| expressions.iter().any(|expression| expression.is_match(name));
    let found = topics.into_iter().filter(|topic| (internal || !topic.is_internal) && matches(&topic.name));
    Ok(found.map(|topic| topic.name).collect())
}

/// Each name once, however often it was typed.
pub(super) fn unique(names: &[String]) -> Vec<String> {
    let mut unique = Vec::<String>::new();
    for name in names {
        if !unique.contains(name) {
            unique.push(name.clone());
        }
    }
    unique
}

/// The expressions, each for whole names.
pub(super) fn expressions(texts: &[String]) -> Result<Vec<Regex>, Failure> {
    let expression = |text: &String| {
        Regex::new(&format!("^(?:{text})$"))
            .map_err(|problem| Failure::usage(format!("{text:?} is no regular expression: {problem}")))
    };
    texts.iter().map(expression).collect()
}

/// Asks a person; without one at a terminal the answer is yes, for scripts said what they meant.
fn confirmed(question: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Ok(true);
    }
    eprint!("{question} [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
}

/// `name=value`.
fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once(['=', ':']) {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is no setting; give NAME=VALUE")),
    }
}
