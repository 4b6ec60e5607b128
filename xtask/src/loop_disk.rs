//! File systems of our own: an image in the build directory, mounted through a loop device.
//!
//! All of it happens in a mount namespace of the command's own, in which it runs itself again: whatever becomes of it, no mount
//! is left behind, and a loop device goes with its mount. Needs root.

use crate::crash::{self, fresh_seed};
use crate::tally::{Outcome, Tally, last_counts};
use crate::workspace;
use clap::{Args, ValueEnum};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a tool may take.
const TOOL_LIMIT: Duration = Duration::from_secs(60);
/// How long a killed process may hold on to a mount: its ring ends on its own time.
const RELEASE_LIMIT: Duration = Duration::from_secs(20);
/// Less than this is not worth taking.
const FILL_GRAIN_BYTES: u64 = 16 << 10;
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Which file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum FileSystem {
    Ext4,
    Xfs,
}

impl FileSystem {
    /// Its name for `mkfs` and `mount`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }
}

/// What every command on such file systems can be told.
#[derive(Args, Default)]
pub(crate) struct DiskOptions {
    /// Only this file system.
    #[arg(long, value_enum)]
    file_system: Option<FileSystem>,
    /// What makes the run repeat; shown when not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Use the release build of the broker.
    #[arg(long)]
    pub(crate) release: bool,
    /// Already inside a mount namespace of our own.
    #[arg(long, hide = true)]
    isolated: bool,
}

impl DiskOptions {
    /// Runs the command of this name, with these numbers as its own options, in a mount namespace: there, `each` with the seed, on
    /// every file system that is asked for.
    pub(crate) fn run(
        &self,
        command: &str,
        numbers: &[(&str, u64)],
        mut each: impl FnMut(FileSystem, u64, &mut Tally) -> Outcome<()>,
    ) -> Outcome<Tally> {
        let seed = self.seed.unwrap_or_else(fresh_seed);
        let mut arguments = vec![command.to_owned()];
        for (name, number) in numbers.iter().chain(&[("--seed", seed)]) {
            arguments.extend([(*name).to_owned(), number.to_string()]);
        }
        if !self.isolated {
            require_tools()?;
            crash::built(self.release)?;
            return in_namespace(&[arguments, self.arguments()].concat());
        }
        println!("{}", arguments.join(" "));
        let mut tally = Tally::default();
        for file_system in FileSystem::value_variants().iter().copied() {
            if self.file_system.is_none_or(|only| only == file_system) {
                each(file_system, seed, &mut tally)?;
            }
        }
        Ok(tally)
    }

    /// The rest of the command line that says the same.
    fn arguments(&self) -> Vec<String> {
        let only = self.file_system.iter().flat_map(|only| ["--file-system".to_owned(), only.name().to_owned()]);
        only.chain(self.release.then(|| "--release".to_owned())).collect()
    }
}

/// Installs the tools that are missing.
fn require_tools() -> Outcome<()> {
    if workspace::has("mkfs.xfs") && workspace::has("xfs_io") && workspace::has("mkfs.ext4") {
        return Ok(());
    }
    workspace::succeed(workspace::command("apt-get").args(["update", "-qq"]), Duration::from_secs(600))?;
    let mut install = workspace::command("apt-get");
    install.args(["install", "-y", "-qq", "xfsprogs", "e2fsprogs"]);
    workspace::succeed(&mut install, Duration::from_secs(600))?;
    Ok(())
}

/// Runs this command again, with these arguments, in a mount namespace of its own, and returns its counts.
fn in_namespace(arguments: &[String]) -> Outcome<Tally> {
    if !rustix::process::geteuid().is_root() {
        return Err("mounting an image takes root".into());
    }
    let name = arguments.first().map_or("the command", String::as_str);
    let mut command = workspace::command("unshare");
    command.args(["--mount", "--propagation", "private"]).arg(std::env::current_exe()?).args(arguments).arg("--isolated");
    let (success, text) = workspace::stream(&mut command, Duration::from_secs(3600))?;
    let (passed, failed) = last_counts(&text).ok_or("the run inside the namespace ended without a summary")?;
    let mut tally = Tally::default();
    tally.count(name, passed, failed);
    if !success && failed == 0 {
        tally.fail(format_args!("{name}: ended with an error"));
    }
    Ok(tally)
}

