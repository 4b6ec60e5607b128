//! Processor time of a process, all its threads together, those of the kernel that work for its ring included.
//!
//! What the kernel's own threads do (write-back of the page cache) is nobody's and is not in it.

use crate::Outcome;

/// Seconds so far, user and system.
pub(crate) fn seconds(process: u32) -> Outcome<f64> {
    let path = format!("/proc/{process}/stat");
    let status = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let ticks = parse_ticks(&status).ok_or_else(|| format!("{path} is not as expected"))?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// User and system time. The name in parentheses may hold anything, so fields count from behind it.
fn parse_ticks(status: &str) -> Option<u64> {
    let fields: Vec<&str> = status.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let user: u64 = fields.get(11)?.parse().ok()?;
    let system: u64 = fields.get(12)?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_with_spaces_and_parentheses_moves_no_field() {
        let status = "42 (a ) b) S 1 42 42 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 1 0 100 1000 10";
        assert_eq!(super::parse_ticks(status), Some(300));
        assert_eq!(super::parse_ticks("42 (short) S 1"), None);
    }

    #[test]
    fn this_process_has_used_some() {
        let spin_until = std::time::Instant::now() + std::time::Duration::from_millis(60);
        while std::time::Instant::now() < spin_until {}
        assert!(super::seconds(std::process::id()).expect("our own") > 0.0);
    }
}
