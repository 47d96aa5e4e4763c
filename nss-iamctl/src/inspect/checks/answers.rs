//! Whether glibc answers: the published files, nsswitch.conf, nscd, and the result for a user.

use std::collections::BTreeSet;

use crate::edit::nsswitch;
use crate::host::paths::{CACHE, KEYS};
use crate::host::published::Trouble;
use crate::inspect::checks::directories;
use crate::inspect::checks::samples::of_samples;
use crate::inspect::facts::Facts;
use crate::inspect::facts::probe::{PATIENCE, Probe};
use crate::say::code::Link;
use crate::say::finding::{Finding, Level};
use crate::say::show::{count, some};

pub(super) fn judge(facts: &Facts, samples: &[Probe]) -> Vec<Finding> {
    let mut findings = vec![cache(facts)];
    findings.extend(keys(facts).into_iter().map(|found| weighed(facts, found)));
    findings.extend(lines(facts.nsswitch.as_deref()));
    findings.extend(of_samples(samples, |probe| told(facts, probe)));
    findings
}

/// Whether the readers can use cache.db.
pub(crate) fn cache(facts: &Facts) -> Finding {
    match &facts.published.cache {
        Ok(cache) => Finding::ok(Link::Cache, format!("it has {}", count(cache.users.len(), "user"))),
        Err(Trouble::Missing) => Finding::bad(
            Link::CacheMissing,
            format!("'{CACHE}' does not exist, so no nss-iam user resolves"),
            "run nss-iamctl refresh, and read what it reports",
        ),
        Err(trouble) => Finding::bad(
            Link::CacheRefused,
            format!("readers refuse '{CACHE}': {trouble}"),
            "nss-iamctl refresh creates it again",
        ),
    }
}

/// What is wrong with the keys prevents no login if sshd does not ask for them. `sudo` may.
pub(crate) fn weighed(facts: &Facts, found: Finding) -> Finding {
    let level = found.level;
    let bad = level == Level::Bad && !facts.configured().keys.asks_keys_cmd();
    found.at(if bad { Level::Warn } else { level })
}

/// Whether keys-cmd can use keys.db, and whether it was fetched for this machine.
pub(crate) fn keys(facts: &Facts) -> Vec<Finding> {
    let path = KEYS;
    let keys = match &facts.published.keys {
        Ok(keys) => keys,
        Err(Trouble::Denied) if !facts.root => return Vec::new(),
        Err(Trouble::Missing) => {
            let what = format!("'{path}' does not exist, so no key is offered");
            return vec![Finding::bad(
                Link::KeysMissing,
                what,
                "run nss-iamctl refresh, and read what it reports",
            )];
        }
        Err(trouble) => {
            let what = format!("keys-cmd refuses '{path}': {trouble}; no key is offered");
            return vec![Finding::bad(Link::KeysRefused, what, "nss-iamctl refresh creates it again")];
        }
    };
    let mut findings = Vec::new();
    if !policy::offer::is_of_machine(keys.machine_id.as_bytes(), facts.machine_id.as_bytes()) {
        let what =
            "the keys were fetched for another machine-id (they came with an image), so no key is offered";
        findings.push(Finding::bad(
            Link::KeysOfOtherMachine,
            what,
            "nss-iamctl refresh (on the machine of the image, 'nss-iamctl clean' before it is created avoids this)",
        ));
    }
    let helper = facts.group.get("nss-iam");
    if let (Some(node), Some(&gid)) = (&facts.keys_db, helper)
        && (node.gid != gid || node.mode & 0o040 == 0)
    {
        let what = format!(
            "'{path}' has mode {:04o} and group {}: the user 'nss-iam' cannot read it",
            node.mode, node.gid
        );
        findings.push(Finding::bad(Link::KeysMode, what, "nss-iamctl refresh creates it again"));
    }
    if findings.is_empty() {
        let number = keys.logins.iter().map(|login| login.keys.len()).sum();
        findings.push(Finding::ok(
            Link::Keys,
            format!("{} of {}", count(number, "key"), count(keys.logins.len(), "user")),
        ));
    }
    findings
}

