//! Whether everything that the package and `enable` install exists: configuration, users, directories, programs.

use crate::edit::settings;
use crate::host::paths::{FETCH_USER, KEYS_CMD, KEYS_USER, REFRESHER};
use crate::inspect::facts::module::LOADER_32;
use crate::inspect::facts::{Facts, NoConfig, Node, READ};
use crate::say::code::Link;
use crate::say::finding::{Finding, Level};
use crate::say::secure::{for_root_only, may_change};
use crate::say::show::{some, word};

const REINSTALL: &str = "reinstall the package nss-iam";
const USERS: [&str; 2] = [KEYS_USER, FETCH_USER];

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !facts.root {
        let what = "not run as root: keys, ids, sshd's settings, conflicts of names, the rules for instance metadata and parts of the log were not checked";
        findings.push(Finding::warn(Link::NotRoot, what, "sudo nss-iamctl doctor"));
    }
    findings.push(configuration(facts));
    findings.push(users(facts));
    findings.push(directory(facts));
    findings.extend(programs(facts));
    findings.extend(read(facts));
    findings
}

/// Whether there is a configuration that says who the users are.
pub(crate) fn configuration(facts: &Facts) -> Finding {
    let config = match &facts.config {
        Ok(config) => config,
        Err(NoConfig::Missing) => {
            let what = format!("'{}' is missing", settings::PATH);
            return Finding::bad(Link::ConfigMissing, what, "nss-iamctl enable --group GROUP");
        }
        Err(NoConfig::Denied(cause)) => {
            return Finding::warn(Link::ConfigUnreadable, cause.what(), "run this command as root");
        }
        Err(NoConfig::Refused(cause)) => {
            let hint = cause.hint().unwrap_or("correct it, see nss-iam.toml(5)");
            return Finding::bad(Link::ConfigRefused, cause.what(), hint);
        }
    };
    let groups: Vec<&String> =
        config.groups.iter().chain(config.account.iter().flat_map(|account| &account.groups)).collect();
    if !config.source.is_directory() {
        return Finding::ok(Link::UsersOfDocument, format!("users come from '{}'", config.source.url()));
    }
    match (groups.as_slice(), &config.groups_from_instance_tag) {
        ([], None) => Finding::bad(
            Link::NoGroupsConfigured,
            "no group is configured, so there are no users",
            "nss-iamctl enable --group GROUP, or set `groups` in /etc/nss-iam/config.toml",
        ),
        ([], Some(tag)) if names_none(facts) => Finding::bad(
            Link::TagWithoutGroups,
            format!(
                "no group is configured, and the instance tag '{tag}' names none: the instance does not have it, or shows no tags"
            ),
            format!(
                "aws ec2 create-tags --resources INSTANCE --tags Key={},Value=GROUP; aws ec2 modify-instance-metadata-options \
                 --instance-metadata-tags enabled --instance-id INSTANCE (InstanceMetadataTags is disabled by default); then \
                 nss-iamctl refresh",
                word(tag)
            ),
        ),
        ([], Some(tag)) => {
            Finding::ok(Link::UsersOfTag, format!("groups come from the instance tag '{tag}'"))
        }
        (groups, _) => {
            Finding::ok(Link::UsersOfGroups, format!("users come from the groups {}", some(groups)))
        }
    }
}

/// Whether the last refresh found no group of the first account.
fn names_none(facts: &Facts) -> bool {
    let accounts = facts.published.listing.iter().flat_map(|listing| &listing.accounts);
    let mut first = accounts.filter(|account| account.name.is_empty());
    first.next().is_some_and(|account| account.groups.is_empty())
}

/// Whether the system users exist.
pub(crate) fn users(facts: &Facts) -> Finding {
    let missing: Vec<&str> = USERS.into_iter().filter(|user| !facts.passwd.contains_key(*user)).collect();
    if missing.is_empty() {
        return Finding::ok(Link::SystemUsers, "the system users 'nss-iam' and 'nss-iam-fetch' exist");
    }
    Finding::bad(
        Link::SystemUserMissing,
        format!(
            "system user {} is missing; keys-cmd runs as 'nss-iam', and the source is read as 'nss-iam-fetch'",
            some(&missing)
        ),
        "systemd-sysusers nss-iam.conf",
    )
}

