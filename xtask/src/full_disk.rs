//! `cargo xtask full-disk`: the disk fills up under producers, and has room again, over and over.
//!
//! The broker keeps its data on a small loop-mounted image. In every cycle the room goes: to the last block, half of the reserve
//! that the broker keeps, or just so much that the producers use up the rest themselves. Then produce must be refused with an error
//! that clients retry, and nothing else may be: reads, deletions and changes of the metadata go on, and the broker does not end.
//! When there is room again, because it was given back or because records were deleted, every batch that was refused or left
//! unanswered is taken, without anybody's help. Everything acknowledged must be there, once and unaltered. In the end the broker
//! is killed on a full disk, started there, and given room.

use crate::broker::{Broker, Flumen};
use crate::crash::Random;
use crate::crash::load::{self, Ledger, Promise};
use crate::crash::shift::{Refusal, Shift};
use crate::crash::verify::{Extent, verify};
use crate::crash::wire::Connection;
use crate::loop_disk::{DiskOptions, FileSystem, LoopDisk};
use crate::tally::{Outcome, Tally};
use crate::workspace;
use clap::Args;
use flumen_protocol::create_topics::{CreatableTopic, CreateTopicsRequest};
use flumen_protocol::delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use flumen_protocol::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use flumen_protocol::incremental_alter_configs::{AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest};
use flumen_protocol::{ErrorCode, Request, Response, Text};
use std::time::{Duration, Instant};

/// The image's size.
const IMAGE_BYTES: u64 = 1 << 30;
/// What the broker keeps in reserve here. It looks at the room whenever an eighth of this is written: half of it is more than the
/// producers can write until then.
const FLOOR_BYTES: u64 = 160 << 20;
/// Its journal.
const JOURNAL_BYTES: u64 = 64 << 20;
/// What the producers have to use up themselves, in the cycles where they do.
const LEFT_BYTES: u64 = 8 << 20;
/// How long it may take until the first producer is refused.
const REFUSED_WITHIN: Duration = Duration::from_secs(20);
/// How long a disk that is full to the last block is left so; what was taken before waits, and nobody need be refused.
const FULL_FOR: Duration = Duration::from_millis(1500);
/// How long the broker may take to notice that there is room.
const PATIENCE: Duration = Duration::from_secs(20);
/// When the rest of the image is smaller than this, older records go.
const CROWDED_BYTES: u64 = 512 << 20;
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

#[derive(Args)]
pub(crate) struct Options {
    /// How many times the disk fills up, on each file system.
    #[arg(long, default_value_t = 8)]
    cycles: u32,
    #[command(flatten)]
    disk: DiskOptions,
}

impl Options {
    /// So many cycles on each file system.
    pub(crate) fn of(cycles: u32) -> Self {
        Self { cycles, disk: DiskOptions::default() }
    }
}

pub(crate) fn run(options: &Options) -> Outcome<Tally> {
    let cycles = options.cycles;
    options.disk.run("full-disk", &[("--cycles", cycles.into())], |file_system, seed, tally| {
        let name = file_system.name();
        let mut site = Site::make(file_system, options.disk.release, seed)?;
        let mut cycle = 0;
        while cycle < cycles {
            let fullness = Fullness::of(cycle);
            let started = Instant::now();
            match site.cycle(fullness, cycle) {
                Ok(()) => println!("{name} cycle {}: {fullness:?}, {:.1?}", cycle + 1, started.elapsed()),
                Err(error) => {
                    tally.fail(format_args!("{name}, cycle {} ({fullness:?}): {error}", cycle + 1));
                    println!("{}", site.said());
                    break;
                }
            }
            tally.pass();
            cycle += 1;
        }
        let Site { ledger, refusals, unanswered, acknowledged, .. } = &site;
        println!(
            "full-disk: {name}: {cycle} cycles, {} records acknowledged, {refusals} producers refused and {unanswered} left waiting, all taken later",
            acknowledged + ledger.acknowledged(),
        );
        if cycle == cycles {
            tally.check(&format!("{name}: killed and started on a full disk"), || site.finish());
        }
        Ok(())
    })
}

/// What is left for the broker.
#[derive(Clone, Copy, Debug)]
enum Fullness {
    /// Not a block.
    Nothing,
    /// Less than it keeps in reserve.
    HalfTheReserve,
    /// A little more, which the producers use up.
    UsedUp,
    /// The same, and room comes from deleting records.
    UsedUpAndDeleted,
}

impl Fullness {
    const fn of(cycle: u32) -> Self {
        match cycle % 4 {
            0 => Self::UsedUp,
            1 => Self::Nothing,
            2 => Self::HalfTheReserve,
            _ => Self::UsedUpAndDeleted,
        }
    }

