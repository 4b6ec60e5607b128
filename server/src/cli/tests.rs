//! The command line's arguments.

use clap::CommandFactory;

use super::*;

fn parsed(line: &str) -> Result<CommandLine, clap::Error> {
    CommandLine::try_parse_from(std::iter::once("flumen").chain(line.split_whitespace()))
}

#[test]
fn the_definition_holds_together() {
    CommandLine::command().debug_assert();
}

#[test]
fn the_lines_people_know_are_understood() {
    for line in [
        "topic create one two -p 3 -r 1 -c cleanup.policy=compact --topic-config retention.ms=-1",
        "topic create one -p -1 --dry",
        "topic list -d -i --format json -b one:9092,two",
        "topic list -r foo.* -X brokers=one:1",
        "topic describe one -s -c -p -a --stable",
        "topic delete one -r --no-confirm",
        "topic delete one -y --dry-run",
        "topic add-partitions one -n 3 -f",
        "topic config describe one -k retention.ms --docs",
        "topic config set one retention.ms=-1 cleanup.policy=delete",
        "topic config delete one retention.ms",
        "topic config append one cleanup.policy=compact",
        "topic config subtract one cleanup.policy=compact",
        "topic alter-config one -s retention.ms=-1 -d cleanup.policy --append a=b --subtract c=d --dry",
        "produce one -k key -H a:b -H c:d -p 3 -z zstd --acks 0 -f %v -o %o -Z",
        "produce -f %t,%v; --acks -1 --acks all",
        "produce one --acks=-1 -p -1 --delivery-timeout 10s --max-message-bytes 1000",
        "consume one two -o -3 -n 5 -p 0,1 -f %k%v",
        "consume one -o @-1m:end --pretty-print=false --meta-only --read-committed --print-control-records",
        "consume .* -r --fetch-max-bytes 100 --fetch-max-wait 1s --rack a -v",
        "cluster info -c -t -d -i --format json",
    ] {
        if let Err(problem) = parsed(line) {
            // The last of `--acks` twice is not allowed; everything else must be.
            assert!(line.contains("--acks -1 --acks all"), "{line}: {problem}");
        }
    }
}

#[test]
fn misuse_is_refused_before_anything_is_done() {
    for line in [
        "",
        "topic",
        "topic create",
        "topic create one -p 0",
        "topic create one -c novalue",
        "topic add-partitions one -n 0",
        "topic add-partitions one",
        "topic alter-config one",
        "topic config set one",
        "produce one -z brotli",
        "produce one --acks 2",
        "produce one -f %k%v",
        "consume",
        "consume one -f %q",
        "consume one -f yaml",
        "cluster",
        "nonsense",
    ] {
        assert!(parsed(line).is_err(), "{line}");
    }
}
