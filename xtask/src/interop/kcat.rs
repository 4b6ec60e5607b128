//! kcat (librdkafka on the command line): metadata, every compression, keys, headers, offsets, timestamps, an exact end.

use super::Bench;
use crate::tally::{Outcome, Tally};
use crate::workspace;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn run(bench: &Bench, tally: &mut Tally) {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        tally.check(&format!("kcat: produce and consume, {codec}"), || round_trip(bench, codec));
    }
    tally.check("kcat: metadata lists the topic", || {
        let listed = kcat(bench, &["-L", "-t", "kcat-none"], "")?;
        expect(&listed, "topic \"kcat-none\" with 1 partitions")?;
        expect(&listed, "1 brokers")
    });
    tally.check("kcat: keys, nulls and headers", || {
        kcat(bench, &["-P", "-t", "kcat-keys", "-K:", "-Z", "-H", "origin=kcat"], "one:1\ntwo:\n:3\n")?;
        let read = kcat(bench, &["-C", "-t", "kcat-keys", "-e", "-q", "-f", "%o %k[%K] %s[%S] %h\\n"], "")?;
        expect(&read, "0 one[3] 1[1] origin=kcat")?;
        expect(&read, "1 two[3] [-1] origin=kcat")?;
        expect(&read, "2 [-1] 3[1] origin=kcat")
    });
    tally.check("kcat: from an offset, from the end back, a count", || {
        let read = |offset: &str| kcat(bench, &["-C", "-t", "kcat-none", "-o", offset, "-c", "2", "-e", "-q", "-f", "%o,"], "");
        same(&read("500")?, "500,501,")?;
        same(&read("-3")?, "997,998,")?;
        same(&read("beginning")?, "0,1,")
    });
    tally.check("kcat: offsets by time", || {
        let query = |time: &str| kcat(bench, &["-Q", "-t", &format!("kcat-none:0:{time}")], "");
        expect(&query("-1")?, "offset 1000")?;
        expect(&query("-2")?, "offset 0")?;
        expect(&query("1000000000000")?, "offset 0")
    });
    tally.check("kcat: idempotent producer", || {
        kcat(bench, &["-P", "-t", "kcat-idempotent", "-X", "enable.idempotence=true", "-X", "acks=all"], &numbers(500))?;
        same(&kcat(bench, &["-C", "-t", "kcat-idempotent", "-e", "-q"], "")?, &numbers(500))
    });
}

fn round_trip(bench: &Bench, codec: &str) -> Outcome<()> {
    let topic = format!("kcat-{codec}");
    kcat(bench, &["-P", "-t", &topic, "-z", codec, "-X", "acks=all"], &numbers(1000))?;
    same(&kcat(bench, &["-C", "-t", &topic, "-o", "beginning", "-e", "-q", "-X", "check.crcs=true"], "")?, &numbers(1000))
}

fn numbers(count: usize) -> String {
    (0..count).map(|number| format!("record number {number}\n")).collect()
}

fn kcat(bench: &Bench, arguments: &[&str], input: &str) -> Outcome<String> {
    let mut command = workspace::command("kcat");
    command.args(["-b", &bench.address]).args(arguments);
    workspace::succeed_with(&mut command, input.as_bytes(), LIMIT)
}

/// The output contains this.
pub(super) fn expect(output: &str, part: &str) -> Outcome<()> {
    if output.contains(part) { Ok(()) } else { Err(format!("no `{part}` in:\n{}", workspace::end_of(output, 20)).into()) }
}

/// The output is this.
fn same(output: &str, wanted: &str) -> Outcome<()> {
    if output == wanted {
        return Ok(());
    }
    let differs = output.lines().zip(wanted.lines()).position(|(found, expected)| found != expected);
    let (found, expected) = (output.lines().count(), wanted.lines().count());
    Err(format!("{found} lines, {expected} expected; first difference at {differs:?}:\n{}", workspace::end_of(output, 5)).into())
}