    const fn leaves_bytes(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::HalfTheReserve => FLOOR_BYTES / 2,
            Self::UsedUp | Self::UsedUpAndDeleted => FLOOR_BYTES + JOURNAL_BYTES + LEFT_BYTES,
        }
    }
}

struct Site {
    broker: Option<Broker>,
    flumen: Flumen,
    disk: LoopDisk,
    ledger: Ledger,
    random: Random,
    refusals: usize,
    unanswered: usize,
    /// Records acknowledged and deleted since.
    acknowledged: usize,
    // Dropped last: the disk is mounted in it.
    _home: tempfile::TempDir,
}

/// So many changes of configuration are asked for, one after the other, where there is no room for them.
const LATE_CHANGES: u32 = 300;

/// Changes that are under way.
type LateChange = std::thread::JoinHandle<Result<(), String>>;

/// A topic gets another configuration.
fn change_config(address: &str, number: u32) -> Outcome<()> {
    let mut connection = Connection::open(address)?;
    let config = AlterableConfig {
        name: Text::from_static("retention.ms"),
        config_operation: 0,
        value: Some(Text::from((604_800_000 + u64::from(number)).to_string())),
    };
    let resource = AlterConfigsResource { resource_type: 2, resource_name: Text::from_static("synced"), configs: vec![config] };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..IncrementalAlterConfigsRequest::default() };
    let Response::IncrementalAlterConfigs(response) = connection.ask(1, &Request::IncrementalAlterConfigs(request))? else {
        return Err("no answer to IncrementalAlterConfigs".into());
    };
    expect("a change of configuration", response.responses.first().map(|response| response.error_code))
}

impl Site {
    fn make(file_system: FileSystem, release: bool, seed: u64) -> Outcome<Self> {
        let home = tempfile::Builder::new().prefix("full-disk-").tempdir_in(workspace::target())?;
        let disk = LoopDisk::make(home.path(), file_system, IMAGE_BYTES)?;
        let settings = [
            ("FLUMEN_FREE_SPACE_BYTES", FLOOR_BYTES),
            ("FLUMEN_JOURNAL_BYTES", JOURNAL_BYTES),
            ("FLUMEN_LOG_SEGMENT_BYTES", 1 << 20),
        ];
        let flumen = Flumen {
            binary: crate::interop::binary(release),
            data: disk.path().to_owned(),
            beside: Vec::new(),
            port: 0,
            shards: Some(1),
            settings: settings.map(|(name, value)| (name.to_owned(), value.to_string())).into(),
        };
        let broker = flumen.start()?;
        load::prepare(&broker.address)?;
        Ok(Self {
            broker: Some(broker),
            flumen,
            disk,
            ledger: Ledger::new(Promise::Kill),
            random: Random::new(seed),
            refusals: 0,
            unanswered: 0,
            acknowledged: 0,
            _home: home,
        })
    }

    fn address(&self) -> Outcome<String> {
        Ok(self.broker.as_ref().ok_or("the broker is gone")?.address.clone())
    }

    fn said(&self) -> String {
        let said = self.broker.as_ref().map(Broker::said).and_then(Result::ok).unwrap_or_default();
        workspace::end_of(&said, 20)
    }

    /// The room goes, and comes back.
    fn cycle(&mut self, fullness: Fullness, number: u32) -> Outcome<()> {
        let address = self.address()?;
        let workers = self.ledger.enlist(&mut self.random, &address)?;
        let count = workers.len();
        let shift = Shift::begin(&address, workers);
        wait(REFUSED_WITHIN, "an acknowledgement", || shift.acknowledged() > 0)?;
        self.disk.fill(fullness.leaves_bytes())?;
        if matches!(fullness, Fullness::Nothing) {
            std::thread::sleep(FULL_FOR);
        } else {
            wait(REFUSED_WITHIN, "every producer to be refused", || shift.refused() == count).map_err(|error| {
                let free_bytes = self.disk.free_bytes().unwrap_or_default();
                format!("{error}: {} of {count} were, with {free_bytes} bytes free", shift.refused())
            })?;
        }
        let late = self.change_metadata(&address, fullness, number)?;
        let deletes = matches!(fullness, Fullness::UsedUpAndDeleted);
        if !deletes {
            self.disk.free()?;
        }
        if let Some(late) = late {
            late.join().map_err(|_| "a change of configuration panicked")??;
        }
        let refusals = shift.end(&mut self.ledger)?;
        // What was taken before the last block went may run out of time; whatever comes on a full disk is told that it is one.
        let is_due = |refusal: &Refusal| match fullness {
            Fullness::Nothing => refusal.is_retriable(),
            _ => refusal.code == ErrorCode::KafkaStorageError,
        };
        if let Some(refusal) = refusals.iter().find(|refusal| !is_due(refusal)) {
            return Err(format!("refused otherwise than for want of space: {refusal}").into());
        }
        self.refusals += refusals.len();
        self.unanswered += count - refusals.len();
        if deletes {
            verify(&address, &mut self.ledger, Extent::New)?;
            self.delete_seen(&address)?;
        }
        self.ledger.resend(&address, PATIENCE)?;
        self.disk.free()?;
        verify(&address, &mut self.ledger, Extent::New)?;
        if self.disk.free_bytes()? < CROWDED_BYTES {
            self.delete_seen(&address)?;
        }
        let running = self.broker.as_mut().ok_or("the broker is gone")?.is_running()?;
        if running { Ok(()) } else { Err("the broker has ended".into()) }
    }