/// nsswitch.conf(5): whether each line asks `iam`, in a place that is reached.
pub(crate) fn lines(text: Option<&str>) -> Vec<Finding> {
    let Some(text) = text else {
        return vec![Finding::bad(
            Link::NsswitchMissing,
            "'/etc/nsswitch.conf' is missing, so glibc asks only local files",
            "nss-iamctl enable",
        )];
    };
    let text = text.as_bytes();
    let wanted = match nsswitch::enable(text, None) {
        Ok(wanted) => wanted,
        Err(refusal) => {
            let what = format!("'/etc/nsswitch.conf' {}", refusal.what());
            return vec![Finding::bad(Link::NsswitchRefused, what, refusal.hint().unwrap_or_default())];
        }
    };
    let mut findings: Vec<Finding> =
        nsswitch::DATABASES.into_iter().filter_map(|name| line(text, &wanted, name)).collect();
    if findings.is_empty() {
        findings.push(Finding::ok(Link::Nsswitch, "passwd, group and shadow ask 'iam', in the right order"));
    }
    findings
}

/// What is wrong with the lines of one database.
fn line(text: &[u8], wanted: &[u8], name: &str) -> Option<Finding> {
    let (now, then) = (nsswitch::services(text, name), nsswitch::services(wanted, name));
    if now == then {
        return None;
    }
    if nsswitch::unended(text) == Some(name) {
        let what = format!(
            "the last line of nsswitch.conf, for {name}, has no newline, so glibc since 2.33 ignores it: {}",
            consequence(name)
        );
        return Some(Finding::bad(Link::NsswitchUnended, what, "nss-iamctl enable adds the newline"));
    }
    if name == "shadow" && now.is_empty() {
        // nsswitch.conf(5) of glibc: without the line, the services of passwd are asked.
        let what = "nsswitch.conf has no line for shadow; glibc uses the line for passwd, but other programs may not";
        return Some(Finding::warn(Link::NsswitchNoShadow, what, "nss-iamctl enable adds one"));
    }
    let told = now.first().map_or("no such line".to_owned(), |line| format!("'{name}: {line}'"));
    let then = then.first().map_or(String::new(), |line| format!("'{name}: {line}'"));
    if now.iter().any(|line| line.split(' ').any(|word| word == "iam")) {
        let what = format!("nsswitch.conf asks 'iam' in an unusual place: {told} instead of {then}");
        return Some(Finding::warn(Link::NsswitchOrder, what, "nss-iamctl enable moves it"));
    }
    let what = format!("nsswitch.conf does not ask 'iam' for {name}: {told}; {}", consequence(name));
    Some(Finding::bad(Link::NsswitchWithoutIam, what, format!("nss-iamctl enable changes it to {then}")))
}

fn consequence(database: &str) -> &'static str {
    match database {
        "passwd" => "no nss-iam user resolves",
        "group" => "nss-iam users are in none of their groups, and sshd's Match Group does not match them",
        "shadow" => "PAM finds no shadow entry and denies the login",
        _ => "at login, nss-iam users get none of their groups, and sshd's Match Group does not match them",
    }
}

