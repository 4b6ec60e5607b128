//! Tests of the roles: single steps by hand, whole clusters at random.

mod cluster;
mod random;
mod steps;
