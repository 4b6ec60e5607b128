//! A model of a few brokers that hold one partition, and of a controller: logs are vectors, and every step is explicit.
//!
//! What holds at all times is asserted as it happens: a reign's high watermark never falls; it is at or below what each member
//! of its in-sync set has in fact; nobody disagrees about a committed record; who takes up a reign has all of them.

use crate::{Divergence, Durability, EpochEnd, IsrChange, LocalLog, Reign, Replica, Transition};
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use flumen_log::epoch::LeaderEpochs;
use flumen_log::{BrokerId, LeaderEpoch, Offset};

/// A record: the epoch it was written in, and a number that no other record has.
type Record = (LeaderEpoch, u64);

/// One broker's part.
pub(super) struct Member {
    pub(super) replica: Replica,
    log: Vec<Record>,
    durable: usize,
    epochs: LeaderEpochs,
    /// The reign under which the log was last brought in line with the leader's.
    aligned: Option<LeaderEpoch>,
    /// The reign and high watermark last seen.
    watched: (LeaderEpoch, Offset),
}

/// The partition, and everybody who has to do with it.
pub(super) struct Cluster {
    pub(super) members: Vec<Member>,
    pub(super) record: Reign,
    pub(super) durability: Durability,
    pub(super) committed: Vec<Record>,
    min_insync: usize,
    asked: VecDeque<(BrokerId, IsrChange)>,
    written: u64,
}

fn offset(index: usize) -> Offset {
    Offset(i64::try_from(index).expect("a short log"))
}

fn index(offset: Offset) -> usize {
    usize::try_from(offset.0).expect("no negative offsets")
}

impl Member {
    fn local(&self, high_watermark: Offset) -> LocalLog {
        let end = offset(self.log.len());
        LocalLog { next_offset: end, log_end: end, durable: offset(self.durable), high_watermark }
    }

    /// What of its log counts as confirmed, in fact.
    fn has(&self, durability: Durability) -> usize {
        match durability {
            Durability::Journaled => self.durable,
            Durability::Replicated => self.log.len(),
        }
    }

    fn cut(&mut self, end: Offset) {
        self.log.truncate(index(end));
        self.durable = self.durable.min(self.log.len());
        self.epochs.truncate_from_end(end);
    }

    fn end_of(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        let (epoch, end) = self.epochs.end_offset_for(epoch, offset(self.log.len()))?;
        Some(EpochEnd { epoch, end })
    }
}

impl Cluster {
    pub(super) fn new(size: usize, durability: Durability, min_insync: usize) -> Self {
        let brokers: Vec<_> = (0..).map(BrokerId).take(size).collect();
        let record = Reign {
            leader: Some(brokers[0]),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: 0,
            replicas: brokers.clone(),
            isr: brokers.clone(),
        };
        let empty =
            LocalLog { next_offset: Offset::ZERO, log_end: Offset::ZERO, durable: Offset::ZERO, high_watermark: Offset::ZERO };
        let member = |broker: &BrokerId| Member {
            replica: Replica::new(*broker, &record, empty, durability, min_insync).0,
            log: Vec::new(),
            durable: 0,
            epochs: LeaderEpochs::default(),
            aligned: None,
            watched: (LeaderEpoch::NONE, Offset::ZERO),
        };
        let mut members: Vec<_> = brokers.iter().map(member).collect();
        members[0].epochs.assign(LeaderEpoch(0), Offset::ZERO);
        Self { members, record, durability, committed: Vec::new(), min_insync, asked: VecDeque::new(), written: 0 }
    }

    fn broker(&self, member: usize) -> BrokerId {
        self.record.replicas[member]
    }

    fn member_of(broker: BrokerId) -> usize {
        usize::try_from(broker.0).expect("brokers are numbered from zero")
    }

    /// Whoever believes to lead writes a record. It may be wrong about that.
    pub(super) fn append(&mut self, member: usize) {
        let Member { replica, log, durable, .. } = &mut self.members[member];
        let Some(leader) = replica.as_leader_mut() else { return };
        self.written += 1;
        log.push((leader.leader_epoch(), self.written));
        leader.local_progress(offset(log.len()), offset(*durable));
        self.watch(member);
    }

    /// A member syncs its log.
    pub(super) fn sync(&mut self, member: usize) {
        let Member { replica, log, durable, .. } = &mut self.members[member];
        *durable = log.len();
        if let Some(leader) = replica.as_leader_mut() {
            leader.local_progress(offset(log.len()), offset(*durable));
        }
        self.watch(member);
    }

