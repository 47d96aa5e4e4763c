//! Types the commands of a page of docs/guide, in order.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tests::login::{JumpHost, PORT};

/// Where the commands run, and the programs that are not installed here.
const DIRECTORY: &str = "/root/guide";

/// Adds a program that the page uses and this host does not have.
pub(crate) fn program(name: &str, script: &str) {
    fs::create_dir_all(format!("{DIRECTORY}/bin")).unwrap();
    let path = format!("{DIRECTORY}/bin/{name}");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Types the lines that begin with one of the prompts. A line below is a part of what the command prints. Blocks that begin with
/// something else are not typed. Returns the number of commands.
pub(crate) fn follow(host: &JumpHost, page: &str, prompts: &[&str]) -> usize {
    let address = &host.address;
    let config = format!(
        "Host jump-1\nHostName {address}\nPort {PORT}\nBatchMode yes\nIdentitiesOnly yes\n\
         UserKnownHostsFile /root/keys/known_hosts\n"
    );
    program("ssh", &format!("exec /usr/bin/ssh -n -F {DIRECTORY}/ssh_config \"$@\""));
    fs::write(format!("{DIRECTORY}/ssh_config"), config).unwrap();
    // There is no systemd here.
    let answers = format!("ssh-keyscan -p {PORT} {address} >/dev/null 2>&1");
    program("systemctl", &format!("kill -HUP $(cat /run/sshd.pid); sleep 1; until {answers}; do :; done"));
    let is_typed = |block: &&str| prompts.iter().any(|prompt| block.starts_with(prompt));
    let blocks = page.split("```\n").skip(1).step_by(2).filter(is_typed);
    blocks.map(|block| follow_block(host, block, prompts)).sum()
}

fn follow_block(host: &JumpHost, block: &str, prompts: &[&str]) -> usize {
    let (mut typed, mut printed) = (0, String::new());
    for line in block.lines() {
        let Some(command) = prompts.iter().find_map(|prompt| line.strip_prefix(prompt)) else {
            let is_there = line == "..."
                || line == "Permission denied" && printed.contains(line)
                || printed.lines().any(|printed| printed.trim_end() == line);
            assert!(is_there, "'{line}' is not in: {printed}");
            continue;
        };
        printed = host.sh(&format!("cd {DIRECTORY} && PATH={DIRECTORY}/bin:$PATH; {command}")).1;
        typed += 1;
        if command.contains("nss-iamctl enable") {
            host.refresh();
        }
    }
    typed
}
