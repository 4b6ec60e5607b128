//! `flumen consume`: records from topics to standard output, as they come.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use flumen_client::admin::{EARLIEST_TIMESTAMP, LATEST_TIMESTAMP, Place};
use flumen_client::{Admin, Cluster, Consumer, ConsumerOptions, ConsumerRecord, Error, Fetched, Isolation, Position};

use super::connect::ConnectionArguments;
use super::json::JsonRecord;
use super::moment::duration;
use super::offset::{Range, Start, Stop};
use super::progress::Progress;
use super::template::print::{Printed, Printer};
use super::{Failure, topic};

/// What `consume` takes.
#[derive(Args, Debug)]
pub struct ConsumeArguments {
    /// The topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,

    /// From where, and to where: start, end, :end, +N, -N, N, :N, A:B, @t, @:t, @t1:t2
    ///
    /// +N is N after the start, -N N before the end. A time is 13 digits (ms), 10 digits (s), 2022-02-14,
    /// 2022-02-14T10:00:00Z or a duration before now, as -48h; behind a colon also a duration from the first time, or end.
    #[arg(short, long, default_value = "start", allow_hyphen_values = true)]
    offset: String,

    /// End after so many records; 0 is never
    #[arg(short, long, default_value_t = 0)]
    num: u64,

    /// Only these partitions
    #[arg(short, long, value_delimiter = ',')]
    partitions: Vec<i32>,

    /// Take the names for regular expressions
    #[arg(short, long)]
    regex: bool,

    /// How records are written: json, text (a line for each value), or a template
    ///
    /// Escapes: %t topic, %k key, %v value, %h{...} headers (%h{%k=%v }), %T %K %V %H their lengths, %p partition, %o offset,
    /// %e leader epoch, %d timestamp, %a{...} attributes, %x producer id, %y producer epoch, %[ log start, %| last stable,
    /// %] high watermark, %i counter, %% %{ %}, \t \n \r \\ \xNN.
    /// In braces, text takes hex, base64, base64raw, unpack[...]; numbers ascii, hex64..hex4, big64..big8,
    /// little64..little8, byte, bool; %d also strftime[...] and go[...]; %a takes compression, timestamp-type,
    /// transactional-bit, control-bit.
    #[arg(short, long, default_value = "json", value_parser = Form::parse, verbatim_doc_comment)]
    format: Form,

    /// For json: one record over several lines
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pretty_print: bool,

    /// For json: leave out values
    #[arg(long)]
    meta_only: bool,

    /// Only records of committed transactions, and those outside any
    #[arg(long)]
    read_committed: bool,

    /// Transaction markers too
    #[arg(long)]
    print_control_records: bool,

    /// How much one answer may hold
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(i32).range(1..))]
    fetch_max_bytes: Option<i32>,

    /// How long a broker may wait for records
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    fetch_max_wait: Option<Duration>,

    /// The rack this runs in
    #[arg(long)]
    rack: Option<String>,

    /// Which cluster
    #[command(flatten)]
    pub connection: ConnectionArguments,
}

/// How a record is written.
#[derive(Clone, Debug)]
enum Form {
    Json,
    Template(Printer),
}

impl Form {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Printer::parse("%v\\n").map(Self::Template),
            template if !template.contains(['%', '\\']) => {
                Err(format!("{template:?} is no format; there are json, text and templates such as '%k %v\\n'"))
            }
            template => Printer::parse(template).map(Self::Template),
        }
    }
}

