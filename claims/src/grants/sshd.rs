//! sshd_config(5): patterns of users and groups.

use super::found::{Found, without_comment};

/// Keywords whose arguments are patterns.
const LISTS: [(&str, &str); 4] = [
    ("AllowUsers", "in AllowUsers"),
    ("AllowGroups", "in AllowGroups"),
    ("DenyUsers", "in DenyUsers"),
    ("DenyGroups", "in DenyGroups"),
];
/// Keywords whose argument is a user that a program runs as.
const USERS: [&str; 2] = ["AuthorizedKeysCommandUser", "AuthorizedPrincipalsCommandUser"];

pub(super) fn parse(text: &str) -> Vec<Found> {
    text.lines().flat_map(|line| directive(without_comment(line))).collect()
}

fn directive(line: &str) -> Vec<Found> {
    // `Keyword=argument` is the same as `Keyword argument`, also inside Match.
    let line = line.replace('=', " ").replace('"', "");
    let mut words = line.split_whitespace();
    let Some(keyword) = words.next() else { return Vec::new() };
    let is = |known: &str| known.eq_ignore_ascii_case(keyword);
    if is("Include") {
        return words.map(|file| Found::Include(file.to_owned())).collect();
    }
    if is("Match") {
        let words: Vec<&str> = words.collect();
        return words.windows(2).flat_map(criterion).collect();
    }
    if USERS.iter().any(|known| is(known)) {
        return words.map(|user| Found::Pattern(user.to_owned(), "the user of a command of sshd")).collect();
    }
    let Some((_, what)) = LISTS.iter().find(|(known, _)| is(known)) else { return Vec::new() };
    words.map(|word| Found::Pattern(user_of(word).to_owned(), what)).collect()
}

fn criterion(pair: &[&str]) -> Vec<Found> {
    let [criterion, list] = pair else { return Vec::new() };
    let what = match criterion.to_ascii_lowercase().as_str() {
        "user" => "in a Match User block",
        "group" => "in a Match Group block",
        _ => return Vec::new(),
    };
    list.split(',').map(|word| Found::Pattern(user_of(word).to_owned(), what)).collect()
}

/// The user's part of `!user@host`.
fn user_of(word: &str) -> &str {
    let word = word.trim_start_matches('!');
    word.split_once('@').map_or(word, |(user, _)| user)
}
