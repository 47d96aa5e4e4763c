//! What a source and its calls are called stands with the source: a message of the core that names IAM is wrong as soon as
//! the source is another one, and nothing else knows the URLs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;

use proc_macro2::{TokenStream, TokenTree};

/// The crates of the core, and what of them is a source's.
const CORE: [&str; 4] = ["cache-refresher/src", "config/src", "listing/src", "policy/src"];
const OF_SOURCES: [&str; 3] = ["cache-refresher/src/fetch/aws", "config/src/source", "config/src/source.rs"];

/// Words of IAM and its interface, and what the URL of a file begins with.
const WORDS: [&str; 7] =
    ["IAM", "iam:", "GetGroup", "ListGroupsForUser", "SSHPublicKey", "NoSuchEntity", "file:"];

/// What begins tags and ids of ours, and roles, by which any source of AWS is reached.
const OTHERS: [&str; 3] = ["nss-iam:", "arn:aws:iam:", "IAMKeyLookup"];

fn core() -> Vec<PathBuf> {
    let root = tests::repository();
    let is_core = |path: &PathBuf| {
        !["tests", "tests.rs"].iter().any(|name| path.ends_with(name))
            && !OF_SOURCES.iter().any(|source| *path == root.join(source))
    };
    let mut files = Vec::new();
    let mut places = CORE.map(|folder| root.join(folder)).to_vec();
    while let Some(place) = places.pop() {
        if place.is_dir() {
            let entries = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
            places.extend(entries.filter(is_core));
        } else {
            files.push(place);
        }
    }
    files
}

/// The texts in a file's code; its tests, which are at its end, are not looked at.
fn texts(code: &str) -> Vec<String> {
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

fn names_a_source(text: &str) -> bool {
    let text = OTHERS.iter().fold(text.to_owned(), |text, other| text.replace(other, ""));
    WORDS.iter().any(|word| text.contains(word))
}

#[test]
fn no_message_of_the_core_names_a_source_or_its_calls() {
    let files = core();
    assert!(files.len() > 50, "this test looks for files in the wrong place: {files:?}");
    let of_a_source = files.iter().flat_map(|path| {
        let texts = texts(&fs::read_to_string(path).unwrap()).into_iter().filter(|text| names_a_source(text));
        texts.map(|text| format!("'{}': {text}", path.display())).collect::<Vec<_>>()
    });
    assert_eq!(of_a_source.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn a_message_is_found_wherever_it_is_and_a_comment_is_none() {
    let code = r##"
        //! IAM
        /// IAM
        #[error("one IAM user")]
        fn f<'a>() { /* "IAM" */ let quote = '"'; g!(r#"two "iam:GetGroup""#, "no\" thing", "nss-iam:uid"); }
        #[cfg(test)]
        mod other { const TEXT: &str = "three: NoSuchEntity"; }
    "##;
    let found: Vec<String> = texts(code).into_iter().filter(|text| names_a_source(text)).collect();
    assert_eq!(found, ["\"one IAM user\"", "r#\"two \"iam:GetGroup\"\"#", "\"three: NoSuchEntity\""]);
}