/// Does it.
pub async fn run(arguments: ConsumeArguments) -> Result<(), Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let range = Range::parse(&arguments.offset, i64::try_from(now.as_millis()).unwrap_or(i64::MAX)).map_err(Failure::usage)?;
    let cluster = arguments.connection.cluster().await?;
    let plan = Plan::make(&cluster, &arguments, range).await?;
    let mut consumer = Consumer::new(cluster, options(&arguments));
    let starts = plan.spans.iter().filter(|(_, span)| !span.is_empty());
    consumer.assign(starts.map(|(place, span)| (place.clone(), Position::At(span.start)))).await?;
    let total = plan.total().map(|total| if arguments.num > 0 { total.min(arguments.num) } else { total });
    let total = total.or_else(|| Some(arguments.num).filter(|num| *num > 0));
    let mut run = Run {
        progress: Progress::start("Consumed", total, false),
        out: BufWriter::with_capacity(64 << 10, io::stdout()),
        line: Vec::new(),
        printed: 0,
        spans: plan.spans,
        arguments,
    };
    let outcome = run.go(&mut consumer).await;
    let flushed = run.out.flush();
    run.progress.finish();
    outcome?;
    Ok(flushed?)
}

fn options(arguments: &ConsumeArguments) -> ConsumerOptions {
    let defaults = ConsumerOptions::default();
    ConsumerOptions {
        isolation: isolation(arguments),
        include_control: arguments.print_control_records,
        max_bytes: arguments.fetch_max_bytes.unwrap_or(8 << 20),
        max_wait: arguments.fetch_max_wait.unwrap_or(defaults.max_wait),
        rack: arguments.rack.clone().unwrap_or_default(),
        ..defaults
    }
}

fn isolation(arguments: &ConsumeArguments) -> Isolation {
    if arguments.read_committed { Isolation::ReadCommitted } else { Isolation::ReadUncommitted }
}

/// The offsets of a partition that are read.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: i64,
    /// The first that is not.
    stop: Option<i64>,
}

impl Span {
    fn is_empty(self) -> bool {
        self.stop.is_some_and(|stop| stop <= self.start)
    }
}

/// What is read of each partition.
struct Plan {
    spans: BTreeMap<Place, Span>,
}

impl Plan {
    async fn make(cluster: &Cluster, arguments: &ConsumeArguments, range: Range) -> Result<Self, Failure> {
        let admin = Admin::new(cluster.clone());
        let places = places(&admin, arguments).await?;
        let isolation = isolation(arguments);
        let at = async |timestamp: i64| -> Result<BTreeMap<Place, i64>, Error> {
            let asked = places.iter().map(|place| (place.clone(), timestamp)).collect();
            let found = admin.list_offsets(&asked, isolation).await;
            found.into_iter().map(|(place, found)| Ok((place, found?.offset))).collect()
        };
        // Asked only where they are needed: with a fixed offset, no broker has to look for one.
        let ends_needed = matches!(range.start, Start::Latest | Start::AfterStart(_) | Start::BeforeEnd(_) | Start::Since(_))
            || matches!(range.stop, Stop::CurrentEnd | Stop::Until(_));
        let ends = if ends_needed { at(LATEST_TIMESTAMP).await? } else { BTreeMap::new() };
        let firsts = match range.start {
            Start::At(_) | Start::Latest => BTreeMap::new(),
            Start::Since(timestamp) => at(timestamp).await?,
            Start::Earliest | Start::AfterStart(_) | Start::BeforeEnd(_) => at(EARLIEST_TIMESTAMP).await?,
        };
        let lasts = match range.stop {
            Stop::Until(timestamp) => at(timestamp).await?,
            _ => BTreeMap::new(),
        };
        let span = |place: &Place| {
            let end = ends.get(place).copied().unwrap_or_default();
            let first = firsts.get(place).copied().unwrap_or_default();
            let start = range.start.offset(first, end);
            let stop = match range.stop {
                Stop::Never => None,
                Stop::CurrentEnd => Some(end),
                Stop::Before(offset) => Some(offset),
                Stop::Until(_) => Some(lasts.get(place).copied().filter(|offset| *offset >= 0).unwrap_or(end)),
            };
            Span { start, stop }
        };
        let spans = places.iter().map(|place| (place.clone(), span(place))).collect();
        Ok(Self { spans })
    }

    /// How many offsets lie ahead, where the end is known.
    fn total(&self) -> Option<u64> {
        let counts = self.spans.values().map(|span| span.stop.map(|stop| u64::try_from(stop - span.start).unwrap_or(0)));
        counts.sum()
    }
}

