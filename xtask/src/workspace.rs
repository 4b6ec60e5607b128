//! Where things are, and running other programs there.
//!
//! Commands are shown before they run; their output is shown only when it is asked for or when they fail.

use crate::tally::Outcome;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The workspace's root directory.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace's root")
}

/// A directory below `xtask/`.
pub(crate) fn asset(path: &str) -> PathBuf {
    root().join("xtask").join(path)
}

/// The build directory, wherever the user has put it.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |directory| root().join(directory))
}

/// A command that runs in the workspace's root.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Cargo, as it was called.
pub(crate) fn cargo() -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A command as a person would type it, shortened.
pub(crate) fn shown(command: &Command) -> String {
    let mut line = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    if line.len() > 160 { format!("{}…", line.chars().take(160).collect::<String>()) } else { line }
}

/// Runs to the end and returns standard output followed by standard error, whatever the exit code.
pub(crate) fn output(command: &mut Command, within: Duration) -> Outcome<(bool, String)> {
    let line = shown(command);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{line}: cannot be started: {error}"))?;
    let pipes: [Box<dyn std::io::Read + Send>; 2] =
        [Box::new(child.stdout.take().expect("piped above")), Box::new(child.stderr.take().expect("piped above"))];
    let readers = pipes.map(|mut pipe| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // A read error ends the text early; the exit code still tells.
            let _ = pipe.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        })
    });
    let status = wait(&mut child, within).map_err(|error| format!("{line}: {error}"))?;
    let mut text = String::new();
    for reader in readers {
        text.push_str(&reader.join().map_err(|_| "a reader of output panicked")?);
    }
    Ok((status, text))
}

/// As [`output`], but a non-zero exit is an error that carries the end of the output.
pub(crate) fn succeed(command: &mut Command, within: Duration) -> Outcome<String> {
    let line = shown(command);
    let (success, text) = output(command, within)?;
    if success { Ok(text) } else { Err(format!("{line}: failed:\n{}", end_of(&text, 40)).into()) }
}

/// As [`succeed`], with `input` fed to it.
pub(crate) fn succeed_with(command: &mut Command, input: &[u8], within: Duration) -> Outcome<String> {
    let mut file = tempfile::tempfile()?;
    std::io::Write::write_all(&mut file, input)?;
    std::io::Seek::rewind(&mut file)?;
    succeed(command.stdin(Stdio::from(file)), within)
}

/// Runs with the output shown as it comes; returns whether it succeeded, and standard output.
pub(crate) fn stream(command: &mut Command, within: Duration) -> Outcome<(bool, String)> {
    let line = shown(command);
    println!("$ {line}");
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| format!("{line}: cannot be started: {error}"))?;
    let stdout = child.stdout.take().expect("piped above");
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            println!("{line}");
            text.push_str(&line);
            text.push('\n');
        }
        text
    });
    let status = wait(&mut child, within).map_err(|error| format!("{line}: {error}"))?;
    Ok((status, reader.join().map_err(|_| "the reader of output panicked")?))
}

/// Waits for a child, and ends it when it takes too long.
fn wait(child: &mut std::process::Child, within: Duration) -> Outcome<bool> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Err(format!("took more than {} s", within.as_secs()).into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The last lines of a long text.
pub(crate) fn end_of(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Whether a program can be found and started.
pub(crate) fn has(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|directory| directory.join(program).is_file()))
}
