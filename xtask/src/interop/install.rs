//! Getting the clients and tools: Debian packages, PyPI, Maven Central, the Go module proxy.
//!
//! What is there already (a previous run's) is used again. Nothing is optional: whatever cannot be had is an error.

use super::{Client, Options, Relist, directory};
use crate::tally::Outcome;
use crate::workspace::{self, asset};
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(900);
/// The Go client whose own test suite is run.
pub(super) const KAFKA_GO: &str = "github.com/segmentio/kafka-go@v0.4.51";

pub(super) fn install(options: &Options) -> Outcome<()> {
    std::fs::create_dir_all(directory())?;
    let relist = options.relist.is_some();
    if !workspace::has("unshare") || !workspace::has("ip") {
        debian(&["iproute2", "util-linux"])?;
    }
    if options.wants(Client::Kcat) && !relist && !workspace::has("kcat") {
        debian(&["kcat"])?;
    }
    if options.wants(Client::Python) && !relist {
        python()?;
    }
    if options.wants(Client::Jvm) && !relist {
        jars("tools")?;
    }
    if options.against_kafka || matches!(options.relist, Some(Relist::Both | Relist::Kafka)) {
        jars("kafka")?;
    }
    if options.wants(Client::KafkaGo) || relist {
        kafka_go()?;
    }
    Ok(())
}

fn debian(packages: &[&str]) -> Outcome<()> {
    if !rustix::process::geteuid().is_root() {
        return Err(format!("{} missing: install it with your package manager (this needs root)", packages.join(", ")).into());
    }
    println!("installing {}", packages.join(", "));
    let mut update = workspace::command("apt-get");
    workspace::succeed(update.args(["update", "-qq"]), LIMIT)?;
    let mut install = workspace::command("apt-get");
    install.args(["install", "-y", "-qq", "--no-install-recommends"]).args(packages).env("DEBIAN_FRONTEND", "noninteractive");
    workspace::succeed(&mut install, LIMIT)?;
    Ok(())
}

fn python() -> Outcome<()> {
    let environment = directory().join("python");
    let requirements = asset("interop/python/requirements.txt");
    if is_current(&environment.join("requirements.txt"), &requirements)? {
        return Ok(());
    }
    println!("installing the Python clients");
    let mut create = workspace::command("python3");
    workspace::succeed(create.args(["-m", "venv", "--clear"]).arg(&environment), LIMIT)?;
    let mut install = workspace::command(environment.join("bin/pip"));
    install.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&requirements);
    workspace::succeed(&mut install, LIMIT)?;
    std::fs::copy(&requirements, environment.join("requirements.txt"))?;
    Ok(())
}

/// The jars a checked-in pom names, with all they need.
fn jars(name: &str) -> Outcome<()> {
    let pom = asset(&format!("interop/{name}/pom.xml"));
    let jars = directory().join(name);
    if is_current(&jars.join("pom.xml"), &pom)? {
        return Ok(());
    }
    println!("fetching Kafka's jars ({name})");
    let mut fetch = workspace::command("mvn");
    fetch
        .args(["-q", "-B", "-f"])
        .arg(&pom)
        .arg("dependency:copy-dependencies")
        .arg(format!("-DoutputDirectory={}", jars.display()));
    workspace::succeed(&mut fetch, LIMIT)?;
    std::fs::copy(&pom, jars.join("pom.xml"))?;
    Ok(())
}

/// The suite's sources out of the module cache, made writable, its test binaries built.
fn kafka_go() -> Outcome<()> {
    let suite = directory().join("kafka-go");
    if !suite.join("go.mod").exists() {
        println!("fetching {KAFKA_GO}");
        let scratch = tempfile::tempdir()?;
        std::fs::write(scratch.path().join("go.mod"), "module fetch\n\ngo 1.23\n")?;
        let mut download = workspace::command("go");
        download.current_dir(scratch.path()).args(["mod", "download", "-json", KAFKA_GO]);
        let described: serde_json::Value = serde_json::from_str(&workspace::succeed(&mut download, LIMIT)?)?;
        let source = described["Dir"].as_str().ok_or("go mod download names no directory")?;
        let staging = directory().join("kafka-go.partial");
        if staging.exists() {
            std::fs::remove_dir_all(&staging)?;
        }
        let mut copy = workspace::command("cp");
        workspace::succeed(copy.args(["-r", "--no-preserve=mode", source]).arg(&staging), LIMIT)?;
        let mut tidy = workspace::command("go");
        workspace::succeed(tidy.current_dir(&staging).args(["mod", "tidy"]), LIMIT)?;
        std::fs::rename(&staging, &suite)?;
    }
    for package in super::kafka_go::PACKAGES {
        let binary = super::kafka_go::binary(&directory(), package);
        if !binary.exists() {
            let mut build = workspace::command("go");
            build.current_dir(suite.join(package)).args(["test", "-c", "-o"]).arg(&binary).arg(".");
            workspace::succeed(&mut build, LIMIT)?;
        }
    }
    Ok(())
}

/// Whether what was installed was installed from this very description.
fn is_current(installed: &Path, wanted: &Path) -> Outcome<bool> {
    Ok(installed.exists() && std::fs::read(installed)? == std::fs::read(wanted)?)
}
