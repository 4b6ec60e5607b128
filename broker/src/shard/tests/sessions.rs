//! Fetch sessions that live longer than a test may wait.

use flumen_protocol::{ErrorCode, fetch::FetchRequest};

use super::{
    World,
    client::{FETCH, Line, fetch},
};

/// A session that was not used for longer may make room for another (Kafka's, which is not a setting).
const MINIMUM_AGE_MS: u64 = 120_000;

impl World {
    /// A fetch of two partitions that asks for a session. Its number, or 0.
    fn open_session(&mut self, line: Line) -> i32 {
        self.send(line, FETCH, FetchRequest { session_epoch: 0, ..fetch("topic", &[(0, 0), (1, 0)], 0, 0) });
        self.settle();
        self.fetched(line).expect("answered").session_id
    }

    /// The next fetch of a session.
    fn use_session(&mut self, line: Line, session_id: i32, session_epoch: i32) -> ErrorCode {
        let request = FetchRequest { session_id, session_epoch, topics: [].into(), ..fetch("topic", &[], 0, 0) };
        self.send(line, FETCH, request);
        self.settle();
        self.fetched(line).expect("answered").error_code
    }
}

#[test]
fn s05_a_session_makes_room_when_nobody_used_it_for_two_minutes() {
    let mut world = World::with(|limits| limits.fetch_sessions = 2);
    world.topic("topic", 2);
    let line = world.connect(0);
    let (used, unused) = (world.open_session(line), world.open_session(line));
    assert!(used > 0 && unused > 0);
    world.pass(MINIMUM_AGE_MS);
    assert_eq!(world.open_session(line), 0, "both are too young still");
    assert_eq!(world.use_session(line, used, 1), ErrorCode::None);
    world.pass(1);
    let new = world.open_session(line);
    assert!(new > 0 && new != used && new != unused);
    assert_eq!(world.use_session(line, unused, 1), ErrorCode::FetchSessionIdNotFound);
    assert_eq!(world.use_session(line, used, 2), ErrorCode::None);
    assert_eq!(world.use_session(line, new, 1), ErrorCode::None);
}
