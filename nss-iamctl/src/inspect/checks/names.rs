//! Conflicts of names: what else uses a published name, what prevents new users from getting one, and what this host
//! grants to the names of nss-iam users.

use std::collections::BTreeMap;

use claims::{Kind, Unresolved, Use};
use config::Config;
use status::{Skip, SkipReason};

use crate::inspect::facts::Facts;
use crate::inspect::facts::names::Holder;
use crate::inspect::remedy::{adopt, allow_command, another_name, delete_group, exclude, one_of};
use crate::say::code::Link;
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

/// Units and entries of sysusers.d(5) that would run as a published user or group.
pub(crate) fn adopted(facts: &Facts) -> Vec<Finding> {
    let (source, allow) = (facts.source(), &facts.configured().names.allow);
    let mut findings = Vec::new();
    for (name, holder) in facts.names.holders.iter().filter(|(name, holder)| !is_allowed(allow, name, holder))
    {
        let uses: Vec<_> = uses(facts, name).filter(|used| adopts(used)).collect();
        let Some(first) = uses.first() else { continue };
        let more = match uses.len() {
            1 => String::new(),
            all => format!(" and in {} more places", all - 1),
        };
        let Holder { what, iam_id, .. } = holder;
        let called = source.called(what);
        let told = format!(
            "{called} '{name}' is {first}{more}: what runs there can use this {what}'s files and keys, and vice versa"
        );
        let meant = iam_id.as_ref().map_or_else(
            || "see [names.allow] in nss-iam.toml(5)".to_owned(),
            |iam_id| allow_command(iam_id.as_str(), name),
        );
        let remedy = format!(
            "use a dedicated user in '{}', or rename the {called}; if this is intended: {meant}",
            first.place
        );
        findings.push(Finding::bad(Link::UnitTakesName, told, remedy));
    }
    findings
}

/// Whether something runs as the user or group.
fn adopts(used: &Use) -> bool {
    // A transient unit does not come from a package: somebody runs it as this user, with `systemd-run --uid`.
    matches!(used.kind, Kind::Unit | Kind::Sysusers) && !used.place.starts_with("/run/systemd/transient/")
}

fn uses<'a>(facts: &'a Facts, name: &str) -> impl Iterator<Item = &'a Use> {
    facts.names.uses.get(name).into_iter().flatten()
}

/// Whether `[names.allow]` allows the name.
fn is_allowed(allow: &Allow, name: &str, holder: &Holder) -> bool {
    let allowed = holder.iam_id.as_ref().and_then(|iam_id| allow.get(iam_id.as_str()));
    allowed.is_some_and(|allowed| allowed == name)
}

/// What else has the name of a published user or group.
enum Other<'a> {
    LocalUser,
    LocalGroup,
    UserOf(&'a str),
    GroupOf(&'a str),
}

impl Other<'_> {
    fn link(&self) -> Link {
        match self {
            Self::LocalUser => Link::NameAlsoLocalUser,
            Self::LocalGroup => Link::NameAlsoLocalGroup,
            Self::UserOf(_) => Link::NameAlsoOtherUser,
            Self::GroupOf(_) => Link::NameAlsoOtherGroup,
        }
    }

    /// For a message, with the uid or gid.
    fn described(&self, id: u32) -> String {
        match self {
            Self::LocalUser => format!("a user of /etc/passwd (uid {id})"),
            Self::LocalGroup => format!("a group of {GROUP_FILE} (gid {id})"),
            Self::UserOf(service) => format!("a user of {} (uid {id})", of_service(service)),
            Self::GroupOf(service) => format!("a group of {} (gid {id})", of_service(service)),
        }
    }

    /// Whether it is in local files, which are read at each refresh.
    fn is_local(&self) -> bool {
        matches!(self, Self::LocalUser | Self::LocalGroup)
    }

    /// What the administrator can do; `called` is the source's name for the user or group.
    fn remedy(&self, config: &Config, what: &str, called: &str, name: &str) -> String {
        let is_user = what == "user";
        let another = if is_user { another_name(config, None, None) } else { format!("rename the {called}") };
        match self {
            Self::LocalUser if is_user => {
                one_of([adopt(name), Some(format!("remove it: userdel {name}")), Some(another)])
            }
            Self::LocalGroup => one_of([delete_group(name), Some(another)]),
            Self::LocalUser | Self::UserOf(_) => format!("remove the user there, or {another}"),
            Self::GroupOf(_) => format!("remove the group there, or {another}"),
        }
    }
}

