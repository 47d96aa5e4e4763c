//! A command line that clap refuses: what is wrong with it, and which one was probably meant.
//!
//! A correction is only suggested if the whole command line is then valid. It is never run.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};
use message::{Message, near};

use super::Cli;
use crate::say::error::Error;
use crate::say::show::command;

/// How many words of a command line are corrected.
const MISTAKES: usize = 2;
/// What word processors and web pages make of `-`.
const DASHES: [char; 6] = ['-', '\u{2010}', '\u{2011}', '\u{2013}', '\u{2014}', '\u{2212}'];

/// What is wrong; `words` is the command line without the name of the program.
pub(crate) fn explained(words: &[String], refused: &clap::Error) -> Error {
    let told = refused.render().to_string();
    let what: Vec<&str> = told.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    let what = what.join(" ");
    let what = Message::new(what.strip_prefix("error: ").unwrap_or(&what)).and("nothing was done");
    let hint = match meant(words, refused, MISTAKES) {
        Some(meant) => format!("did you mean: {}", command(&meant)),
        None => usage(words, refused),
    };
    Error::configuration(what).hint(hint)
}

/// The form of the command, without the brackets around what has to be filled in, and where its options are explained.
fn usage(words: &[String], refused: &clap::Error) -> String {
    let all = Cli::command();
    let subcommand = words.first().filter(|word| all.find_subcommand(word).is_some());
    let help = command(subcommand.map(String::as_str).into_iter().chain(["--help"]));
    match refused.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => {
            let usage = usage.to_string().replace(['<', '>'], "");
            format!("{}; {help}", usage.trim().trim_start_matches("Usage: "))
        }
        _ => help,
    }
}

/// The first correction after which clap has no objection.
fn meant(words: &[String], refused: &clap::Error, left: usize) -> Option<Vec<String>> {
    let left = left.checked_sub(1)?;
    let mut refusals = Vec::new();
    for candidate in candidates(words, refused) {
        match Cli::try_parse_from(["nss-iamctl"].into_iter().chain(candidate.iter().map(String::as_str))) {
            Ok(_) => return Some(candidate),
            Err(refusal) => refusals.push((candidate, refusal)),
        }
    }
    refusals.iter().find_map(|(candidate, refusal)| meant(candidate, refusal, left))
}

/// The command line with the word that clap refuses replaced, preceded by another one, or elsewhere.
fn candidates(words: &[String], refused: &clap::Error) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let refused_word = [ContextKind::InvalidSubcommand, ContextKind::InvalidValue, ContextKind::InvalidArg]
        .iter()
        .find_map(|kind| text(refused, *kind));
    let at = refused_word.and_then(|refused| words.iter().position(|word| is(word, refused)));
    if let Some((at, bad)) = at.and_then(|at| Some((at, words.get(at)?))) {
        let (name, value) =
            bad.split_once('=').map_or((bad.as_str(), None), |(name, value)| (name, Some(value)));
        let with_value =
            |name: &str| value.map_or_else(|| name.to_owned(), |value| format!("{name}={value}"));
        let like = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
        let mut like: Vec<&str> = like.iter().flat_map(|kind| texts(refused, *kind)).collect();
        // clap puts the most similar one last, and 'unlock' for 'lokc' would do the opposite.
        like.sort_by_key(|like| near::distance(like, name));
        let like = like.into_iter().map(with_value);
        let bare = name.trim_start_matches(DASHES);
        let dashed = (bare.len() < name.len()).then(|| with_value(&format!("--{bare}")));
        let lower = with_value(&name.to_lowercase().replace('_', "-"));
        let replaced = like.chain(dashed).chain([lower, bad.to_lowercase()]);
        found.extend(replaced.map(|word| spliced(words, at, 1, &[&word])));
        if bare == name {
            found.push(spliced(words, at, 0, &["--group"]));
        }
        let all = Cli::command();
        let nested = all.get_subcommands().find(|command| command.find_subcommand(bad).is_some());
        found.extend(nested.map(|command| spliced(words, at, 0, &[command.get_name()])));
    }
    // The subcommand comes first.
    let all = Cli::command();
    if let Some(at) = words.iter().position(|word| all.find_subcommand(word).is_some()).filter(|at| *at > 0) {
        let mut moved = words.to_vec();
        if let Some(first) = moved.get_mut(..=at) {
            first.rotate_right(1);
        }
        found.push(moved);
    }
    found.retain(|candidate| candidate != words);
    found
}

