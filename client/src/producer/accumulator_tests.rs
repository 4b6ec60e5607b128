//! The accumulator by itself.

use std::collections::BTreeSet;

use flumen_log::batch::{StoredRead, read_stored};
use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn limits() -> Limits {
    Limits {
        batch_bytes: 300,
        request_bytes: 1000,
        linger: Duration::from_millis(10),
        delivery_timeout: 60 * SECOND,
        retry_backoff: Duration::from_millis(100),
        codec: Codec::None,
        level: None,
    }
}

/// An accumulator with one broker that is always free.
struct Bench {
    accumulator: Accumulator,
    now: Instant,
    fates: Vec<Settlement>,
}

impl Bench {
    fn new(idempotent: bool) -> Self {
        let mut accumulator = Accumulator::new(limits(), idempotent);
        if idempotent {
            accumulator.identify(ProducerId(7), ProducerEpoch(0));
        }
        Self { accumulator, now: Instant::now(), fates: Vec::new() }
    }

    /// Adds a record that fills a batch alone.
    fn append(&mut self, partition: i32) {
        let record = ProducerRecord::new("topic", vec![0u8; 300]);
        let appended = self.accumulator.append(&record, partition, 1, 330, self.now);
        self.fates.push(appended.settlement);
    }

    fn drain(&mut self) -> Vec<Sending> {
        let mut leaving = self.accumulator.drain(self.now, &mut |_| Some(1));
        leaving.remove(&1).unwrap_or_default()
    }

    /// Drains until nothing more leaves.
    fn drain_all(&mut self) -> Vec<Sending> {
        let mut all = Vec::new();
        loop {
            let more = self.drain();
            if more.is_empty() {
                return all;
            }
            all.extend(more);
        }
    }

    fn acknowledge(&mut self, sending: Sending, base_offset: i64) {
        let taken = Taken { base_offset, log_append_time: -1 };
        self.accumulator.settle(&sending.place, sending.batch, Ok(taken), self.now);
    }

    fn fail(&mut self, sending: Sending, code: ErrorCode, doubtful: bool) {
        let error = Error::Broker { code, message: None };
        self.accumulator.settle(&sending.place, sending.batch, Err(Failure { error, doubtful }), self.now);
    }
}

fn sequence(sending: &Sending) -> (i64, i32) {
    let StoredRead::Batch(batch) = read_stored(&sending.bytes) else { panic!("no batch") };
    (batch.header.producer_id.0, batch.header.base_sequence)
}

fn sequences(sendings: &[Sending]) -> Vec<i32> {
    sendings.iter().map(|sending| sequence(sending).1).collect()
}

async fn outcome(settlement: &Settlement) -> Result<Taken, Error> {
    settlement.settled().await
}

#[tokio::test]
async fn a_batch_leaves_when_it_is_full_or_has_lingered() {
    let mut bench = Bench::new(false);
    let small = ProducerRecord::new("topic", "x");
    let first = bench.accumulator.append(&small, 0, 1, 30, bench.now);
    let second = bench.accumulator.append(&small, 0, 1, 30, bench.now);
    assert!(first.is_news && !second.is_news);
    assert_eq!((first.index, second.index), (0, 1));
    assert!(bench.drain().is_empty());
    assert_eq!(bench.accumulator.deadline(bench.now), Some(bench.now + limits().linger));
    bench.now += limits().linger;
    let sendings = bench.drain();
    assert_eq!(sendings.len(), 1);
    assert_eq!(sendings[0].batch.record_count, 2);
    bench.append(1);
    assert_eq!(bench.drain().len(), 1);
}