/// Published names that another account on this host also has.
pub(crate) fn taken(facts: &Facts) -> Vec<Finding> {
    let (config, names) = (facts.configured(), &facts.names);
    let mut findings = Vec::new();
    for (name, holder) in &names.holders {
        let local_user = facts.passwd.get(name).map(|&uid| (Other::LocalUser, uid));
        let local = local_user.or_else(|| Some((Other::LocalGroup, *facts.group.get(name)?)));
        let user = || names.directory.user(name).map(|(service, uid)| (Other::UserOf(service), uid));
        let group = || names.directory.group(name).map(|(service, gid)| (Other::GroupOf(service), gid));
        let Some((other, id)) = local.or_else(user).or_else(group) else { continue };
        let when = if other.is_local() { "at the next refresh" } else { "within a day" };
        let Holder { what, .. } = holder;
        let called = config.source.called(what);
        let told = format!(
            "'{name}' is the name of a published {what} and also of {}: one is mistaken for the other, and the {called} loses the name {when}",
            other.described(id)
        );
        findings.push(Finding::bad(other.link(), told, other.remedy(config, what, &called, name)));
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

/// Services of nsswitch.conf(5) that do not answer.
fn services(facts: &Facts) -> Vec<Finding> {
    let config = facts.configured();
    let excluded = &config.names.exclude;
    let mut findings = Vec::new();
    if let Some(why) = &facts.names.unread {
        let what = format!("{why}; nothing is published until it can be read");
        findings.push(Finding::bad(
            Link::NsswitchUnreadable,
            what,
            "correct the file and its mode; nss-iamctl refresh",
        ));
    }
    for (service, answer) in &facts.names.directory.0 {
        if let Some(why) = &answer.failed {
            let what = format!("{} cannot be asked: {why}; new users get no names", of_service(service));
            let remedy = format!(
                "repair it, or remove it from nsswitch.conf; or, if its names do not matter here: {}",
                exclude(service)
            );
            findings.push(Finding::bad(Link::ServiceUnasked, what, remedy));
        } else if answer.absent {
            let what = format!(
                "nsswitch.conf names the service '{service}', whose module is not installed, so it is ignored"
            );
            findings.push(Finding::ok(Link::ServiceAbsent, what));
        }
    }
    if !excluded.is_empty() && facts.root {
        let what = format!("not checked for names, because of [names] exclude: {}", some(excluded));
        findings.push(Finding::ok(Link::ServicesExcluded, what));
    }
    findings
}

/// Rules and units that could name anyone.
fn unresolved(facts: &Facts) -> Vec<Finding> {
    let skips = || facts.published.status.iter().flat_map(|status| &status.skips);
    facts
        .names
        .unresolved
        .iter()
        .map(|unresolved| {
            let Unresolved { kind, place, .. } = unresolved;
            let Some(part) = kind.word() else {
                return Finding::ok(Link::GrantsUnresolved, format!("{unresolved}; it is excluded"));
            };
            let what = format!("{unresolved}; new users get no names");
            let remedy = format!(
                "correct '{place}' so that it can be resolved; or exclude all such files: {}",
                exclude(part)
            );
            let is_why = |skip: &Skip| {
                let reason = skip.reason.known();
                matches!(reason, Some(SkipReason::NameUnresolved { unresolved: why, .. }) if why == unresolved)
            };
            let refused = skips().any(is_why);
            Finding::warn(Link::RulesUnresolved, what, remedy).at(if refused { Level::Bad } else { Level::Warn })
        })
        .collect()
}

/// What the host grants to published names. This is intended, so it is only listed.
fn given(facts: &Facts) -> Vec<Finding> {
    let names = facts.names.holders.keys();
    names.flat_map(|name| given_to(facts, name)).map(|told| Finding::ok(Link::Given, told)).collect()
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

/// Everything that this host grants to `name`, except what [`adopted`] and [`taken`] find.
pub(crate) fn given_to(facts: &Facts, name: &str) -> Vec<String> {
    let mut told = memberships(facts, name);
    let allow = &facts.configured().names.allow;
    told.extend(granted(facts, allow, name).map(|used| format!("'{name}' is {used}")));
    told
}
