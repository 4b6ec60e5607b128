//! What one seed is like: which faults there are and how often, how small the limits, who the clients are.
//!
//! Every seed draws its own, so that seeds differ in kind and not only in luck.

use alloc::string::ToString;
use flumen_broker::{Limits, OffsetSettings, Settings};
use flumen_controller::configs::ConfigMap;
use flumen_log::{ShardId, recovery::RecoverySettings, store::StoreSettings};

use super::{control::BROKER, network::Weather};
use crate::random::Random;

/// A seed's configuration.
#[derive(Clone, Debug)]
pub(super) struct Swarm {
    pub(super) lives: u64,
    pub(super) steps_per_life: u64,
    pub(super) shards_min: u64,
    pub(super) shards_max: u64,
    pub(super) producers: u64,
    pub(super) consumers: u64,
    /// Partitions that one producer writes, and that one consumer follows, at most.
    pub(super) targets: usize,
    pub(super) followed: usize,
    pub(super) topics: usize,
    pub(super) partitions: usize,
    pub(super) idempotent_one_in: u64,
    pub(super) large_record_bytes: usize,
    pub(super) think_ms: u64,
    pub(super) request_timeout_ms: u64,
    /// How long a fetch waits at the broker, at most.
    pub(super) wait_ms: u64,
    pub(super) reuses_names: bool,
    pub(super) deletes_topics: bool,
    pub(super) deletes_records: bool,
    pub(super) switches_durability: bool,
    /// One topic in so many is made with `replicated`.
    pub(super) replicated_one_in: u64,
    /// Once in so many steps a connection ends; zero is never.
    pub(super) reset_one_in: u64,
    /// Once in so many steps a connection stands still for a while; zero is never.
    pub(super) stall_one_in: u64,
    /// How often of a hundred steps an operation on files ends.
    pub(super) disk_weight: u64,
    /// Once in so many, a sync or a write fails, and the log directory with it; zero is never.
    pub(super) sync_error_one_in: u64,
    pub(super) write_error_one_in: u64,
    pub(super) power_one_in: u64,
    pub(super) stop_one_in: u64,
    /// A start in so many is cut off.
    pub(super) interrupt_one_in: u64,
    /// A start in so many finds no metadata, and the next one all of them again; zero is never.
    pub(super) amnesia_one_in: u64,
    pub(super) entries_per_snapshot: usize,
    /// Once in so many steps somebody sets the broker's clock; zero is never.
    pub(super) clock_one_in: u64,
    /// Once in so many steps the disk is full for a while; zero is never.
    pub(super) fill_one_in: u64,
    /// Everything heals under a process that goes on.
    pub(super) heals_alive: bool,
    /// Topics may lose their oldest segments, by time and by size.
    pub(super) retains: bool,
    pub(super) weather: Weather,
    sets_clocks: bool,
    fills_disk: bool,
    roll_ms: u64,
    journal_file_bytes: u64,
    limits: Limits,
}

impl Swarm {
    pub(super) fn draw(random: &mut Random) -> Self {
        let tight = random.one_in(2);
        let (sets_clocks, fills_disk) = (random.one_in(4), random.one_in(4));
        let mut sometimes = |one_in: u64, value: u64| if random.one_in(one_in) { value } else { 0 };
        let (reset_one_in, stall_one_in, amnesia_one_in) = (sometimes(2, 700), sometimes(3, 500), sometimes(4, 4));
        let (sync_error_one_in, write_error_one_in) = (sometimes(6, 300), sometimes(8, 800));
        Self {
            lives: 2 + random.below(3),
            steps_per_life: 4500 + random.below(9000),
            shards_min: 1,
            shards_max: 1 + random.below(3),
            producers: 1 + random.below(4),
            consumers: 1 + random.below(3),
            targets: 1 + random.index(3),
            followed: 1 + random.index(3),
            topics: 1 + random.index(3),
            partitions: 1 + random.index(4),
            idempotent_one_in: 1 + random.below(3),
            large_record_bytes: 200 + random.index(1300),
            think_ms: 1 + random.below(4),
            request_timeout_ms: 2_000 + random.below(30_000),
            wait_ms: if random.one_in(3) { 1_000 } else { 40 },
            reuses_names: random.one_in(3),
            deletes_topics: random.one_in(3),
            deletes_records: random.one_in(2),
            switches_durability: random.one_in(4),
            replicated_one_in: if random.one_in(3) { 2 } else { u64::MAX },
            reset_one_in,
            stall_one_in,
            disk_weight: if random.one_in(3) { 8 } else { 25 },
            sync_error_one_in,
            write_error_one_in,
            power_one_in: 1 + random.below(2),
            stop_one_in: 4 + random.below(4),
            interrupt_one_in: 3 + random.below(3),
            amnesia_one_in,
            entries_per_snapshot: if random.one_in(2) { 5 } else { 1000 },
            clock_one_in: if sets_clocks { 1500 } else { 0 },
            fill_one_in: if fills_disk { 2500 } else { 0 },
            fills_disk,
            heals_alive: random.one_in(3),
            retains: random.one_in(3),
            weather: Weather {
                chunk_bytes: if random.one_in(4) { 300 } else { 8_000 },
                socket_bytes: if random.one_in(3) { 2_000 } else { 60_000 },
            },
            sets_clocks,
            roll_ms: if random.one_in(2) { 1 + random.below(60) } else { 604_800_000 },
            journal_file_bytes: 4096 * (12 + random.below(24)),
            limits: draw_limits(random, tight),
        }
    }

