//! Settings of the C library's allocator.

/// The largest allocation that can be kept; larger ones are mapped. The library's own bound.
#[cfg(target_env = "gnu")]
const LARGEST_KEPT_BYTES: libc::c_int = 32 << 20;

/// See [`crate::memory::keep_freed`].
#[cfg(target_env = "gnu")]
pub(crate) fn keep_freed(bytes: usize) {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    // SAFETY: `mallopt` takes two numbers and may be called at any time; a value it refuses changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES);
        libc::mallopt(libc::M_TRIM_THRESHOLD, bytes);
    }
}

/// Other libraries have no such settings.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn keep_freed(_bytes: usize) {}
