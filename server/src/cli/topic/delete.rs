//! `flumen topic delete`

use clap::Args;
use flumen_client::Admin;

use super::{confirmed, matching, report};
use crate::cli::connect::ConnectionArguments;
use crate::cli::{Failure, output};

/// What `delete` takes.
#[derive(Args, Debug)]
pub(super) struct DeleteArguments {
    /// The topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,

    /// Take the names for regular expressions
    #[arg(short, long)]
    regex: bool,

    /// Do not ask
    #[arg(short = 'y', long, visible_alias = "no-confirm")]
    yes: bool,

    /// Only say what would be deleted
    #[arg(long, visible_alias = "dry")]
    dry_run: bool,
}

pub(super) async fn run(connection: &ConnectionArguments, arguments: DeleteArguments) -> Result<(), Failure> {
    let admin = Admin::new(connection.cluster().await?);
    let names = matching(&admin, &arguments.topics, arguments.regex, false).await?;
    if names.is_empty() {
        return Err(Failure::failed("no topic matches; `flumen topic list` shows those there are"));
    }
    if arguments.dry_run {
        return report(&admin.describe_topics(&names).await?, "OK (not deleted)");
    }
    if !arguments.yes && !confirmed(&format!("Delete {} and all records in it?", names.join(", ")))? {
        output::write(b"Nothing was deleted.\n")?;
        return Err(Failure::Reported);
    }
    report(&admin.delete_topics(&names).await?, "OK")
}
