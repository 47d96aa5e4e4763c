//! Carries out a remedy as it is printed, with its placeholders filled in.

use std::process::Stdio;

use tests::login::JumpHost;
use tests::remedy::ways_with;
use tests::text;

use crate::document;

/// What a person puts in for the words in capital letters.
const FILLED: [(&str, &str); 6] = [
    ("KEY.pub", "/root/KEY.pub"),
    ("=UID", "=1234"),
    ("=SHELL", "=/bin/sh"),
    ("GROUP", tests::login::GROUP),
    ("unlock USER", "unlock ana"),
    ("=GECOS", "=Ana"),
];

/// Follows one of its ways. `what` is what the finding says.
///
/// # Panics
/// If the remedy has nothing that can be carried out, or that fails.
pub(crate) fn follow(host: &JumpHost, what: &str, remedy: &str, way: usize) {
    let named = what.split('\'').nth(1).unwrap_or_default();
    let another = format!("=new-{}", &named[..named.len().min(6)]).to_lowercase();
    let commands = ways_with(remedy, document::sentence).get(way).cloned().unwrap_or_default();
    assert!(!commands.is_empty(), "nothing in this remedy can be carried out ({way}): {remedy}");
    for command in commands {
        if document::carried_out(&command, another.trim_start_matches('=')) {
            continue;
        }
        let line = FILLED.iter().fold(command, |line, (word, value)| line.replace(word, value));
        let line = line.replace("=NAME", &another);
        let mut shell = host.machine.command(&["bash", "-c", &line]);
        shell
            .envs(host.account.direct())
            // What a person does in the editor.
            .env("VISUAL", "sed -i /^leo/d")
            .env("EMULATOR", host.account.address())
            .env("ACCOUNT", host.account.id());
        let ran = shell.stdin(Stdio::null()).output().unwrap();
        assert!(ran.status.success(), "{line}: {}{}{remedy}", text(&ran.stderr), text(&ran.stdout));
    }
}

#[test]
fn what_a_person_does_with_the_file_of_the_source_is_a_way_too() {
    let remedy = "correct it: set the tag nss-iam:uid of user x to UID in '/srv/users.json'; or remove it: remove the tag nss-iam:uid of \
                  user x from '/srv/users.json'; then nss-iamctl refresh";
    assert_eq!(
        ways_with(remedy, document::sentence),
        [
            ["set the tag nss-iam:uid of user x to UID in '/srv/users.json'", "nss-iamctl refresh"],
            ["remove the tag nss-iam:uid of user x from '/srv/users.json'", "nss-iamctl refresh"],
        ]
    );
}