    /// The leader that a follower believes in, if that one leads under the same epoch.
    fn leader_of(&self, member: usize) -> Option<(usize, LeaderEpoch)> {
        let Replica::Follower(follower) = &self.members[member].replica else { return None };
        let leader = Self::member_of(follower.leader()?);
        let epoch = follower.leader_epoch();
        let same = self.members[leader].replica.as_leader().is_some_and(|leader| leader.leader_epoch() == epoch);
        same.then_some((leader, epoch))
    }

    /// A follower brings its log in line with the leader's, if it has not, and takes over up to `count` records.
    pub(super) fn replicate(&mut self, member: usize, count: usize) {
        let Some((leader, epoch)) = self.leader_of(member) else { return };
        if self.members[member].aligned != Some(epoch) {
            self.align(member, leader);
            self.members[member].aligned = Some(epoch);
        }
        for _ in 0..count {
            let end = self.members[member].log.len();
            let Some(record) = self.members[leader].log.get(end).copied() else { break };
            let follower = &mut self.members[member];
            follower.epochs.assign(record.0, offset(end));
            follower.log.push(record);
        }
        let leaders = self.members[leader].replica.high_watermark();
        let Member { replica, log, .. } = &mut self.members[member];
        if let Replica::Follower(follower) = replica {
            follower.learn_high_watermark(epoch, leaders, offset(log.len())).expect("the same epoch");
        }
        self.watch(member);
    }

    fn align(&mut self, member: usize, leader: usize) {
        let mut asked = self.members[member].epochs.latest();
        while let Some(epoch) = asked {
            let answer = self.members[leader].end_of(epoch).expect("the leader has heard of every epoch up to its own");
            let own = self.members[member].end_of(answer.epoch);
            let end = offset(self.members[member].log.len());
            asked = match crate::Follower::diverge(epoch, answer, own, end) {
                Divergence::CutTo(end) => {
                    self.members[member].cut(end);
                    None
                }
                Divergence::AskAgain { cut_to, epoch } => {
                    self.members[member].cut(cut_to);
                    Some(epoch)
                }
            };
        }
    }

    /// A follower tells its leader how far it is.
    pub(super) fn report(&mut self, member: usize) {
        let Some((leader, epoch)) = self.leader_of(member) else { return };
        if self.members[member].aligned != Some(epoch) {
            return;
        }
        let (end, durable) = (offset(self.members[member].log.len()), offset(self.members[member].durable));
        let broker = self.broker(member);
        let leading = self.members[leader].replica.as_leader_mut().expect("it leads");
        leading.follower_progress(broker, epoch, end, durable).expect("the same epoch");
        self.watch(leader);
    }

    /// Whoever believes to lead asks for `other` to join or leave the in-sync set.
    pub(super) fn ask(&mut self, member: usize, other: usize, join: bool) {
        let (me, other) = (self.broker(member), self.broker(other));
        let Some(leader) = self.members[member].replica.as_leader_mut() else { return };
        let change = if join { leader.expand(other) } else { leader.shrink(&BTreeSet::from([other])) };
        self.asked.extend(change.map(|change| (me, change)));
        self.watch(member);
    }

    /// The controller looks at the oldest request: it grants it or refuses it, unless the request comes too late.
    pub(super) fn decide(&mut self, grant: bool) {
        let Some((asker, change)) = self.asked.pop_front() else { return };
        let current = change.leader_epoch == self.record.leader_epoch
            && change.partition_epoch == self.record.partition_epoch
            && self.record.leader == Some(asker);
        let member = Self::member_of(asker);
        if current && grant {
            self.record.isr = change.new_isr.into_iter().collect();
            self.record.partition_epoch += 1;
        } else if let Some(leader) = self.members[member].replica.as_leader_mut().filter(|_| current) {
            leader.isr_refused(&change);
            self.watch(member);
        }
    }

    /// The controller makes any member of the in-sync set the leader.
    pub(super) fn elect(&mut self, choice: usize) {
        self.record.leader = Some(self.record.isr[choice % self.record.isr.len()]);
        self.record.leader_epoch.0 += 1;
        self.record.partition_epoch += 1;
    }

    /// A member hears of the controller's record.
    pub(super) fn tell(&mut self, member: usize) {
        let me = self.broker(member);
        let known = self.members[member].replica.high_watermark();
        let local = self.members[member].local(known);
        let record = self.record.clone();
        let transition = self.members[member].replica.assign(me, &record, local, self.durability, self.min_insync);
        self.took(member, transition);
    }

