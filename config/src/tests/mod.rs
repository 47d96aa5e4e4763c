//! What the configuration guarantees to administrators.

mod files;
mod keys;
mod policy;
mod sources;
mod values;

use std::path::PathBuf;

use crate::{Config, Error};

/// Parses files that exist only in memory, named 0.toml, 1.toml …
fn parse(texts: &[&str]) -> Result<Config, Error> {
    let name = |(i, text): (usize, &&str)| (PathBuf::from(format!("{i}.toml")), (*text).to_owned());
    Config::parse(&texts.iter().enumerate().map(name).collect::<Vec<_>>())
}

/// The message; it is the same for every caller.
fn refusal(texts: &[&str]) -> String {
    parse(texts).expect_err(&format!("accepted: {texts:?}")).to_string()
}

/// Asserts that `text` is refused at `line`, with a message that contains `part`, and a hint.
fn assert_refused(text: &str, line: usize, part: &str) {
    let message = refusal(&[text]);
    assert!(message.starts_with(&format!("'0.toml' line {line}: ")), "{text}\n{message}");
    let (what, hint) = message.split_once("\nhint: ").unwrap();
    assert!(what.contains(part), "{text}\n{message}");
    assert!(!hint.is_empty() && !hint.contains('\n'), "{text}\n{message}");
}

/// Asserts that `key` in `section` accepts each of the `right` values and refuses each of the `wrong` ones.
fn assert_values(section: &str, key: &str, right: &[&str], wrong: &[&str]) {
    for value in right {
        parse(&[&format!("{section}\n{key} = {value}")]).unwrap();
    }
    let dot = if section.is_empty() { "" } else { "." };
    let name = format!("'{}{dot}{key}'", section.trim_matches(['[', ']']));
    for value in wrong {
        assert_refused(&format!("{section}\n{key} = {value}"), 2, &name);
    }
}
