//! Frames in memory that was a frame before. Alone in its program, since page faults are counted for the process.
#![allow(clippy::unwrap_used, reason = "tests")]

mod harness;

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use harness::{Shards, echo::Echo};

const FRAME_BYTES: usize = 1 << 20;
const ROUNDS: u64 = 20;
/// Frames in flight at a time; all are freed before the next.
const IN_FLIGHT: usize = 32;

/// Page faults of the process without I/O.
fn faults() -> u64 {
    let status = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The name in parentheses may hold spaces; the tenth field is the eighth after it.
    status.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(7).unwrap().parse().unwrap()
}

/// Page faults of a frame received and sent back, when many were before it.
fn faults_per_frame() -> u64 {
    let shards = Shards::start(vec![Echo::default()], |_| {});
    let mut client = TcpStream::connect(shards.address).unwrap();
    let mut frame = u32::try_from(FRAME_BYTES).unwrap().to_be_bytes().to_vec();
    frame.resize(4 + FRAME_BYTES, 7);
    let mut writer = client.try_clone().unwrap();
    let mut before = 0;
    std::thread::scope(|scope| {
        let (go, wait) = std::sync::mpsc::channel();
        let writing = frame.clone();
        let (written, hear) = std::sync::mpsc::channel();
        scope.spawn(move || {
            for () in wait {
                for _ in 0..IN_FLIGHT {
                    writer.write_all(&writing).unwrap();
                }
                written.send(()).unwrap();
            }
        });
        let mut echoed = vec![0; frame.len()];
        for round in 0..ROUNDS + 5 {
            if round == 5 {
                before = faults();
            }
            go.send(()).unwrap();
            hear.recv().unwrap();
            for _ in 0..IN_FLIGHT {
                client.read_exact(&mut echoed).unwrap();
                assert!(echoed == frame);
            }
        }
    });
    let all = faults() - before;
    drop(client);
    shards.stop();
    all / (ROUNDS * IN_FLIGHT as u64)
}

/// Page faults of a buffer of a frame's size, when all that there were have been freed.
fn faults_per_buffer() -> u64 {
    let round = || {
        let buffers: Vec<Vec<u8>> = (0..IN_FLIGHT).map(|_| vec![7; FRAME_BYTES]).collect();
        std::hint::black_box(buffers);
    };
    (0..5).for_each(|_| round());
    let before = faults();
    (0..ROUNDS).for_each(|_| round());
    (faults() - before) / (ROUNDS * IN_FLIGHT as u64)
}

#[test]
#[cfg_attr(not(target_env = "gnu"), ignore = "only the GNU C library has the setting")]
fn freed_memory_is_kept_for_the_next_frame() {
    // A frame has 256 pages.
    let given_back = faults_per_buffer();
    assert!(given_back > 50, "{given_back} page faults: memory is kept anyway, and this shows nothing");
    flumen_reactor::memory::keep_freed(256 << 20);
    let kept = faults_per_buffer();
    assert!(kept < 10, "{given_back} page faults a buffer, then {kept}");
    let received = faults_per_frame();
    assert!(received < 10, "{received} page faults a frame");
}
