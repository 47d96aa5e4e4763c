//! The users of one run, and the files that each peer answers from.
//!
//! Each user has a private group, and is in the group of all users and in one of ten teams. Names and ids are assigned in
//! different orders, so that no file is sorted by both.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use cache::passwd::Passwd;
use cache::snapshot::{Cache, Group, User};
use policy::{Field, Id, Name};

const EVERYBODY: &str = "iam-users";
const TEAMS: usize = 10;
/// Coprime to the number of ids, so that no two users get the same one.
const STRIDE: u64 = 1_000_003;
/// How many users a probe asks for in turn.
const ASKED: usize = 256;

/// The users of one size, and their groups.
#[derive(Debug)]
pub struct People {
    users: Vec<(String, u32)>,
    /// Name, gid, members: everybody first, then the teams.
    shared: Vec<(String, u32, Vec<String>)>,
}

impl People {
    /// `size` users, the same at every call.
    #[must_use]
    pub fn new(size: usize) -> Self {
        let users: Vec<_> = (0..size).map(|n| (format!("user{n:05}"), id(n))).collect();
        let members = |belongs: &dyn Fn(usize) -> bool| {
            let chosen = users.iter().enumerate().filter(|(n, _)| belongs(*n));
            chosen.map(|(_, (name, _))| name.clone()).collect::<Vec<_>>()
        };
        let mut shared = vec![(EVERYBODY.to_owned(), id(size), members(&|_| true))];
        for team in 0..TEAMS {
            shared.push((format!("team{team}"), id(size + 1 + team), members(&|n| n % TEAMS == team)));
        }
        Self { users, shared }
    }

    /// The user for cold lookups, from the middle of a file.
    #[must_use]
    pub fn middle(&self) -> &str {
        &self.users[self.users.len() / 2].0
    }

    /// The input of `bench-probe`: the number of users and groups, and the group of all users; then a line for each user to look
    /// up, with the uid and the other gids. Any first part of it is spread evenly over the files, because a slow peer gets no
    /// further than that.
    #[must_use]
    pub fn questions(&self) -> String {
        let size = self.users.len();
        let mut text = format!("{size} {} {EVERYBODY}\n", size + self.shared.len());
        for n in 0..ASKED.min(size) {
            // Multiples of the golden ratio, modulo 1.
            let n = (n as f64 * 0.618_033_988_75).fract() * size as f64;
            let (name, uid) = &self.users[n as usize];
            let team = &self.shared[1 + n as usize % TEAMS];
            writeln!(text, "{name} {uid} {} {}", self.shared[0].1, team.1).unwrap();
        }
        text
    }

    /// Writes the files of all peers.
    pub fn write(&self) {
        let passwd: Vec<_> =
            self.users.iter().map(|(name, uid)| line(name, *uid, passwd_rest(name, *uid))).collect();
        let private = self.users.iter().map(|(name, uid)| line(name, *uid, String::new()));
        let shared = self.shared.iter().map(|(name, gid, members)| line(name, *gid, members.join(",")));
        let group: Vec<_> = private.chain(shared).collect();
        fs::create_dir_all("/var/lib/extrausers").unwrap();
        for (name, lines) in [("passwd", &passwd), ("group", &group)] {
            let text: String = lines.iter().map(|(_, _, line)| line.as_str()).collect();
            fs::write(format!("/etc/{name}"), &text).unwrap();
            fs::write(format!("/var/lib/extrausers/{name}"), &text).unwrap();
            fs::write(format!("/etc/{name}.cache"), &text).unwrap();
        }
        index("/etc/passwd.cache", "uid", &passwd);
        index("/etc/group.cache", "gid", &group);
        fs::create_dir_all(cache::DIRECTORY).unwrap();
        cache::publish::cache(Path::new(cache::DIRECTORY), &self.snapshot()).unwrap();
    }

    fn snapshot(&self) -> Cache {
        let name = |name: &str| Name::new(name).unwrap();
        let group = |called: &str, gid: u32, members: &[String]| Group {
            gid: Id::pinned(gid).unwrap(),
            name: name(called),
            pinned: false,
            members: members.iter().map(|member| name(member)).collect(),
        };
        let users = self.users.iter().enumerate().map(|(n, (called, uid))| {
            let mut groups = [self.shared[0].1, self.shared[1 + n % TEAMS].1];
            groups.sort_unstable();
            User {
                uid: Id::pinned(*uid).unwrap(),
                name: name(called),
                pinned: false,
                active: true,
                passwd: Passwd {
                    gecos: Field::new("AWS User").unwrap(),
                    ..Passwd::new(
                        Field::new(&format!("/home/{called}")).unwrap(),
                        Field::new("/bin/bash").unwrap(),
                        20_000,
                    )
                },
                groups: groups.map(|gid| Id::pinned(gid).unwrap()).to_vec(),
                local: Vec::new(),
            }
        });
        let mut users: Vec<_> = users.collect();
        let private = self.users.iter().map(|(name, uid)| group(name, *uid, &[]));
        let shared = self.shared.iter().map(|(name, gid, members)| group(name, *gid, members));
        let mut groups: Vec<_> = private.chain(shared).collect();
        users.sort_by_key(|user| user.uid.get());
        groups.sort_by_key(|group| group.gid.get());
        Cache { users, groups }
    }
}

fn id(n: usize) -> u32 {
    policy::id::FIRST + (n as u64 * STRIDE % u64::from(policy::id::COUNT)) as u32
}

fn passwd_rest(name: &str, gid: u32) -> String {
    format!("{gid}:AWS User:/home/{name}:/bin/bash")
}

fn line(name: &str, id: u32, rest: String) -> (String, String, String) {
    (name.to_owned(), id.to_string(), format!("{name}:x:{id}:{rest}\n"))
}

/// The index files of libnss-cache(8), as nsscache(1) writes them: the key, NUL, the line's offset, and NULs up to the
/// same length for all; sorted by the key's bytes. One that is older than its file is not used, so it is written after it.
fn index(file: &str, id: &str, lines: &[(String, String, String)]) {
    let mut offset = 0;
    let (mut by_name, mut by_id) = (Vec::new(), Vec::new());
    for (name, id, line) in lines {
        by_name.push((name.as_str(), offset.to_string()));
        by_id.push((id.as_str(), offset.to_string()));
        offset += line.len();
    }
    for (kind, mut entries) in [("name", by_name), (id, by_id)] {
        entries.sort_unstable();
        let longest = entries.iter().map(|(key, offset)| key.len() + offset.len()).max().unwrap_or(0);
        let lines = entries.iter().map(|(key, offset)| {
            let padding = "\0".repeat(longest - key.len() - offset.len());
            format!("{key}\0{offset}\0{padding}\n")
        });
        fs::write(format!("{file}.ix{kind}"), lines.collect::<String>()).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_shares_an_id_at_the_largest_size() {
        let people = People::new(50_000);
        let mut ids: Vec<_> = people.users.iter().map(|user| user.1).collect();
        ids.extend(people.shared.iter().map(|group| group.1));
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }

    #[test]
    fn the_first_few_questions_are_spread_over_the_whole_file() {
        let questions = People::new(1000).questions();
        let asked = |line: &str| line.split(' ').next().unwrap()["user".len()..].parse::<usize>().unwrap();
        let mut first: Vec<_> = questions.lines().skip(1).take(10).map(asked).collect();
        first.sort_unstable();
        assert!(first[0] < 200 && first[9] >= 800, "{first:?}");
        assert!((400..600).contains(&first[5]), "{first:?}");
    }
}
