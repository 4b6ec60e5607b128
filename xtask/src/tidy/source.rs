//! Rules on Rust sources: sizes, names, `unsafe`, `std` in brains, leftovers, and calls reserved to one place.
//!
//! Sources are parsed, so a word in a string or a comment is not mistaken for code. What is compiled for tests only is exempt from
//! the `std` rule and from reserved calls, and from nothing else.

use super::{Exceptions, Only};
use proc_macro2::{TokenStream, TokenTree};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

const FILE_LINES: usize = 800;
const FUNCTION_LINES: usize = 70;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 9] = ["util", "utils", "common", "helper", "helpers", "types", "manager", "misc", "shared"];
/// Macros of unfinished work.
const LEFTOVER_MACROS: [&str; 3] = ["todo", "dbg", "unimplemented"];
/// Words of unfinished work, in parts so that this file does not find itself.
const LEFTOVER_WORDS: [&str; 3] = [concat!("FIX", "ME"), concat!("TO", "DO:"), concat!("X", "XX:")];

/// Findings by rule.
type Findings = BTreeMap<&'static str, Vec<String>>;

const SIZES: &str = "sizes of files and functions";
const NAMES: &str = "names of modules";
const OPENING: &str = "every file says what it is";
const UNSAFE: &str = "unsafe stays in its place";
const STD: &str = "brains name no std";
const LEFTOVERS: &str = "no leftovers";
const RESERVED: &str = "reserved calls";
const EXCEPTIONS: &str = "no exception without need";

/// Runs every rule over all sources.
pub(super) fn check(sources: &[(PathBuf, String)], brains: &[PathBuf], exceptions: &Exceptions) -> Findings {
    let rules = [SIZES, NAMES, OPENING, UNSAFE, STD, LEFTOVERS, RESERVED, EXCEPTIONS];
    let mut findings: Findings = rules.into_iter().map(|rule| (rule, Vec::new())).collect();
    let mut used = Used::default();
    let parsed: Vec<(&Path, &str, syn::File)> = sources
        .iter()
        .filter_map(|(path, text)| match syn::parse_file(text) {
            Ok(file) => Some((path.as_path(), text.as_str(), file)),
            Err(error) => {
                findings.entry(LEFTOVERS).or_default().push(format!("{}: does not parse: {error}", path.display()));
                None
            }
        })
        .collect();
    let test_modules: Vec<PathBuf> = parsed.iter().flat_map(|(path, _, file)| test_modules(path, file)).collect();
    for (path, text, file) in &parsed {
        let is_for_tests = test_modules.iter().any(|module| path.starts_with(module) || path.with_extension("") == *module);
        let test_only =
            path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "benches"))) || is_for_tests;
        if !text.starts_with("//!") && !text.starts_with("#!/") && !is_for_tests {
            findings.entry(OPENING).or_default().push(format!("{}: does not start with //!", path.display()));
        }
        let brain = brains.iter().find(|directory| path.starts_with(directory));
        check_text(path, text, brain.map(PathBuf::as_path), exceptions, &mut used, &mut findings);
        let mut visitor =
            Visitor { path, brain: brain.is_some(), test_only, exceptions, used: &mut used, findings: &mut findings };
        visitor.visit_file(file);
    }
    findings.entry(EXCEPTIONS).or_default().extend(used.unneeded(exceptions));
    findings
}

/// Which exceptions something made use of.
#[derive(Default)]
struct Used(Vec<(String, Option<String>)>);

impl Used {
    fn mark(&mut self, path: &str, function: Option<&str>) {
        self.0.push((path.to_owned(), function.map(ToOwned::to_owned)));
    }

    fn unneeded(&self, exceptions: &Exceptions) -> Vec<String> {
        let longer = exceptions.longer.iter().filter(|longer| !self.0.contains(&(longer.path.clone(), longer.function.clone())));
        longer
            .map(|longer| format!("{} {}: not longer than allowed", longer.path, longer.function.as_deref().unwrap_or_default()))
            .collect()
    }
}

