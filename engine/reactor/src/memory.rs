//! The allocator, told to keep what a broker needs again at once.

/// Keep up to `bytes` of freed memory per thread instead of giving it back to the kernel.
///
/// Frames of a megabyte come and go all the time. By default the C library maps each anew and unmaps it when it is freed,
/// or gives the end of its heap back, and the kernel then clears every page of the next frame, which costs about as much
/// as receiving it. Once kept, the memory of a frame is that of one before it. Does nothing where the C library has no
/// such settings. Call it before threads are started.
pub fn keep_freed(bytes: usize) {
    crate::sys::keep_freed(bytes);
}
