//! A quorum's life: first start, commands, restarts, snapshots, and starts that are refused.

use super::*;
use crate::quorum::Changes;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn a_first_start_names_the_cluster_and_later_ones_keep_it() {
    let (_guard, path) = directory();
    for is_new in [true, false, false] {
        run(async {
            let began = Instant::now();
            let started = start(&path).await;
            // The promise is 100 ms; the rest is for machines that do other things at the same time.
            assert!(began.elapsed() < Duration::from_secs(2), "a start took {:?}", began.elapsed());
            assert_eq!((started.is_new, &*started.image.cluster_id), (is_new, "the-cluster"));
            started.quorum.stop().await.expect("stopped");
        });
    }
}

#[test]
fn what_was_answered_is_there_after_a_start() {
    let (_guard, path) = directory();
    for round in 1..4_u8 {
        run(async {
            let started = start(&path).await;
            assert_eq!(topics(&started.image), usize::from(round - 1));
            let quorum = &started.quorum;
            let response = quorum.propose(registration()).await.expect("committed");
            assert_eq!(response, CommandResponse::Registered { broker_epoch: i64::from(round - 1) });
            make_topic(quorum, round).await;
            // No orderly stop: the runtime goes away with everything on it, as in a crash.
        });
    }
    run(async {
        let image = start(&path).await.image;
        for number in 1..4 {
            let topic = image.topic(&format!("topic-{number}")).expect("it was made");
            assert_eq!(topic.id, TopicId([number; 16]));
            assert_eq!(topic.partitions[0].leader_epoch.0, i32::from(3 - number), "one for each later start");
            assert!(image.topic_configs(&topic.name).is_some());
        }
    });
}

async fn drain(changes: &mut Changes, until: u64) -> Vec<crate::Change> {
    let mut seen = Vec::new();
    while seen.last().is_none_or(|change: &crate::Change| change.index < until) {
        seen.push(changes.next().await.expect("there are more"));
    }
    seen
}

#[test]
fn changes_come_in_order_each_with_its_image() {
    let (_guard, path) = directory();
    run(async {
        let Started { quorum, image, mut changes, .. } = start(&path).await;
        assert_eq!(topics(&image), 0);
        quorum.propose(registration()).await.expect("committed");
        for number in 1..20 {
            make_topic(&quorum, number).await;
        }
        // Neither a producer id block nor a dry run is anything to tell a shard.
        quorum.propose(Command::NameCluster { cluster_id: "other".into() }).await.expect("committed");
        make_topic(&quorum, 20).await;
        let first = changes.next().await.expect("a change");
        assert!(first.delta.brokers_changed.contains(&BrokerId(1)));
        let seen = drain(&mut changes, first.index + 21).await;
        assert!(changes.try_next().is_none());
        assert_eq!(seen.len(), 20);
        for (number, change) in (1..).zip(&seen) {
            assert_eq!(topics(&change.image), number);
            assert_eq!(change.delta.topics_created[0].name, Arc::from(format!("topic-{number}")));
        }
        assert!(seen.is_sorted_by(|earlier, later| earlier.index < later.index));
        quorum.stop().await.expect("stopped");
        assert!(changes.next().await.is_none());
    });
}

#[test]
fn the_log_gets_short_again_and_nothing_is_missing() {
    let (_guard, path) = directory();
    let blocks = 130;
    let lengths = run(async {
        let Started { quorum, .. } = start(&path).await;
        quorum.propose(registration()).await.expect("committed");
        make_topic(&quorum, 1).await;
        let mut longest = 0;
        for _ in 0..blocks {
            let block = Command::AllocateProducerIds { broker: BrokerId(1), broker_epoch: 0, count: 10 };
            quorum.propose(block).await.expect("committed");
            longest = longest.max(fs::metadata(log_file(&path)).expect("it is there").len());
        }
        quorum.stop().await.expect("stopped");
        (longest, fs::metadata(log_file(&path)).expect("it is there").len())
    });
    assert!(lengths.1 < lengths.0, "the log never got shorter than {} bytes", lengths.0);
    assert!(path.join(files::SNAPSHOT).exists());
    run(async {
        let started = start(&path).await;
        assert_eq!(started.image.next_producer_id.0, blocks * 10);
        assert_eq!(topics(&started.image), 1);
        make_topic(&started.quorum, 2).await;
    });
    run(async { assert_eq!(topics(&start(&path).await.image), 2) });
}