    /// Metadata can be written on a full disk: a topic's configuration, and while the reserve holds topics come and go. Where the room
    /// of what was given up for it is taken at once, the next change waits for some.
    fn change_metadata(&self, address: &str, fullness: Fullness, number: u32) -> Outcome<Option<LateChange>> {
        change_config(address, number)?;
        if matches!(fullness, Fullness::Nothing) {
            self.disk.fill(0)?;
            let address = address.to_owned();
            // More than the last blocks that nobody could take hold.
            let changes = move || (1..=LATE_CHANGES).try_for_each(|late| change_config(&address, number + 1000 * late));
            let late = std::thread::spawn(move || changes().map_err(|error| error.to_string()));
            std::thread::sleep(FULL_FOR);
            return Ok(Some(late));
        }
        let mut connection = Connection::open(address)?;
        let name = Text::from(format!("passing-{number}"));
        let topic = CreatableTopic { name: name.clone(), num_partitions: 2, replication_factor: 1, ..CreatableTopic::default() };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, validate_only: false };
        let Response::CreateTopics(response) = connection.ask(7, &Request::CreateTopics(request))? else {
            return Err("no answer to CreateTopics".into());
        };
        expect("a new topic", response.topics.first().map(|topic| topic.error_code))?;
        let topic = DeleteTopicState { name: Some(name), ..DeleteTopicState::default() };
        let request = DeleteTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..DeleteTopicsRequest::default() };
        let Response::DeleteTopics(response) = connection.ask(6, &Request::DeleteTopics(request))? else {
            return Err("no answer to DeleteTopics".into());
        };
        expect("the deletion of a topic", response.responses.first().map(|topic| topic.error_code))?;
        Ok(None)
    }

    /// What was looked at goes.
    fn delete_seen(&mut self, address: &str) -> Outcome<()> {
        let before = self.ledger.acknowledged();
        let mut connection = Connection::open(address)?;
        for (topic, partition_index, offset) in self.ledger.give_up_seen() {
            let partitions = vec![DeleteRecordsPartition { partition_index, offset }];
            let topics = vec![DeleteRecordsTopic { name: Text::from_static(topic), partitions }];
            let request = Request::DeleteRecords(DeleteRecordsRequest { topics, timeout_ms: 30_000 });
            let Response::DeleteRecords(response) = connection.ask(2, &request)? else {
                return Err("no answer to DeleteRecords".into());
            };
            let result = response.topics.first().and_then(|topic| topic.partitions.first());
            expect("a deletion of records", result.map(|result| result.error_code))?;
        }
        self.acknowledged += before - self.ledger.acknowledged();
        Ok(())
    }

    /// Killed where there is no room, and started there: it waits for room if it needs it, and all is there.
    fn finish(&mut self) -> Outcome<()> {
        let address = self.address()?;
        let workers = self.ledger.enlist(&mut self.random, &address)?;
        let shift = Shift::begin(&address, workers);
        wait(REFUSED_WITHIN, "an acknowledgement", || shift.acknowledged() > 0)?;
        self.disk.fill(0)?;
        std::thread::sleep(FULL_FOR);
        self.broker.take().ok_or("the broker is gone")?.kill()?;
        shift.end(&mut self.ledger)?;
        self.disk.fill(0)?;
        let mut broker = self.flumen.start_until("flumen: ")?;
        self.disk.free()?;
        broker.ready()?;
        self.ledger.resend(&broker.address, PATIENCE)?;
        verify(&broker.address, &mut self.ledger, Extent::All)?;
        let status = broker.stop()?;
        if status.success() { Ok(()) } else { Err(format!("the broker stops with {status}").into()) }
    }
}

fn expect(what: &str, code: Option<ErrorCode>) -> Outcome<()> {
    match code {
        Some(ErrorCode::None) => Ok(()),
        other => Err(format!("{what} on a full disk: {other:?}").into()),
    }
}

fn wait(within: Duration, what: &str, done: impl Fn() -> bool) -> Outcome<()> {
    let deadline = Instant::now() + within;
    while !done() {
        if Instant::now() > deadline {
            return Err(format!("waited {} s for {what}", within.as_secs()).into());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}
