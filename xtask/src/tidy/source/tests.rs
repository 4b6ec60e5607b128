//! Each rule finds what it is for, and nothing else.

use super::*;

const BRAIN: &str = "//! A brain.\n#![no_std]\n#![forbid(unsafe_code)]\n";

fn exceptions() -> Exceptions {
    let text = "[[unsafe]]\npath = \"sys/\"\nreason = \"the kernel\"\n[[std]]\npath = \"brain/src/codec\"\nreason = \"traits\"\n\
                [[only]]\ncall = \"Store::append\"\nreceiver = \"store\"\nmethod = \"append\"\npath = \"leader.rs\"\nreason = \"rule\"\n";
    toml_edit::de::from_str(text).unwrap()
}

/// What the rule finds in one file at `path`.
fn found(rule: &str, path: &str, text: &str) -> Vec<String> {
    let sources = [(PathBuf::from(path), text.to_owned())];
    check(&sources, &[PathBuf::from("brain/src")], &exceptions()).remove(rule).unwrap()
}

#[test]
fn a_clean_file_has_no_findings() {
    let text = format!("{BRAIN}fn small() {{ let list = [1]; list.first(); }}\n");
    let sources = [(PathBuf::from("brain/src/lib.rs"), text)];
    for (rule, findings) in check(&sources, &[PathBuf::from("brain/src")], &exceptions()) {
        assert_eq!(findings, Vec::<String>::new(), "{rule}");
    }
}

#[test]
fn long_files_and_functions_are_found() {
    assert_eq!(found(SIZES, "a.rs", &format!("//! A.\n{}", "// line\n".repeat(800))).len(), 1);
    assert_eq!(found(SIZES, "a.rs", &format!("//! A.\n{}", "// line\n".repeat(799))).len(), 0);
    let function = |lines: usize| format!("//! A.\nfn long() {{\n{}}}\n", "    work();\n".repeat(lines - 2));
    assert_eq!(found(SIZES, "a.rs", &function(71)).len(), 1);
    assert_eq!(found(SIZES, "a.rs", &function(70)).len(), 0);
    let method = format!("//! A.\nimpl A {{\nfn long() {{\n{}}}\n}}\n", "    work();\n".repeat(70));
    assert_eq!(found(SIZES, "a.rs", &method).len(), 1);
}

#[test]
fn a_reasoned_exception_holds_up_to_its_size_and_only_while_needed() {
    let mut exceptions = exceptions();
    exceptions.longer.push(super::super::Longer { path: "a.rs".into(), function: None, lines: 900, reason: "one table".into() });
    let long = |lines: usize| [(PathBuf::from("a.rs"), format!("//! A.\n{}", "// line\n".repeat(lines)))];
    assert_eq!(check(&long(899), &[], &exceptions)[SIZES].len(), 0);
    assert_eq!(check(&long(900), &[], &exceptions)[SIZES].len(), 1);
    assert_eq!(check(&long(10), &[], &exceptions)[EXCEPTIONS].len(), 1);
}

#[test]
fn names_that_say_nothing_are_found() {
    assert_eq!(found(NAMES, "brain/src/utils.rs", "//! A.\n").len(), 1);
    assert_eq!(found(NAMES, "brain/src/common/mod.rs", "//! A.\n").len(), 1);
    assert_eq!(found(NAMES, "a.rs", "//! A.\nmod helpers { }\n").len(), 1);
    assert_eq!(found(NAMES, "brain/src/utilisation.rs", "//! A.\n").len(), 0);
}

#[test]
fn a_file_without_an_opening_is_found() {
    assert_eq!(found(OPENING, "a.rs", "fn a() {}\n").len(), 1);
}

#[test]
fn unsafe_is_found_outside_its_place() {
    let text = "//! A.\nfn a() { unsafe { b() } }\nunsafe fn b() {}\nunsafe impl Send for A {}\n";
    assert_eq!(found(UNSAFE, "a.rs", text).len(), 3);
    assert_eq!(found(UNSAFE, "sys/a.rs", text).len(), 0);
    assert_eq!(found(UNSAFE, "a.rs", "//! unsafe\nconst A: &str = \"unsafe { }\";\n").len(), 0);
}

#[test]
fn std_in_a_brain_is_found_unless_for_tests() {
    assert_eq!(found(STD, "brain/src/a.rs", "//! A.\nuse std::fs;\nfn a() { std::thread::yield_now() }\n").len(), 2);
    assert_eq!(found(STD, "brain/src/a.rs", "//! A.\nextern crate std;\n").len(), 1);
    assert_eq!(
        found(STD, "brain/src/a.rs", "//! A.\n#[cfg(test)]\nextern crate std;\n#[cfg(test)]\nmod tests { use std::fs; }\n").len(),
        0
    );
    assert_eq!(found(STD, "brain/src/a.rs", "//! A.\n#[cfg(not(test))]\nmod a { use std::fs; }\n").len(), 1);
    assert_eq!(found(STD, "brain/src/codec.rs", "//! A.\nextern crate std;\nuse std::io;\n").len(), 0);
    assert_eq!(found(STD, "hands/src/a.rs", "//! A.\nuse std::fs;\n").len(), 0);
    assert_eq!(found(STD, "brain/src/lib.rs", "//! A.\n").len(), 2);
}

#[test]
fn a_test_module_in_its_own_file_is_for_tests() {
    let sources = [
        (
            PathBuf::from("brain/src/a.rs"),
            "//! A.\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\n#[path = \"b.rs\"]\nmod other;\nmod real;\n".to_owned(),
        ),
        (PathBuf::from("brain/src/b.rs"), "use std::fs;\n".to_owned()),
        (PathBuf::from("brain/src/a/tests.rs"), "//! T.\nuse std::fs;\n".to_owned()),
        (PathBuf::from("brain/src/a/real.rs"), "//! R.\nuse std::fs;\n".to_owned()),
    ];
    let findings = check(&sources, &[PathBuf::from("brain/src")], &exceptions());
    assert_eq!(findings[STD], ["brain/src/a/real.rs:2: use std"]);
    assert_eq!(findings[OPENING], Vec::<String>::new());
}

#[test]
fn leftovers_are_found_in_code_and_comments() {
    let comment = format!("//! A.\n// {}\n", LEFTOVER_WORDS[0]);
    assert_eq!(found(LEFTOVERS, "a.rs", &comment).len(), 1);
    assert_eq!(found(LEFTOVERS, "a.rs", "//! A.\nfn a() { dbg!(1); }\n").len(), 1);
    assert_eq!(found(LEFTOVERS, "a.rs", "//! A.\nfn a() -> u8 { todo!() }\n").len(), 1);
    assert_eq!(found(LEFTOVERS, "a.rs", "//! A.\nfn a( {\n").len(), 1);
}

#[test]
fn only_the_named_place_may_append() {
    assert_eq!(found(RESERVED, "a.rs", "//! A.\nfn a() { self.store.append(b); }\n").len(), 1);
    assert_eq!(found(RESERVED, "a.rs", "//! A.\nfn a() { Store::append(s, b); }\n").len(), 1);
    assert_eq!(found(RESERVED, "a.rs", "//! A.\nfn a() { list.append(b); }\n").len(), 0);
    assert_eq!(found(RESERVED, "leader.rs", "//! A.\nfn a() { self.store.append(b); }\n").len(), 0);
}
