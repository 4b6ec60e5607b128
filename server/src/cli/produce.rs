//! `flumen produce`: records from standard input to a topic.

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use flumen_client::{Acknowledged, Acks, Codec, Delivery, Error, Header, Producer, ProducerOptions, ProducerRecord};

use super::connect::ConnectionArguments;
use super::failure::explain;
use super::input::{self, Inputs};
use super::moment::duration;
use super::progress::Progress;
use super::template::print::{Printed, Printer};
use super::template::read::{Input, Template};
use super::{Failure, output};

/// Deliveries awaited at a time: beyond, reading pauses.
const DELIVERIES_MAX: usize = 16 * 1024;

/// A batch, unless --max-message-bytes says otherwise: large enough for throughput, small enough for any topic's limit.
const BATCH_BYTES: usize = 128 << 10;
/// The largest record that is tried; what a topic takes, its broker says.
const RECORD_BYTES_MAX: usize = 16 << 20;

/// What `produce` takes.
#[derive(Args, Debug)]
pub struct ProduceArguments {
    /// The topic, unless each record names its own (%t)
    #[arg(value_name = "TOPIC")]
    topic: Option<String>,

    /// How records are read: %v value, %k key, %t topic, %p partition, %d timestamp, %h headers; sizes %V %K %T %H
    #[arg(short, long, default_value = "%v\\n", value_parser = Template::parse)]
    format: Template,

    /// What is written for each record that was taken; nothing if empty. Escapes as in `consume --format`
    #[arg(short, long, default_value = "Produced to partition %p at offset %o.\\n", value_parser = Printer::parse)]
    output_format: Printer,

    /// The key of every record that has none of its own
    #[arg(short, long)]
    key: Option<String>,

    /// A header of every record; repeat for more
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE", value_parser = header)]
    headers: Vec<(String, String)>,

    /// The partition of every record that names none; -1 leaves it to the key, or to chance
    #[arg(short, long, default_value_t = -1, allow_negative_numbers = true)]
    partition: i32,

    /// How batches are compressed: none, gzip, snappy, lz4 or zstd
    #[arg(short = 'z', long, default_value = "snappy", value_parser = codec)]
    compression: Codec,

    /// How many replicas must have a record: -1 or all, 1 the leader, 0 none
    #[arg(long, default_value = "-1", allow_negative_numbers = true, value_parser = acks)]
    acks: Acks,

    /// Take empty values for tombstones
    #[arg(short = 'Z', long)]
    tombstone: bool,

    /// How long a record is tried for
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    delivery_timeout: Option<Duration>,

    /// The largest batch, before compression
    #[arg(long, value_name = "BYTES")]
    max_message_bytes: Option<usize>,

    /// Let the cluster make a topic that does not exist
    #[arg(long)]
    allow_auto_topic_creation: bool,

    /// Which cluster
    #[command(flatten)]
    pub connection: ConnectionArguments,
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once([':', '=']) {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(format!("{text:?} is no header; give NAME:VALUE")),
    }
}

fn codec(name: &str) -> Result<Codec, String> {
    Codec::from_name(name).ok_or_else(|| format!("{name:?} is no codec; there are none, gzip, snappy, lz4 and zstd"))
}

fn acks(text: &str) -> Result<Acks, String> {
    match text {
        "-1" | "all" => Ok(Acks::All),
        "1" => Ok(Acks::Leader),
        "0" => Ok(Acks::None),
        other => Err(format!("{other:?} is no number of acknowledgements; there are -1 (all), 1 and 0")),
    }
}

/// A record under way.
struct Sent {
    delivery: Delivery,
    record: ProducerRecord,
}

/// Does it.
pub async fn run(arguments: ProduceArguments) -> Result<(), Failure> {
    if arguments.topic.is_none() && !arguments.format.names_topic() {
        return Err(Failure::usage("to which topic? Name it behind `produce`, or in the format as %t"));
    }
    let cluster = arguments.connection.cluster().await?;
    let producer = Producer::new(cluster, options(&arguments)).map_err(Failure::from)?;
    let inputs = input::read_from(io::stdin(), arguments.format.clone())?;
    let is_quiet = arguments.output_format.is_empty();
    let is_interactive = io::stdin().is_terminal();
    let progress = Progress::start("Produced", None, is_quiet && !is_interactive);
    let mut run = Run { arguments, producer, progress, sent: VecDeque::new(), taken: 0, failed: 0, reader_is_gone: false };
    let outcome = run.go(inputs).await;
    let Run { producer, progress, failed, .. } = run;
    progress.finish();
    if outcome.is_ok() || outcome == Err(Failure::Interrupted) {
        producer.close().await;
    }
    outcome?;
    if failed > 0 { Err(Failure::Reported) } else { Ok(()) }
}

fn options(arguments: &ProduceArguments) -> ProducerOptions {
    let defaults = ProducerOptions::default();
    let batch_bytes = arguments.max_message_bytes.unwrap_or(BATCH_BYTES).max(1);
    ProducerOptions {
        acks: arguments.acks,
        codec: arguments.compression,
        // Throughput comes from what piles up while requests are under way; one line should not wait for a second.
        linger: if io::stdin().is_terminal() { Duration::ZERO } else { defaults.linger },
        batch_bytes,
        memory_bytes: defaults.memory_bytes.max(2 * batch_bytes),
        request_bytes_max: batch_bytes.max(RECORD_BYTES_MAX),
        idempotent: arguments.acks == Acks::All,
        delivery_timeout: arguments.delivery_timeout.unwrap_or(defaults.delivery_timeout),
        create_topics: arguments.allow_auto_topic_creation,
        ..defaults
    }
}