/// The partitions meant.
async fn places(admin: &Admin, arguments: &ConsumeArguments) -> Result<Vec<Place>, Failure> {
    let names = topic::matching(admin, &arguments.topics, arguments.regex, false).await?;
    if names.is_empty() {
        return Err(Failure::failed("no topic matches; `flumen topic list` shows those there are"));
    }
    let mut places = Vec::new();
    for (name, described) in admin.describe_topics(&names).await? {
        let described = described?;
        let topic: Arc<str> = Arc::from(name.as_str());
        let there: Vec<i32> = described.partitions.iter().map(|partition| partition.index).collect();
        for partition in if arguments.partitions.is_empty() { &there } else { &arguments.partitions } {
            if !there.contains(partition) {
                let partitions = i32::try_from(there.len()).unwrap_or(i32::MAX);
                return Err(Error::UnknownPartition { topic: name, partition: *partition, partitions }.into());
            }
            places.push((Arc::clone(&topic), *partition));
        }
    }
    Ok(places)
}

struct Run {
    arguments: ConsumeArguments,
    progress: Progress,
    out: BufWriter<io::Stdout>,
    line: Vec<u8>,
    printed: u64,
    spans: BTreeMap<Place, Span>,
}

impl Run {
    /// Reads until every partition is at its end, the number is reached, or Ctrl-C.
    async fn go(&mut self, consumer: &mut Consumer) -> Result<(), Failure> {
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        while !consumer.positions().is_empty() {
            let fetched = tokio::select! {
                biased;
                _ = &mut interrupt => return Ok(()),
                fetched = consumer.next() => fetched?,
            };
            if self.take(&fetched)? {
                return Ok(());
            }
            let place = (Arc::clone(&fetched.topic), fetched.partition);
            let stop = self.spans.get(&place).and_then(|span| span.stop);
            if stop.is_some_and(|stop| fetched.next_offset >= stop) {
                consumer.unassign(&place);
            }
            // A reader of our output sees records when they come, not when a buffer is full.
            self.out.flush()?;
        }
        Ok(())
    }

    /// Prints what a fetch brought; says whether the number is reached.
    fn take(&mut self, fetched: &Fetched) -> Result<bool, Failure> {
        let stop = self.spans.get(&(Arc::clone(&fetched.topic), fetched.partition)).and_then(|span| span.stop);
        for record in &fetched.records {
            if stop.is_some_and(|stop| record.offset >= stop) {
                break;
            }
            self.print(&printed(fetched, record))?;
            if self.arguments.num > 0 && self.printed >= self.arguments.num {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn print(&mut self, record: &Printed<'_>) -> Result<(), Failure> {
        self.line.clear();
        match &self.arguments.format {
            Form::Template(printer) => printer.print(record, self.printed, &mut self.line),
            Form::Json => {
                let object = JsonRecord { record, meta_only: self.arguments.meta_only };
                let written = if self.arguments.pretty_print {
                    serde_json::to_writer_pretty(&mut self.line, &object)
                } else {
                    serde_json::to_writer(&mut self.line, &object)
                };
                written.map_err(Failure::failed)?;
                self.line.push(b'\n');
            }
        }
        self.out.write_all(&self.line)?;
        self.printed += 1;
        self.progress.add(1);
        Ok(())
    }
}

fn printed<'a>(fetched: &'a Fetched, record: &'a ConsumerRecord) -> Printed<'a> {
    Printed {
        topic: &fetched.topic,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers: &record.headers,
        partition: fetched.partition,
        offset: record.offset,
        leader_epoch: record.leader_epoch,
        timestamp_ms: record.timestamp,
        attributes: record.attributes,
        producer_id: record.producer_id,
        producer_epoch: record.producer_epoch,
        log_start_offset: fetched.log_start_offset,
        last_stable_offset: fetched.last_stable_offset,
        high_watermark: fetched.high_watermark,
    }
}
