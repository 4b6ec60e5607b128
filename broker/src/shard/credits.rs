//! Credits towards the other shards: one is held by every request that is under way there.
//!
//! A credit covers the mail and its answer, so once taken nothing can fail for want of room in a mailbox. A parked fetch
//! gives its credit back. Requests to the shard itself need none.

use alloc::{vec, vec::Vec};
use flumen_log::ShardId;

use crate::limits::Limits;

/// What kind of mail a credit is for; no kind can use up the room of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    Produce,
    Fetch,
    Control,
}

#[derive(Clone, Debug)]
struct Left {
    produce: u32,
    fetch: u32,
    control: u32,
}

impl Left {
    const fn of(&mut self, class: Class) -> &mut u32 {
        match class {
            Class::Produce => &mut self.produce,
            Class::Fetch => &mut self.fetch,
            Class::Control => &mut self.control,
        }
    }
}

/// What is left of the credits, per owner and class.
#[derive(Debug)]
pub(crate) struct Credits {
    own: ShardId,
    left: Vec<Left>,
}

impl Credits {
    pub(crate) fn new(own: ShardId, shards: u16, limits: &Limits) -> Self {
        let full = Left { produce: limits.produce_credits, fetch: limits.fetch_credits, control: limits.control_credits };
        Self { own, left: vec![full; usize::from(shards)] }
    }

    /// How many are with the other shards.
    pub(crate) fn away(&self, limits: &Limits) -> u32 {
        let full = limits.produce_credits + limits.fetch_credits + limits.control_credits;
        self.left.iter().map(|left| full - left.produce - left.fetch - left.control).sum()
    }

    /// Whether a request of this class could be sent to every owner.
    pub(crate) fn available(&mut self, class: Class) -> bool {
        let own = usize::from(self.own.0);
        self.left.iter_mut().enumerate().all(|(shard, left)| shard == own || *left.of(class) > 0)
    }

    /// Take a credit; the caller asked [`Credits::available`] before.
    pub(crate) fn take(&mut self, owner: ShardId, class: Class) {
        if owner != self.own {
            let left = self.left[usize::from(owner.0)].of(class);
            *left = left.checked_sub(1).expect("a request starts only when every owner has a credit left");
        }
    }

    /// Give a credit back.
    pub(crate) fn give(&mut self, owner: ShardId, class: Class) {
        if owner != self.own {
            *self.left[usize::from(owner.0)].of(class) += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_exhausted_owner_stops_its_class_and_no_other() {
        let limits = Limits { produce_credits: 1, ..Limits::for_shard(1 << 30, 2) };
        let mut credits = Credits::new(ShardId(0), 2, &limits);
        credits.take(ShardId(1), Class::Produce);
        assert!(!credits.available(Class::Produce));
        assert!(credits.available(Class::Fetch), "every credit of produce gone, a fetch still gets through");
        credits.take(ShardId(0), Class::Produce);
        credits.give(ShardId(1), Class::Produce);
        assert!(credits.available(Class::Produce));
    }
}