struct Run {
    arguments: ProduceArguments,
    producer: Producer,
    progress: Progress,
    sent: VecDeque<Sent>,
    taken: u64,
    failed: u64,
    reader_is_gone: bool,
}

impl Run {
    /// Sends all input; reports each record in the order in which it was read.
    async fn go(&mut self, mut inputs: Inputs) -> Result<(), Failure> {
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        let mut is_over = false;
        while !is_over || !self.sent.is_empty() {
            tokio::select! {
                biased;
                _ = &mut interrupt => {
                    return self.interrupted().await;
                }
                outcome = oldest(&self.sent), if !self.sent.is_empty() => self.report(outcome)?,
                chunk = inputs.recv(), if !is_over && self.sent.len() < DELIVERIES_MAX => match chunk {
                    None => is_over = true,
                    Some(Ok(records)) => {
                        for record in records {
                            is_over |= !self.send(record).await?;
                        }
                    }
                    Some(Err(problem)) => {
                        // What was read before it still goes out.
                        eprintln!("flumen: {problem}");
                        self.failed += 1;
                        is_over = true;
                    }
                },
            }
        }
        Ok(())
    }

    /// What was read goes out, what was not read stays.
    async fn interrupted(&mut self) -> Result<(), Failure> {
        self.producer.flush().await;
        while !self.sent.is_empty() {
            let outcome = oldest(&self.sent).await;
            self.report(outcome)?;
        }
        Err(Failure::Interrupted)
    }

    /// Sends one record; says whether to go on.
    async fn send(&mut self, input: Input) -> Result<bool, Failure> {
        let record = self.record(input)?;
        loop {
            // While the producer's memory is used up, reports are what gives it back to the reader of our output.
            let sending = self.producer.send(&record);
            tokio::select! {
                biased;
                outcome = sending => match outcome {
                    Ok(delivery) => {
                        self.sent.push_back(Sent { delivery, record });
                        return Ok(true);
                    }
                    Err(problem) => {
                        self.refused(&problem);
                        return Ok(false);
                    }
                },
                outcome = oldest(&self.sent), if !self.sent.is_empty() => self.report(outcome)?,
            }
        }
    }

    fn record(&self, input: Input) -> Result<ProducerRecord, Failure> {
        let arguments = &self.arguments;
        let topic: Arc<str> = match (input.topic, &arguments.topic) {
            (Some(topic), _) => topic.into(),
            (None, Some(topic)) => Arc::from(topic.as_str()),
            (None, None) => return Err(Failure::failed("a record without a topic")),
        };
        let fixed = |(name, value): &(String, String)| Header::new(name.as_str(), Bytes::from(value.clone()));
        let mut headers: Vec<Header> = arguments.headers.iter().map(fixed).collect();
        headers.extend(input.headers.into_iter().map(|(name, value)| Header::new(name, value)));
        let value = input.value.unwrap_or_default();
        Ok(ProducerRecord {
            topic,
            partition: input.partition.or_else(|| Some(arguments.partition).filter(|partition| *partition >= 0)),
            key: input.key.map(Bytes::from).or_else(|| arguments.key.clone().map(Bytes::from)),
            value: if value.is_empty() && arguments.tombstone { None } else { Some(value.into()) },
            headers,
            timestamp: input.timestamp_ms,
        })
    }

    /// Takes note of what became of the oldest record under way.
    fn report(&mut self, outcome: Result<Acknowledged, Error>) -> Result<(), Failure> {
        let Some(sent) = self.sent.pop_front() else { return Ok(()) };
        match outcome {
            Ok(acknowledged) => {
                let printed = printed(&sent.record, &acknowledged, self.arguments.compression);
                let mut line = Vec::new();
                self.arguments.output_format.print(&printed, self.taken, &mut line);
                if !line.is_empty() && !self.reader_is_gone {
                    match output::write(&line) {
                        // Whoever reads reports is not what records are produced for.
                        Err(Failure::ReaderGone) => self.reader_is_gone = true,
                        outcome => outcome?,
                    }
                }
                self.taken += 1;
                self.progress.add(1);
            }
            Err(problem) => self.refused(&problem),
        }
        Ok(())
    }

    fn refused(&mut self, problem: &Error) {
        // The first says why; a thousand more would bury it.
        if self.failed == 0 {
            eprintln!("flumen: a record was not produced: {}", explain(problem));
            if matches!(problem, Error::UnknownTopic(_)) && !self.arguments.allow_auto_topic_creation {
                eprintln!("With --allow-auto-topic-creation the cluster makes it, if it is configured to.");
            }
        }
        self.failed += 1;
    }
}

async fn oldest(sent: &VecDeque<Sent>) -> Result<Acknowledged, Error> {
    match sent.front() {
        Some(sent) => sent.delivery.acknowledged().await,
        None => std::future::pending().await,
    }
}

fn printed<'a>(record: &'a ProducerRecord, acknowledged: &'a Acknowledged, codec: Codec) -> Printed<'a> {
    Printed {
        topic: &acknowledged.topic,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers: &record.headers,
        partition: acknowledged.partition,
        offset: acknowledged.offset,
        timestamp_ms: acknowledged.timestamp,
        attributes: codec.id(),
        leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        log_start_offset: -1,
        last_stable_offset: -1,
        high_watermark: -1,
    }
}
