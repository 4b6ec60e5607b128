//! The log directories of a shard: a store in each, with a journal of its own.
//!
//! A directory is numbered as its store's operations are owned. One that has failed keeps its store, which takes nothing more;
//! the others go on.

use alloc::vec::Vec;
use flumen_log::{
    Monotonic, Now, TopicPartition,
    io::{Completion, Io, IoError, Owner},
    recovery::ShardRecovery,
    store::{LogConfig, LogView, Output, PartitionSlot, Store, StoreSettings},
};

/// Where a partition's log is: the log directory, and the place in its store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Place {
    pub(crate) directory: u32,
    pub(crate) slot: PartitionSlot,
}

#[derive(Debug)]
struct Directory {
    store: Store,
    outputs: Vec<Output>,
    told_buffered: bool,
}

/// The stores, by the numbers of their directories.
#[derive(Debug)]
pub(crate) struct Directories {
    directories: Vec<Directory>,
}

impl Directories {
    pub(crate) fn new(settings: &StoreSettings, recovered: Vec<ShardRecovery>) -> Self {
        let open = |(number, recovered)| Directory {
            store: Store::new(settings.clone(), recovered, Owner(number)),
            outputs: Vec::new(),
            told_buffered: false,
        };
        Self { directories: (0..).zip(recovered).map(open).collect() }
    }

    fn directory(&self, number: u32) -> &Directory {
        self.directories.get(number as usize).expect("directories are numbered when they are opened, and none is ever removed")
    }

    fn directory_mut(&mut self, number: u32) -> &mut Directory {
        self.directories
            .get_mut(number as usize)
            .expect("directories are numbered when they are opened, and none is ever removed")
    }

    pub(crate) fn store(&self, place: Place) -> &Store {
        &self.directory(place.directory).store
    }

    pub(crate) fn store_mut(&mut self, place: Place) -> &mut Store {
        &mut self.directory_mut(place.directory).store
    }

    /// The stores with their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Store)> {
        (0..).zip(self.directories.iter().map(|directory| &directory.store))
    }

    /// The stores, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Store> {
        self.directories.iter_mut().map(|directory| &mut directory.store)
    }

    /// Whether a directory's disk is behind, so that nothing more should be appended there for now. One that is full, or has failed,
    /// says so at once instead.
    pub(crate) fn is_behind(&self, number: u32) -> bool {
        let store = &self.directory(number).store;
        store.is_congested() && store.has_space() && !store.has_failed()
    }

    /// Whether a directory has room for more, as far as is known.
    pub(crate) fn has_space(&self, number: u32) -> bool {
        self.directory(number).store.has_space()
    }

    /// A partition's log as it is now. `None` once it was removed.
    pub(crate) fn view(&self, place: Place) -> Option<LogView<'_>> {
        self.store(place).view(place.slot)
    }

    /// Where a partition is, if it is here.
    pub(crate) fn find(&self, partition: TopicPartition) -> Option<Place> {
        self.iter().find_map(|(directory, store)| store.slot_of(partition).map(|slot| Place { directory, slot }))
    }

    /// Make a partition in a directory; `None` if that has failed.
    pub(crate) fn create(
        &mut self,
        directory: u32,
        partition: TopicPartition,
        topic_name: &str,
        config: LogConfig,
        io: &mut Io,
    ) -> Option<Place> {
        let store = &mut self.directories.get_mut(directory as usize)?.store;
        (!store.has_failed()).then(|| Place { directory, slot: store.create(partition, topic_name, config, io) })
    }

    pub(crate) fn complete(&mut self, completion: Completion, now: Now, io: &mut Io) {
        let Directory { store, outputs, .. } = self.directory_mut(completion.id.owner.0);
        store.complete(completion, now, io, outputs);
    }

    pub(crate) fn tick(&mut self, now: Now, io: &mut Io) {
        for Directory { store, outputs, .. } in &mut self.directories {
            store.tick(now, io, outputs);
        }
    }

    pub(crate) fn end_turn(&mut self, now: Now, io: &mut Io) {
        for Directory { store, outputs, .. } in &mut self.directories {
            store.end_turn(now, io, outputs);
        }
    }

    /// What a store has to say, with its number.
    pub(crate) fn take_outputs(&mut self) -> Option<(u32, Vec<Output>)> {
        let speaking = (0..).zip(&mut self.directories).find(|(_, directory)| !directory.outputs.is_empty());
        speaking.map(|(number, directory)| (number, core::mem::take(&mut directory.outputs)))
    }

    /// Another shard says that the directory failed.
    pub(crate) fn take_offline(&mut self, directory: u32, error: IoError) {
        if let Some(directory) = self.directories.get_mut(directory as usize) {
            directory.store.take_offline(error);
        }
    }

    /// A directory whose journal turned out to be written buffered, once.
    pub(crate) fn newly_buffered(&mut self) -> Option<u32> {
        let news = |directory: &Directory| !directory.told_buffered && !directory.store.has_direct_journal();
        let (number, directory) = (0..).zip(&mut self.directories).find(|(_, directory)| news(directory))?;
        directory.told_buffered = true;
        Some(number)
    }

    pub(crate) fn next_deadline(&self) -> Option<Monotonic> {
        self.directories.iter().filter_map(|directory| directory.store.next_deadline()).min()
    }

    pub(crate) fn stop(&mut self, now: Now, io: &mut Io) {
        for directory in &mut self.directories {
            directory.store.stop(now, io);
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.directories.iter().all(|directory| directory.store.is_stopped())
    }
}
