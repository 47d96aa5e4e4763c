//! The checks of one user, in the order of a login: pure functions of the facts.

use config::Config;
use policy::FORWARD_ONLY_SHELL;
use status::{Locked, Skip, Told, Warning, What};

use crate::commands::why::keys::{keys, refused_keys, tries, unused_tags};
use crate::inspect::checks::skipped;
use crate::inspect::checks::{answers, certificates, directories, homes, logins, names, pam, refresh, setup};
use crate::inspect::facts::Facts;
use crate::inspect::facts::probe::Probe;
use crate::inspect::outlook::outlook;
use crate::inspect::remedy::{adopt, another_name, one_of};
use crate::inspect::subject::{self, Who};
use crate::say::code::{Code, Link};
use crate::say::finding::{self, Finding, Level, not_ok};
use crate::say::show::{ago, some, time, word};

/// All checks. Those that depend on a missing one are skipped.
pub(crate) fn judge(facts: &Facts, who: &Who<'_>, asked: &str, probe: Option<&Probe>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let tried = tries(facts, who);
    if !facts.root {
        let what = "not run as root: ids, keys, what the host grants to the name, sshd's settings and parts of the log were not \
                    checked";
        findings.push(Finding::warn(Link::NotRoot, what, format!("sudo nss-iamctl why {}", word(asked))));
    }
    findings.extend(name(facts, who, asked));
    findings.extend(others(facts, who, asked));
    findings.extend(membership(facts, who));
    findings.extend(local_groups(facts, who));
    findings.extend(forward_only(facts, who));
    findings.extend(facts.jobs.iter().filter(|job| job.user == who.name).map(logins::job));
    findings.extend(unused_tags(facts, who));
    findings.extend(state(facts, who));
    findings.extend(given(facts));
    if who.cached.is_some_and(|user| user.active) {
        let certificate =
            |found: &Finding| probe.is_some_and(|probe| certificates::let_in(facts, probe, found));
        let keys = keys(facts, who).into_iter();
        findings.extend(
            keys.map(
                |found| if certificate(&found) && not_ok(&found) { found.at(Level::Warn) } else { found },
            ),
        );
    }
    if let Some(probe) = probe {
        findings.extend(answers::lines(facts.nsswitch.as_deref()).into_iter().filter(not_ok));
        findings.extend(directories::judge(facts));
        findings.extend(answers::told(facts, probe));
        findings.extend(homes::home(facts, probe));
        findings.extend(logins::shell(facts, probe));
        findings.extend(logins::daemon(facts).into_iter().filter(not_ok));
        findings.extend(logins::settings(facts, probe));
        findings.extend(refused_keys(facts, who, probe));
        findings.extend(certificates::judge(facts, probe));
        findings.extend(forced_command(probe));
        findings.extend(Some(setup::keys_cmd(&facts.keys_cmd)).filter(not_ok));
        findings.extend(setup::read(facts));
        findings.extend(logins::nologin(facts));
        findings.extend(pam::judge(facts));
        findings.extend(pam::now(facts, probe));
        // Everything else that doctor would find to prevent this login.
        if probe.active && finding::worst(&findings) != Level::Bad {
            findings.extend(outlook(facts, std::slice::from_ref(probe)).reason().cloned());
        }
    }
    findings.extend(tried);
    findings
}

/// The user, and whether a local account has the same name.
fn name(facts: &Facts, who: &Who<'_>, asked: &str) -> Vec<Finding> {
    let (name, config) = (&who.name, facts.configured());
    let mut findings = Vec::new();
    if let Some(uid) = facts.passwd.get(name) {
        let what = format!(
            "'{name}' is a local user of this host, uid {uid}: keys of {} are never offered for local users",
            config.source.noun()
        );
        let own = "log in with the local user's own keys";
        let remedy = if who.is_known() {
            one_of([
                Some(own.to_owned()),
                adopt(name),
                Some(another_name(config, who.iam_name(), who.id.as_deref())),
            ])
        } else {
            own.to_owned()
        };
        findings.push(Finding::bad(Link::LocalUser, what, remedy));
    }
    if !who.is_known() {
        if findings.is_empty() {
            findings.push(unknown(facts, asked));
        }
        return findings;
    }
    if let (Some(iam_name), Some(id)) = (who.iam_name(), &who.id) {
        let account = who.listed.map(|(account, _)| account.id.as_str()).filter(|id| !id.is_empty());
        let account = account.map_or(String::new(), |id| format!(" of {} {id}", config.source.account()));
        let called = config.source.called("user");
        findings.push(Finding::ok(Link::Name, format!("'{name}' is {called} '{iam_name}' ({id}){account}")));
    }
    if asked != name && who.cached.is_some_and(|user| user.active) {
        findings.push(Finding::ok(Link::LogInAs, format!("log in as '{name}', not as '{asked}'")));
    }
    if asked != name && facts.passwd.contains_key(asked) {
        let what =
            format!("'{asked}' is a local user of this host; the nss-iam user is called '{name}' here");
        let remedy = format!("log in as '{name}' with the keys of {}", config.source.noun());
        findings.push(Finding::warn(Link::LocalUser, what, remedy));
    }
    findings.extend(who.skips.iter().map(|skip| {
        let level = if skip.what == What::User { Level::Bad } else { Level::Warn };
        let remedy = skipped::remedy(config, skip);
        Finding::warn(Code::of_skip(&skip.reason), &skip.text, remedy).at(level)
    }));
    // A name or id that the user has at the source now, and that was refused.
    let warnings = facts.published.status.iter().flat_map(|status| &status.warnings);
    let of_user = |told: &&Told<Warning>| match told.kind.known() {
        Some(Warning::KeepsName { iam_id, .. } | Warning::KeepsId { iam_id, .. }) => {
            who.id.as_ref() == Some(iam_id)
        }
        _ => false,
    };
    findings.extend(warnings.filter(of_user).map(|told| refresh::warning(config, told)));
    findings
}

