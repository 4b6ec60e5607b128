//! openraft's own tests of a storage.

use super::directory;
use crate::files;
use crate::log_store::LogStore;
use crate::machine::Machine;
use crate::raft::{Metadata, MetadataStorageError};
use flumen_controller::configs::KafkaConfigRules;
use openraft::testing::{StoreBuilder, Suite};
use tempfile::TempDir;

struct OnDisk;

impl StoreBuilder<Metadata, LogStore, Machine, TempDir> for OnDisk {
    async fn build(&self) -> Result<(TempDir, LogStore, Machine), MetadataStorageError> {
        let (guard, path) = directory();
        files::make_directory(&path).expect("made");
        let log = LogStore::open(&path, 1).expect("opened");
        let machine = Machine::open(&path, 1, Box::new(KafkaConfigRules)).expect("opened");
        Ok((guard, log, machine))
    }
}

#[test]
fn the_storage_passes_openrafts_suite() {
    Suite::test_all(OnDisk).expect("it passes");
}
