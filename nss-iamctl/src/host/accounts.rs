//! passwd(5), shadow(5), group(5) and gshadow(5) as bytes: parses lines, and removes accounts and members.
//!
//! A line is parsed as by glibc's service `files`: fields missing after the ids are empty. A line that is not an account
//! there (`+` and `-` of NIS, comments, damage) is not one here, and stays.

use std::collections::BTreeSet;

use crate::host::{Host, files};
use crate::say::error::Error;

/// Where they are.
pub(crate) const PASSWD: &str = "/etc/passwd";
pub(crate) const SHADOW: &str = "/etc/shadow";
pub(crate) const GROUP: &str = "/etc/group";
pub(crate) const GSHADOW: &str = "/etc/gshadow";

/// An account of passwd(5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub gecos: String,
    pub home: String,
    pub shell: String,
}

/// A group of group(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub name: String,
    pub gid: u32,
    pub members: Vec<String>,
}

/// The local accounts; none if the file is missing.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn local(host: &Host) -> Result<Vec<Account>, Error> {
    Ok(accounts(&files::read(&host.path(PASSWD))?.unwrap_or_default()))
}

/// The local groups; none if the file is missing.
///
/// # Errors
/// When they cannot be read.
pub(crate) fn local_groups(host: &Host) -> Result<Vec<Group>, Error> {
    Ok(groups(&files::read(&host.path(GROUP))?.unwrap_or_default()))
}

pub(crate) fn accounts(passwd: &[u8]) -> Vec<Account> {
    lines(passwd).filter_map(account).collect()
}

/// A line of passwd(5), or of the output of getent(1).
pub(crate) fn account(line: &[u8]) -> Option<Account> {
    let line = text(line);
    // The shell is the rest of the line, with its colons.
    let mut fields = line.splitn(7, ':').map(str::to_owned);
    let (name, _, uid, gid) =
        (named(fields.next()?)?, fields.next()?, id(&fields.next()?)?, id(&fields.next()?)?);
    let [gecos, home, shell] = std::array::from_fn(|_| fields.next().unwrap_or_default());
    Some(Account { name, uid, gid, gecos, home, shell })
}

pub(crate) fn groups(group: &[u8]) -> Vec<Group> {
    let of = |line: &[u8]| {
        let line = text(line);
        let mut fields = line.splitn(4, ':').map(str::to_owned);
        let (name, _, gid) = (named(fields.next()?)?, fields.next()?, id(&fields.next()?)?);
        let members = fields.next().unwrap_or_default();
        let members = members.split(',').map(str::trim_start).filter(|name| !name.is_empty());
        Some(Group { name, gid, members: members.map(str::to_owned).collect() })
    };
    lines(group).filter_map(of).collect()
}

/// The second field of the line that begins with this name, in passwd(5) or shadow(5).
pub(crate) fn password<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let line = lines(text).find(|line| first(line) == name.as_bytes())?;
    line.split(|byte| *byte == b':').nth(1)
}

/// Whether the account has a password: a hash in shadow(5), or in passwd(5) itself.
pub(crate) fn has_password(passwd: &[u8], shadow: &[u8], name: &str) -> bool {
    let is_hash = |field: &[u8]| field.len() > 1 && !field.starts_with(b"!") && !field.starts_with(b"*");
    [shadow, passwd].into_iter().filter_map(|text| password(text, name)).any(is_hash)
}

/// passwd(5), shadow(5) or group(5) without the lines of these names.
pub(crate) fn without(text: &[u8], names: &BTreeSet<&str>) -> Vec<u8> {
    let kept = |line: &&[u8]| !std::str::from_utf8(first(line)).is_ok_and(|name| names.contains(name));
    text.split_inclusive(|byte| *byte == b'\n').filter(kept).flatten().copied().collect()
}

/// group(5) and gshadow(5) without these names in the lists of members and, in the latter, administrators.
pub(crate) fn without_members(text: &[u8], lists: &[usize], names: &BTreeSet<&str>) -> Vec<u8> {
    let mut new = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let (body, end) = line.split_at(line.len() - usize::from(line.ends_with(b"\n")));
        for (index, field) in body.split(|byte| *byte == b':').enumerate() {
            if index > 0 {
                new.push(b':');
            }
            let kept = |name: &&[u8]| {
                !std::str::from_utf8(name.trim_ascii_start()).is_ok_and(|name| names.contains(name))
            };
            if lists.contains(&index) && !field.split(|byte| *byte == b',').all(|name| kept(&name)) {
                let left: Vec<&[u8]> = field.split(|byte| *byte == b',').filter(kept).collect();
                new.extend(left.join(&b','));
            } else {
                new.extend(field);
            }
        }
        new.extend(end);
    }
    new
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
}

fn first(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii()
}

/// Invalid UTF-8 is replaced; such a name matches no line and no nss-iam user.
fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line.trim_ascii_start()).into_owned()
}