#[tokio::test]
async fn without_idempotence_a_partition_has_one_batch_in_flight() {
    let mut bench = Bench::new(false);
    for _ in 0..3 {
        bench.append(0);
    }
    bench.append(1);
    let mut first = bench.drain_all();
    assert_eq!(first.len(), 2, "one for each partition");
    let other = first.pop().unwrap();
    bench.fail(first.pop().unwrap(), ErrorCode::NotLeaderOrFollower, false);
    bench.acknowledge(other, 0);
    assert!(bench.drain().is_empty(), "before the backoff");
    bench.now += limits().retry_backoff;
    for offset in 0..3 {
        let mut sendings = bench.drain_all();
        assert_eq!(sendings.len(), 1);
        bench.acknowledge(sendings.pop().unwrap(), offset);
    }
    for (fate, offset) in bench.fates.iter().zip([0, 1, 2]) {
        assert_eq!(outcome(fate).await.unwrap().base_offset, offset, "in the order of sending");
    }
    assert!(bench.accumulator.is_idle());
    assert_eq!(bench.accumulator.take_freed(), 4 * 330);
}

#[tokio::test]
async fn after_a_failure_the_earliest_goes_first_and_alone() {
    let mut bench = Bench::new(true);
    for _ in 0..7 {
        bench.append(0);
    }
    let mut flying = bench.drain_all();
    assert_eq!(sequences(&flying), [0, 1, 2, 3, 4], "the brokers' window");
    for (sending, code) in flying.drain(..).zip([
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::OutOfOrderSequenceNumber,
        ErrorCode::OutOfOrderSequenceNumber,
        ErrorCode::OutOfOrderSequenceNumber,
        ErrorCode::OutOfOrderSequenceNumber,
    ]) {
        bench.fail(sending, code, false);
        if code == ErrorCode::NotLeaderOrFollower {
            bench.now += SECOND;
            assert!(bench.drain().is_empty(), "the others are still under way");
        }
    }
    bench.now += SECOND;
    for expected in 0..5 {
        let mut again = bench.drain_all();
        assert_eq!(sequence(&again[0]).1, expected, "with the sequence it had");
        // What was never sent need not wait for the last of those that were.
        assert_eq!(again.len(), if expected < 4 { 1 } else { 3 });
        bench.acknowledge(again.swap_remove(0), i64::from(expected));
    }
    assert!(!bench.accumulator.wants_identity());
}

#[tokio::test]
async fn a_lost_sequence_makes_all_start_anew_under_a_new_id() {
    let mut bench = Bench::new(true);
    for partition in [0, 0, 0, 1] {
        bench.append(partition);
    }
    let mut flying = bench.drain_all();
    let at = flying.iter().position(|sending| sending.place.1 == 1).unwrap();
    let other = flying.remove(at);
    let mut flying = flying.into_iter();
    bench.fail(flying.next().unwrap(), ErrorCode::MessageTooLarge, false);
    assert!(!bench.accumulator.wants_identity(), "while anything carries the old one");
    for sending in flying {
        bench.fail(sending, ErrorCode::OutOfOrderSequenceNumber, false);
    }
    bench.append(1);
    bench.now += SECOND;
    assert!(bench.drain().is_empty(), "nothing new under the old id");
    assert!(!bench.accumulator.wants_identity());
    bench.acknowledge(other, 9);
    assert!(bench.accumulator.wants_identity());
    bench.accumulator.identify(ProducerId(8), ProducerEpoch(0));
    let mut found = BTreeSet::new();
    for _ in 0..2 {
        for sending in bench.drain_all() {
            found.insert((sending.place.1, sequence(&sending)));
            bench.acknowledge(sending, 0);
        }
    }
    assert_eq!(found, BTreeSet::from([(0, (8, 0)), (0, (8, 1)), (1, (8, 0))]));
    assert_eq!(outcome(&bench.fates[0]).await.unwrap_err().code(), Some(ErrorCode::MessageTooLarge));
    assert_eq!(outcome(&bench.fates[3]).await.unwrap().base_offset, 9);
}

#[tokio::test]
async fn what_may_have_been_written_is_never_written_under_another_sequence() {
    let mut bench = Bench::new(true);
    bench.append(0);
    bench.append(0);
    let mut flying = bench.drain_all().into_iter();
    let (first, second) = (flying.next().unwrap(), flying.next().unwrap());
    bench.fail(second, ErrorCode::RequestTimedOut, true);
    bench.fail(first, ErrorCode::MessageTooLarge, false);
    assert!(outcome(&bench.fates[1]).await.is_err(), "in doubt, and so failed");
    assert!(bench.accumulator.wants_identity());
    assert!(bench.drain().is_empty());
    assert!(bench.accumulator.is_idle());
}

