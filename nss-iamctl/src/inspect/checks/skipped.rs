//! Remedies for users, groups, keys and tags that a refresh skipped.

#[cfg(test)]
mod tests;

use claims::{Kind as UseKind, Unresolved, Use};
use config::{Config, Stored, key_tags};
use message::Message;
use status::{Kind, Skip, SkipReason, What};

use crate::inspect::facts::Facts;
use crate::inspect::remedy::{adopt, allow_command, another_name, delete_group, exclude, one_of};
use crate::say::show::{count, some, word};

/// For a reason that this release does not know.
const UNKNOWN: &str = "the report is of another release of nss-iam: nss-iamctl refresh writes a new one";
/// For a key or tag, if the source has neither.
const OTHER_SOURCE: &str = "the report is of another source: nss-iamctl refresh writes a new one";
const TAG: &str = "correct the tag at the source";
const KEY: &str =
    "replace it at the source with the line of the .pub file; ssh-keygen -l -f FILE must show it";
const PUBLIC_KEY: &str =
    "replace it with the line of the .pub file, which 'ssh-keygen -l -f KEY.pub' must show";
const PRIVATE_KEY: &str =
    "delete it at the source and create a new pair: a private key that was uploaded is compromised";
const IAM_ID: &str = "the source must not give a user the id that a group has, or had";
const HOME_PATH: &str = "set [users] home to a path without {iam_name} or {account}";
const HOME_UNSEEN: &str = "repair the file system, or set another path in [users] home";

/// Which users the last refresh skipped, and what to do about it.
pub(crate) fn users(facts: &Facts) -> Option<Message> {
    let skips = facts.published.status.iter().flat_map(|status| &status.skips);
    let users: Vec<&Skip> = skips.filter(|skip| skip.what == What::User).collect();
    let names: Vec<&str> = users.iter().map(|skip| skip.name.as_str()).collect();
    match users.as_slice() {
        [] => None,
        [one] => {
            let what = format!("'{}' was skipped: {}", one.name, one.text);
            Some(Message::new(what).with_hint(remedy(facts.configured(), one)))
        }
        [..] => {
            let what = format!("{} were skipped: {}", count(users.len(), "user"), some(&names));
            Some(Message::new(what).with_hint("nss-iamctl doctor says why"))
        }
    }
}

/// The remedy for what was skipped.
pub(crate) fn remedy(config: &Config, skip: &Skip) -> String {
    match &skip.reason {
        Kind::Other(_) => UNKNOWN.to_owned(),
        Kind::Known(reason) if matches!(skip.what, What::Tag | What::Key) => {
            at_the_source(config, skip, reason)
        }
        Kind::Known(reason) => {
            Refused { config, what: skip.what, id: &skip.id, user: &skip.name }.remedy(reason)
        }
    }
}

/// The remedy for a key or tag: the commands that correct or remove it. No other key or tag is touched.
fn at_the_source(config: &Config, skip: &Skip, reason: &SkipReason) -> String {
    let Some(stored) = config.source.stored() else { return OTHER_SOURCE.to_owned() };
    let user = word(&skip.name);
    let command = match (skip.what, &skip.tag, &skip.key) {
        (What::Tag, Some(tag), _) => {
            let (value, tag) = (tag.to_uppercase(), word(&format!("{}{tag}", config.tags.prefix)));
            let set = stored.to_set_tag(&user, &tag, &value);
            format!("correct the tag: {set}; or remove it: {}", stored.to_remove_tag(&user, &tag))
        }
        (What::Key, Some(_), _) if !skip.parts.is_empty() => in_parts(stored, skip, reason),
        (What::Key, Some(tag), _) => {
            let tag = word(tag);
            let (set, remove) = (stored.to_set_key_tag(&user, &tag), stored.to_remove_tag(&user, &tag));
            match reason {
                SkipReason::KeyPrivate => format!("{PRIVATE_KEY}: {remove}; {set}"),
                SkipReason::KeyBelongsElsewhere { .. } => {
                    format!("{remove}; an RSA key is uploaded instead: {}", stored.to_add_rsa_key(&user))
                }
                _ => format!("{PUBLIC_KEY}: {set}; or remove it: {remove}"),
            }
        }
        (What::Key, None, Some(key)) => {
            let remove = stored.to_remove_key(&user, &word(key));
            let add = stored.to_add_rsa_key(&user);
            match reason {
                SkipReason::KeyPrivate => format!("{PRIVATE_KEY}: {remove}; {add}"),
                _ => format!("{remove}; {PUBLIC_KEY}: {add}"),
            }
        }
        _ => return Refused { config, what: skip.what, id: &skip.id, user: &skip.name }.remedy(reason),
    };
    format!("{command}; then nss-iamctl refresh")
}

