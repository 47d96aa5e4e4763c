//! Whose the names are: what takes a published name for its own, what keeps newcomers from getting one, and what this
//! host gives to the names of IAM users.

use std::collections::BTreeMap;

use claims::{Kind, Unresolved, Use};
use status::{Skip, SkipReason};

use crate::inspect::facts::Facts;
use crate::inspect::facts::names::Holder;
use crate::inspect::remedy::{ANOTHER_NAME, allow_command, exclude};
use crate::say::finding::{Finding, Level, bounded};
use crate::say::show::some;

/// `[names.allow]`
type Allow = BTreeMap<String, String>;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = bounded(adopted(facts), "nss-iamctl why USER");
    findings.extend(bounded(taken(facts), "nss-iamctl why USER"));
    findings.extend(services(facts));
    findings.extend(bounded(unresolved(facts), "see above"));
    findings.extend(given(facts));
    findings
}

/// Units and entries of sysusers.d(5) that take a published name for the account of their daemon.
pub(crate) fn adopted(facts: &Facts) -> Vec<Finding> {
    let allow = facts.configured().names.allow;
    let mut findings = Vec::new();
    for (name, holder) in
        facts.names.holders.iter().filter(|(name, holder)| !is_allowed(&allow, name, holder))
    {
        let uses: Vec<_> = uses(facts, name).filter(|used| adopts(used)).collect();
        let Some(first) = uses.first() else { continue };
        let more = match uses.len() {
            1 => String::new(),
            all => format!(" and in {} more such places", all - 1),
        };
        let Holder { what, iam_id, .. } = holder;
        let told = format!(
            "IAM {what} '{name}' is {first}{more}: what runs there has this {what}'s files and keys, and the reverse"
        );
        let meant = iam_id.as_ref().map_or_else(
            || "see [names.allow] in nss-iam.toml(5)".to_owned(),
            |iam_id| allow_command(iam_id.as_str(), name),
        );
        let remedy = format!(
            "give it a user of its own in '{}', or rename the IAM {what}; if it is meant so: {meant}",
            first.place
        );
        findings.push(Finding::bad("unit", told, remedy));
    }
    findings
}

/// Whether something runs as the user or group.
fn adopts(used: &Use) -> bool {
    // A transient unit is no package's: somebody runs it as this user now, `systemd-run --uid`.
    matches!(used.kind, Kind::Unit | Kind::Sysusers) && !used.place.starts_with("/run/systemd/transient/")
}

fn uses<'a>(facts: &'a Facts, name: &str) -> impl Iterator<Item = &'a Use> {
    facts.names.uses.get(name).into_iter().flatten()
}

/// As `[names.allow]` says.
fn is_allowed(allow: &Allow, name: &str, holder: &Holder) -> bool {
    let allowed = holder.iam_id.as_ref().and_then(|iam_id| allow.get(iam_id.as_str()));
    allowed.is_some_and(|allowed| allowed == name)
}

/// Published names that somebody else on this host has, too.
pub(crate) fn taken(facts: &Facts) -> Vec<Finding> {
    let names = &facts.names;
    let mut findings = Vec::new();
    for (name, holder) in &names.holders {
        let (other, place, id, when) = if let Some(&uid) = facts.passwd.get(name) {
            ("user", "/etc/passwd".to_owned(), uid, "at the next refresh")
        } else if let Some(&gid) = facts.group.get(name) {
            ("group", "/etc/group".to_owned(), gid, "at the next refresh")
        } else if let Some((service, uid)) = names.directory.user(name) {
            ("user", of_service(service), uid, "within a day")
        } else if let Some((service, gid)) = names.directory.group(name) {
            ("group", of_service(service), gid, "within a day")
        } else {
            continue;
        };
        let kind = if other == "user" { "uid" } else { "gid" };
        let Holder { what, .. } = holder;
        let told = format!(
            "'{name}' is an IAM {what} and also a {other} of {place} ({kind} {id}): one is taken for the other, and \
             the IAM {what} loses the name {when}"
        );
        findings.push(Finding::bad("name", told, remedy_of_taken(what, other, &place, name)));
    }
    findings
}

/// Of the service `files`.
const GROUP_FILE: &str = "/etc/group";

fn of_service(service: &str) -> String {
    if service == "files" {
        return GROUP_FILE.to_owned();
    }
    format!("service '{service}' of nsswitch.conf")
}

