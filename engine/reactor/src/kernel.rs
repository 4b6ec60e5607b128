//! Whether this kernel lets us run, and if not, why and what to change.
//!
//! What the kernel said is gathered in [`probe`]; what it means is decided by [`check_release`] and [`diagnose`], which are
//! pure, so that refusals this machine cannot produce are tested all the same.

use std::fmt;

use io_uring::{IoUring, Probe, opcode};

/// The oldest kernel that will do: `DEFER_TASKRUN` came with it.
pub const OLDEST_KERNEL: (u32, u32) = (6, 1);

const SYSCTL: &str = "/proc/sys/kernel/io_uring_disabled";

/// Why there is no `io_uring` for us.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KernelError {
    /// Before [`OLDEST_KERNEL`].
    #[error(
        "this kernel is too old: it is {release}, and Linux {major}.{minor} or newer is needed. Boot a newer kernel",
        major = OLDEST_KERNEL.0,
        minor = OLDEST_KERNEL.1
    )]
    TooOld {
        /// As `uname` says it.
        release: String,
    },
    /// `ENOSYS` from a kernel that is new enough.
    #[error(
        "io_uring is missing: kernel {release} was built without it (CONFIG_IO_URING), or this container's seccomp profile \
         hides it. Use a kernel that has it, or allow the system calls io_uring_setup, io_uring_enter and io_uring_register \
         in the profile"
    )]
    Missing {
        /// As `uname` says it.
        release: String,
    },
    /// Switched off for everybody, or for those without a privilege.
    #[error(
        "io_uring is switched off on this machine: kernel.io_uring_disabled is {sysctl}. Run `sysctl -w \
         kernel.io_uring_disabled=0` as root{}", group_hint(*.sysctl)
    )]
    Disabled {
        /// The value of the setting.
        sysctl: i32,
    },
    /// `EPERM` though the setting allows it.
    #[error(
        "io_uring is forbidden here: kernel.io_uring_disabled allows it, so a seccomp profile (Docker's and containerd's \
         default have one) or a security module forbids it. Allow the system calls io_uring_setup, io_uring_enter and \
         io_uring_register in the container's profile, or start it with --security-opt seccomp=unconfined"
    )]
    Forbidden,
    /// The ring's memory is refused.
    #[error("the kernel has no memory for a ring: raise the limit on locked memory (ulimit -l, LimitMEMLOCK=)")]
    Memory,
    /// No file descriptor is left for a ring.
    #[error("no file descriptor is left for a ring: raise the limit on open files (ulimit -n, LimitNOFILE=)")]
    Files,
    /// Anything else.
    #[error("the kernel refused a ring: {}", std::io::Error::from_raw_os_error(*.errno))]
    Other {
        /// The raw `errno`.
        errno: i32,
    },
}

fn group_hint(sysctl: i32) -> &'static str {
    if sysctl == 1 { ", or put the user into the group that kernel.io_uring_group names" } else { "" }
}

/// What was found; for the lines at start-up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KernelFeatures {
    /// As `uname` says it.
    pub release: String,
    /// Completions are worked off only when the loop asks (`DEFER_TASKRUN`).
    pub deferred_work: bool,
    /// A sleeping shard is woken by a message to its ring.
    pub ring_messages: bool,
    /// A file is cut through the ring; otherwise on a thread beside the shard's.
    pub ring_truncate: bool,
}

impl fmt::Display for KernelFeatures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Linux {}, io_uring with", self.release)?;
        let features =
            [(self.deferred_work, "deferred work"), (self.ring_messages, "ring messages"), (self.ring_truncate, "ring truncate")];
        let mut separator = " ";
        for (_, name) in features.iter().filter(|(found, _)| *found) {
            write!(formatter, "{separator}{name}")?;
            separator = ", ";
        }
        if separator == " " { formatter.write_str(" no extras") } else { Ok(()) }
    }
}

/// Make a ring as a shard would, and let it go again.
///
/// # Errors
/// Why a shard could not run.
pub fn probe() -> Result<KernelFeatures, KernelError> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    check_release(&release)?;
    let refused = |error: std::io::Error| diagnose(error.raw_os_error().unwrap_or_default(), sysctl(), &release);
    let (ring, deferred_work) = build(8).map_err(refused)?;
    // A profile may allow one of the three calls and not the others.
    ring.submit().map_err(refused)?;
    let mut operations = Probe::new();
    match ring.submitter().register_probe(&mut operations) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES | libc::ENOSYS)) => {
            return Err(refused(error));
        }
        // Without the answer every extra counts as missing.
        _ => {}
    }
    Ok(KernelFeatures {
        release,
        deferred_work,
        ring_messages: operations.is_supported(opcode::MsgRingData::CODE),
        ring_truncate: operations.is_supported(opcode::Ftruncate::CODE),
    })
}

