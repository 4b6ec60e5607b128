//! The liveness phase: everything heals, and what is open must come to its end.

use alloc::{format, string::String, vec::Vec};
use flumen_broker::Holdings;

use super::{
    client::{Client, Reader, Role},
    network::Ending,
    world::World,
};

/// Steps in which everything must have come to its end.
const PATIENCE_STEPS: u64 = 120_000;

impl World<'_> {
    pub(super) fn finish(&mut self) {
        self.settling = true;
        self.swarm.heal();
        self.disk.faults.rates.sync_error = 0;
        self.disk.faults.rates.write_error = 0;
        self.disk.faults.full = false;
        self.network.set_weather(self.swarm.weather);
        self.network.end_vanished();
        if self.process.is_none() {
            self.start();
        }
        let settled = |world: &Self| world.clients.iter().all(|client| client.is_settled(&world.ledger));
        self.until("every client has its answers", settled);
        self.read_everything();
        for index in 0..self.clients.len() {
            self.with_client(index, |client, network, context| client.disconnect(network, Ending::Close, context));
        }
        self.clients.clear();
        self.network.end_vanished();
        self.until("nothing is held for clients that are gone", |world| {
            world.holdings().iter().all(|holdings| *holdings == Holdings::default())
        });
        if self.is_over() {
            return;
        }
        self.stop();
        if !self.is_over() {
            self.start();
            self.until("the shards have opened", |world| world.process.as_ref().is_some_and(|process| process.control.opened));
        }
    }

    fn read_everything(&mut self) {
        let reader = Reader::of_everything(&self.ledger);
        self.clients.push(Client::new(1000, Role::Reader(reader)));
        // How long it takes depends on how much there is and on how little a fetch may give: time runs from one batch to the next.
        let reader = |world: &Self| world.clients.last().map(Client::has_read);
        self.until_still("everything is read", reader, |world| {
            world.clients.last().is_some_and(|reader| reader.is_settled(&world.ledger))
        });
    }

    pub(super) fn holdings(&self) -> Vec<Holdings> {
        self.process.iter().flat_map(|process| &process.seats).map(|seat| seat.shard.holdings()).collect()
    }

    pub(super) fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        self.until_still(what, |_| (), done);
    }

    /// Until it is done; patience begins anew with every step on the way.
    fn until_still<P: PartialEq>(&mut self, what: &str, progress: impl Fn(&Self) -> P, done: impl Fn(&Self) -> bool) {
        let (mut reached, mut patience) = (progress(self), PATIENCE_STEPS);
        while patience > 0 {
            if self.is_over() || done(self) {
                return;
            }
            self.step();
            let now = progress(self);
            patience = if now == reached { patience - 1 } else { PATIENCE_STEPS };
            reached = now;
        }
        let clients: Vec<String> =
            self.clients.iter().filter(|client| !client.is_settled(&self.ledger)).map(Client::describe).collect();
        let (holdings, operations) = (self.holdings(), self.disk.outstanding());
        self.ledger.violation(format!("not so in time: {what}: {holdings:?}, {operations} operations, {clients:#?}"));
    }
}