fn remedy_of_taken(what: &str, other: &str, place: &str, name: &str) -> String {
    let another = if what == "user" { ANOTHER_NAME } else { "rename the IAM group" };
    match (what, other, place) {
        ("user", "user", "/etc/passwd") => {
            format!(
                "nss-iamctl adopt takes the local account over; or remove it: userdel {name}; or {another}"
            )
        }
        (_, "group", "/etc/group") => format!("if nothing needs it: groupdel {name}; else {another}"),
        _ => format!("remove that {other} there, or {another}"),
    }
}

/// Services of nsswitch.conf(5) that say nothing.
fn services(facts: &Facts) -> Vec<Finding> {
    let excluded = facts.configured().names.exclude;
    let mut findings = Vec::new();
    if let Some(why) = &facts.names.unread {
        let what = format!("{why}; nothing is published before it can be read");
        findings.push(Finding::bad("service", what, "correct the file and its mode; nss-iamctl refresh"));
    }
    for (service, answer) in &facts.names.directory.0 {
        if let Some(why) = &answer.failed {
            let what = format!("{} cannot be asked: {why}; nobody new gets a name", of_service(service));
            let remedy = format!(
                "mend it, or take it out of nsswitch.conf; or, if no name of it matters here: {} in /etc/nss-iam/config.toml",
                exclude(&excluded, service)
            );
            findings.push(Finding::bad("service", what, remedy));
        } else if answer.absent {
            let what = format!(
                "nsswitch.conf names the service '{service}', whose module is not installed: it knows nobody"
            );
            findings.push(Finding::ok("service", what));
        }
    }
    if !excluded.is_empty() && facts.root {
        let what = format!("not asked whose a name is, by [names] exclude: {}", some(&excluded));
        findings.push(Finding::ok("service", what));
    }
    findings
}

/// Rules and units that could name anyone.
fn unresolved(facts: &Facts) -> Vec<Finding> {
    let excluded = facts.configured().names.exclude;
    let skips = || facts.published.status.iter().flat_map(|status| &status.skips);
    facts
        .names
        .unresolved
        .iter()
        .map(|unresolved| {
            let Unresolved { kind, place, .. } = unresolved;
            let Some(part) = kind.word() else {
                return Finding::ok("names", format!("{unresolved}; it is left out here"));
            };
            let what = format!("{unresolved}; nobody new gets a name");
            let remedy = format!(
                "correct '{place}' so that it can be resolved; or leave all such files out: {} in /etc/nss-iam/config.toml",
                exclude(&excluded, part)
            );
            let is_why = |skip: &Skip| {
                let reason = skip.reason.known();
                matches!(reason, Some(SkipReason::NameUnresolved { unresolved: why, .. }) if why == unresolved)
            };
            let refused = skips().any(is_why);
            Finding::warn("rules", what, remedy).at(if refused { Level::Bad } else { Level::Warn })
        })
        .collect()
}

/// What an administrator gave to names that are published now. It is theirs on purpose, so this is only told.
fn given(facts: &Facts) -> Vec<Finding> {
    let names = facts.names.holders.keys();
    names.flat_map(|name| given_to(facts, name)).map(|told| Finding::ok("names", told)).collect()
}

/// Uses of a name, but those that [`adopted`] finds.
fn granted<'a>(facts: &'a Facts, allow: &Allow, name: &str) -> impl Iterator<Item = &'a Use> {
    let allowed = facts.names.holders.get(name).is_some_and(|holder| is_allowed(allow, name, holder));
    uses(facts, name).filter(move |used| allowed || !adopts(used))
}

/// Groups that list the name as a member, by place.
fn memberships(facts: &Facts, name: &str) -> Vec<String> {
    let names = &facts.names;
    let of_files = names.members.get(name).map(|groups| (groups.as_slice(), GROUP_FILE.to_owned()));
    let of_services = names.directory.0.iter().filter_map(|(service, answer)| {
        Some((answer.memberships.get(name)?.as_slice(), of_service(service)))
    });
    let is_told = of_files.is_some();
    let of_services = of_services.filter(|(_, place)| !is_told || place != GROUP_FILE);
    let told =
        |(groups, place): (&[String], String)| format!("'{name}' is a member of {} in {place}", some(groups));
    of_files.into_iter().chain(of_services).map(told).collect()
}

/// All that this host gives to `name`, but what [`adopted`] and [`taken`] find.
pub(crate) fn given_to(facts: &Facts, name: &str) -> Vec<String> {
    let mut told = memberships(facts, name);
    let allow = facts.configured().names.allow;
    told.extend(granted(facts, &allow, name).map(|used| format!("'{name}' is {used}")));
    told
}