/// Rules on a file as text.
fn check_text(path: &Path, text: &str, brain: Option<&Path>, exceptions: &Exceptions, used: &mut Used, findings: &mut Findings) {
    let shown = path.display();
    let mut find = |rule: &'static str, what: String| findings.entry(rule).or_default().push(what);
    let lines = text.lines().count();
    if lines > FILE_LINES {
        match exceptions.longer.iter().find(|longer| longer.function.is_none() && path == Path::new(&longer.path)) {
            Some(longer) if lines <= longer.lines => used.mark(&longer.path, None),
            _ => find(SIZES, format!("{shown}: {lines} lines, {FILE_LINES} are allowed")),
        }
    }
    for part in path.with_extension("").iter().filter_map(|part| part.to_str()) {
        if EMPTY_NAMES.contains(&part) {
            find(NAMES, format!("{shown}: `{part}` says nothing"));
        }
    }
    for (number, line) in text.lines().enumerate() {
        if let Some(word) = LEFTOVER_WORDS.iter().find(|word| line.contains(**word)) {
            find(LEFTOVERS, format!("{shown}:{}: {word}", number + 1));
        }
    }
    if brain.is_some_and(|directory| path == directory.join("lib.rs")) {
        for attribute in ["#![no_std]", "#![forbid(unsafe_code)]"] {
            if !text.lines().any(|line| line.trim() == attribute) {
                find(STD, format!("{shown}: a brain says {attribute}"));
            }
        }
    }
}

/// Modules of this file that are compiled for tests only and live in files of their own, without extension.
fn test_modules(path: &Path, file: &syn::File) -> Vec<PathBuf> {
    let directory = path.parent().unwrap_or_else(|| Path::new(""));
    let stem = path.file_stem().unwrap_or_default();
    let home = if ["lib", "main", "mod"].iter().any(|name| stem == *name) { directory.to_owned() } else { directory.join(stem) };
    let modules = file.items.iter().filter_map(|item| match item {
        syn::Item::Mod(module) if module.content.is_none() && is_test_only(&module.attrs) => {
            let named = module.attrs.iter().find(|attribute| attribute.path().is_ident("path")).and_then(path_value);
            Some(named.map_or_else(|| home.join(module.ident.to_string()), |file| directory.join(file).with_extension("")))
        }
        _ => None,
    });
    modules.collect()
}

/// What `#[path = "…"]` says.
fn path_value(attribute: &syn::Attribute) -> Option<String> {
    match &attribute.meta {
        syn::Meta::NameValue(syn::MetaNameValue {
            value: syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }), ..
        }) => Some(text.value()),
        _ => None,
    }
}

/// Whether an item exists only under `cfg(test)` (or is a test).
fn is_test_only(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || (attribute.path().is_ident("cfg")
                && matches!(&attribute.meta, syn::Meta::List(list) if requires_test(list.tokens.clone())))
    })
}

/// `test`, or `all(…test…)`; `not(test)` and `any(test, …)` do not require it.
fn requires_test(tokens: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    match tokens.as_slice() {
        [TokenTree::Ident(word)] => word == "test",
        [TokenTree::Ident(word), TokenTree::Group(group)] if word == "all" => {
            group.stream().into_iter().any(|token| matches!(token, TokenTree::Ident(word) if word == "test"))
        }
        _ => false,
    }
}

struct Visitor<'a> {
    path: &'a Path,
    brain: bool,
    test_only: bool,
    exceptions: &'a Exceptions,
    used: &'a mut Used,
    findings: &'a mut Findings,
}

