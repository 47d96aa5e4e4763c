//! An administrator's days with the package, from commands as a person types them. What they print is checked, and what is
//! then true: who gets in, and with what.
//!
//! | task | tests |
//! |---|---|
//! | the first login | `arrival.rs`: `the_guide_leads_from_the_package_to_the_first_login` |
//! | a second group with sudo | `arrival.rs`: `a_second_group_may_use_sudo_and_the_first_may_not` |
//! | a key in a tag | `arrival.rs`: `a_key_in_a_tag_logs_in_until_the_tag_is_removed` |
//! | somebody cannot log in | `departure.rs`: `why_names_the_reason_and_its_remedy_lets_the_person_in` |
//! | firing | `departure.rs`: `who_is_fired_is_out_with_sessions_and_jobs_and_a_lock_does_not_need_aws` |
//! | forwarding only | the suite `login`, `forward_only.rs` |
//! | monitoring | `outage.rs`: `monitoring_goes_from_ok_to_stale_to_critical_and_back` |
//! | adopt and undo | `takeover.rs`: `an_adopted_account_keeps_uid_and_home_and_undo_gives_every_byte_back` |
//! | an image and its clone | `packages/image.rs`: `neither_a_first_boot_nor_the_boot_of_an_image_waits_for_aws` |
//! | a second account | `sources.rs`: `of_two_accounts_with_one_name_the_first_wins_and_why_says_so` |
//! | a JSON file | `sources.rs`: `a_json_file_replaces_aws_and_an_edit_of_it_takes_effect` |
//! | an upgrade | `package.rs`: `an_upgrade_asks_nothing_and_keeps_every_setting` |
//! | remove and purge | `package.rs`: `removing_and_purging_leave_the_host_as_it_was` |
//! | the policy | `sources.rs`: `the_printed_policy_is_all_that_the_role_needs` |
//! | tired typing | `typing.rs`: `a_mistyped_command_changes_nothing_and_says_what_to_type` |

mod arrival;
mod departure;
mod outage;
mod package;
mod sources;
mod takeover;
mod typing;

use std::fs;
use std::path::Path;

use serde_json::json;
use tests::boot::Booted;
use tests::login::GROUP;
use tests::{remedy, text};

use crate::support::{aws, package};

/// A command line, and what a person sees of it.
#[derive(Debug)]
struct Typed {
    line: String,
    status: Option<i32>,
    said: String,
}

/// Types a line as root; both outputs come in their order.
fn types(host: &Booted, line: &str) -> Typed {
    let (status, said) = host.sh(&format!("exec 2>&1\n{line}"));
    Typed { line: line.to_owned(), status, said }
}

/// The same as another user of the system, without privileges.
fn types_as(host: &Booted, user: &str, line: &str) -> Typed {
    let ran =
        host.command(&["runuser", "-u", user, "--", "sh", "-c", &format!("exec 2>&1\n{line}")]).output();
    let ran = ran.unwrap();
    Typed { line: line.to_owned(), status: ran.status.code(), said: text(&ran.stdout).to_owned() }
}

impl Typed {
    fn exits(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{}: {}", self.line, self.said);
        self
    }

    fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.said.contains(word), "{}: not '{word}': {}", self.line, self.said);
        }
        self
    }

    fn says_not(self, word: &str) -> Self {
        assert!(!self.said.contains(word), "{}: '{word}': {}", self.line, self.said);
        self
    }
}

/// Booted with systemd, with the .deb in /srv/dist and the way to the emulator; `ssh USER@HOST` reaches it.
fn host() -> Option<Booted> {
    let host = Booted::start("debian12")?;
    let deb = package("deb");
    fs::create_dir_all(host.path("/srv/dist")).unwrap();
    fs::copy(&deb, host.path("/srv/dist").join(deb.file_name().unwrap())).unwrap();
    host.done("rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*");
    host.reach_as("HOST");
    aws(&host, None);
    Some(host)
}

/// The same with the package installed.
fn installed() -> Option<Booted> {
    let host = host()?;
    types(&host, "cd /srv && dpkg -i dist/nss-iam_*.deb").exits(0);
    Some(host)
}

/// Adds a user with this key to IAM, but to no group.
fn stranger(host: &Booted, name: &str) {
    let key = host.user(name);
    assert!(!key.public.is_empty());
    host.account.change(json!({"do": "remove_member", "group": GROUP, "user": name}));
}

/// Gives the host `aws iam`, for the emulator.
fn aws_cli(host: &Booted) {
    let script = include_str!("../remedies/aws");
    let own = format!("#!/bin/bash\nEMULATOR={}\nACCOUNT={}\n", host.account.address(), host.account.id());
    host.write("/usr/local/bin/aws", &script.replacen("#!/bin/bash\n", &own, 1));
    host.done("chmod 755 /usr/local/bin/aws");
}

/// Types what a remedy says; `filled` are its placeholders.
fn follows(host: &Booted, remedy: &str, way: usize, filled: &[(&str, &str)]) {
    let commands = remedy::ways(remedy).get(way).cloned().unwrap_or_default();
    assert!(!commands.is_empty(), "nothing in this remedy can be typed: {remedy}");
    for command in commands {
        let line = filled.iter().fold(command, |line, (word, value)| line.replace(word, value));
        types(host, &line).exits(0);
    }
}

/// Every file, link and directory below `directory`, with mode and owner, and the content of every file; without those that
/// begin with one of `others`.
fn listed(host: &Booted, directory: &str, others: &[&str]) -> Vec<String> {
    let said = host.done(&format!(
        "cd {directory} && find . -mindepth 1 -printf '%P %m %U:%G %y %l\\n' \
         && find . -type f -printf '%P\\0' | xargs -0 -r sha256sum | sed 's/\\([^ ]*\\)  \\(.*\\)/\\2 \\1/'"
    ));
    let is_other = |line: &&str| others.iter().any(|other| line.starts_with(other));
    let mut lines: Vec<String> = said.lines().filter(|line| !is_other(line)).map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The lines that only one of the two has.
fn differences(before: &[String], after: &[String]) -> Vec<String> {
    let gone = before.iter().filter(|line| !after.contains(line)).map(|line| format!("- {line}"));
    let new = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
    gone.chain(new).collect()
}

/// A file of the repository.
fn page(path: &str) -> String {
    fs::read_to_string(tests::repository().join(Path::new(path))).unwrap()
}
