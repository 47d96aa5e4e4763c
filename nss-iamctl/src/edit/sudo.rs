//! How nss-iam users authenticate to sudo. Who may use it is decided by local groups that sudoers names (sudo, wheel),
//! and that `[local_groups]` adds them to. Nothing here grants a privilege.
//!
//! sudo-rs has no setting 'authenticate'. A rule with the tag NOPASSWD cannot replace it: sudoers has no intersection of
//! groups, so such a rule would grant what it names to all nss-iam users. So PAM lets them through there.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use cache::snapshot::{Cache, Group};
use config::Config;
use message::Message;

use crate::cli::Sudo;
use crate::edit::block;
use crate::edit::file::{Edit, Kind};
use crate::host::Host;
use crate::host::paths::{CACHE, KEYS_CMD, KEYS_USER};
use crate::host::{files, vendor};
use crate::say::error::Error;

/// sudo ignores files with a dot in their name.
const PATH: &str = "/etc/sudoers.d/nss-iam";
const MAIN: &str = "/etc/sudoers";
const DIRECTORY: &str = "/etc/sudoers.d";
/// sudo's services; the second is that of `sudo -i` on Debian.
const SUDO: &str = "/etc/pam.d/sudo";
const SERVICES: [&str; 2] = [SUDO, "/etc/pam.d/sudo-i"];
const AGENT_MODULE: &str = "pam_ssh_agent_auth.so";
const GROUP_MODULE: &str = "pam_succeed_if.so";
/// Which sudo-rs does not have.
const NO_PASSWORD: &str = "!authenticate";
/// For `--sudo agent`.
const KEEP_AGENT: &str = "env_keep += \"SSH_AUTH_SOCK\"";
/// Of what getgrnam_r(3) returns, sudo-rs before 0.2.14 takes this many bytes, sysconf(_SC_GETGR_R_SIZE_MAX).
const GROUP_SIZE: usize = 1024;

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
    let Some(visudo) = host.find("visudo") else {
        return Err(Error::configuration("'--sudo' needs sudo, which is not installed").hint("install sudo"));
    };
    let main = vendor::read_lossy(host, MAIN)?.unwrap_or_default();
    if !reads_directory(&main) {
        return Err(Error::configuration(format!("'{MAIN}' does not read '{DIRECTORY}'"))
            .hint(format!("visudo, and add: #includedir {DIRECTORY}")));
    }
    let rules = rules(host)?;
    let Way { rule, line, mut notes } = way(host, &visudo, how, &config.users.common_group, &rules)?;
    if how == Sudo::Agent && !config.source.has_keys() {
        let what = "the source stores no keys, so no key in an SSH agent lets anybody use sudo";
        notes.push(Message::new(what).with_hint("nss-iamctl enable --sudo nopasswd"));
    }
    let before = files::read(&host.path(PATH))?;
    let rule =
        Edit { path: PATH.into(), kind: Kind::Whole, before, after: Some(rule.into_bytes()), mode: 0o440 };
    let mut edits = services(host, line.as_deref())?;
    edits.push(rule);
    edits.retain(|edit| edit.before != edit.after);
    notes.extend(powerless(&rules, config));
    Ok(Plan { edits, notes })
}

/// What is written, and what is said about it.
struct Way {
    rule: String,
    /// The line for PAM.
    line: Option<String>,
    notes: Vec<Message>,
}

/// The way that this host's sudo understands.
fn way(host: &Host, visudo: &str, how: Sudo, group: &str, rules: &str) -> Result<Way, Error> {
    match how {
        Sudo::Agent => {
            let keep = default(group, KEEP_AGENT);
            let rule = text("agent", "authenticate with their SSH agent", &keep);
            if let Some(why) = refused(host, visudo, &rule)? {
                return Err(Error::other(format!("visudo refuses the rule for '{PATH}': {why}")));
            }
            if !has_module(host, AGENT_MODULE) {
                let what = format!("'--sudo agent' needs {AGENT_MODULE}, which is not installed");
                return Err(Error::configuration(what).hint(
                    "install libpam-ssh-agent-auth (Debian, Ubuntu), or pam_ssh_agent_auth (Fedora, RHEL and Amazon Linux, where it \
                     is built from openssh, and openSUSE)",
                ));
            }
            let line = format!(
                "auth sufficient {AGENT_MODULE} authorized_keys_command={KEYS_CMD} authorized_keys_command_user={KEYS_USER}"
            );
            let what = "pam_ssh_agent_auth 0.10.3 takes RSA, ECDSA and Ed25519 keys, but no FIDO keys (sk-...); it signs with SHA-1 \
                        for RSA keys, except in the builds of Fedora and RHEL, so they fail where SHA-1 is off";
            let note =
                Message::new(what).with_hint("give users who have only such keys an Ed25519 key, in a tag");
            Ok(Way { rule, line: Some(line), notes: vec![note] })
        }
        Sudo::Nopasswd => {
            let rule = nopasswd(&default(group, NO_PASSWORD));
            match refused(host, visudo, &rule)? {
                None => Ok(Way { rule, line: None, notes: Vec::new() }),
                Some(why) => by_pam(host, visudo, group, rules, &why),
            }
        }
    }
}