/// Whether everyone can read the directory of the published files.
pub(crate) fn directory(facts: &Facts) -> Finding {
    match &facts.directory {
        Some(node) if !node.directory => {
            Finding::bad(Link::NotADirectory, format!("'{}' is not a directory", cache::DIRECTORY), REINSTALL)
        }
        Some(node) if node.is_safe() && node.mode & 0o005 == 0o005 => {
            Finding::ok(Link::Directory, format!("'{}' has the right owner and mode", cache::DIRECTORY))
        }
        Some(node) => Finding::bad(
            Link::DirectoryMode,
            format!(
                "'{}' has mode {:04o} and owner {}; everyone must be able to read it, and only root to write",
                node.path, node.mode, node.uid
            ),
            format!("chown root:root {0} && chmod 0755 {0}", cache::DIRECTORY),
        ),
        None => Finding::bad(
            Link::DirectoryMissing,
            format!("'{}' is missing", cache::DIRECTORY),
            "systemd-tmpfiles --create nss-iam.conf",
        ),
    }
}

fn programs(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !facts.module.native {
        let what = "libnss_iam.so.2 is in none of the directories where glibc looks, or is for another architecture, so no \
                    user resolves";
        findings.push(Finding::bad(Link::ModuleMissing, what, REINSTALL));
    }
    if facts.module.programs_32 == Some(false) {
        let what = format!(
            "32-bit programs can run here ('{LOADER_32}' is installed), but find no nss-iam user: there is no \
             libnss_iam.so.2 for them"
        );
        findings.push(Finding::warn(Link::ModuleMissingForSome, what, facts.module.install_32));
    }
    if !facts.refresher {
        let what = format!("'{REFRESHER}' is missing or not executable");
        findings.push(Finding::bad(Link::RefresherMissing, what, REINSTALL));
    }
    findings.push(keys_cmd(&facts.keys_cmd));
    findings
}

/// sshd(8): root must own keys-cmd and every directory of its path, and nobody else may be able to write there.
pub(crate) fn keys_cmd(way: &[Node]) -> Finding {
    let there = way.last().is_some_and(|node| node.path == KEYS_CMD && !node.directory);
    // Debian's sshd accepts write permission for a group without members; others do not.
    let worst =
        way.iter().filter(|node| !node.is_safe()).max_by_key(|node| (node.uid != 0, node.mode & 0o002 != 0));
    if let Some(node) = worst {
        let group_only = node.uid == 0 && node.mode & 0o002 == 0;
        let does = if group_only { "may refuse" } else { "refuses" };
        let what = format!(
            "sshd {does} to run '{KEYS_CMD}': '{}' has mode {:04o} and owner {}, but only root may be able to write there",
            node.path, node.mode, node.uid
        );
        let remedy = for_root_only(KEYS_CMD, node.place()).unwrap_or_else(|| REINSTALL.to_owned());
        let found = Finding::bad(Link::KeysCmdUnsafe, what, remedy);
        return if group_only { found.at(Level::Warn) } else { found };
    }
    if let Some(node) = way.iter().find(|node| there && node.mode & 0o001 == 0) {
        let what =
            format!("the user 'nss-iam' cannot run '{KEYS_CMD}': '{}' has mode {:04o}", node.path, node.mode);
        let remedy = match may_change(KEYS_CMD, node.place()) {
            true => format!("chmod o+rx {}", node.path),
            false => REINSTALL.to_owned(),
        };
        return Finding::bad(Link::KeysCmdMode, what, remedy);
    }
    match there {
        true => Finding::ok(
            Link::KeysCmd,
            "sshd can run it: only root can write to it and to the directories above it",
        ),
        false => Finding::bad(Link::KeysCmdMissing, format!("'{KEYS_CMD}' is missing"), REINSTALL),
    }
}

/// Whether keys-cmd can read what decides whether it offers a key. It does not run as root.
pub(crate) fn read(facts: &Facts) -> Option<Finding> {
    let is_closed = |node: &&Node| node.mode & if node.directory { 0o001 } else { 0o004 } == 0;
    let node = facts.read.iter().find(is_closed)?;
    let Node { path, mode, directory, .. } = node;
    let what = format!(
        "keys-cmd offers no key: '{path}' has mode {mode:04o}, and the user 'nss-iam' cannot read it"
    );
    let remedy = match READ.iter().any(|asked| may_change(asked, node.place())) {
        true => format!("chmod {} {path}", if *directory { "o+x" } else { "o+r" }),
        false => format!("replace the link through which it is reached: {}", READ.join(" or ")),
    };
    Some(Finding::bad(Link::KeysCmdReads, what, remedy))
}
