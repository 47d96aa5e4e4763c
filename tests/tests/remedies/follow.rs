//! Carries out a remedy as it is printed: the commands and settings in it, with its placeholders filled in.

use std::process::Stdio;

use tests::login::JumpHost;
use tests::text;

/// What a person puts in for the words in capital letters.
const FILLED: [(&str, &str); 6] = [
    ("KEY.pub", "/root/KEY.pub"),
    ("=UID", "=1234"),
    ("=SHELL", "=/bin/sh"),
    ("GROUP", tests::login::GROUP),
    ("unlock USER", "unlock ana"),
    ("=GECOS", "=Ana"),
];

/// Programs that remedies name. Other text is for people.
const PROGRAMS: [&str; 12] = [
    "aws",
    "chmod",
    "chown",
    "echo",
    "gpasswd",
    "groupdel",
    "mv",
    "nss-iamctl",
    "printf",
    "rm",
    "systemd-sysusers",
    "usermod",
];

/// The ways in which a remedy can be followed; each is a list of commands.
pub(crate) fn ways(remedy: &str) -> Vec<Vec<String>> {
    let mut ways: Vec<Vec<String>> = vec![Vec::new()];
    let text = remedy.replace(", or ", "; or ").replace(": if ", "; if ");
    let clauses: Vec<&str> = text.split("; ").collect();
    for clause in &clauses {
        let is_other = ["or ", "if ", "for "].iter().any(|word| clause.starts_with(word));
        if is_other && ways.last().is_some_and(|way| !way.is_empty()) {
            ways.push(Vec::new());
        }
        ways.last_mut().unwrap().extend(command(clause));
    }
    ways.retain(|way| !way.is_empty());
    // What comes last, and then, belongs to all.
    if let Some(last) = clauses.last().filter(|last| last.starts_with("then ")).and_then(|last| command(last))
    {
        ways.iter_mut().filter(|way| way.last() != Some(&last)).for_each(|way| way.push(last.clone()));
    }
    ways
}

/// The command in a clause: it begins with a program, perhaps behind words for people.
fn command(clause: &str) -> Option<String> {
    let mut starts = vec![0];
    starts.extend(clause.match_indices([' ', '\'', '(']).map(|(at, _)| at + 1));
    let is_program = |at: &&usize| {
        let rest = &clause[**at..];
        PROGRAMS.iter().any(|program| rest.strip_prefix(program).is_some_and(|rest| rest.starts_with(' ')))
    };
    // What is in parentheses behind it is for people; `$(` begins a part of the command.
    let command = clause[*starts.iter().find(is_program)?..].split(" (").next()?;
    // A sentence can go on behind a command of nss-iamctl.
    let Some(rest) = command.strip_prefix("nss-iamctl ") else { return Some(command.to_owned()) };
    let mut words = rest.split([' ', ',', '\'']);
    let mut taken = vec!["nss-iamctl", words.next()?];
    let is_argument = |word: &str, before: &str| {
        word.starts_with("--") || before.starts_with("--group") || ["lock", "uid", "unlock"].contains(&before)
    };
    for word in words {
        if !is_argument(word, taken.last().unwrap()) {
            break;
        }
        taken.push(word);
    }
    Some(taken.join(" "))
}

/// Follows one of its ways. `what` is what the finding says.
///
/// # Panics
/// If the remedy has nothing that can be carried out, or that fails.
pub(crate) fn follow(host: &JumpHost, what: &str, remedy: &str, way: usize) {
    let named = what.split('\'').nth(1).unwrap_or_default();
    let another = format!("=new-{}", &named[..named.len().min(6)]).to_lowercase();
    let commands = ways(remedy).get(way).cloned().unwrap_or_default();
    assert!(!commands.is_empty(), "nothing in this remedy can be carried out ({way}): {remedy}");
    for command in commands {
        let line = FILLED.iter().fold(command, |line, (word, value)| line.replace(word, value));
        let line = line.replace("=NAME", &another);
        let mut shell = host.machine.command(&["bash", "-c", &line]);
        shell
            .envs(host.account.direct())
            .env("EMULATOR", host.account.address())
            .env("ACCOUNT", host.account.id());
        let ran = shell.stdin(Stdio::null()).output().unwrap();
        assert!(ran.status.success(), "{line}: {}{}{remedy}", text(&ran.stderr), text(&ran.stdout));
    }
}

#[test]
fn the_ways_of_a_remedy_are_found_in_it() {
    for (remedy, wanted) in [
        ("chmod go-w /usr/libexec", &[&["chmod go-w /usr/libexec"][..]][..]),
        ("run nss-iamctl refresh, and read what it reports", &[&["nss-iamctl refresh"]]),
        ("nss-iamctl enable changes it to 'passwd: files iam'", &[&["nss-iamctl enable"]]),
        ("wait for the end of the boot, or rm /etc/nologin", &[&["rm /etc/nologin"]]),
        (
            "correct the tag: aws iam a; or remove it: aws iam b; then nss-iamctl refresh",
            &[&["aws iam a", "nss-iamctl refresh"], &["aws iam b", "nss-iamctl refresh"]],
        ),
        (
            "give it another name: aws iam e; then printf 'y' >g, or rename it; if this person should have it: printf 'x' >f && \
             nss-iamctl refresh",
            &[&["aws iam e", "printf 'y' >g"], &["printf 'x' >f && nss-iamctl refresh"]],
        ),
        ("aws iam c; an RSA key is uploaded instead: aws iam d", &[&["aws iam c", "aws iam d"]]),
        ("ask somebody", &[]),
    ] {
        assert_eq!(ways(remedy), wanted, "{remedy}");
    }
}