#[tokio::test]
async fn a_forgotten_producer_gets_a_new_id_and_goes_on() {
    let mut bench = Bench::new(true);
    bench.append(0);
    let sending = bench.drain_all().pop().unwrap();
    bench.fail(sending, ErrorCode::UnknownProducerId, false);
    assert!(bench.accumulator.wants_identity());
    bench.accumulator.identify(ProducerId(9), ProducerEpoch(0));
    let again = bench.drain_all();
    assert_eq!(sequence(&again[0]), (9, 0));
}

#[tokio::test]
async fn what_waits_too_long_fails_with_the_last_reason() {
    let mut bench = Bench::new(true);
    bench.append(0);
    let sending = bench.drain_all().pop().unwrap();
    bench.fail(sending, ErrorCode::NotEnoughReplicas, false);
    assert_eq!(bench.accumulator.deadline(bench.now), Some(bench.now + limits().retry_backoff));
    bench.now += limits().delivery_timeout;
    bench.accumulator.expire(bench.now);
    let problem = outcome(&bench.fates[0]).await.unwrap_err();
    assert!(problem.to_string().contains("NOT_ENOUGH_REPLICAS"), "{problem}");
    assert!(bench.accumulator.wants_identity(), "its sequence is lost");
    assert_eq!(bench.accumulator.take_freed(), 330);
}

#[tokio::test]
async fn what_never_left_says_what_was_in_the_way() {
    let mut bench = Bench::new(false);
    bench.append(0);
    let refused = Error::Unreachable { address: String::from("h:1"), reason: String::from("refused") };
    bench.accumulator.note_trouble(refused);
    bench.now += limits().delivery_timeout;
    bench.accumulator.expire(bench.now);
    let problem = outcome(&bench.fates[0]).await.unwrap_err();
    assert!(problem.to_string().contains("h:1"), "{problem}");
}

#[tokio::test]
async fn nothing_leaves_before_there_is_an_id() {
    let mut accumulator = Accumulator::new(limits(), true);
    assert!(!accumulator.wants_identity(), "before there is anything to send");
    let now = Instant::now();
    let appended = accumulator.append(&ProducerRecord::new("topic", vec![0u8; 300]), 0, 1, 330, now);
    assert!(accumulator.drain(now, &mut |_| Some(1)).is_empty());
    assert!(accumulator.wants_identity());
    accumulator.fail_all(&Error::Closed);
    assert!(matches!(appended.settlement.settled().await, Err(Error::Closed)));
}

#[tokio::test]
async fn a_request_has_one_batch_of_a_partition_and_is_not_too_large() {
    let mut bench = Bench::new(true);
    for partition in 0..6 {
        bench.append(partition);
        bench.append(partition);
    }
    let mut seen = BTreeSet::new();
    for _ in 0..2 {
        let sendings = bench.drain();
        let partitions: BTreeSet<i32> = sendings.iter().map(|sending| sending.place.1).collect();
        assert_eq!(partitions.len(), sendings.len());
        assert!(sendings.iter().map(|sending| sending.bytes.len()).sum::<usize>() <= limits().request_bytes);
        seen.extend(partitions);
    }
    assert_eq!(seen.len(), 4, "the second round goes on where the first ended");
}

/// A broker's log of one partition with Kafka's rule for sequences.
#[derive(Default)]
struct Model {
    id: i64,
    next: i32,
    log: Vec<Vec<u8>>,
}

impl Model {
    fn has(&self, sending: &Sending) -> bool {
        let (id, sequence) = sequence(sending);
        id == self.id && sequence < self.next
    }