/// A mounted image; gone when it is dropped.
pub(crate) struct LoopDisk {
    image: PathBuf,
    mount: PathBuf,
    mounted: bool,
}

impl LoopDisk {
    /// A new file system of this size, none of it kept for root, in `directory`, mounted at `directory/disk`. The image takes the room of what is written.
    pub(crate) fn make(directory: &Path, kind: FileSystem, bytes: u64) -> Outcome<Self> {
        let image = directory.join("image");
        let mount = directory.join("disk");
        File::create(&image)?.set_len(bytes)?;
        std::fs::create_dir_all(&mount)?;
        let make = format!("mkfs.{}", kind.name());
        let nothing_reserved: &[&std::ffi::OsStr] = if kind == FileSystem::Ext4 { &["-m".as_ref(), "0".as_ref()] } else { &[] };
        run(&make, &[&["-q".as_ref()], nothing_reserved, &[image.as_ref()]].concat())?;
        let mut disk = Self { image, mount, mounted: false };
        disk.mount()?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        &self.mount
    }

    fn mount(&mut self) -> Outcome<()> {
        run("mount", &["-o".as_ref(), "loop".as_ref(), self.image.as_ref(), self.mount.as_ref()])?;
        self.mounted = true;
        Ok(())
    }

    /// As if the power went this moment: nothing more reaches the image, not even what the file system's own journal has in memory
    /// (`EXT4_IOC_SHUTDOWN`, `XFS_IOC_GOINGDOWN`, neither with a flush of the log).
    pub(crate) fn cut_power(&self) -> Outcome<()> {
        run("xfs_io", &["-x".as_ref(), "-c".as_ref(), "shutdown".as_ref(), self.mount.as_ref()])
    }

    /// What is free for everybody.
    pub(crate) fn free_bytes(&self) -> Outcome<u64> {
        let status = rustix::fs::statvfs(&self.mount)?;
        Ok(status.f_bavail.saturating_mul(status.f_frsize))
    }

    /// Takes room, to the last block where `leave_bytes` is zero, until [`Self::free`].
    pub(crate) fn fill(&self, leave_bytes: u64) -> Outcome<()> {
        for number in 0.. {
            let surplus = self.free_bytes()?.saturating_sub(leave_bytes);
            if surplus < FILL_GRAIN_BYTES {
                return Ok(());
            }
            let path = self.filler(number);
            // Others write at the same time: what is too much now is tried in halves.
            let mut bytes = surplus;
            while bytes >= FILL_GRAIN_BYTES
                && run("fallocate", &["--length".as_ref(), bytes.to_string().as_ref(), path.as_ref()]).is_err()
            {
                bytes /= 2;
            }
            if bytes < FILL_GRAIN_BYTES {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Gives back what was taken.
    pub(crate) fn free(&self) -> Outcome<()> {
        for number in 0.. {
            match std::fs::remove_file(self.filler(number)) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
                removed => removed?,
            }
        }
        Ok(())
    }

    fn filler(&self, number: u32) -> PathBuf {
        self.mount.join(format!("filler.{number}"))
    }

    /// Unmounts, and mounts again: the file system recovers.
    pub(crate) fn mount_again(&mut self) -> Outcome<()> {
        self.unmount()?;
        self.mount()
    }

    fn unmount(&mut self) -> Outcome<()> {
        let started = Instant::now();
        loop {
            match run("umount", &[self.mount.as_ref()]) {
                Ok(()) => break,
                Err(_) if started.elapsed() < RELEASE_LIMIT => std::thread::sleep(LOOK_EVERY),
                Err(error) => return Err(error),
            }
        }
        self.mounted = false;
        Ok(())
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        if self.mounted {
            // The namespace's end unmounts it if this does not.
            let _ = self.unmount();
        }
        let _ = std::fs::remove_file(&self.image);
    }
}

fn run(program: &str, arguments: &[&std::ffi::OsStr]) -> Outcome<()> {
    let mut command: Command = workspace::command(program);
    command.args(arguments);
    workspace::succeed(&mut command, TOOL_LIMIT)?;
    Ok(())
}
