//! People who come: the first login, a second group with sudo, a key in a tag.

use std::fs;

use serde_json::json;
use tests::login::{ADMINS, GROUP};

use crate::day::{Typed, aws_cli, follows, host, installed, page, types};

/// The page, in the repository.
const GUIDE: &str = "docs/guide/first-host.md";

/// A part of the page: a command with its output, or text.
enum Part<'a> {
    Text(&'a str),
    Command { line: &'a str, shown: String },
}

/// The parts of a page of Markdown: commands follow `# ` or `$ ` in a block.
fn parts(page: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut in_block = false;
    for line in page.split_inclusive('\n') {
        let is_fence = line.starts_with("```");
        in_block ^= is_fence;
        let command = line.strip_prefix("# ").or_else(|| line.strip_prefix("$ ")).filter(|_| in_block);
        match (command, parts.last_mut()) {
            (Some(_), _) => parts.push(Part::Command { line, shown: String::new() }),
            (None, Some(Part::Command { shown, .. })) if in_block => shown.push_str(line),
            _ => parts.push(Part::Text(line)),
        }
    }
    parts
}

/// What of an output the page shows: of apt, only what the package says.
fn shown(typed: &Typed) -> String {
    let is_apt = typed.line.starts_with("apt ");
    let of_package = |line: &&str| {
        !is_apt || ["Setting up nss-iam", "Creating ", "nss-iam "].iter().any(|start| line.starts_with(start))
    };
    typed.said.lines().filter(of_package).map(|line| format!("{line}\n")).collect()
}

/// What differs from one host and run to another is replaced: times, versions, ids, fingerprints, and which of two equal users
/// is the example. Whether the clock is synchronised depends on the machine that runs the test.
fn shape(output: &str) -> String {
    let output = &output.replace("'bob'", "'ana'");
    let lines = output.lines().filter(|line| !line.contains("clock") && !line.contains("timedatectl"));
    let word = |word: &str| -> String {
        let digits = word.chars().filter(char::is_ascii_digit).count();
        let capitals = word.chars().filter(|c| c.is_ascii_uppercase() || c.is_ascii_digit()).count();
        match word {
            _ if word.starts_with("SHA256:") => "SHA256:".to_owned(),
            _ if word.contains("20") && word.contains("T") && digits >= 14 => "TIME".to_owned(),
            _ if capitals >= 16 => "ID".to_owned(),
            _ if word.starts_with('(') && word.matches('.').count() == 2 => "VERSION".to_owned(),
            _ => {
                let mut shape = String::new();
                for part in word.split_inclusive(|c: char| !c.is_ascii_digit()) {
                    let number = part.trim_end_matches(|c: char| !c.is_ascii_digit());
                    shape.push_str(if number.len() >= 3 { "#" } else { number });
                    shape.push_str(&part[number.len()..]);
                }
                shape
            }
        }
    };
    let line = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let is_age = |at: usize| {
            words.get(at + 1) == Some(&"s") && words.get(at + 2).is_some_and(|w| w.starts_with("ago"))
        };
        let words = words.iter().enumerate().map(|(at, text)| match is_age(at) {
            true => text.chars().filter(|c| !c.is_ascii_digit()).chain(['#']).collect(),
            false => word(text),
        });
        words.collect::<Vec<_>>().join(" ").split("; warnings: ").next().unwrap_or_default().to_owned() + "\n"
    };
    lines.map(line).collect()
}

#[test]
fn the_guide_leads_from_the_package_to_the_first_login() {
    let Some(host) = host() else { return };
    let guide = page(GUIDE);
    let _keys = (host.user("ana"), host.user("bob"));
    let (mut real, mut expected, mut seen) = (String::new(), String::new(), String::new());
    let mut commands = Vec::new();
    for part in parts(&guide) {
        match part {
            Part::Text(text) => real.push_str(text),
            Part::Command { line, shown: output } => {
                let command = line[2..].trim_end();
                commands.push(command);
                let typed = types(&host, &format!("cd /srv\n{command}"));
                let typed = Typed { line: command.to_owned(), ..typed };
                // doctor warns of a clock that is not synchronised.
                assert!(typed.status < Some(2), "{command}: {}", typed.said);
                real.push_str(&(line.to_owned() + &shown(&typed)));
                expected.push_str(&format!("{command}\n{}", shape(&output)));
                seen.push_str(&format!("{command}\n{}", shape(&shown(&typed))));
            }
        }
    }
    if seen != expected {
        let file = tests::target().join("first-host.md");
        fs::write(&file, real).unwrap();
        assert_eq!(seen, expected, "hint: cp '{}' {GUIDE}", file.display());
    }
    // The README's commands are the first two, and the third logs in.
    let readme = page("README.md");
    let (_, usage) = readme.split_once("## Use it\n```sh\n").unwrap();
    let usage = usage.split("```").next().unwrap().lines();
    let usage: Vec<&str> = usage.map(|line| line.split(" #").next().unwrap().trim()).collect();
    assert_eq!(commands[..2], usage[..]);
    assert!(commands[2].starts_with("ssh ana@HOST"), "{commands:?}");
}

