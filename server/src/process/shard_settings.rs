//! From the configuration of a broker to the settings of one of its shards.

use flumen_broker::{Limits, OffsetSettings, Settings};
use flumen_log::{ShardId, compaction::CompactionSettings, store::StoreSettings};

use super::open_files::OpenFiles;
use crate::config::ServerConfig;

type Refusal = Box<dyn std::error::Error + Send + Sync>;

/// The share of memory that requests and replies in flight may take, over all shards.
const IN_FLIGHT_SHARE: u64 = 8;

/// Limits of each of `shards` shards.
pub(super) fn limits(config: &ServerConfig, shards: u16, open_files: OpenFiles) -> Result<Limits, Refusal> {
    let in_flight_bytes = match config.number("flumen.inflight.bytes") {
        Some(bytes) => usize::try_from(bytes)?,
        None => usize::try_from(memory_bytes() / IN_FLIGHT_SHARE)?,
    };
    let mut limits = Limits::for_shard(in_flight_bytes, shards);
    limits.frame_bytes = limits.frame_bytes.min(number(config, "socket.request.max.bytes"));
    limits.idle_ms = number(config, "connections.max.idle.ms");
    limits.fetch_bytes = number(config, "fetch.max.bytes");
    let sessions: usize = number(config, "max.incremental.fetch.session.cache.slots");
    limits.fetch_sessions = sessions.div_ceil(usize::from(shards));
    let connections: usize = number(config, "max.connections");
    limits.connections = limits.connections.min(connections.div_ceil(usize::from(shards)).max(1));
    limits.connections = limits.connections.min(open_files.connections);
    Ok(limits)
}

/// The log directories' paths, as clients are told them.
#[derive(Clone)]
pub(super) struct Paths {
    pub(super) online: Vec<String>,
    pub(super) offline: Vec<String>,
}

/// Settings of one shard.
pub(super) fn settings(
    config: &ServerConfig,
    shard: ShardId,
    shards: u16,
    limits: Limits,
    open_files: OpenFiles,
    paths: Paths,
) -> Settings {
    let defaults = StoreSettings::of_shard(shard, shards);
    let directories = paths.online.len().max(1);
    let store = StoreSettings {
        // What a shard may take is shared by its stores.
        open_files_max: defaults.open_files_max.min(open_files.segments).div_ceil(directories),
        index_cache_bytes: defaults.index_cache_bytes.div_ceil(directories),
        journal_bytes: number(config, "flumen.journal.bytes"),
        scrub_bytes_per_second: number(config, "flumen.scrub.bytes.per.second"),
        free_space_floor_bytes: number(config, "flumen.free.space.bytes"),
        retention_check_ms: number(config, "log.retention.check.interval.ms"),
        producer_expiration_ms: number(config, "producer.id.expiration.ms"),
        compaction: compaction(config, usize::from(shards) * directories),
        ..defaults
    };
    let minutes: i64 = number(config, "offsets.retention.minutes");
    let offsets = OffsetSettings {
        metadata_max_bytes: number(config, "offset.metadata.max.bytes"),
        commit_timeout_ms: number(config, "offsets.commit.timeout.ms"),
        retention_ms: minutes.saturating_mul(60_000),
        retention_check_interval_ms: number(config, "offsets.retention.check.interval.ms"),
    };
    Settings {
        shard,
        shards,
        broker: config.node,
        seed: random_seed(),
        limits,
        store,
        admin: config.broker_settings(),
        offsets,
        log_directories: paths.online,
        log_directories_offline: paths.offline,
    }
}

/// One store's share of what compaction may use.
fn compaction(config: &ServerConfig, stores: usize) -> CompactionSettings {
    let share = |name: &str| number::<usize>(config, name) / stores.max(1);
    let fraction = |name: &str| config.fraction(name).unwrap_or(f64::MAX).max(0.0);
    // As a float the default is without limit, and `as` takes it to the largest number.
    let bytes_per_second = fraction("log.cleaner.io.max.bytes.per.second") / stores.max(1) as f64;
    CompactionSettings {
        enabled: config.switch("log.cleaner.enable"),
        key_map_bytes: share("log.cleaner.dedupe.buffer.size"),
        load_factor_ppm: (fraction("log.cleaner.io.buffer.load.factor").min(1.0) * 1_000_000.0) as u32,
        // Half of it for reading, half for writing.
        buffer_bytes: share("log.cleaner.io.buffer.size") / 2,
        io_bytes_per_second: bytes_per_second as u64,
        backoff_ms: number(config, "log.cleaner.backoff.ms"),
        ..CompactionSettings::new()
    }
}

/// A setting that has a default; negative means "no limit".
fn number<T: TryFrom<i64> + Limit>(config: &ServerConfig, name: &str) -> T {
    let value = config.number(name).unwrap_or(-1);
    T::try_from(value).unwrap_or(T::UNLIMITED)
}

trait Limit {
    const UNLIMITED: Self;
}

impl Limit for u64 {
    const UNLIMITED: Self = Self::MAX;
}

impl Limit for u32 {
    const UNLIMITED: Self = Self::MAX;
}

impl Limit for usize {
    const UNLIMITED: Self = Self::MAX;
}

impl Limit for i64 {
    const UNLIMITED: Self = Self::MAX;
}

/// Each shard draws its own: sequences from related seeds could meet.
fn random_seed() -> u64 {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    high ^ low.rotate_left(32)
}

/// The machine's memory.
fn memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(u64::from(info.mem_unit))
}