/// Without '!authenticate'.
fn by_pam(host: &Host, visudo: &str, group: &str, rules: &str, why: &str) -> Result<Way, Error> {
    let bare = nopasswd(&format!(
        "# PAM lets them through, in '{SUDO}': this host's sudo has no setting 'authenticate'.\n"
    ));
    if refused(host, visudo, &bare)?.is_some() {
        return Err(Error::other(format!("visudo refuses the rule for '{PATH}': {why}")));
    }
    if !has_module(host, GROUP_MODULE) {
        let what = format!("'--sudo nopasswd' needs {GROUP_MODULE} here, which is not installed");
        return Err(Error::configuration(what).hint("install the modules of Linux-PAM"));
    }
    // Since sudo-rs 0.2.9, `sudo -n` asks PAM only with this setting. Earlier, it always does.
    let more = format!("{bare}{}", default(group, "noninteractive_auth"));
    let rule = if refused(host, visudo, &more)?.is_none() { more } else { bare };
    // The user who asks, as the real uid of sudo-rs says: with `Defaults targetpw` or `rootpw`, PAM authenticates another.
    let line = format!("auth sufficient {GROUP_MODULE} quiet use_uid user ingroup {group}");
    let what =
        format!("sudo here has no setting 'authenticate' ({why}), so '{SUDO}' lets nss-iam users through");
    let notes = [Some(what.into()), unfound(host, rules)].into_iter().flatten().collect();
    Ok(Way { rule, line: Some(line), notes })
}

/// A group of nss-iam that sudoers names and that sudo-rs does not find, because it has too many members.
fn unfound(host: &Host, rules: &str) -> Option<Message> {
    let cache = Cache::read(&host.path(CACHE)).ok()?;
    let named = named(rules, false);
    // Each member is a name, its end and a pointer.
    let size = |group: &Group| group.members.iter().map(|name| name.as_str().len() + 9).sum::<usize>();
    let is_unfound = |group: &&Group| named.contains(group.name.as_str()) && size(group) >= GROUP_SIZE;
    let Group { name, members, .. } = cache.groups.iter().find(is_unfound)?;
    let what = format!(
        "sudoers names '%{name}', a group with {} members, which sudo-rs before 0.2.14 does not find",
        members.len()
    );
    let hint = "name a local group there, and let them join it: nss-iamctl enable --local-group GROUP=LOCAL; or update sudo-rs";
    Some(Message::new(what).with_hint(hint))
}

/// The rule of [`by_pam`] on a host with sudo, whose real uid is root's when it asks PAM.
fn not_rs(rule: &str) -> Option<Message> {
    if rule.contains(NO_PASSWORD) || rule.contains(KEEP_AGENT) {
        return None;
    }
    let what = format!(
        "'{PATH}' is written for sudo-rs, so the sudo of this host asks nss-iam users for a password"
    );
    Some(Message::new(what).with_hint("nss-iamctl enable --sudo nopasswd"))
}

/// What visudo, which belongs to the installed sudo, says against a text.
fn refused(host: &Host, visudo: &str, text: &str) -> Result<Option<String>, Error> {
    // sudo-rs takes '-' for the name of a file.
    let checked = host.run_with(&[visudo, "-c", "-f", "/dev/stdin"], text)?;
    if checked.success() {
        return Ok(None);
    }
    Ok(Some(if checked.stderr.is_empty() { checked.stdout.trim().to_owned() } else { checked.complaint() }))
}

