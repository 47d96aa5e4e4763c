//! What the configuration promises to those who write it.

mod files;
mod keys;
mod policy;
mod values;

use std::path::PathBuf;

use crate::{Config, Error};

/// Parses files that stand in memory alone, called 0.toml, 1.toml …
fn parse(texts: &[&str]) -> Result<Config, Error> {
    let name = |(i, text): (usize, &&str)| (PathBuf::from(format!("{i}.toml")), (*text).to_owned());
    Config::parse(&texts.iter().enumerate().map(name).collect::<Vec<_>>())
}

/// The message, which is the same for every caller.
fn refusal(texts: &[&str]) -> String {
    parse(texts).expect_err(&format!("accepted: {texts:?}")).to_string()
}

/// Refuses `text` at `line` with a message that has `part` in it, and a hint.
fn assert_refused(text: &str, line: usize, part: &str) {
    let message = refusal(&[text]);
    assert!(message.starts_with(&format!("'0.toml' line {line}: ")), "{text}\n{message}");
    let (what, hint) = message.split_once("\nhint: ").unwrap();
    assert!(what.contains(part), "{text}\n{message}");
    assert!(!hint.is_empty() && !hint.contains('\n'), "{text}\n{message}");
}
