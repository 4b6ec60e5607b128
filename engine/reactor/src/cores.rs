//! Which cores this process may use, which it is told to use, and pinning a thread to one.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Why a list of cores was not understood.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CoreListError {
    /// A part that is neither a number nor a range.
    #[error("'{0}' is neither a core number nor a range such as 0-3")]
    Malformed(String),
    /// A range whose end lies before its start.
    #[error("the range {0}-{1} runs backwards")]
    Backwards(usize, usize),
    /// A core named twice.
    #[error("core {0} is named twice")]
    Twice(usize),
    /// More than the kernel's masks hold.
    #[error("core {0} is beyond the largest number possible, {max}", max = CpuSet::MAX_CPU - 1)]
    TooLarge(usize),
    /// Nothing named.
    #[error("no core is named")]
    Empty,
}

/// The cores of the process's affinity mask, ascending.
///
/// # Errors
/// If the kernel does not tell.
pub fn available() -> std::io::Result<Vec<usize>> {
    let mask = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|&core| mask.is_set(core)).collect())
}

/// Understand a list such as `0-3,5`; the order given is kept.
///
/// # Errors
/// If it is malformed, empty, or names a core twice.
pub fn parse(list: &str) -> Result<Vec<usize>, CoreListError> {
    let mut cores = Vec::new();
    for part in list.split(',').map(str::trim) {
        if part.is_empty() && list.trim().is_empty() {
            return Err(CoreListError::Empty);
        }
        let number = |text: &str| {
            let core: usize = text.trim().parse().map_err(|_| CoreListError::Malformed(part.to_owned()))?;
            if core < CpuSet::MAX_CPU { Ok(core) } else { Err(CoreListError::TooLarge(core)) }
        };
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        if last < first {
            return Err(CoreListError::Backwards(first, last));
        }
        for core in first..=last {
            if cores.contains(&core) {
                return Err(CoreListError::Twice(core));
            }
            cores.push(core);
        }
    }
    Ok(cores)
}

/// Keep the calling thread on one core.
///
/// # Errors
/// If the process may not use it.
pub fn pin(core: usize) -> std::io::Result<()> {
    check(core)?;
    let mut mask = CpuSet::new();
    mask.set(core);
    Ok(sched_setaffinity(None, &mask)?)
}

/// Whether the kernel's masks can hold this number.
pub(crate) fn check(core: usize) -> std::io::Result<()> {
    if core < CpuSet::MAX_CPU { Ok(()) } else { Err(std::io::ErrorKind::InvalidInput.into()) }
}

#[cfg(test)]
mod tests {
    use super::{CoreListError, available, parse, pin};

    #[test]
    fn lists() {
        assert_eq!(parse("0"), Ok(vec![0]));
        assert_eq!(parse("0-3,5"), Ok(vec![0, 1, 2, 3, 5]));
        assert_eq!(parse(" 7 , 2 - 3 "), Ok(vec![7, 2, 3]));
        assert_eq!(parse(""), Err(CoreListError::Empty));
        assert_eq!(parse("1,,2"), Err(CoreListError::Malformed(String::new())));
        assert_eq!(parse("a"), Err(CoreListError::Malformed("a".to_owned())));
        assert_eq!(parse("-1"), Err(CoreListError::Malformed("-1".to_owned())));
        assert_eq!(parse("3-1"), Err(CoreListError::Backwards(3, 1)));
        assert_eq!(parse("1-3,2"), Err(CoreListError::Twice(2)));
        assert_eq!(parse("0-99999999999"), Err(CoreListError::TooLarge(99_999_999_999)));
    }

    #[test]
    fn pinning_narrows_the_mask() {
        std::thread::spawn(|| {
            let core = *available().expect("a mask").first().expect("at least one core");
            pin(core).expect("an available core");
            assert_eq!(available().expect("a mask"), [core]);
            assert!(pin(usize::MAX).is_err());
        })
        .join()
        .expect("no panic");
    }
}