#[test]
fn a_second_group_may_use_sudo_and_the_first_may_not() {
    let Some(host) = installed() else { return };
    let (ana, eve) = (host.user("ana"), host.user("eve"));
    host.account.seed(json!({"groups": {ADMINS: ["eve"]}}));
    types(&host, &format!("nss-iamctl enable --group {GROUP}")).exits(0);
    // Somebody reads the warning, and types what it says.
    types(&host, &format!("nss-iamctl enable --group {ADMINS} --local-group {ADMINS}=sudo")).exits(0).says(
        &["it asks for a password, and nss-iam users have none", "hint: nss-iamctl enable --sudo nopasswd"],
    );
    types(&host, "ssh eve@HOST sudo -n true").exits(1).says(&["a password is required"]);
    types(&host, "nss-iamctl enable --sudo nopasswd").exits(0).says_not("it asks for a password");

    types(&host, "ssh eve@HOST sudo -n id -un").exits(0).says(&["root"]);
    types(&host, "ssh eve@HOST sudo -n -l").exits(0).says(&["(ALL : ALL) ALL"]);
    types(&host, "ssh ana@HOST sudo -n true").exits(1).says(&["ana is not in the sudoers file"]);
    types(&host, "ssh ana@HOST sudo -n -l").exits(1).says(&["may not run sudo"]);
    types(&host, "nss-iamctl why eve").exits(0).says(&["member of the local groups 'sudo'"]);
    types(&host, "nss-iamctl doctor").says(&["verdict: logins work"]);
    // A local member of sudo is asked as before.
    host.done("useradd -m -s /bin/bash -G sudo carl");
    types(&host, "runuser -u carl -- sudo -n true").exits(1).says(&["a password is required"]);
    assert!(host.logs_in("ana", &ana) && host.logs_in("eve", &eve));

    host.account.change(json!({"do": "remove_member", "group": ADMINS, "user": "eve"}));
    types(&host, "nss-iamctl refresh").exits(0);
    types(&host, "ssh eve@HOST sudo -n true").exits(1);
    assert!(host.logs_in("eve", &eve), "the first group still has this user");
}

#[test]
fn a_key_in_a_tag_logs_in_until_the_tag_is_removed() {
    let Some(host) = installed() else { return };
    aws_cli(&host);
    host.done("ssh-keygen -q -t ed25519 -N '' -C kim@laptop -f /root/kim");
    host.account.seed(json!({"users": [{"name": "kim"}], "groups": {GROUP: ["kim"]}}));
    types(&host, &format!("nss-iamctl enable --group {GROUP}")).exits(0).says(&["nobody may log in yet"]);
    types(&host, "ssh kim@HOST id").exits(255).says(&["Permission denied"]);

    // IAM itself takes only RSA keys, and says nothing of tags; `why` does.
    let said = types(&host, "nss-iamctl why kim").exits(2).said;
    let remedy = said.lines().find_map(|line| line.trim().strip_prefix("-> ")).unwrap();
    let tag = "--tags Key=nss-iam:ssh-key,Value=";
    assert!(remedy.contains(tag), "{said}");
    follows(&host, remedy, 1, &[("KEY.pub", "/root/kim.pub")]);
    types(&host, "nss-iamctl refresh").exits(0);
    types(&host, "ssh kim@HOST id -un").exits(0).says(&["kim"]);
    types(&host, "nss-iamctl why kim").exits(0).says(&[
        "ssh-ed25519 SHA256:",
        "tag 'nss-iam:ssh-key'",
        "is offered",
    ]);
    types(&host, "nss-iamctl keys kim").exits(0).says(&["ssh-ed25519", "nss-iam:ssh-key"]);

    types(&host, "aws iam untag-user --user-name kim --tag-keys nss-iam:ssh-key").exits(0);
    types(&host, "nss-iamctl refresh").exits(0);
    types(&host, "ssh kim@HOST id").exits(255).says(&["Permission denied"]);
    types(&host, "nss-iamctl keys kim").exits(78).says(&["'kim' has no key on this host"]);
}