/// The remedy for a key in parts. All parts are removed first: those of a longer key would be left over.
fn in_parts(stored: Stored<'_>, skip: &Skip, reason: &SkipReason) -> String {
    let user = word(&skip.name);
    let tags: Vec<String> = skip.parts.iter().map(|tag| word(tag)).collect();
    let remove = stored.to_remove_tags(&user, &tags);
    let first = skip.parts.first().map_or("", String::as_str);
    let name = word(key_tags::part(first).map_or(first, |(name, _)| name));
    let set = stored.to_set_key_parts(&user, &name);
    match reason {
        SkipReason::KeyPrivate => format!("{PRIVATE_KEY}: {remove}; {set}"),
        SkipReason::KeyBelongsElsewhere { .. } => {
            format!("{remove}; an RSA key is uploaded instead: {}", stored.to_add_rsa_key(&user))
        }
        SkipReason::KeyPartsBesideKey { tag } => {
            format!(
                "remove the parts: {remove}; or the other key: {}",
                stored.to_remove_tag(&user, &word(tag))
            )
        }
        _ => format!("{PUBLIC_KEY}: {remove}; {set}; or only remove it: {remove}"),
    }
}

/// What was refused, on a host with this configuration.
pub(crate) struct Refused<'a> {
    pub config: &'a Config,
    pub what: What,
    /// UserId or GroupId.
    pub id: &'a str,
    /// The user or group.
    pub user: &'a str,
}

