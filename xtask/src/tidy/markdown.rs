//! Documents: one title each, at the top.
//!
//! Only ATX headings outside code fences count; links are not followed.

use std::path::Path;

pub(super) fn check(path: &Path, text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut titles = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && line.starts_with("# ") {
            titles.push(number + 1);
        }
    }
    match titles.as_slice() {
        [1] => Vec::new(),
        [] => vec![format!("{}: no title", path.display())],
        [line] => vec![format!("{}:{line}: the title is not the first line", path.display())],
        [_, second, ..] => vec![format!("{}:{second}: a second title", path.display())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> usize {
        check(Path::new("a.md"), text).len()
    }

    #[test]
    fn one_title_at_the_top_passes() {
        assert_eq!(findings("# Title\n\n## Part\n```\n# a comment in shell\n```\n"), 0);
    }

    #[test]
    fn none_late_or_two_are_found() {
        assert_eq!(findings("text\n"), 1);
        assert_eq!(findings("text\n# Title\n"), 1);
        assert_eq!(findings("# One\n# Two\n"), 1);
    }
}
