//! The keys in an account's authorized_keys, compared with those of the user at the source. Pure.

use std::collections::BTreeMap;

use super::pair::IamUser;
use super::world::World;
use crate::host::accounts::Account;
use crate::inspect::subject::{Origin, fingerprint, origins};
use crate::say::show::count;

/// In how many words of a line a key is looked for.
const WORDS: usize = 100;

/// What the comparison says.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub loses: Vec<String>,
    pub notes: Vec<String>,
}

/// A line of authorized_keys with a key: its fingerprint, if it can be read, and whether it has options.
type Own = (Option<String>, bool);

pub(super) fn compared(world: &World<'_>, account: &Account, iam: &IamUser<'_>) -> Compared {
    let (facts, source) = (world.facts, world.facts.config.source.noun());
    let offered = origins(iam.user, &facts.config);
    let mut compared = Compared::default();
    // A key of IAM whose body cannot be read is reported by the refresher.
    if offered.is_empty() && !iam.user.keys.iter().any(|key| key.active) {
        compared.notes.push(format!(
            "{source} has no active SSH key of this user, who cannot log in until there is one"
        ));
    }
    let Some(file) = facts.own_keys.get(&account.home) else { return compared };
    let path = format!("'{}/.ssh/authorized_keys'", account.home.escape_default());
    let Some(file) = file else {
        compared.loses.push(format!("its own keys in {path}, which cannot be read, once sshd is set up"));
        return compared;
    };
    let own = own(file);
    let is_there = |(key, _): &&Own| key.as_ref().is_some_and(|key| offered.contains_key(key));
    let (kept, lost): (Vec<&Own>, Vec<&Own>) = own.iter().partition(is_there);
    if !kept.is_empty() {
        compared.notes.push(same(&kept, &lost, &offered, &path, source));
        if kept.iter().any(|(_, options)| *options) {
            let what = "options of these keys there, such as from= or command=, do not apply to the keys in";
            compared.notes.push(format!("{what} {source}"));
        }
    }
    if !lost.is_empty() {
        let names: Vec<&str> = lost.iter().map(|(key, _)| key.as_deref().unwrap_or("unreadable")).collect();
        compared.loses.push(format!(
            "{} in {path} that {source} does not have, once sshd is set up: {}",
            count(lost.len(), "own key"),
            names.join(", ")
        ));
    }
    compared
}

fn same(
    kept: &[&Own],
    lost: &[&Own],
    offered: &BTreeMap<String, Origin>,
    path: &str,
    source: &str,
) -> String {
    let in_tags = kept.iter().filter_map(|(key, _)| offered.get(key.as_ref()?));
    let tags = match in_tags.filter(|origin| matches!(origin, Origin::Tag(_))).count() {
        0 => String::new(),
        number => format!(" ({number} in tags)"),
    };
    let verb = if kept.len() == 1 { "is" } else { "are" };
    let end = if lost.is_empty() { ": nothing is lost" } else { "" };
    format!("{} of {path} {verb} also in {source}{tags}{end}", count(kept.len(), "key"))
}

/// sshd(8), AUTHORIZED_KEYS FILE FORMAT: a key, or options and a key. Quoted options can contain blanks.
fn own(file: &[u8]) -> Vec<Own> {
    let text = String::from_utf8_lossy(file);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let key = |line: &str| {
        let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        let mut pairs = words.windows(2).take(WORDS).enumerate();
        let found = pairs.find_map(|(at, pair)| Some((fingerprint(&pair.join(" "))?, at > 0)));
        found.map_or((None, false), |(key, options)| (Some(key), options))
    };
    lines.map(key).collect()
}
