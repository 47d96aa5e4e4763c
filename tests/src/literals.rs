//! String literals in the sources.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};

/// Rust files below these directories of the repository, without their tests and what is `left_out`.
#[must_use]
pub fn files(directories: &[&str], left_out: &[&str]) -> Vec<PathBuf> {
    let root = super::repository();
    let is_wanted = |path: &PathBuf| {
        !["tests", "tests.rs"].iter().any(|name| path.ends_with(name))
            && !left_out.iter().any(|other| *path == root.join(other))
    };
    let mut files = Vec::new();
    let mut places: Vec<PathBuf> = directories.iter().map(|directory| root.join(directory)).collect();
    while let Some(place) = places.pop() {
        if place.is_dir() {
            let entries = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
            places.extend(entries.filter(is_wanted));
        } else if place.extension().is_some_and(|extension| extension == "rs") {
            files.push(place);
        }
    }
    files
}

/// Each literal of these files for which `is_wanted` returns true, with its file.
#[must_use]
pub fn found(files: &[PathBuf], is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let of_file = |path: &PathBuf| {
        let texts = texts(&fs::read_to_string(path).unwrap()).into_iter().filter(|text| is_wanted(text));
        texts.map(|text| told(path, &text)).collect::<Vec<_>>()
    };
    files.iter().flat_map(of_file).collect()
}

fn told(path: &Path, text: &str) -> String {
    let path = path.strip_prefix(super::repository()).unwrap_or(path);
    format!("'{}': {text}", path.display())
}

/// The literals in a file's code, as in the source, without those of its tests, which are at its end.
#[must_use]
pub fn texts(code: &str) -> Vec<String> {
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let mut found = Vec::new();
    collect(code.parse().unwrap(), &mut found);
    found
}

fn collect(tokens: TokenStream, found: &mut Vec<String>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            // `/// x` is `#[doc = "x"]`.
            TokenTree::Ident(word) if word == "doc" => drop((tokens.next(), tokens.next())),
            TokenTree::Group(group) => collect(group.stream(), found),
            TokenTree::Literal(literal) => found.push(literal.to_string()),
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}