    /// A member's machine stops at once, or only its process where memory counts, and starts again.
    pub(super) fn crash(&mut self, member: usize, kept: usize, watermark_lost: bool) {
        let broker = self.broker(member);
        if self.durability == Durability::Journaled {
            let unsynced = self.members[member].log.len() - self.members[member].durable;
            let end = self.members[member].durable + kept % (unsynced + 1);
            self.members[member].cut(offset(end));
            // Whatever recovery keeps it syncs.
            self.members[member].durable = end;
        }
        for other in &mut self.members {
            if let Some(leader) = other.replica.as_leader_mut() {
                leader.follower_lost(broker);
            }
        }
        if self.record.leader == Some(broker) {
            self.record.leader_epoch.0 += 1;
            self.record.partition_epoch += 1;
        }
        let known = if watermark_lost { Offset::ZERO } else { self.members[member].replica.high_watermark() };
        let local = self.members[member].local(known);
        let (replica, transition) = Replica::new(broker, &self.record, local, self.durability, self.min_insync);
        self.members[member].replica = replica;
        self.members[member].aligned = None;
        // A restarted follower may know less than it did; a leader comes back under a new epoch.
        self.members[member].watched = (LeaderEpoch::NONE, Offset::ZERO);
        self.took(member, transition);
    }

    /// The topic's settings change, everywhere at once; on the way to the journal all logs are synced first.
    pub(super) fn configure(&mut self, durability: Durability, min_insync: usize) {
        (self.durability, self.min_insync) = (durability, min_insync);
        if durability == Durability::Journaled {
            self.members.iter_mut().for_each(|member| member.durable = member.log.len());
        }
        for member in 0..self.members.len() {
            if let Some(leader) = self.members[member].replica.as_leader_mut() {
                leader.configure(durability, min_insync);
            }
            self.watch(member);
        }
    }

    fn took(&mut self, member: usize, transition: Transition) {
        if let Transition::BecameLeader { leader_epoch, epoch_start } = transition {
            let taken = &mut self.members[member];
            assert_eq!(epoch_start, offset(taken.log.len()));
            taken.epochs.assign(leader_epoch, epoch_start);
            assert!(taken.log.starts_with(&self.committed), "a leader lacks what was committed");
        }
        self.watch(member);
    }

    fn watch(&mut self, member: usize) {
        let watched = &mut self.members[member];
        let Some((epoch, _)) = watched.replica.epochs() else { return };
        let known = watched.replica.high_watermark();
        assert!(epoch != watched.watched.0 || known >= watched.watched.1, "the high watermark fell");
        let rose = watched.watched != (epoch, known);
        watched.watched = (epoch, known);
        let Some(leader) = watched.replica.as_leader() else { return };
        assert_eq!(leader.replicated(known).map(|proof| *proof), Some(known));
        assert_eq!(leader.replicated(known.next()), None);
        if rose {
            let below = &self.members[member].log[..index(known)];
            let common = below.len().min(self.committed.len());
            assert_eq!(below[..common], self.committed[..common], "two leaders disagree about what is committed");
            self.committed.extend_from_slice(&below[common..]);
        }
        if epoch == self.record.leader_epoch {
            self.assert_held(member, known);
        }
    }

    /// Every member of the maximal in-sync set has everything below the watermark, in fact.
    fn assert_held(&self, leader: usize, high_watermark: Offset) {
        let leading = self.members[leader].replica.as_leader().expect("it leads");
        let known_to_lead = self.record.isr.iter().copied();
        for broker in leading.in_sync().maximal().chain(known_to_lead) {
            let has = self.members[Self::member_of(broker)].has(self.durability);
            assert!(offset(has) >= high_watermark, "{broker} has {has} of {high_watermark}");
        }
    }

    /// Everybody hears of everything until nothing changes: all that the leader has is then committed.
    pub(super) fn settle(&mut self) {
        while !self.asked.is_empty() {
            self.decide(true);
        }
        for _ in 0..3 {
            for member in 0..self.members.len() {
                self.tell(member);
            }
            for member in 0..self.members.len() {
                self.replicate(member, usize::MAX);
                self.sync(member);
                self.report(member);
            }
        }
    }

    /// The log of the leader that the controller has in mind.
    pub(super) fn leaders_log(&self) -> &[Record] {
        &self.members[Self::member_of(self.record.leader.expect("somebody leads"))].log
    }
}
