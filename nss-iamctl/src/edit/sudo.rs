//! How nss-iam users authenticate to sudo. Who may use it is decided by local groups that sudoers names (sudo, wheel),
//! and that `[local_groups]` adds them to. Nothing here grants a privilege.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use config::Config;
use message::Message;

use crate::cli::Sudo;
use crate::edit::block;
use crate::edit::file::{Edit, Kind};
use crate::host::Host;
use crate::host::paths::{KEYS_CMD, KEYS_USER};
use crate::host::{files, vendor};
use crate::say::error::Error;

/// sudo ignores files with a dot in their name.
const PATH: &str = "/etc/sudoers.d/nss-iam";
const MAIN: &str = "/etc/sudoers";
const DIRECTORY: &str = "/etc/sudoers.d";
/// sudo's services; the second is that of `sudo -i` on Debian.
const SUDO: &str = "/etc/pam.d/sudo";
const SERVICES: [&str; 2] = [SUDO, "/etc/pam.d/sudo-i"];
const MODULE: &str = "pam_ssh_agent_auth.so";

/// The edits for sudo, and notes for the administrator.
pub(crate) struct Plan {
    pub edits: Vec<Edit>,
    pub notes: Vec<Message>,
}

/// Plans sudo's files. A rule that visudo refuses is never written.
///
/// # Errors
/// When sudo or the PAM module is missing, sudoers does not include its directory, or visudo refuses the rule.
pub(crate) fn plan(host: &Host, how: Sudo, config: &Config) -> Result<Plan, Error> {
    let group = &config.users.common_group;
    let rule = text(how, group);
    let Some(visudo) = host.find("visudo") else {
        return Err(Error::configuration("'--sudo' needs sudo, which is not installed").hint("install sudo"));
    };
    let main = vendor::read_lossy(host, MAIN)?.unwrap_or_default();
    if !reads_directory(&main) {
        return Err(Error::configuration(format!("'{MAIN}' does not read '{DIRECTORY}'"))
            .hint(format!("visudo, and add: #includedir {DIRECTORY}")));
    }
    let checked = host.run_with(&[&visudo, "-c", "-f", "-"], &rule)?;
    if !checked.success() {
        let why =
            if checked.stderr.is_empty() { checked.stdout.trim().to_owned() } else { checked.complaint() };
        return Err(Error::other(format!("visudo refuses the rule for '{PATH}': {why}")));
    }
    if how == Sudo::Agent && !has_module(host) {
        return Err(Error::configuration(format!("'--sudo agent' needs {MODULE}, which is not installed"))
            .hint("install libpam-ssh-agent-auth (Debian, Ubuntu) or pam_ssh_agent_auth (EPEL)"));
    }
    let before = files::read(&host.path(PATH))?;
    let rule =
        Edit { path: PATH.into(), kind: Kind::Whole, before, after: Some(rule.into_bytes()), mode: 0o440 };
    let mut edits = services(host, how)?;
    edits.push(rule);
    edits.retain(|edit| edit.before != edit.after);
    let notes = powerless(&rules(host)?, config);
    Ok(Plan { edits, notes: notes.into_iter().collect() })
}

/// sudoers(5): `Defaults:%group` applies to its members, whichever rule allows the command.
fn text(how: Sudo, group: &str) -> String {
    // An unquoted '@' would begin a host here.
    let who = if group.contains('@') { format!("\"%{group}\"") } else { format!("%{group}") };
    match how {
        Sudo::Nopasswd => format!(
            "# Written by 'nss-iamctl enable --sudo nopasswd'. nss-iam users have no password. What they may\n\
             # run is what sudoers allows to the local groups that [local_groups] adds them to.\n\
             Defaults:{who} !authenticate\n"
        ),
        Sudo::Agent => format!(
            "# Written by 'nss-iamctl enable --sudo agent'. nss-iam users authenticate with their SSH agent. What\n\
             # they may run is what sudoers allows to the local groups that [local_groups] adds them to.\n\
             Defaults:{who} env_keep += \"SSH_AUTH_SOCK\"\n"
        ),
    }
}

/// Adds PAM's line for the agent to sudo's services, or removes it.
fn services(host: &Host, how: Sudo) -> Result<Vec<Edit>, Error> {
    let line = format!(
        "auth sufficient {MODULE} authorized_keys_command={KEYS_CMD} authorized_keys_command_user={KEYS_USER}"
    );
    let mut edits = Vec::new();
    for path in SERVICES {
        let before = files::read(&host.path(path))?;
        let read = vendor::read(host, path)?;
        let Some(bare) = Kind::Block.without_ours(Path::new(path), read.as_deref())? else { continue };
        // After the first line, which names the file.
        let at = usize::from(bare.starts_with(b"#%PAM"));
        let after = if how == Sudo::Agent {
            Some(block::insert(&bare, at, &line))
        } else {
            before.as_ref().and(Some(bare))
        };
        edits.push(Edit { path: path.into(), kind: Kind::Block, before, after, mode: 0o644 });
    }
    if how == Sudo::Agent && !edits.iter().any(|edit| edit.path == Path::new(SUDO)) {
        return Err(Error::configuration(format!("'--sudo agent' needs '{SUDO}', which does not exist")));
    }
    Ok(edits)
}