/// A ring, with deferred work where the kernel has it.
pub(crate) fn build(entries: u32) -> std::io::Result<(IoUring, bool)> {
    let attempt = |deferred: bool| {
        let mut builder = IoUring::builder();
        builder.setup_cqsize(entries * 4).setup_clamp().setup_submit_all().setup_taskrun_flag();
        builder.setup_single_issuer();
        if deferred {
            builder.setup_defer_taskrun();
        } else {
            builder.setup_coop_taskrun();
        }
        builder.build(entries)
    };
    match attempt(true) {
        Ok(ring) => Ok((ring, true)),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => attempt(false).map(|ring| (ring, false)),
        Err(error) => Err(error),
    }
}

fn sysctl() -> Option<i32> {
    std::fs::read_to_string(SYSCTL).ok()?.trim().parse().ok()
}

/// Whether a kernel of this release will do. A release that cannot be read is given the benefit of the doubt.
///
/// # Errors
/// [`KernelError::TooOld`].
pub fn check_release(release: &str) -> Result<(), KernelError> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < OLDEST_KERNEL => {
            Err(KernelError::TooOld { release: release.to_owned() })
        }
        _ => Ok(()),
    }
}

/// What a refused ring means, with the value of `kernel.io_uring_disabled` if the kernel has that setting.
#[must_use]
pub fn diagnose(errno: i32, sysctl: Option<i32>, release: &str) -> KernelError {
    match (errno, sysctl) {
        (libc::ENOSYS, _) => KernelError::Missing { release: release.to_owned() },
        (libc::EPERM | libc::EACCES, Some(sysctl @ (1 | 2))) => KernelError::Disabled { sysctl },
        (libc::EPERM | libc::EACCES, _) => KernelError::Forbidden,
        (libc::ENOMEM, _) => KernelError::Memory,
        (libc::EMFILE | libc::ENFILE, _) => KernelError::Files,
        (errno, _) => KernelError::Other { errno },
    }
}

#[cfg(test)]
mod tests {
    use super::{KernelError, KernelFeatures, check_release, diagnose, probe};

    #[test]
    fn this_kernel_will_do() {
        let features = probe().expect("tests run where the broker would");
        assert!(features.to_string().starts_with("Linux "));
    }

    #[test]
    fn releases() {
        for old in ["5.15.0-91-generic", "6.0.19", "4.18.0-513.el8.x86_64", "6.0"] {
            assert_eq!(check_release(old), Err(KernelError::TooOld { release: old.to_owned() }), "{old}");
        }
        for good in ["6.1.0-18-amd64", "6.1", "6.12.0", "7.0.1", "10.0", "strange"] {
            assert_eq!(check_release(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn the_three_refusals_are_told_apart() {
        let text = |errno, sysctl| diagnose(errno, sysctl, "6.8.0").to_string();
        assert!(text(libc::ENOSYS, None).contains("CONFIG_IO_URING"));
        let all = text(libc::EPERM, Some(2));
        assert!(all.contains("kernel.io_uring_disabled is 2") && !all.contains("group"), "{all}");
        let some = text(libc::EPERM, Some(1));
        assert!(some.contains("kernel.io_uring_disabled is 1") && some.contains("io_uring_group"), "{some}");
        for sysctl in [Some(0), None] {
            assert!(text(libc::EPERM, sysctl).contains("seccomp=unconfined"));
        }
        assert!(check_release("5.4.0").expect_err("too old").to_string().contains("6.1 or newer"));
    }

    #[test]
    fn other_refusals_keep_their_reason() {
        assert_eq!(diagnose(libc::ENOMEM, Some(0), ""), KernelError::Memory);
        assert_eq!(diagnose(libc::EMFILE, Some(0), ""), KernelError::Files);
        assert_eq!(diagnose(libc::EIO, Some(0), ""), KernelError::Other { errno: libc::EIO });
    }

    #[test]
    fn features_are_listed() {
        let mut features =
            KernelFeatures { release: "6.9".to_owned(), deferred_work: true, ring_messages: false, ring_truncate: true };
        assert_eq!(features.to_string(), "Linux 6.9, io_uring with deferred work, ring truncate");
        (features.deferred_work, features.ring_truncate) = (false, false);
        assert_eq!(features.to_string(), "Linux 6.9, io_uring with no extras");
    }
}
