//! How the files that grant something by name contain names.

use super::found::{Found, without_comment};
use super::sshd;

/// How a file is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    /// The name of the file is the name of the user.
    FileName,
    /// Columns of a line, separated by this character or, for a blank, by any number of blanks. Each can
    /// contain a list.
    Columns(char, &'static [usize]),
    /// `KEY = LIST` or `KEY LIST`, whatever the section.
    Keys(&'static [&'static str]),
    /// A first word, and the columns that then contain names.
    Directives(&'static [(&'static str, &'static [usize])]),
    /// crontab(5) with a column for the user.
    Crontab,
    /// tmpfiles.d(5).
    Tmpfiles,
    /// Strings of JavaScript, polkit(8).
    Script,
    /// Attributes `user` and `group`, dbus-daemon(1).
    Policy,
    /// `OWNER=` and `GROUP=`, udev(7).
    Udev,
    /// Arguments of modules, pam.d(5).
    Pam,
    /// sshd_config(5).
    Sshd,
}

pub(super) fn parse(how: How, text: &str) -> Vec<Found> {
    match how {
        How::FileName => Vec::new(),
        How::Columns(cut, columns) => {
            plain(joined(text, cut == ';').flat_map(|line| columns_of(&line, cut, columns)))
        }
        How::Keys(keys) => plain(joined(text, false).flat_map(|line| values(&line, keys))),
        How::Directives(directives) => {
            plain(joined(text, false).flat_map(|line| arguments(&line, directives)))
        }
        How::Crontab => plain(joined(text, false).filter_map(|line| cron_user(&line))),
        How::Tmpfiles => plain(joined(text, false).flat_map(|line| owners(&line))),
        How::Script => plain(strings(text).into_iter().flat_map(|string| identities(&string))),
        How::Policy => plain(attributes(text)),
        How::Udev => plain(joined(text, true).flat_map(|line| owner_keys(&line))),
        How::Pam => joined(text, true).flat_map(|line| module_arguments(&line)).collect(),
        How::Sshd => sshd::parse(text),
    }
}

fn plain(names: impl IntoIterator<Item = String>) -> Vec<Found> {
    names.into_iter().map(Found::Name).collect()
}

/// Lines without comments; with `continues`, a backslash at the end joins the next one.
fn joined(text: &str, continues: bool) -> impl Iterator<Item = String> {
    let (mut lines, mut open) = (Vec::new(), String::new());
    for line in text.lines() {
        match line.strip_suffix('\\').filter(|_| continues) {
            Some(begun) => open = open + begun + " ",
            None => lines.push(std::mem::take(&mut open) + line),
        }
    }
    lines.push(open);
    lines.into_iter().map(|line| without_comment(&line).to_owned())
}

/// The names in a list: `ana, @ops | !ben`, `(wheel)`, `~eva`.
fn list(field: &str) -> Vec<String> {
    let cut = |c: char| c.is_whitespace() || ",|&".contains(c);
    let trim = |c: char| "@%+!~&()\"'".contains(c);
    field.split(cut).map(|word| word.trim_matches(trim).to_owned()).filter(|word| !word.is_empty()).collect()
}

fn columns_of(line: &str, cut: char, columns: &[usize]) -> Vec<String> {
    let fields: Vec<&str> =
        if cut == ' ' { line.split_whitespace().collect() } else { line.split(cut).collect() };
    columns.iter().filter_map(|column| fields.get(*column)).flat_map(|field| list(field)).collect()
}

fn values(line: &str, keys: &[&str]) -> Vec<String> {
    // A comment in files of Samba and ini files.
    if line.trim_start().starts_with(';') {
        return Vec::new();
    }
    let (key, value) = match line.split_once('=') {
        Some((key, value)) => (key.trim_end_matches(['+', '-']), value),
        None => line.trim().split_once([' ', '\t']).unwrap_or_default(),
    };
    let is_key = keys.iter().any(|known| known.eq_ignore_ascii_case(key.trim()));
    // polkit's local authority separates identities by semicolons.
    if is_key {
        value.split(';').flat_map(list).flat_map(|word| identities(&word)).collect()
    } else {
        Vec::new()
    }
}