impl Visitor<'_> {
    fn find(&mut self, rule: &'static str, line: usize, what: &str) {
        self.findings.entry(rule).or_default().push(format!("{}:{line}: {what}", self.path.display()));
    }

    fn in_test_only(&mut self, attributes: &[syn::Attribute], visit: impl FnOnce(&mut Self)) {
        let before = self.test_only;
        self.test_only |= is_test_only(attributes);
        visit(self);
        self.test_only = before;
    }

    fn check_unsafe(&mut self, line: usize) {
        let path = self.path.to_string_lossy();
        if !self.exceptions.unsafe_code.iter().any(|leave| path.starts_with(&leave.path)) {
            self.find(UNSAFE, line, "unsafe");
        }
    }

    fn check_function(&mut self, signature: &syn::Signature, whole: proc_macro2::Span) {
        if signature.unsafety.is_some() {
            self.check_unsafe(signature.span().start().line);
        }
        let name = signature.ident.to_string();
        let lines = whole.end().line - signature.span().start().line + 1;
        if lines > FUNCTION_LINES {
            let is_this =
                |longer: &&super::Longer| longer.function.as_deref() == Some(&name) && self.path == Path::new(&longer.path);
            match self.exceptions.longer.iter().find(is_this) {
                Some(longer) if lines <= longer.lines => self.used.mark(&longer.path, Some(&name)),
                _ => {
                    let what = format!("fn {name}: {lines} lines, {FUNCTION_LINES} are allowed");
                    self.find(SIZES, signature.span().start().line, &what);
                }
            }
        }
    }

    fn check_std(&mut self, line: usize, what: &str) {
        let path = self.path.to_string_lossy();
        if self.brain && !self.test_only && !self.exceptions.std.iter().any(|leave| path.starts_with(&leave.path)) {
            self.find(STD, line, what);
        }
    }

    fn check_reserved(&mut self, method: &str, line: usize, fits: impl Fn(&Only) -> bool) {
        let path = self.path.to_string_lossy();
        let exceptions = self.exceptions;
        for only in exceptions.only.iter().filter(|only| only.method == method && fits(only)) {
            if !self.test_only && !path.starts_with(&only.path) {
                self.find(RESERVED, line, &format!("{}: only {} may", only.call, only.path));
            }
        }
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if EMPTY_NAMES.iter().any(|name| module.ident == name) && module.content.is_some() {
            self.find(NAMES, module.span().start().line, &format!("mod {} says nothing", module.ident));
        }
        self.in_test_only(&module.attrs, |this| visit::visit_item_mod(this, module));
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.check_function(&function.sig, function.block.span());
        self.in_test_only(&function.attrs, |this| visit::visit_item_fn(this, function));
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.check_function(&function.sig, function.block.span());
        self.in_test_only(&function.attrs, |this| visit::visit_impl_item_fn(this, function));
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.check_function(&function.sig, block.span());
        }
        visit::visit_trait_item_fn(self, function);
    }

    fn visit_item_impl(&mut self, implementation: &'ast syn::ItemImpl) {
        if implementation.unsafety.is_some() {
            self.check_unsafe(implementation.span().start().line);
        }
        self.in_test_only(&implementation.attrs, |this| visit::visit_item_impl(this, implementation));
    }

    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        self.check_unsafe(block.span().start().line);
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_item_foreign_mod(&mut self, block: &'ast syn::ItemForeignMod) {
        self.check_unsafe(block.span().start().line);
        visit::visit_item_foreign_mod(self, block);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let first = match &item.tree {
            syn::UseTree::Path(path) => Some(&path.ident),
            syn::UseTree::Name(name) => Some(&name.ident),
            _ => None,
        };
        if first.is_some_and(|word| word == "std") && !is_test_only(&item.attrs) {
            self.check_std(item.span().start().line, "use std");
        }
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        if item.ident == "std" && !is_test_only(&item.attrs) {
            self.check_std(item.span().start().line, "extern crate std");
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 && path.segments[0].ident == "std" {
            self.check_std(path.span().start().line, "a path into std");
        }
        if let [.., owner, method] = path.segments.iter().collect::<Vec<_>>().as_slice() {
            let owner = owner.ident.to_string();
            self.check_reserved(&method.ident.to_string(), path.span().start().line, |only| {
                only.call.split("::").next() == Some(&owner)
            });
        }
        visit::visit_path(self, path);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let receiver = match &*call.receiver {
            syn::Expr::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
            syn::Expr::Field(syn::ExprField { member: syn::Member::Named(name), .. }) => Some(name.to_string()),
            syn::Expr::MethodCall(inner) => Some(inner.method.to_string()),
            _ => None,
        };
        if let Some(receiver) = receiver {
            let line = call.method.span().start().line;
            self.check_reserved(&call.method.to_string(), line, |only| receiver.starts_with(&only.receiver));
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if let Some(word) = LEFTOVER_MACROS.iter().find(|word| call.path.is_ident(word)) {
            self.find(LEFTOVERS, call.span().start().line, &format!("{word}!"));
        }
        self.visit_path(&call.path);
    }
}

#[cfg(test)]
mod tests;
