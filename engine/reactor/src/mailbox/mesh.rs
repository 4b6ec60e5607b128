//! All mailboxes of a process.

use std::{collections::VecDeque, sync::Arc};

use flumen_log::{ShardId, io::Thread};

use super::{
    ControlPostbox, Doorbell, ShardPostbox, StopHandle,
    postbox::{Link, Links},
    ring,
};

/// A mailbox of `capacity` pieces for every ordered pair of `shards` shards and the control thread.
///
/// # Errors
/// If the kernel gives no eventfd.
pub fn mesh<M>(shards: u16, capacity: usize) -> std::io::Result<(Vec<ShardPostbox<M>>, ControlPostbox<M>)> {
    let threads: Vec<Thread> = (0..shards).map(|number| Thread::Shard(ShardId(number))).chain([Thread::Control]).collect();
    let bells = threads
        .iter()
        .map(|&thread| Doorbell::new(thread != Thread::Control).map(Arc::new))
        .collect::<std::io::Result<Vec<_>>>()?;
    let stop = StopHandle { bells: bells[..usize::from(shards)].into() };
    let mut all: Vec<Links<M>> = threads
        .iter()
        .zip(&bells)
        .map(|(&me, bell)| Links {
            me,
            shards: usize::from(shards),
            links: Vec::with_capacity(usize::from(shards)),
            bell: Arc::clone(bell),
            own: VecDeque::new(),
        })
        .collect();
    for first in 0..threads.len() {
        for second in first + 1..threads.len() {
            let (to_second, from_first) = ring::ring(capacity);
            let (to_first, from_second) = ring::ring(capacity);
            all[first].links.push(link(threads[second], to_second, from_second, &bells[second]));
            all[second].links.push(link(threads[first], to_first, from_first, &bells[first]));
        }
    }
    let control = ControlPostbox { links: all.pop().expect("the control thread is always there"), stop };
    Ok((all.into_iter().map(ShardPostbox).collect(), control))
}

fn link<M>(peer: Thread, outgoing: ring::Sender<M>, incoming: ring::Receiver<M>, bell: &Arc<Doorbell>) -> Link<M> {
    Link { peer, outgoing, incoming, bell: Arc::clone(bell), unannounced: false }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::mesh;
    use flumen_log::{ShardId, io::Thread};

    #[test]
    fn everybody_reaches_everybody() {
        let (mut shards, mut control) = mesh::<(Thread, Thread)>(3, 4).expect("eventfds");
        let threads: Vec<Thread> = (0..3).map(|number| Thread::Shard(ShardId(number))).chain([Thread::Control]).collect();
        for from in 0..3 {
            for &to in &threads {
                shards[from].send(to, (threads[from], to));
            }
        }
        for to in 0..3 {
            control.send(ShardId(to), (Thread::Control, Thread::Shard(ShardId(to))));
        }
        for (to, postbox) in shards.iter_mut().enumerate() {
            let mut senders = Vec::new();
            assert!(postbox.has_mail());
            postbox.drain(8, |from, mail| {
                assert_eq!(mail, (from, threads[to]));
                senders.push(from);
            });
            senders.sort_unstable();
            assert_eq!(senders, threads);
            assert!(!postbox.has_mail());
        }
        let mut senders = Vec::new();
        control.drain(|from, mail| {
            assert_eq!(mail, (Thread::Shard(from), Thread::Control));
            senders.push(from.0);
        });
        assert_eq!(senders, [0, 1, 2]);
    }

    #[test]
    #[should_panic(expected = "without a credit")]
    fn a_full_mailbox_is_a_bug() {
        let (_shards, mut control) = mesh::<u32>(1, 2).expect("eventfds");
        for mail in 0..3 {
            control.send(ShardId(0), mail);
        }
    }

    #[test]
    fn a_budget_leaves_the_rest() {
        let (mut shards, mut control) = mesh::<u32>(1, 8).expect("eventfds");
        for mail in 0..5 {
            control.send(ShardId(0), mail);
        }
        let mut taken = Vec::new();
        assert!(shards[0].drain(3, |_, mail| taken.push(mail)));
        assert_eq!(taken, [0, 1, 2]);
        assert!(!shards[0].drain(3, |_, mail| taken.push(mail)));
        assert_eq!(taken, [0, 1, 2, 3, 4]);
    }
}