/// Whether clap means this word: of `-group` it names `-g`, of `--x=y` only `--x`.
fn is(word: &str, refused: &str) -> bool {
    let is_short = refused.len() == 2 && refused.starts_with('-') && !word.starts_with("--");
    let (name, value) = word.split_once('=').unwrap_or((word, word));
    word == refused || name == refused || value == refused || is_short && word.starts_with(refused)
}

fn spliced(words: &[String], at: usize, removed: usize, new: &[&str]) -> Vec<String> {
    let mut words = words.to_vec();
    words.splice(at..at + removed, new.iter().map(|word| (*word).to_owned()));
    words
}

fn text(refused: &clap::Error, kind: ContextKind) -> Option<&str> {
    match refused.get(kind)? {
        ContextValue::String(text) => Some(text),
        _ => None,
    }
}

fn texts(refused: &clap::Error, kind: ContextKind) -> Vec<&str> {
    match refused.get(kind) {
        Some(ContextValue::String(text)) => vec![text],
        Some(ContextValue::Strings(texts)) => texts.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether this is no mistake but a request for help.
pub(crate) fn is_help(refused: &clap::Error) -> bool {
    !refused.use_stderr() || refused.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let refused =
            Cli::try_parse_from(["nss-iamctl".to_owned()].into_iter().chain(words.clone())).unwrap_err();
        assert!(!is_help(&refused), "{line}");
        explained(&words, &refused).to_string()
    }

    #[test]
    fn a_valid_command_line_is_suggested() {
        for (typed, meant) in [
            ("staus", "status"),
            ("STATUS", "status"),
            ("enabel --group Ops", "enable --group Ops"),
            ("status --chek", "status --check"),
            ("enable Ops", "enable --group Ops"),
            ("enable Ops Dev", "enable --group Ops --group Dev"),
            ("policy Ops", "policy --group Ops"),
            ("enable --groups Ops", "enable --group Ops"),
            ("enable --grup=Ops", "enable --group=Ops"),
            ("enable -group Ops", "enable --group Ops"),
            ("enable \u{2014}group Ops", "enable --group Ops"),
            ("enable \u{2013}\u{2013}group Ops", "enable --group Ops"),
            ("enable --group Ops --dryrun", "enable --group Ops --dry-run"),
            ("enable --group Ops --dry_run", "enable --group Ops --dry-run"),
            ("enable --Group Ops", "enable --group Ops"),
            ("enable --sudo NOPASSWD", "enable --sudo nopasswd"),
            ("enable --sudo=Agent", "enable --sudo=agent"),
            ("--group Ops enable", "enable --group Ops"),
            ("--check status", "status --check"),
            ("ana why", "why ana"),
            ("validate /srv/users.json", "listing validate /srv/users.json"),
            ("lokc ana --resaon left", "lock ana --reason left"),
            ("policy --format jsn", "policy --format json"),
        ] {
            let told = told(typed);
            let expected = format!("; nothing was done\nhint: did you mean: nss-iamctl {meant}");
            assert!(told.ends_with(&expected), "{typed}: {told}");
        }
    }

    #[test]
    fn where_none_is_near_the_form_is_shown() {
        for (typed, what, hint) in [
            ("why", "not provided: <USER>", "nss-iamctl why USER; nss-iamctl why --help"),
            (
                "why ana bob",
                "unexpected argument 'bob'",
                "nss-iamctl why [OPTIONS] USER; nss-iamctl why --help",
            ),
            ("enable --group", "a value is required for '--group <GROUP>'", "nss-iamctl enable --help"),
            ("enable --sudo yes", "[possible values: nopasswd, agent]", "nss-iamctl enable --help"),
            ("uid ana", "it takes the number of a user or group", "nss-iamctl uid --help"),
            ("xyzzy", "unrecognized subcommand 'xyzzy'", "nss-iamctl --help"),
            ("status --check --json", "cannot be used with '--json'", "nss-iamctl status --check"),
        ] {
            let told = told(typed);
            let (first, second) = told.split_once('\n').unwrap();
            assert!(first.contains(what) && first.ends_with("; nothing was done"), "{typed}: {told}");
            assert!(second.starts_with("hint: ") && second.contains(hint), "{typed}: {told}");
        }
    }

    #[test]
    fn what_was_typed_cannot_pass_for_a_hint() {
        let told = told("x\nhint:\u{1b}[2J");
        assert_eq!(told.lines().count(), 2, "{told}");
        assert!(!told.contains('\u{1b}'), "{told}");
    }
}
