//! How a command ends badly, and what it says then.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use flumen_client::Error;

/// Why a command ends.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// What was typed cannot be meant.
    Usage(String),
    /// It was tried and failed.
    Failed(String),
    /// Everything was said before.
    Reported,
    /// Whoever read the output went away.
    ReaderGone,
    /// Ctrl-C.
    Interrupted,
}

impl Failure {
    /// It was tried and failed.
    pub fn failed(problem: impl Display) -> Self {
        Self::Failed(problem.to_string())
    }

    /// What was typed cannot be meant.
    pub fn usage(problem: impl Display) -> Self {
        Self::Usage(problem.to_string())
    }

    /// Says it and gives the exit code.
    #[must_use]
    pub fn report(&self) -> ExitCode {
        match self {
            Self::Usage(problem) => {
                eprintln!("flumen: {problem}");
                ExitCode::from(2)
            }
            Self::Failed(problem) => {
                eprintln!("flumen: {problem}");
                ExitCode::FAILURE
            }
            Self::Reported => ExitCode::FAILURE,
            Self::ReaderGone => ExitCode::SUCCESS,
            Self::Interrupted => ExitCode::from(130),
        }
    }
}

impl From<Error> for Failure {
    fn from(problem: Error) -> Self {
        Self::Failed(explain(&problem))
    }
}

impl From<io::Error> for Failure {
    fn from(problem: io::Error) -> Self {
        match problem.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::failed(problem),
        }
    }
}

/// What went wrong, and what to do about it where that is known.
#[must_use]
pub fn explain(problem: &Error) -> String {
    use flumen_client::ErrorCode as Code;
    let advice = match problem {
        Error::Unreachable { .. } | Error::NoBroker(_) => {
            "Is a broker running there? `flumen start` starts one; -b HOST:PORT names another."
        }
        Error::Disconnected { .. } | Error::Malformed { .. } => {
            "Is it a Kafka broker's plain-text listener? -b HOST:PORT names another."
        }
        Error::UnknownTopic(_) => "`flumen topic list` shows those there are, `flumen topic create` makes one.",
        Error::Broker { code, .. } => match code {
            Code::UnknownTopicOrPartition => "`flumen topic list` shows those there are, `flumen topic create` makes one.",
            Code::TopicAlreadyExists => "`flumen topic describe` shows it, `flumen topic config set` changes its settings.",
            Code::InvalidReplicationFactor => {
                "`flumen cluster info` shows how many brokers there are; -r says how many replicas."
            }
            Code::InvalidPartitions => "-p or -n says how many partitions.",
            Code::InvalidConfig => "`flumen topic config describe TOPIC` shows every setting with its value.",
            Code::MessageTooLarge | Code::RecordListTooLarge => {
                "The topic's max.message.bytes is the limit; --max-message-bytes makes smaller batches."
            }
            Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend => {
                "Fewer replicas are in sync than min.insync.replicas asks for; --acks 1 does with the leader."
            }
            Code::OffsetOutOfRange => "`flumen topic describe -p` shows the offsets there are.",
            _ => return problem.to_string(),
        },
        Error::NoLeader { .. } => "`flumen cluster info` shows which brokers are there.",
        _ => return problem.to_string(),
    };
    format!("{problem}\n{advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_broker_is_named_with_what_to_do() {
        let problem = Error::Unreachable { address: String::from("127.0.0.1:9092"), reason: String::from("refused") };
        let said = explain(&problem);
        assert!(said.contains("127.0.0.1:9092") && said.contains("flumen start"), "{said}");
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)), Failure::ReaderGone);
        assert_eq!(format!("{:?}", Failure::ReaderGone.report()), format!("{:?}", ExitCode::SUCCESS));
    }
}