    fn write(&mut self, sending: &Sending) -> Result<(), ErrorCode> {
        let (id, sequence) = sequence(sending);
        if id != self.id {
            if sequence != 0 {
                return Err(ErrorCode::OutOfOrderSequenceNumber);
            }
            (self.id, self.next) = (id, 0);
        }
        if sequence < self.next {
            return Ok(());
        }
        if sequence > self.next {
            return Err(ErrorCode::OutOfOrderSequenceNumber);
        }
        self.next += 1;
        self.log.push(sending.bytes[61..].to_vec());
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
enum Luck {
    Good,
    /// Refused, may succeed later.
    Refused,
    /// Refused for good.
    Rejected,
    /// Written, but the answer is lost.
    AnswerLost,
    /// Lost on the way.
    Lost,
}

proptest! {
    /// Whatever fails, the log has no duplicate and no disorder, all that was acknowledged, and nothing that was rejected.
    #[test]
    fn an_idempotent_log_is_exactly_once_in_order(
        luck in proptest::collection::vec(prop_oneof![
            6 => Just(Luck::Good), 2 => Just(Luck::Refused), 1 => Just(Luck::Rejected),
            2 => Just(Luck::AnswerLost), 2 => Just(Luck::Lost)], 0..200),
        swaps in proptest::collection::vec(any::<prop::sample::Index>(), 200),
        count in 1usize..30,
    ) {
        let mut bench = Bench::new(true);
        for number in 0..count {
            let mut value = vec![0u8; 300];
            value[..8].copy_from_slice(&number.to_be_bytes());
            let record = ProducerRecord::new("topic", value);
            let appended = bench.accumulator.append(&record, 0, 1, 330, bench.now);
            bench.fates.push(appended.settlement);
        }
        let mut model = Model::default();
        let (mut luck, mut swaps) = (luck.into_iter(), swaps.into_iter());
        let mut id = 8;
        for _ in 0..2000 {
            if bench.accumulator.is_idle() {
                break;
            }
            bench.now += limits().retry_backoff;
            if bench.accumulator.wants_identity() {
                bench.accumulator.identify(ProducerId(id), ProducerEpoch(0));
                id += 1;
            }
            let mut answers = Vec::new();
            for sending in bench.drain_all() {
                let doubtful = |code| (code, true);
                let answer = match luck.next().unwrap_or(Luck::Good) {
                    Luck::Good => model.write(&sending).map_err(|code| (code, false)),
                    Luck::Refused => Err((ErrorCode::NotLeaderOrFollower, false)),
                    // A broker finds a duplicate before it finds fault.
                    Luck::Rejected if model.has(&sending) => Ok(()),
                    Luck::Rejected => Err((ErrorCode::MessageTooLarge, false)),
                    Luck::AnswerLost => model.write(&sending).map_or_else(|code| Err((code, false)), |()| Err(doubtful(ErrorCode::NetworkException))),
                    Luck::Lost => Err(doubtful(ErrorCode::NetworkException)),
                };
                answers.push((sending, answer));
            }
            // Answers of several connections may come in any order.
            while !answers.is_empty() {
                let at = swaps.next().map_or(0, |index| index.index(answers.len()));
                let (sending, answer) = answers.remove(at);
                match answer {
                    Ok(()) => bench.acknowledge(sending, 0),
                    Err((code, doubtful)) => bench.fail(sending, code, doubtful),
                }
            }
        }
        prop_assert!(bench.accumulator.is_idle(), "it never ends");
        let numbers: Vec<u8> = model.log.iter().map(|body| body[body.len() - 300 - 1 + 7]).collect();
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        sorted.dedup();
        prop_assert_eq!(&numbers, &sorted, "no duplicate, no disorder");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (number, fate) in bench.fates.iter().enumerate() {
            let written = numbers.contains(&u8::try_from(number).unwrap());
            match runtime.block_on(fate.settled()) {
                Ok(_) => prop_assert!(written, "{} was acknowledged and is not there", number),
                Err(problem) if problem.code() == Some(ErrorCode::MessageTooLarge) => prop_assert!(!written),
                Err(_) => {}
            }
        }
    }
}