fn reads_directory(sudoers: &str) -> bool {
    sudoers.lines().any(|line| {
        let mut words = line.split_whitespace();
        matches!(words.next(), Some("#includedir" | "@includedir"))
            && words.next().is_some_and(|directory| directory.trim_end_matches('/') == DIRECTORY)
    })
}

fn has_module(host: &Host) -> bool {
    let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
    let directories = [format!("/usr/lib/{multiarch}"), format!("/lib/{multiarch}")];
    let plain = ["/usr/lib64", "/lib64", "/usr/lib", "/lib"].map(str::to_owned);
    directories.iter().chain(&plain).any(|directory| host.exists(&format!("{directory}/security/{MODULE}")))
}

/// All rules: the main file and those of its directory.
fn rules(host: &Host) -> Result<String, Error> {
    let mut rules = vendor::read_lossy(host, MAIN)?.unwrap_or_default();
    let directory = host.path(DIRECTORY);
    let is_read = |name: &OsString| {
        let name = name.as_encoded_bytes();
        !name.contains(&b'.') && !name.ends_with(b"~")
    };
    for name in files::names(&directory)?.into_iter().filter(is_read) {
        rules.push('\n');
        rules.push_str(&files::read_lossy(&directory.join(name))?.unwrap_or_default());
    }
    Ok(rules)
}

/// The groups that rules name, which ask for a password or not.
fn named(rules: &str, with_password: bool) -> BTreeSet<&str> {
    rules
        .lines()
        .filter(|line| !line.starts_with("Defaults"))
        .filter(|line| !with_password || !line.contains("NOPASSWD:"))
        .flat_map(|line| line.split([' ', '\t', ',']))
        .filter_map(|word| word.strip_prefix('%'))
        .collect()
}

/// The local groups that nss-iam users join.
fn joined(config: &Config) -> impl Iterator<Item = &String> {
    let accounts = config.account.iter().flat_map(|account| account.local_groups.values());
    config.local_groups.values().chain(accounts).flatten()
}

/// A note if `[local_groups]` maps to no group that sudoers names: then no nss-iam user can use sudo.
fn powerless(rules: &str, config: &Config) -> Option<Message> {
    let named = named(rules, false);
    if joined(config).any(|group| named.contains(group.as_str())) {
        return None;
    }
    let first = named.first().copied().unwrap_or("sudo");
    let known = named.iter().copied().collect::<Vec<_>>().join(", ");
    let what = format!(
        "no group in [local_groups] maps to a local group that sudoers names ({known}), so no nss-iam user can use sudo yet"
    );
    Some(Message::new(what).with_hint(format!("nss-iamctl enable --local-group GROUP={first}")))
}

/// A note if nss-iam users join a group that may use sudo, and sudo would ask them for a password, which they do not have.
///
/// # Errors
/// When sudo's rules cannot be read.
pub(crate) fn asks_for_a_password(host: &Host, config: &Config) -> Result<Option<Message>, Error> {
    if host.exists(PATH) {
        return Ok(None);
    }
    let rules = rules(host)?;
    let named = named(&rules, true);
    let group = joined(config).find(|group| named.contains(group.as_str()));
    Ok(group.map(|group| {
        let what = format!(
            "members of '{group}' may use sudo, but it asks for a password, and nss-iam users have none"
        );
        Message::new(what).with_hint("nss-iamctl enable --sudo nopasswd, or --sudo agent")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_about_sudo_names_a_group_of_sudoers() {
        let hint = |text: &str| {
            let config = Config::parse(&[("config.toml".into(), text.to_owned())]).unwrap();
            powerless("root ALL=(ALL) ALL\n%wheel ALL=(ALL) ALL\n", &config)
        };
        for text in ["", "[local_groups]\nJumpHostAdmins = [\"adm\", \"docker\"]\n"] {
            let told = hint(text).unwrap();
            assert_eq!(told.hint(), Some("nss-iamctl enable --local-group GROUP=wheel"));
        }
        assert_eq!(hint("[local_groups]\nOps = [\"wheel\"]\n"), None);
    }

    #[test]
    fn a_password_that_nobody_has_is_noted_unless_sudo_does_not_ask_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let host = Host::this_directory(directory.path());
        let config = |text: &str| Config::parse(&[("config.toml".into(), text.to_owned())]).unwrap();
        let joins = config("[local_groups]\nOps = [\"wheel\"]\n");
        let told = |rule: &str, config: &Config| {
            std::fs::create_dir_all(host.path(DIRECTORY)).unwrap();
            std::fs::write(host.path(MAIN), rule).unwrap();
            asks_for_a_password(&host, config).unwrap()
        };
        assert!(told("%wheel ALL=(ALL) ALL\n", &joins).unwrap().what().starts_with("members of 'wheel'"));
        assert_eq!(told("%wheel ALL=(ALL) NOPASSWD: ALL\n", &joins), None);
        assert_eq!(told("%wheel ALL=(ALL) ALL\n", &config("")), None);
        std::fs::write(host.path(PATH), "Defaults:%iam-users !authenticate\n").unwrap();
        assert_eq!(told("%wheel ALL=(ALL) ALL\n", &joins), None);
    }
}