fn arguments(line: &str, directives: &[(&str, &[usize])]) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let known = words.first().and_then(|first| directives.iter().find(|(word, _)| word == first));
    known.map(|(_, columns)| columns_of(line, ' ', columns)).unwrap_or_default()
}

fn cron_user(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let first = words.next()?;
    let user = if first.starts_with('@') { words.next()? } else { words.nth(4)? };
    // `NAME = value` sets a variable; schedules have no `=`.
    (!first.contains('=') && !line.trim_start_matches(first).trim_start().starts_with('='))
        .then(|| user.split(':').next().unwrap_or_default().trim_start_matches('-').to_owned())
}

/// Columns 4 and 5 are a user and a group; `a` lines end with an ACL.
fn owners(line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut names: Vec<String> =
        words.iter().skip(3).take(2).map(|word| word.trim_start_matches(':').to_owned()).collect();
    if words.first().is_some_and(|kind| kind.starts_with(['a', 'A'])) {
        names.extend(words.iter().skip(6).flat_map(|acl| acl.split([',', ':'])).map(str::to_owned));
    }
    names
}

/// String literals of a script without its comments.
fn strings(script: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = script;
    while let Some(at) = rest.find(['"', '\'', '`', '/']) {
        let (mark, after) = rest.split_at(at).1.split_at(1);
        if mark == "/" {
            let end = match after.chars().next() {
                Some('/') => after.find('\n'),
                Some('*') => after.find("*/"),
                _ => Some(0),
            };
            rest = end.and_then(|end| after.get(end..)).unwrap_or_default();
            continue;
        }
        let Some((string, after)) = after.split_once(mark) else { break };
        found.push(string.to_owned());
        rest = after;
    }
    found
}

/// `unix-user:ana`, or a name alone.
fn identities(word: &str) -> Vec<String> {
    let name = word.strip_prefix("unix-user:").or_else(|| word.strip_prefix("unix-group:")).unwrap_or(word);
    vec![name.to_owned()]
}

/// Values of the attributes `user` and `group` of an XML file without its comments.
fn attributes(xml: &str) -> Vec<String> {
    let mut text = String::new();
    for (at, part) in xml.split("<!--").enumerate() {
        text.push_str(if at == 0 { part } else { part.split_once("-->").map_or("", |(_, after)| after) });
    }
    let mut found = Vec::new();
    for tag in text.split('<').skip(1).map(|tag| tag.split('>').next().unwrap_or_default()) {
        for quote in ['"', '\''] {
            let parts: Vec<&str> = tag.split(quote).collect();
            for pair in parts.chunks_exact(2) {
                if let [key, value] = pair
                    && ["user", "group"]
                        .iter()
                        .any(|known| key.trim().trim_end_matches('=').trim().ends_with(known))
                {
                    found.push((*value).to_owned());
                }
            }
        }
    }
    found
}

fn owner_keys(line: &str) -> Vec<String> {
    line.split(',')
        .filter_map(|part| part.trim().strip_prefix("OWNER").or_else(|| part.trim().strip_prefix("GROUP")))
        .filter_map(|rest| rest.trim_start().trim_start_matches(':').strip_prefix('='))
        .filter(|value| !value.starts_with('='))
        .map(|value| value.trim().trim_matches('"').to_owned())
        .collect()
}

/// `user in ana:bob`, `group=ops`, and the file of pam_listfile(8).
fn module_arguments(line: &str) -> Vec<Found> {
    let mut words = line.split_whitespace();
    let Some(module) = words.find(|word| word.ends_with(".so")) else { return Vec::new() };
    let words: Vec<&str> = words.map(|word| word.trim_matches(['[', ']'])).collect();
    let names = words.iter().flat_map(|word| word.split([':', '=', ','])).filter(|word| !word.is_empty());
    let mut found: Vec<Found> = names.map(|name| Found::Name(name.to_owned())).collect();
    if module.ends_with("pam_listfile.so")
        && words.iter().any(|word| matches!(*word, "item=user" | "item=group"))
    {
        let files = words.iter().filter_map(|word| word.strip_prefix("file="));
        found.extend(files.map(|file| Found::List(file.to_owned())));
    }
    found
}