/// The result for one user.
pub(crate) fn told(facts: &Facts, probe: &Probe) -> Vec<Finding> {
    let Probe { name, uid, .. } = probe;
    let who = if probe.active { format!("'{name}'") } else { format!("uid {uid} ('{name}')") };
    let mut findings = Vec::new();
    if probe.waits {
        findings.push(waits(facts, &who));
        return findings;
    }
    match (probe.told_uid(), &probe.module) {
        (Some(told), _) if told == *uid && probe.active => {
            findings.push(Finding::ok(Link::Resolves, format!("'{name}' resolves to uid {uid}")));
        }
        (Some(told), _) if told == *uid => {
            findings.push(nameless(facts, probe));
            return findings;
        }
        (Some(told), _) => {
            let what = format!(
                "'{name}' resolves to uid {told}, but the nss-iam user has {uid}: another service answers first"
            );
            findings.push(Finding::bad(
                Link::ResolvesToOther,
                what,
                format!("getent passwd {name}; is there a local or LDAP user of that name?"),
            ));
            return findings;
        }
        // nscd is not asked by uid, because it would then cache the name again.
        (None, Some(_)) if facts.nscd && !probe.active => {
            findings.push(nameless(facts, probe));
            return findings;
        }
        (None, Some(_)) if facts.nscd => {
            let what = format!("nscd has a stale negative entry for {who}");
            findings.push(Finding::bad(Link::NscdStale, what, "nscd -i passwd && nscd -i group"));
            return findings;
        }
        (None, Some(_)) => {
            let what = format!(
                "{who} does not resolve, although the module has the user: nsswitch.conf does not ask 'iam'"
            );
            findings.push(Finding::bad(Link::ResolvesNot, what, "nss-iamctl enable"));
            return findings;
        }
        (None, None) => {
            let what = format!("the module does not answer for {who}, who is in the cache");
            let remedy = if facts.module.native {
                "check that it belongs to this release, and that this process may read /var/lib/nss-iam/cache.db (SELinux, AppArmor, chroot)"
            } else {
                "reinstall the package nss-iam"
            };
            findings.push(Finding::bad(Link::ModuleSilent, what, remedy));
            return findings;
        }
    }
    findings.extend(shadow(facts, probe));
    findings.extend(groups(facts, probe));
    findings
}

/// glibc does not answer in time.
fn waits(facts: &Facts, who: &str) -> Finding {
    let text = facts.nsswitch.as_deref().unwrap_or_default();
    let (before, after) = nsswitch::directories(text.as_bytes());
    let what = format!("glibc did not answer for {who} within {PATIENCE} s, so a login waits, too");
    let restart = "restart its daemon (for sss: systemctl restart sssd)";
    let (what, remedy) = match (before.as_slice(), after.as_slice()) {
        ([], []) => (what, "find the service that hangs: getent -s SERVICE passwd USER".to_owned()),
        ([], after) => (format!("{what}: {} may hang", some(after)), restart.to_owned()),
        (before, _) => (
            format!("{what}: {} may hang, and is asked before 'iam'", some(before)),
            format!("{restart}; so that nss-iam users do not wait for it again: {}", directories::FIX),
        ),
    };
    Finding::bad(Link::LookupWaits, what, remedy)
}

/// A disabled user still has a name in `ls -l`, but does not resolve by name.
fn nameless(facts: &Facts, probe: &Probe) -> Finding {
    let Probe { name, uid, .. } = probe;
    if !probe.has_name() {
        let what = format!("'{name}' is disabled, owns files as uid {uid}, and does not resolve by name");
        return Finding::ok(Link::DisabledNameless, what);
    }
    let remedy = if facts.nscd {
        "nscd -i passwd && nscd -i group; if that does not help, check that libnss_iam.so.2 belongs to this release"
    } else {
        "libnss_iam.so.2 is probably of another release: reinstall the package nss-iam"
    };
    Finding::bad(Link::DisabledNamed, format!("'{name}' is disabled, but still resolves by name"), remedy)
}

fn shadow(facts: &Facts, probe: &Probe) -> Option<Finding> {
    if !facts.root || probe.shadow.is_some() {
        return None;
    }
    let what = format!("'{}' has no shadow entry, so PAM denies the login", probe.name);
    Some(Finding::bad(
        Link::ShadowMissing,
        what,
        "nss-iamctl enable adds 'iam' to the shadow line of nsswitch.conf",
    ))
}

/// sshd's Match looks at the groups that initgroups gives.
fn groups(facts: &Facts, probe: &Probe) -> Option<Finding> {
    let cache = facts.published.cache.as_ref().ok()?;
    let wanted = &facts.configured().users.common_group;
    let gid = cache.groups.iter().find(|group| group.name.as_str() == wanted)?.gid.get();
    let has: BTreeSet<u32> = probe.groups.iter().copied().collect();
    if has.contains(&gid) {
        return None;
    }
    let what = format!(
        "at login, '{}' does not get the group '{wanted}', by which sshd recognizes nss-iam users",
        probe.name
    );
    Some(Finding::bad(
        Link::CommonGroupMissing,
        what,
        format!("getent initgroups {}; nss-iamctl enable sets group and initgroups", probe.name),
    ))
}
