//! All connections of a shard, by id.
//!
//! An id is a place in the table and a count that never repeats, so a late word about a connection that is gone finds
//! nothing, never another connection.

use flumen_log::io::ConnectionId;

use super::connection::Connection;

/// Bits of an id that hold the place.
const PLACE_BITS: u32 = 20;

#[derive(Default)]
pub(super) struct Table {
    places: Vec<Option<Box<Connection>>>,
    free: Vec<usize>,
    made: u64,
    len: usize,
}

fn place(id: ConnectionId) -> usize {
    (id.0 & ((1 << PLACE_BITS) - 1)) as usize
}

impl Table {
    /// The most connections the ids have room for.
    pub(super) const MOST: usize = 1 << PLACE_BITS;

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn insert(&mut self, make: impl FnOnce(ConnectionId) -> Connection) -> ConnectionId {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        assert!(place < Self::MOST, "more connections than ids");
        let id = ConnectionId(self.made << PLACE_BITS | place as u64);
        self.made += 1;
        self.len += 1;
        self.places[place] = Some(Box::new(make(id)));
        id
    }

    pub(super) fn get(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.places.get_mut(place(id))?.as_deref_mut().filter(|connection| connection.id == id)
    }

    pub(super) fn remove(&mut self, id: ConnectionId) {
        if self.get(id).is_some() {
            self.places[place(id)] = None;
            self.free.push(place(id));
            self.len -= 1;
        }
    }

    pub(super) fn ids(&self) -> Vec<ConnectionId> {
        self.places.iter().flatten().map(|connection| connection.id).collect()
    }
}