/// Users of the source who were skipped, and who may be the one that is meant.
fn others(facts: &Facts, who: &Who<'_>, asked: &str) -> Vec<Finding> {
    let (config, Some(own)) = (facts.configured(), &who.id) else { return Vec::new() };
    let skips = facts.published.status.iter().flat_map(|status| &status.skips);
    let is_other = |skip: &&Skip| {
        let spelled = config.users.mapping().spelling(&skip.name);
        skip.what == What::User
            && skip.id != *own
            && asked != own
            && (spelled == who.name || skip.name.eq_ignore_ascii_case(asked))
    };
    let other = |skip: &Skip| {
        let (called, Skip { account, name, id, text, .. }) = (config.source.called("user"), skip);
        let account = if account.is_empty() { String::new() } else { format!(" of account '{account}'") };
        let what = format!("there is also {called} '{name}' ({id}){account}, who was skipped: {text}");
        let remedy = format!("nss-iamctl why {}; {}", word(id), skipped::remedy(config, skip));
        Finding::warn(Link::OtherOfName, what, remedy)
    };
    skips.filter(is_other).map(other).collect()
}

/// The groups of /etc/group to which [local_groups] adds the user.
fn local_groups(facts: &Facts, who: &Who<'_>) -> Option<Finding> {
    let user = who.cached.filter(|user| user.active && !user.local.is_empty())?;
    let name = |gid: &u32| {
        let name = facts.group.iter().find(|(_, known)| *known == gid).map(|(name, _)| name.clone());
        name.unwrap_or_else(|| gid.to_string())
    };
    let names: Vec<String> = user.local.iter().map(name).collect();
    Some(Finding::ok(Link::LocalGroups, format!("member of the local groups {}", some(&names))))
}

/// Why the user cannot run commands.
fn forward_only(facts: &Facts, who: &Who<'_>) -> Option<Finding> {
    who.cached.filter(|user| user.is_forward_only())?;
    let config = facts.configured();
    let account = who.remembered.map_or("", |(_, user)| &*user.account);
    let groups = config.shell_groups_of(account);
    let of = if groups.is_empty() {
        "there are no shell_groups".to_owned()
    } else {
        format!("only members of {} can run commands", some(groups))
    };
    let what = format!(
        "may only forward connections through this host (ssh -J, -L), and runs no command on it: forward_only is set, and {of}"
    );
    Some(Finding::ok(Link::ForwardOnly, what))
}

/// sshd_config(5): it runs instead of the shell and of every command.
fn forced_command(probe: &Probe) -> Option<Finding> {
    let settings = probe.sshd.as_ref()?.as_ref().ok()?;
    let command = settings.get("forcecommand");
    if ["", "none", FORWARD_ONLY_SHELL].contains(&command) {
        return None;
    }
    let what = format!("sshd runs '{command}' instead of what '{}' asks for (ForceCommand)", probe.name);
    Some(Finding::ok(Link::ForcedCommand, what))
}

fn unknown(facts: &Facts, asked: &str) -> Finding {
    let like = subject::meant(asked, facts.published.cache.as_ref().ok());
    if !like.is_empty() {
        let what =
            format!("no nss-iam user is called '{asked}' here, neither by login name nor at the source");
        return Finding::bad(Link::NameMistyped, what, format!("did you mean {}?", some(&like)));
    }
    let config = facts.configured();
    if !config.source.can_have_user(asked) {
        let what = format!("no user of {} can be called '{asked}'", config.source.noun());
        return Finding::bad(Link::NameUnknown, what, "nss-iamctl users lists the users of this host");
    }
    let what =
        format!("no nss-iam user is called '{asked}' here, and no user of that name left or was skipped");
    let remedy = match add(config, asked) {
        Some(add) => format!("if there should be such a user: {add}; then nss-iamctl refresh"),
        None => "is the user in one of the configured groups? nss-iamctl doctor".to_owned(),
    };
    Finding::bad(Link::NameUnknown, what, remedy)
}