/// A directory with a snapshot and a log behind it.
fn with_snapshot(path: &Path) {
    run(async {
        let Started { quorum, .. } = start(path).await;
        quorum.propose(registration()).await.expect("committed");
        for _ in 0..60 {
            let block = Command::AllocateProducerIds { broker: BrokerId(1), broker_epoch: 0, count: 1 };
            quorum.propose(block).await.expect("committed");
        }
        make_topic(&quorum, 1).await;
        quorum.stop().await.expect("stopped");
    });
    assert!(path.join(files::SNAPSHOT).exists());
}

fn refusal(path: &Path) -> String {
    let Err(fault) = run(start_as(1, path)) else { panic!("it started") };
    assert!(matches!(fault, QuorumError::Corrupt { .. }), "{fault}");
    fault.to_string()
}

#[test]
fn files_that_do_not_fit_together_are_refused_and_left_alone() {
    let (guard, path) = directory();
    with_snapshot(&path);
    let no_log = guard.path().join("no-log");
    copy(&path, &no_log);
    fs::remove_file(log_file(&no_log)).expect("removed");
    assert!(refusal(&no_log).contains("missing, though there is a snapshot"));
    assert!(!log_file(&no_log).exists(), "nothing is made in its place");

    let no_snapshot = guard.path().join("no-snapshot");
    copy(&path, &no_snapshot);
    fs::remove_file(no_snapshot.join(files::SNAPSHOT)).expect("removed");
    let before = fs::read(log_file(&no_snapshot)).expect("readable");
    assert!(refusal(&no_snapshot).contains("missing, or older than the log"));
    assert_eq!(fs::read(log_file(&no_snapshot)).expect("readable"), before);

    let damaged = guard.path().join("damaged");
    copy(&path, &damaged);
    let snapshot = damaged.join(files::SNAPSHOT);
    let good = fs::read(&snapshot).expect("readable");
    for at in [0, 30, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&snapshot, &bad).expect("written");
        refusal(&damaged);
        assert_eq!(fs::read(&snapshot).expect("readable"), bad);
    }
    fs::write(&snapshot, &good[..good.len() - 1]).expect("written");
    refusal(&damaged);
    fs::write(&snapshot, &good).expect("written");
    run(async { assert_eq!(topics(&start(&damaged).await.image), 1) });
}

#[test]
fn the_metadata_of_another_node_is_refused() {
    let (_guard, path) = directory();
    run(async { start(&path).await.quorum.stop().await.expect("stopped") });
    let Err(fault) = run(start_as(2, &path)) else { panic!("it started") };
    assert!(matches!(fault, QuorumError::WrongNode { found: 1, node: 2, .. }), "{fault}");
}

#[test]
fn a_file_left_half_written_beside_counts_for_nothing() {
    let (_guard, path) = directory();
    with_snapshot(&path);
    for name in ["log.tmp", "snapshot.tmp"] {
        fs::write(path.join(name), b"half").expect("written");
    }
    run(async { assert_eq!(topics(&start(&path).await.image), 1) });
}

#[test]
fn a_command_of_a_newer_release_stops_the_start() {
    let (_guard, path) = directory();
    run(async { make_nothing(&path).await });
    let entry = concat!(
        r#"[{"log_id":{"leader_id":{"term":9,"node_id":1},"index":3},"#,
        r#""payload":{"Normal":{"version":65535,"command":{"SomethingNew":{}}}}}]"#
    );
    let mut bytes = fs::read(log_file(&path)).expect("readable");
    let frames = crate::frame::scan(&bytes).expect("whole").frames.len();
    let sequence = u64::try_from(frames).expect("few");
    bytes.extend(crate::frame::encode(sequence, crate::frame::Kind::Entries, entry.as_bytes()).expect("short"));
    fs::write(log_file(&path), bytes).expect("written");
    let message = refusal(&path);
    assert!(message.contains("written by a newer release"), "{message}");
}

/// Starts and stops; the log then ends at entry 2.
async fn make_nothing(path: &Path) {
    start(path).await.quorum.stop().await.expect("stopped");
}