fn named(name: String) -> Option<String> {
    (!name.is_empty() && !name.starts_with(['+', '-', '#'])).then_some(name)
}

/// As the C library reads it, except for signs and spaces, which no account of a script has.
fn id(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/bash\nana:x:1001:1002:AWS User:/home/ana:/bin/bash\n\
        +ana::::::\n+\n-bob\nhalf:x:1003\nsign:x:+1004:1004::/:/bin/sh\nlatin:x:1005:1005:Jos\xe9:/home/latin:/bin/sh";

    #[test]
    fn only_whole_lines_are_accounts() {
        let names: Vec<String> = accounts(PASSWD).into_iter().map(|account| account.name).collect();
        assert_eq!(names, ["root", "ana", "latin"]);
        let ana = &accounts(PASSWD)[1];
        assert_eq!(
            (ana.uid, ana.gid, ana.gecos.as_str(), ana.home.as_str()),
            (1001, 1002, "AWS User", "/home/ana")
        );
        let groups = groups(b"a:x:10:\nb:x:11:x,y\n+:::\nc:x:-1:\n");
        assert_eq!(groups.iter().map(|group| group.members.len()).collect::<Vec<_>>(), [0, 2]);
    }

    /// As `getent -s files` of glibc 2.36 answers.
    #[test]
    fn a_line_says_what_glibc_reads_in_it() {
        let said = |line: &str| account(line.as_bytes()).map(|a| (a.name, a.uid, a.home, a.shell));
        let of = |name: &str, uid, home: &str, shell: &str| {
            Some((name.to_owned(), uid, home.to_owned(), shell.to_owned()))
        };
        assert_eq!(said("  lead:x:2001:2001:g:/h:/s"), of("lead", 2001, "/h", "/s"));
        assert_eq!(said("few:x:2002:2002"), of("few", 2002, "", ""));
        assert_eq!(said("more:x:2003:2003:g:/h:/s:extra"), of("more", 2003, "/h", "/s:extra"));
        assert_eq!(said("half:x:2004"), None);
        let groups = groups(b"gfew:x:3001\ngmem:x:3002:a, b,,c\n  glead:x:3003:\n");
        let groups: Vec<_> =
            groups.iter().map(|group| (group.name.as_str(), group.members.join(" "))).collect();
        assert_eq!(groups, [("gfew", String::new()), ("gmem", "a b c".to_owned()), ("glead", String::new())]);
    }

    #[test]
    fn lines_go_and_every_other_byte_stays() {
        let without_ana = without(PASSWD, &BTreeSet::from(["ana"]));
        let line: &[u8] = b"ana:x:1001:1002:AWS User:/home/ana:/bin/bash\n";
        let at = PASSWD.windows(line.len()).position(|window| window == line).unwrap();
        assert_eq!(without_ana, [&PASSWD[..at], &PASSWD[at + line.len()..]].concat());
        assert_eq!(without(PASSWD, &BTreeSet::from(["an", "nobody"])), PASSWD);
        assert_eq!(without(b"a:1\nb:2", &BTreeSet::from(["b"])), b"a:1\n");
        assert_eq!(without(b"a:1\nb:2", &BTreeSet::from(["a"])), b"b:2");
        assert_eq!(without(b"  a:1\nb:2", &BTreeSet::from(["a"])), b"b:2");
    }

    #[test]
    fn members_leave_their_groups_and_odd_lines_stay_as_they_are() {
        let names = BTreeSet::from(["ana", "bob"]);
        for (before, after) in [
            ("sudo:x:27:ana\n", "sudo:x:27:\n"),
            ("adm:x:4:syslog,ana,carl,bob", "adm:x:4:syslog,carl"),
            ("anna:x:5:anna,ana2\n", "anna:x:5:anna,ana2\n"),
            ("spaced:x:5:carl, ana\n", "spaced:x:5:carl\n"),
            ("odd:x:6:,,carl,\n", "odd:x:6:,,carl,\n"),
            ("ana:x:7:\n+:::\n\n# ana\nx\n", "ana:x:7:\n+:::\n\n# ana\nx\n"),
        ] {
            assert_eq!(without_members(before.as_bytes(), &[3], &names), after.as_bytes());
        }
        let gshadow = b"sudo:!:ana,root:ana,carl\n";
        assert_eq!(without_members(gshadow, &[2, 3], &names), b"sudo:!:root:carl\n");
    }

    #[test]
    fn a_locked_or_empty_password_is_none() {
        let shadow = b"a:$6$salt$hash:1::::::\nb:!:1\nc:*:1\nd:!$6$x:1\ne::1\nf:!!:1\n";
        let has = |name| has_password(b"g:$1$x:1:1:::\nh:x:1:1:::\n", shadow, name);
        assert!(has("a") && has("g"));
        for name in ["b", "c", "d", "e", "f", "h", "none"] {
            assert!(!has(name), "{name}");
        }
    }
}