/// How to add the user at the source.
fn add(config: &Config, iam_name: &str) -> Option<String> {
    let group = config.groups.first().map(|group| word(group));
    config.source.to_add_user(&word(iam_name), group.as_deref())
}

/// The groups of which the user is a member at the source.
fn membership(facts: &Facts, who: &Who<'_>) -> Option<Finding> {
    let (account, user) = who.listed?;
    let groups: Vec<&str> = account
        .groups
        .iter()
        .filter(|group| group.members.contains(&user.id))
        .map(|group| group.name.as_str())
        .collect();
    if let Some(missing) = &user.missing {
        let what = format!(
            "the groups of {} no longer contain the user ({} times, last {}), but this is not confirmed yet",
            facts.source().noun(),
            missing.times,
            ago(missing.last.as_second(), facts.now)
        );
        return Some(Finding::warn(
            Link::RemovalUnconfirmed,
            what,
            "the next refreshes confirm it; nss-iamctl refresh --force disables the user now",
        ));
    }
    if groups.is_empty() {
        return Some(Finding::warn(
            Link::MemberOfNone,
            "the listing has the user, but in no group",
            "nss-iamctl refresh, unless this is intended",
        ));
    }
    Some(Finding::ok(Link::MemberOf, format!("member of {} in {}", some(&groups), facts.source().noun())))
}

/// Whether the user is published, and may log in.
fn state(facts: &Facts, who: &Who<'_>) -> Option<Finding> {
    if !who.is_known() || who.skips.iter().any(|skip| skip.what == What::User) && who.cached.is_none() {
        return None;
    }
    let Some(user) = who.cached else {
        return Some(unpublished(facts, who));
    };
    if user.active {
        let pinned = if user.pinned { ", assigned by the administrator" } else { "" };
        return Some(Finding::ok(Link::Active, format!("active, uid {}{pinned}", user.uid)));
    }
    let since = who
        .remembered
        .and_then(|(_, user)| user.disabled)
        .map_or(String::new(), |at| format!(" since {} ({})", time(at), ago(at, facts.now)));
    let locked = facts.published.locked.as_ref().ok();
    if locked.is_some_and(|locked| locked.names.contains(&who.name)) {
        let remedy = format!("nss-iamctl unlock {}", word(&who.name));
        return Some(Finding::bad(Link::Locked, format!("locked on this host{since}"), remedy));
    }
    if locked.is_some_and(Locked::has_all) {
        return Some(Finding::bad(
            Link::EveryoneLocked,
            format!("everyone is locked on this host{since}"),
            "nss-iamctl unlock --all",
        ));
    }
    let config = facts.configured();
    let add = who.iam_name().and_then(|iam_name| add(config, iam_name));
    let add = add.unwrap_or_else(|| "add the user to a configured group".to_owned());
    let remedy = format!("to let the user back in: {add}; then nss-iamctl refresh");
    if who.listed.is_some() {
        let what = format!("disabled{since}, but the listing has the user: it is not applied yet");
        return Some(Finding::bad(Link::NotApplied, what, "nss-iamctl refresh"));
    }
    let what = format!(
        "disabled{since}: the user left the {}{}, or was deleted",
        config.source.called("groups"),
        some_groups(&config.groups)
    );
    Some(Finding::bad(Link::Disabled, what, remedy))
}

/// What this host grants to the names of the user and the user's groups. A unit that runs as the user prevents no login.
fn given(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = names::taken(facts)
        .into_iter()
        .filter(|finding| finding.code != Link::NameAlsoLocalUser.into())
        .collect();
    findings.extend(names::adopted(facts).into_iter().map(|finding| finding.at(Level::Warn)));
    let given = facts.names.holders.keys().flat_map(|name| names::given_to(facts, name));
    findings.extend(given.map(|text| Finding::ok(Link::Given, text)));
    findings
}

fn some_groups(groups: &[String]) -> String {
    if groups.is_empty() { String::new() } else { format!(" {}", some(groups)) }
}

fn unpublished(facts: &Facts, who: &Who<'_>) -> Finding {
    if facts.published.cache.is_err() {
        let what = "no user is published: the cache cannot be used";
        return Finding::bad(
            Link::NobodyPublished,
            what,
            "nss-iamctl refresh; nss-iamctl doctor shows details",
        );
    }
    if let Some((_, user)) = who.remembered.filter(|(_, user)| user.hidden) {
        let since = user.disabled.map_or(String::new(), |at| format!(" {}", ago(at, facts.now)));
        let what = format!(
            "no longer published: disabled{since}, longer ago than removed_keep; uid and home directory are reserved"
        );
        return Finding::bad(Link::Hidden, what, "a user who becomes a member again gets the same uid");
    }
    Finding::bad(
        Link::NotPublishedYet,
        "the listing has the user, but the cache does not yet",
        "nss-iamctl refresh",
    )
}
