//! Whether nss-iam users are blocked from the instance metadata, and so from the instance role, if this is enabled.

use policy::id::COMPUTED;

use crate::host::paths::IMDS;
use crate::inspect::facts::Facts;
use crate::inspect::facts::imds::{ADDRESSES, ImdsFacts, Rules, Unseen};
use crate::say::code::Link;
use crate::say::finding::{Finding, bounded};

/// Loads all rules atomically, whatever is loaded now, and even if the unit has failed.
const LOAD: &str = "systemctl reload-or-restart nss-iam-imds.service";
const OPEN: &str = "nss-iam users can take the instance role from the instance metadata";

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let Some(ImdsFacts { unit, enabled, rules }) = &facts.imds else { return Vec::new() };
    let off = !matches!(unit.active.as_str(), "active" | "reloading" | "activating");
    if off && !enabled {
        return vec![Finding::ok(Link::ImdsOff, format!("'{IMDS}' is off: {OPEN}, if it has one"))];
    }
    let mut findings = Vec::new();
    if off {
        let what = format!("'{IMDS}' is enabled and {} ({})", unit.active, unit.result);
        findings.push(Finding::bad(
            Link::ImdsFailed,
            what,
            format!("{LOAD}; if that fails: journalctl -u {IMDS}"),
        ));
    } else if !enabled {
        let what = format!("'{IMDS}' is running, but is not started at boot");
        findings.push(Finding::warn(Link::ImdsNotAtBoot, what, format!("systemctl enable {IMDS}")));
    }
    match rules {
        None => {}
        Some(Err(unseen)) => findings.push(unseen_rules(unseen)),
        Some(Ok(rules)) => findings.extend(holes(facts, rules)),
    }
    if findings.is_empty() {
        let seen = if rules.is_some() { "" } else { ", as far as this can be checked without root" };
        findings.push(Finding::ok(
            Link::Imds,
            format!("nss-iam users are blocked from the instance metadata{seen}"),
        ));
    }
    findings
}

fn unseen_rules(unseen: &Unseen) -> Finding {
    match unseen {
        Unseen::NoProgram => {
            let what = format!("'nft' is not installed, which '{IMDS}' needs: {OPEN}");
            Finding::bad(Link::ImdsNoProgram, what, format!("install the package nftables, then {LOAD}"))
        }
        Unseen::NoTable => {
            let what = format!("the kernel has no table 'inet nss_iam'; its rules were flushed: {OPEN}");
            Finding::bad(Link::ImdsNoTable, what, LOAD)
        }
        Unseen::Failed(cause) => {
            let what = format!("the rules of '{IMDS}' cannot be read: {cause}");
            Finding::warn(Link::ImdsUnseen, what, "nft list table inet nss_iam")
        }
    }
}

/// What the rules fail to block.
fn holes(facts: &Facts, rules: &Rules) -> Vec<Finding> {
    let bad = |link, what: String| Finding::bad(link, what, LOAD);
    let mut findings = Vec::new();
    if !rules.hooked {
        let what = format!(
            "chain 'output' of table 'inet nss_iam' is not at hook output with priority -300: {OPEN}"
        );
        findings.push(bad(Link::ImdsHook, what));
    }
    let missing = ADDRESSES.iter().filter(|address| !rules.addresses.iter().any(|other| other == *address));
    findings.extend(missing.map(|address| {
        bad(Link::ImdsAddress, format!("no rule blocks nss-iam users from '{address}': {OPEN}"))
    }));
    if !rules.refuse(&COMPUTED) {
        let (first, last) = (COMPUTED.start(), COMPUTED.end());
        let what = format!("no rule blocks the uids {first}-{last}, which nss-iam users have: {OPEN}");
        findings.push(bad(Link::ImdsUids, what));
    }
    let users = facts.published.cache.as_ref().map_or(&[][..], |cache| &cache.users);
    let pinned = users.iter().filter(|user| !COMPUTED.contains(&user.uid.get()));
    let open = pinned.filter(|user| !rules.refuse(&(user.uid.get()..=user.uid.get())));
    let open = open.map(|user| {
        let what =
            format!("no rule blocks uid {} ('{}'), who can take the instance role", user.uid, user.name);
        bad(Link::ImdsUid, what)
    });
    findings.extend(bounded(open.collect(), "nft list table inet nss_iam shows all blocked uids"));
    findings
}

