//! Frames there and back over real sockets.
#![allow(clippy::unwrap_used, reason = "tests")]

mod harness;

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
};

use harness::{Shards, echo::Echo};

fn one(adjust: impl Fn(&mut flumen_reactor::ReactorSettings)) -> Shards<Echo> {
    Shards::start(vec![Echo::default()], adjust)
}

fn frame(seed: usize, length: usize) -> Vec<u8> {
    let mut frame = u32::try_from(length).unwrap().to_be_bytes().to_vec();
    let mut state = seed as u64 | 1;
    frame.extend((0..length).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    }));
    frame
}

fn read(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn one_frame_after_another() {
    let shards = one(|_| {});
    let mut client = TcpStream::connect(shards.address).unwrap();
    for round in 0..1000 {
        let sent = frame(round, round % 300);
        client.write_all(&sent).unwrap();
        assert_eq!(read(&mut client, sent.len()), sent);
    }
    let machine = shards.stop().pop().unwrap();
    assert_eq!((machine.accepted, machine.frames, machine.closed), (1, 1000, 1));
}

#[test]
fn many_frames_in_flight_over_many_connections() {
    let shards = one(|_| {});
    std::thread::scope(|scope| {
        for client in 0..8 {
            let address = shards.address;
            scope.spawn(move || {
                let mut streams: Vec<TcpStream> = (0..16).map(|_| TcpStream::connect(address).unwrap()).collect();
                for round in 0..20 {
                    let sent: Vec<u8> = (0..32).flat_map(|number| frame(client * round, 100 + number * 40)).collect();
                    for stream in &mut streams {
                        stream.write_all(&sent).unwrap();
                    }
                    for stream in &mut streams {
                        assert!(read(stream, sent.len()) == sent);
                    }
                }
            });
        }
    });
    let machine = shards.stop().pop().unwrap();
    assert_eq!((machine.accepted, machine.frames, machine.closed), (128, 128 * 20 * 32, 128));
}

#[test]
fn a_frame_that_comes_byte_by_byte() {
    let shards = one(|_| {});
    let mut client = TcpStream::connect(shards.address).unwrap();
    client.set_nodelay(true).unwrap();
    let sent = frame(5, 20);
    for byte in &sent {
        client.write_all(&[*byte]).unwrap();
    }
    assert_eq!(read(&mut client, sent.len()), sent);
    shards.stop();
}

#[test]
fn large_frames_of_every_size_around_the_limits() {
    let shards = one(|settings| settings.receive_piece_bytes = 256 << 10);
    let mut client = TcpStream::connect(shards.address).unwrap();
    let mut writer = client.try_clone().unwrap();
    let sizes = [
        (32 << 10) - 5,
        (32 << 10) - 4,
        (32 << 10) - 3,
        64 << 10,
        (64 << 10) + 1,
        256 << 10,
        (256 << 10) + 1,
        1 << 20,
        10 << 20,
        3,
        10 << 20,
        0,
    ];
    let frames: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(seed, &size)| frame(seed, size)).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| frames.iter().for_each(|frame| writer.write_all(frame).unwrap()));
        for frame in &frames {
            assert!(read(&mut client, frame.len()) == *frame, "a frame of {} bytes", frame.len());
        }
    });
    let machine = shards.stop().pop().unwrap();
    assert_eq!(machine.frames, sizes.len());
    assert!(machine.progress_in > 40, "the pieces of large frames are told: {}", machine.progress_in);
}

#[test]
fn a_slow_reader_gets_everything_and_holds_up_nobody() {
    let shards = one(|settings| settings.connection_send_bytes = 64 << 10);
    let mut slow = TcpStream::connect(shards.address).unwrap();
    let mut quick = TcpStream::connect(shards.address).unwrap();
    let sent = frame(9, 1 << 20);
    for round in 0..48 {
        slow.write_all(&sent).unwrap();
        let small = frame(round, 100);
        quick.write_all(&small).unwrap();
        assert_eq!(read(&mut quick, small.len()), small);
    }
    for _ in 0..48 {
        assert!(read(&mut slow, sent.len()) == sent);
    }
    let machine = shards.stop().pop().unwrap();
    assert_eq!(machine.frames, 96);
    assert!(machine.progress_out > 0);
}

#[test]
fn the_end_of_the_clients_side_is_told_and_replies_still_leave() {
    let shards = one(|_| {});
    let mut client = TcpStream::connect(shards.address).unwrap();
    let sent: Vec<u8> = (0..4).flat_map(|seed| frame(seed, 1 << 20)).collect();
    let mut writer = client.try_clone().unwrap();
    let mut echoed = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        client.read_to_end(&mut echoed).unwrap();
    });
    assert!(echoed == sent);
    let machine = shards.stop().pop().unwrap();
    assert_eq!((machine.hangups, machine.closed), (1, 1));
}

#[test]
fn a_reset_is_a_hangup_in_every_state() {
    let shards = one(|_| {});
    let reset = |stream: TcpStream| rustix::net::sockopt::set_socket_linger(&stream, Some(std::time::Duration::ZERO)).unwrap();
    // Idle.
    reset(TcpStream::connect(shards.address).unwrap());
    // In the middle of a small frame, and of a large one.
    for length in [100, 1 << 20] {
        let mut client = TcpStream::connect(shards.address).unwrap();
        client.write_all(&frame(1, length)[..50]).unwrap();
        reset(client);
    }
    // Everybody is still served, and the dead are gone at the latest when we stop.
    let mut client = TcpStream::connect(shards.address).unwrap();
    let sent = frame(3, 1000);
    client.write_all(&sent).unwrap();
    assert_eq!(read(&mut client, sent.len()), sent);
    let machine = shards.stop().pop().unwrap();
    assert_eq!((machine.accepted, machine.closed), (4, 4));
}

#[test]
fn a_reader_that_resets_with_replies_outstanding_is_a_hangup() {
    let shards = one(|_| {});
    let mut client = TcpStream::connect(shards.address).unwrap();
    let sent = frame(3, 8 << 20);
    for _ in 0..4 {
        client.write_all(&sent).unwrap();
    }
    // The first bytes came back, the rest cannot.
    read(&mut client, 10);
    drop(client);
    let machine = shards.stop().pop().unwrap();
    assert_eq!((machine.accepted, machine.closed), (1, 1));
}

#[test]
fn the_limit_of_connections_holds_and_the_rest_wait() {
    let shards = one(|settings| settings.max_connections = 3);
    let mut clients: std::collections::VecDeque<TcpStream> =
        (0..10).map(|_| TcpStream::connect(shards.address).unwrap()).collect();
    let sent = frame(1, 50);
    for client in &mut clients {
        client.write_all(&sent).unwrap();
    }
    // Each is served when one before it has left.
    while let Some(mut client) = clients.pop_front() {
        assert_eq!(read(&mut client, sent.len()), sent);
    }
    let machine = shards.stop().pop().unwrap();
    assert_eq!((machine.accepted, machine.most), (10, 3));
}

#[test]
fn two_shards_serve_one_address() {
    let shards = Shards::start(vec![Echo::default(), Echo::default()], |_| {});
    let mut clients: Vec<TcpStream> = (0..50).map(|_| TcpStream::connect(shards.address).unwrap()).collect();
    let sent = frame(1, 50);
    for client in &mut clients {
        client.write_all(&sent).unwrap();
        assert_eq!(read(client, sent.len()), sent);
    }
    assert_eq!(shards.stop().iter().map(|machine| machine.accepted).sum::<usize>(), 50);
}
