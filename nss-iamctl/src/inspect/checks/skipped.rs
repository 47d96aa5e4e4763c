//! Remedies for users, groups, keys and tags that a refresh skipped.

#[cfg(test)]
mod tests;

use claims::{Kind as UseKind, Unresolved, Use};
use status::{Kind, Skip, SkipReason, What};

use crate::inspect::remedy::{ANOTHER_NAME, allow_command};

/// For a reason that this release does not know.
const UNKNOWN: &str = "the report is of another release of nss-iam: nss-iamctl refresh writes a new one";

/// The remedy for what was skipped.
pub(crate) fn remedy(skip: &Skip) -> String {
    match &skip.reason {
        Kind::Other(_) => UNKNOWN.to_owned(),
        Kind::Known(_) if skip.what == What::Tag => "correct the tag at the source".to_owned(),
        Kind::Known(reason) => of_reason(skip.what, &skip.id, reason),
    }
}

/// `id` is the UserId or GroupId of the user or group that was refused.
pub(crate) fn of_reason(what: What, id: &str, reason: &SkipReason) -> String {
    use SkipReason as R;
    match reason {
        R::NameEmpty
        | R::NameLong { .. }
        | R::NameCharacter { .. }
        | R::NameFirst { .. }
        | R::NameDigits
        | R::NameNumber { .. } => {
            "set another login name by a tag ('nss-iam:name' with [tags] use = [\"name\"]); [users] strip_domains shortens addresses"
                .to_owned()
        }
        R::NameOfUser { name, service, .. } => of_user(what, name, service),
        R::NameOfGroup { name, service, .. } if service == "files" => {
            format!("if nothing needs the local group: groupdel {name}; otherwise {}", another(what))
        }
        R::NameOfGroup { name, service, .. } => removed(what, name, service),
        R::NameInGroups { name, groups, service } => {
            format!("{}; {}", taken_out(name, groups, service), meant(what, id, name))
        }
        R::NameUsed { name, used } => format!("{}; {}", undone(used), meant(what, id, name)),
        R::NameReserved { name } => format!("{}; {}", another(what), meant(what, id, name)),
        R::NameUnasked { service, .. } => format!(
            "repair the service, or remove '{service}' from nsswitch.conf; or, if its names do not matter here: {}",
            excluded(service)
        ),
        R::NameUnresolved { name, unresolved } => unresolved_rules(what, id, name, unresolved),
        R::NameOfOwnGroup { .. } | R::NameTaken { .. } => another(what),
        R::IdOfUser { .. } | R::IdOfGroup { .. } => {
            "the source must not give a user the id that a group has, or had".to_owned()
        }
        R::IdOfHost { .. } | R::IdTaken { .. } => {
            "give the user another id in [ids], the same on every host".to_owned()
        }
        R::IdInRange { .. } => {
            "give the user an id in [ids] that is outside that range, or remove it there: the calculated id is the same on every host"
                .to_owned()
        }
        R::HomePath => "set [users] home to a path without {iam_name} or {account}".to_owned(),
        R::HomeUnseen { .. } => "repair the file system, or set another path in [users] home".to_owned(),
        R::HomeTaken { home, own } => format!(
            "find their owners: ls -ld {home} {own}; nss-iamctl uid UID shows who had a uid; move away what nobody needs, \
             then nss-iamctl refresh"
        ),
        R::TagCharacters
        | R::TagNumber
        | R::TagIdOfSystem { .. }
        | R::TagIdTooHigh { .. }
        | R::TagShell { .. } => "correct the tag at the source".to_owned(),
        R::KeyPrivate => {
            "delete it at the source and create a new pair: a private key that was uploaded is compromised".to_owned()
        }
        R::KeyBelongsElsewhere { .. } => "upload it: aws iam upload-ssh-public-key".to_owned(),
        R::KeyLong { .. }
        | R::KeyLines
        | R::KeyForm
        | R::KeyUnreadable { .. }
        | R::KeyDsa
        | R::KeyType
        | R::KeyUnprintable { .. } => {
            "upload the line of the .pub file again; ssh-keygen -l -f FILE must show it".to_owned()
        }
    }
}

/// How to give a user or group another name.
fn another(what: What) -> String {
    if what == What::Group {
        "its members are still users; rename the group at the source, and grant privileges with [local_groups], not by names in sudoers"
            .to_owned()
    } else {
        format!("{ANOTHER_NAME}, or rename the user at the source")
    }
}

/// How to allow the name, if that is intended.
fn meant(what: What, id: &str, name: &str) -> String {
    let whose = if what == What::Group { "group" } else { "person" };
    let allow = allow_command(id, name);
    format!("if this {whose} should have the name '{name}' and what this host grants to it: {allow}")
}

fn of_user(what: What, name: &str, service: &str) -> String {
    match (service, what) {
        ("files", What::Group) => another(what),
        ("files", _) => format!(
            "a local user of that name takes precedence: 'nss-iamctl adopt' converts it, or {ANOTHER_NAME}"
        ),
        _ => removed(what, name, service),
    }
}

/// For a name of a user or group in another directory service.
fn removed(what: What, name: &str, service: &str) -> String {
    format!("{}; or remove '{name}' from service '{service}', if nobody needs it there", another(what))
}

/// How to remove what the host grants to the name.
fn undone(used: &Use) -> String {
    let place = &used.place;
    match used.kind {
        UseKind::Sudo => format!("remove the name from '{place}' (visudo -f {place})"),
        UseKind::Netgroup => {
            format!("remove the name from /etc/netgroup, or the netgroups from '{place}' (visudo -f {place})")
        }
        UseKind::Doas => format!("remove the name from '{place}'"),
        UseKind::Unit | UseKind::Sysusers | UseKind::Grant => {
            format!("use a dedicated user in '{place}', or remove it")
        }
    }
}

fn taken_out(name: &str, groups: &[String], service: &str) -> String {
    if service != "files" {
        return format!("remove '{name}' from these groups in service '{service}'");
    }
    let commands: Vec<String> = groups.iter().map(|group| format!("gpasswd -d {name} {group}")).collect();
    let commands = commands.join("; ");
    format!("remove the name: {commands} (for administrators in /etc/gshadow: gpasswd -A)")
}

/// For rules that cannot be resolved, so that new users get no names.
fn unresolved_rules(what: What, id: &str, name: &str, unresolved: &Unresolved) -> String {
    let Unresolved { kind, place, .. } = unresolved;
    let left_out =
        kind.word().map_or(String::new(), |part| format!("; or exclude all such files: {}", excluded(part)));
    format!("correct '{place}' so that it can be resolved{left_out}; {}", meant(what, id, name))
}

fn excluded(part: &str) -> String {
    format!("names.exclude = [\"{part}\"] in /etc/nss-iam/config.toml; then nss-iamctl refresh")
}
