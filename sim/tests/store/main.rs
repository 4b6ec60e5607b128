//! What a store does, step by step, on a disk that does exactly what it is told.

mod bench;
mod cleaning;
mod clock;
mod damage;
mod durability;
mod journal;
mod producers;
mod reading;
mod removal;
mod space;
mod truncation;
mod unreadable;