impl Refused<'_> {
    pub(crate) fn remedy(&self, reason: &SkipReason) -> String {
        use SkipReason as R;
        match reason {
            R::NameEmpty
            | R::NameLong { .. }
            | R::NameCharacter { .. }
            | R::NameFirst { .. }
            | R::NameDigits
            | R::NameNumber { .. } => self.other_spelling(),
            R::NameOfUser { name, service, .. } => self.of_user(name, service),
            R::NameOfGroup { name, service, .. } => self.of_group(name, service),
            R::NameInGroups { name, groups, service } => {
                format!("{}; {}", taken_out(name, groups, service), self.meant(name))
            }
            R::NameUsed { name, used } => format!("{}; {}", undone(used), self.meant(name)),
            R::NameReserved { name } => format!("{}; {}", self.another(), self.meant(name)),
            R::NameUnasked { service, .. } => self.unasked(service),
            R::NameUnresolved { name, unresolved } => self.unresolved_rules(name, unresolved),
            R::NameOfOwnGroup { .. } | R::NameTaken { .. } => self.another(),
            R::IdOfUser { .. } | R::IdOfGroup { .. } => IAM_ID.to_owned(),
            R::IdOfHost { .. } | R::IdTaken { .. } => {
                format!("give the {} another id in [ids], the same on every host", self.whose())
            }
            R::IdInRange { .. } => format!(
                "give the {} an id in [ids] that is outside that range, or remove it there: the calculated id is the same on \
                 every host",
                self.whose()
            ),
            R::HomePath => HOME_PATH.to_owned(),
            R::HomeUnseen { .. } => HOME_UNSEEN.to_owned(),
            R::HomeTaken { home, own } => home_taken(home, own),
            R::TagCharacters
            | R::TagNumber
            | R::TagIdOfSystem { .. }
            | R::TagIdTooHigh { .. }
            | R::TagShell { .. } => TAG.to_owned(),
            R::KeyPrivate => PRIVATE_KEY.to_owned(),
            R::KeyPartMissing { .. } | R::KeyPartsBesideKey { .. } => TAG.to_owned(),
            R::KeyBelongsElsewhere { .. } => self.config.source.to_add_rsa_key(&word(self.user)),
            R::KeyLong { .. }
            | R::KeyLines
            | R::KeyForm
            | R::KeyUnreadable { .. }
            | R::KeyDsa
            | R::KeyType
            | R::KeyUnprintable { .. } => KEY.to_owned(),
        }
    }

    /// For a name that no user or group of a host can have.
    fn other_spelling(&self) -> String {
        match self.what {
            What::Group => self.another(),
            _ => format!("{}; [users] strip_domains shortens addresses", self.another_name()),
        }
    }

    /// How to give a user or group another name.
    fn another(&self) -> String {
        if self.what == What::Group {
            "its members are still users; rename the group at the source, and grant privileges with [local_groups], not by \
             names in sudoers"
                .to_owned()
        } else {
            let or_rename =
                if self.config.source.has_keys() { ", or rename the user at the source" } else { "" };
            format!("{}{or_rename}", self.another_name())
        }
    }

    fn whose(&self) -> &'static str {
        if self.what == What::Group { "group" } else { "user" }
    }

    fn another_name(&self) -> String {
        another_name(self.config, Some(self.user), Some(self.id))
    }

    /// How to allow the name, if that is intended.
    fn meant(&self, name: &str) -> String {
        let whose = if self.what == What::Group { "group" } else { "person" };
        let allow = allow_command(self.id, name);
        format!("if this {whose} should have the name '{name}' and what this host grants to it: {allow}")
    }

    fn of_user(&self, name: &str, service: &str) -> String {
        match (service, self.what) {
            ("files", What::Group) => self.another(),
            ("files", _) => one_of([adopt(name), Some(self.another_name())]),
            _ => self.removed(name, service),
        }
    }

    fn of_group(&self, name: &str, service: &str) -> String {
        if service == "files" {
            return one_of([delete_group(name), Some(self.another())]);
        }
        self.removed(name, service)
    }

    /// For a name of a user or group in another directory service.
    fn removed(&self, name: &str, service: &str) -> String {
        let another = self.another();
        format!("{another}; or remove '{name}' from service '{service}', if nobody needs it there")
    }

    /// For a service of nsswitch.conf(5) that does not answer.
    fn unasked(&self, service: &str) -> String {
        format!(
            "repair the service, or remove '{service}' from nsswitch.conf; or, if its names do not matter here: {}",
            exclude(service)
        )
    }

    /// For rules that cannot be resolved, so that new users get no names.
    fn unresolved_rules(&self, name: &str, unresolved: &Unresolved) -> String {
        let Unresolved { kind, place, .. } = unresolved;
        let left_out = kind
            .word()
            .map_or(String::new(), |part| format!("; or exclude all such files: {}", exclude(part)));
        format!("correct '{place}' so that it can be resolved{left_out}; {}", self.meant(name))
    }
}

fn home_taken(home: &str, own: &str) -> String {
    format!(
        "find their owners: ls -ld {home} {own}; nss-iamctl uid UID shows who had a uid; move away what nobody needs, \
         then nss-iamctl refresh"
    )
}

/// How to remove what the host grants to the name.
fn undone(used: &Use) -> String {
    let (place, file) = (&used.place, word(&used.place));
    match used.kind {
        UseKind::Sudo => format!("remove the name from '{place}': visudo -f {file} && nss-iamctl refresh"),
        UseKind::Netgroup => format!(
            "remove the name from /etc/netgroup and run nss-iamctl refresh, or the netgroups from '{place}': \
             visudo -f {file} && nss-iamctl refresh"
        ),
        UseKind::Doas => format!("remove the name from '{place}' and run nss-iamctl refresh"),
        UseKind::Unit | UseKind::Sysusers | UseKind::Grant => {
            format!("use a dedicated user in '{place}', or remove it, and run nss-iamctl refresh")
        }
    }
}

fn taken_out(name: &str, groups: &[String], service: &str) -> String {
    if service != "files" {
        return format!(
            "remove '{name}' from these groups in service '{service}' and run nss-iamctl refresh"
        );
    }
    let commands: Vec<String> = groups.iter().map(|group| format!("gpasswd -d {name} {group}")).collect();
    let commands = commands.join(" && ");
    format!(
        "remove the name: {commands} && nss-iamctl refresh (for administrators in /etc/gshadow: gpasswd -A)"
    )
}