    /// One life without faults, of so many shards that have hardly any credits towards one another.
    pub(super) fn crowded(random: &mut Random, shards: u64) -> Self {
        let mut swarm = Self::draw(random);
        swarm.heal();
        swarm.shards_min = shards;
        swarm.shards_max = shards;
        swarm.topics = 1;
        swarm.targets = 9;
        swarm.reuses_names = true;
        swarm.deletes_topics = false;
        swarm.deletes_records = false;
        swarm.switches_durability = false;
        swarm.amnesia_one_in = 0;
        swarm.retains = false;
        swarm.roll_ms = 604_800_000;
        swarm.request_timeout_ms = 3_600_000;
        swarm.limits = Limits {
            connections: 64,
            produce_credits: 2,
            fetch_credits: 2,
            control_credits: 2,
            stalled_ms: 3_600_000,
            // A fetch is not made to wait for more than it may be given.
            fetch_bytes: 55 << 20,
            ..draw_limits(random, true)
        };
        swarm
    }

    /// Nothing fails any more.
    pub(super) const fn heal(&mut self) {
        self.sync_error_one_in = 0;
        self.write_error_one_in = 0;
        self.reset_one_in = 0;
        self.stall_one_in = 0;
        self.clock_one_in = 0;
        self.fill_one_in = 0;
        self.disk_weight = 25;
        self.weather = Weather { chunk_bytes: 32_000, socket_bytes: 100_000 };
    }

    /// Whether the log directory may fail.
    pub(super) const fn disk_fails(&self) -> bool {
        self.sync_error_one_in > 0 || self.write_error_one_in > 0
    }

    /// Whether the disk may be full.
    pub(super) const fn fills_disk(&self) -> bool {
        self.fills_disk
    }

    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn recovery(&self, journal_id: u64) -> RecoverySettings {
        RecoverySettings {
            journal_id: u128::from(journal_id).to_be_bytes(),
            journal_file_bytes: self.journal_file_bytes,
            quarantine_bytes: 1 << 20,
            index_interval_bytes: 1024,
        }
    }

    pub(super) fn settings(&self, shard: u16, shards: u16, seed: u64) -> Settings {
        let shard = ShardId(shard);
        let store = StoreSettings {
            journal_bytes: self.journal_file_bytes * 4,
            journal_bytes_at_start: self.journal_file_bytes * 2,
            journal_file_bytes: self.journal_file_bytes,
            journal_frame_bytes: 16 << 10,
            journal_writes_in_flight: 3,
            open_files_max: 4,
            index_cache_bytes: 2048,
            checkpoints_in_flight: 2,
            retention_check_ms: 500,
            ..StoreSettings::of_shard(shard, shards)
        };
        let offsets = OffsetSettings {
            metadata_max_bytes: 4096,
            commit_timeout_ms: 5000,
            retention_ms: 604_800_000,
            retention_check_interval_ms: if self.sets_clocks { 1000 } else { 600_000 },
        };
        Settings {
            shard,
            shards,
            broker: BROKER,
            seed,
            limits: self.limits.clone(),
            store,
            admin: flumen_broker::admin::BrokerSettings {
                broker: BROKER,
                listeners: alloc::vec!["PLAINTEXT".to_string()],
                fixed: self.fixed(),
            },
            offsets,
            log_directories: alloc::vec!["/simulated".to_string()],
            log_directories_offline: alloc::vec::Vec::new(),
        }
    }

    /// The broker's configuration.
    fn fixed(&self) -> ConfigMap {
        let set = |name: &str, value: alloc::string::String| (name.to_string(), value);
        ConfigMap::from([
            set("auto.create.topics.enable", "false".into()),
            set("offsets.topic.num.partitions", "2".into()),
            set("log.retention.ms", "-1".into()),
            set("log.roll.ms", self.roll_ms.to_string()),
            set("log.index.interval.bytes", "512".into()),
            // A broker whose clock is behind would refuse what clients send it.
            set("log.message.timestamp.after.max.ms", i64::MAX.to_string()),
        ])
    }
}

fn draw_limits(random: &mut Random, tight: bool) -> Limits {
    let generous = Limits::for_shard(64 << 20, 1);
    if !tight {
        return generous;
    }
    let credits = |random: &mut Random| 2 + u32::try_from(random.below(4)).unwrap_or_default();
    Limits {
        in_flight_bytes: 128 << 10,
        frame_bytes: 32 << 10,
        pipeline_depth: 2 + random.index(6),
        connections: 12,
        stalled_ms: 5_000,
        idle_ms: 20_000,
        produce_credits: credits(random),
        fetch_credits: credits(random),
        control_credits: credits(random),
        fetch_sessions: 1 + random.index(4),
        fetch_session_partitions: 6,
        fetch_bytes: 1 + u32::try_from(random.below(50_000)).unwrap_or_default(),
        ..generous
    }
}
