//! The log cut or damaged at every byte: what was answered is there, or the start is refused.

use super::*;
use crate::log_store::LogStore;
use crate::machine::Machine;
use openraft::RaftLogReader;
use openraft::storage::RaftStateMachine;

/// A log, and its length when each topic was answered.
fn written(path: &Path) -> (Vec<u8>, Vec<usize>) {
    let answered = run(async {
        let Started { quorum, .. } = start(path).await;
        quorum.propose(registration()).await.expect("committed");
        let mut answered = Vec::new();
        for number in 1..5 {
            make_topic(&quorum, number).await;
            answered.push(fs::read(log_file(path)).expect("readable").len());
        }
        answered
    });
    (fs::read(log_file(path)).expect("readable"), answered)
}

/// What a log says: the topics once all its entries are applied, which is what a quorum of one does.
fn replay(path: &Path) -> Result<usize, QuorumError> {
    let mut log = LogStore::open(path, 1)?;
    let mut machine = Machine::open(path, 1, Box::new(KafkaConfigRules))?;
    run(async {
        let entries = log.try_get_log_entries(..).await.expect("in memory");
        machine.apply(entries).await.expect("in memory");
    });
    Ok(topics(&machine.image()))
}

#[test]
fn a_log_cut_anywhere_has_all_that_was_answered() {
    let (guard, path) = directory();
    let (bytes, answered) = written(&path);
    let opening = 24 + crate::opening::encode(1).expect("short").len();
    let cut_directory = guard.path().join("cut");
    fs::create_dir_all(&cut_directory).expect("made");
    for cut in 0..=bytes.len() {
        fs::write(log_file(&cut_directory), &bytes[..cut]).expect("written");
        let promised = answered.iter().filter(|length| **length <= cut).count();
        match replay(&cut_directory) {
            Ok(found) => {
                assert!(found == promised || found == promised + 1, "cut at {cut}: {found} of {promised}");
                let kept = fs::read(log_file(&cut_directory)).expect("readable");
                assert!(bytes.starts_with(&kept) && kept.len() <= cut, "only the torn frame goes");
            }
            Err(fault) => assert!(cut < opening, "cut at {cut}: {fault}"),
        }
    }
}

#[test]
fn a_quorum_goes_on_from_a_cut_log() {
    let (guard, path) = directory();
    let (bytes, answered) = written(&path);
    for cut in (answered[0]..=bytes.len()).step_by(61) {
        let cut_directory = guard.path().join(cut.to_string());
        fs::create_dir_all(&cut_directory).expect("made");
        fs::write(log_file(&cut_directory), &bytes[..cut]).expect("written");
        let promised = answered.iter().filter(|length| **length <= cut).count();
        let before = run(async {
            let started = start(&cut_directory).await;
            make_topic(&started.quorum, 100).await;
            topics(&started.image)
        });
        assert!(before >= promised, "cut at {cut}: {before} of {promised}");
        run(async { assert_eq!(topics(&start(&cut_directory).await.image), before + 1, "cut at {cut}") });
    }
}

#[test]
fn a_log_damaged_anywhere_has_all_that_was_answered_or_is_refused() {
    let (guard, path) = directory();
    let (bytes, answered) = written(&path);
    let damaged = guard.path().join("damaged");
    fs::create_dir_all(&damaged).expect("made");
    let mut refused = 0;
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 0x10;
        fs::write(log_file(&damaged), &bad).expect("written");
        match replay(&damaged) {
            Ok(found) => assert_eq!(found, answered.len(), "damage at {at} lost something that was answered"),
            Err(_) => {
                refused += 1;
                assert_eq!(fs::read(log_file(&damaged)).expect("readable"), bad, "damage at {at} was touched");
            }
        }
    }
    assert!(refused > bytes.len() / 2, "only {refused} of {} were refused", bytes.len());
}
