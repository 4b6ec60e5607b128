//! Out of file descriptors: accepting rests, and goes on. Alone in its program, since the limit is the process's.
#![allow(clippy::unwrap_used, reason = "tests")]

mod harness;

use std::{
    fs::File,
    io::{Read, Write},
    net::TcpStream,
};

use harness::{Shards, echo::Echo};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[test]
fn accepting_rests_without_spinning_and_goes_on() {
    let shards = Shards::start(vec![Echo::default()], |_| {});
    // The clients have their descriptors before the limit comes down to those in use.
    let mut before = TcpStream::connect(shards.address).unwrap();
    before.write_all(b"\0\0\0\x01a").unwrap();
    before.read_exact(&mut [0; 5]).unwrap();
    let spare: Vec<File> = (0..8).map(|_| File::open("/dev/null").unwrap()).collect();
    let limit = getrlimit(Resource::Nofile);
    let in_use = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    let sockets: Vec<_> = (0..4)
        .map(|_| rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap())
        .collect();
    setrlimit(Resource::Nofile, Rlimit { current: Some(in_use + 2), maximum: limit.maximum }).unwrap();

    let std::net::SocketAddr::V4(address) = shards.address else { panic!("we listen on IPv4") };
    let mut clients: Vec<TcpStream> = sockets
        .into_iter()
        .map(|socket| {
            rustix::net::connect(&socket, &address).unwrap();
            let mut client = TcpStream::from(socket);
            client.write_all(b"\0\0\0\x01b").unwrap();
            client
        })
        .collect();
    // While it rests those who are in are served, and the loop does not spin: at most ten tries a second, each a few turns.
    let turns = shards.stalls[0].turns();
    for _ in 0..100 {
        before.write_all(b"\0\0\0\x01a").unwrap();
        before.read_exact(&mut [0; 5]).unwrap();
    }
    before.set_read_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
    assert!(before.read_exact(&mut [0; 1]).is_err(), "nothing more comes; this only lets time pass");
    let turned = shards.stalls[0].turns() - turns;
    assert!(turned < 1_000, "{turned} turns in a third of a second");

    drop(spare);
    setrlimit(Resource::Nofile, limit).unwrap();
    for client in &mut clients {
        client.read_exact(&mut [0; 5]).unwrap();
    }
    let machine = shards.stop().pop().unwrap();
    assert_eq!(machine.accepted, 5);
}
