//! Bounds on what a frame may make its reader allocate.

/// The most elements that one array may have, as in Kafka 4.4.
pub(crate) const ARRAY_ELEMENTS_MAX: usize = 1_000_000;

/// The most elements that the arrays of one request may have together.
///
/// Work goes with elements, and a core does a request's work in one go: this many take it some tens of milliseconds. Kafka has
/// no such limit, and no client comes near it: it is as many partitions as a large cluster has.
pub(crate) const REQUEST_ELEMENTS_MAX: usize = 1 << 17;

/// The most tagged fields that one struct may have, as in Kafka 4.4.
pub(crate) const TAGGED_FIELDS_MAX: u32 = 10_000;

/// The longest string in bytes, as in Kafka.
pub(crate) const STRING_BYTES_MAX: usize = i16::MAX as usize;

/// A request may cost this many bytes of memory whatever its size, besides the frame itself.
pub(crate) const REQUEST_BUDGET_FLOOR_BYTES: usize = 1 << 20;

/// And so many more for every byte of its frame.
///
/// An empty string takes one byte of a frame and 32 of memory, so that a limit on frames alone bounds nothing. Three leave
/// room for what honest clients send, and with the frame itself a request costs at most four times its size.
pub(crate) const REQUEST_BUDGET_PER_BYTE: usize = 3;

/// A response is read from a broker that its reader chose; what it may cost per byte of its frame is wider.
pub(crate) const RESPONSE_BUDGET_PER_BYTE: usize = 32;