fn nopasswd(rule: &str) -> String {
    text("nopasswd", "have no password", rule)
}

/// sudoers(5): `Defaults:%group` applies to its members, whichever rule allows the command.
fn default(group: &str, setting: &str) -> String {
    // An unquoted '@' would begin a host here.
    let who = if group.contains('@') { format!("\"%{group}\"") } else { format!("%{group}") };
    format!("Defaults:{who} {setting}\n")
}

fn text(word: &str, how: &str, rule: &str) -> String {
    format!(
        "# Written by 'nss-iamctl enable --sudo {word}'. nss-iam users {how}.\n\
         # What they may run is what sudoers allows to the local groups that [local_groups] adds them to.\n{rule}"
    )
}

/// Adds a line to sudo's services, or removes the one that was added.
fn services(host: &Host, line: Option<&str>) -> Result<Vec<Edit>, Error> {
    let mut edits = Vec::new();
    for path in SERVICES {
        let before = files::read(&host.path(path))?;
        let read = vendor::read(host, path)?;
        let Some(bare) = Kind::Block.without_ours(Path::new(path), read.as_deref())? else { continue };
        // After the first line, which names the file.
        let at = usize::from(bare.starts_with(b"#%PAM"));
        let after = match line {
            Some(line) => Some(block::insert(&bare, at, line)),
            None => before.as_ref().and(Some(bare)),
        };
        edits.push(Edit { path: path.into(), kind: Kind::Block, before, after, mode: 0o644 });
    }
    if line.is_some() && !edits.iter().any(|edit| edit.path == Path::new(SUDO)) {
        return Err(Error::configuration(format!("'--sudo' needs '{SUDO}', which does not exist")));
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

fn has_module(host: &Host, module: &str) -> bool {
    let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
    let directories = [format!("/usr/lib/{multiarch}"), format!("/lib/{multiarch}")];
    let plain = ["/usr/lib64", "/lib64", "/usr/lib", "/lib"].map(str::to_owned);
    directories.iter().chain(&plain).any(|directory| host.exists(&format!("{directory}/security/{module}")))
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

/// A note if sudo would ask nss-iam users for a password, which they do not have, although a group that they join may use it;
/// or if it does not find a group.
///
/// # Errors
/// When sudo's rules cannot be read.
pub(crate) fn asks_for_a_password(host: &Host, config: &Config) -> Result<Option<Message>, Error> {
    if let Some(ours) = files::read_lossy(&host.path(PATH))? {
        let Some(visudo) = host.find("visudo") else { return Ok(None) };
        if let Some(why) = refused(host, &visudo, &ours)? {
            let what = format!("visudo refuses '{PATH}', so sudo asks nss-iam users for a password: {why}");
            return Ok(Some(
                Message::new(what).with_hint("nss-iamctl enable --sudo nopasswd, or --sudo agent"),
            ));
        }
        let is_rs = refused(host, &visudo, &default("x", NO_PASSWORD))?.is_some();
        return Ok(if is_rs { unfound(host, &rules(host)?) } else { not_rs(&ours) });
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
    use policy::{IamId, Id, Name};

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

    /// A group of this many members whom sudoers names.
    #[test]
    fn a_group_that_sudo_rs_does_not_find_is_noted() {
        let directory = tempfile::tempdir().unwrap();
        let host = Host::this_directory(directory.path());
        let told = |members: usize, rules: &str| {
            let name = |index: usize| Name::new(&format!("user{index:04}")).unwrap();
            let gid = Id::computed(&IamId::new("AGPAOPS"));
            let members = (0..members).map(name).collect();
            let ops = Group { gid, name: Name::new("ops").unwrap(), pinned: false, members };
            let path = host.path(CACHE);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let cache = Cache { users: Vec::new(), groups: vec![ops] };
            cache::publish::cache(path.parent().unwrap(), &cache).unwrap();
            unfound(&host, rules).map(|told| told.what().to_owned())
        };
        let rules = "%ops ALL=(ALL) ALL\n";
        assert_eq!(told(50, rules), None);
        assert_eq!(told(100, "%sudo ALL=(ALL) ALL\n"), None);
        assert!(told(100, rules).unwrap().contains("'%ops', a group with 100 members"));
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