#[cfg(test)]
mod tests {
    use policy::Id;

    use super::*;
    use crate::fixtures::good;
    use crate::say::finding::Level::{self, Bad, Ok, Warn};

    fn told(change: impl Fn(&mut Facts)) -> Vec<(Level, String, String)> {
        let mut facts = good();
        change(&mut facts);
        judge(&facts).into_iter().map(|f| (f.level, f.what, f.remedy.unwrap_or_default())).collect()
    }

    fn tells(level: Level, what: &str, remedy: &str, change: impl Fn(&mut ImdsFacts)) {
        let told = told(|facts| change(facts.imds.as_mut().unwrap()));
        let [(found, said, how)] = told.as_slice() else { panic!("{told:?}") };
        assert!(*found == level && said.contains(what) && how.contains(remedy), "{told:?}");
    }

    fn rules(imds: &mut ImdsFacts) -> &mut Rules {
        imds.rules.as_mut().unwrap().as_mut().unwrap()
    }

    #[test]
    fn what_was_not_asked_for_is_no_fault() {
        assert_eq!(told(|facts| facts.imds = None), []);
        tells(Ok, "are blocked from the instance metadata", "", |_| ());
        tells(Ok, "is off", "", |imds| {
            (imds.unit.active, imds.enabled) = ("inactive".to_owned(), false);
            imds.rules = Some(Err(Unseen::NoTable));
        });
    }

    #[test]
    fn rules_that_are_gone_or_changed_are_told_with_what_loads_them() {
        tells(Bad, "no table 'inet nss_iam'", LOAD, |imds| imds.rules = Some(Err(Unseen::NoTable)));
        tells(Bad, "not installed", "nftables, then systemctl", |imds| {
            imds.rules = Some(Err(Unseen::NoProgram));
        });
        tells(Bad, "not at hook output", LOAD, |imds| rules(imds).hooked = false);
        tells(Bad, "from 'fd00:ec2::254'", LOAD, |imds| drop(rules(imds).addresses.pop()));
        tells(Bad, "uids 1879048192-2147352575", LOAD, |imds| rules(imds).refused.clear());
        tells(Bad, "is enabled and failed (exit-code)", "journalctl", |imds| {
            (imds.unit.active, imds.unit.result) = ("failed".to_owned(), "exit-code".to_owned());
        });
        tells(Warn, "not started at boot", "systemctl enable", |imds| imds.enabled = false);
    }

    #[test]
    fn whoever_has_a_pinned_id_that_no_rule_refuses_is_named() {
        let pin = |facts: &mut Facts, uid| {
            facts.published.cache.as_mut().unwrap().users[1].uid = Id::pinned(uid).unwrap();
        };
        let found = told(|facts| pin(facts, 1005));
        assert!(found.len() == 1 && found[0].1.contains("uid 1005 ('bob')"), "{found:?}");
        let found = told(|facts| {
            pin(facts, 1005);
            rules(facts.imds.as_mut().unwrap()).refused.push(1005..=1005);
        });
        assert_eq!(found[0].0, Ok, "{found:?}");
    }

    #[test]
    fn without_root_or_json_nothing_is_made_up() {
        tells(Ok, "as far as this can be checked", "", |imds| imds.rules = None);
        let failed = Unseen::Failed("JSON support not compiled-in".to_owned());
        tells(Warn, "not compiled-in", "nft list", |imds| imds.rules = Some(Err(failed.clone())));
    }
}
