//! The user's keys, the tags that they can be in, and the logins that were tried with them.

use config::TagUse;
use policy::KeyLine;
use status::What;

use crate::commands::why::log::{Asked, activate, add_any_key, last};
use crate::edit::sshd::refusal;
use crate::inspect::checks::{answers, instance_connect, skipped};
use crate::inspect::facts::Facts;
use crate::inspect::facts::probe::Probe;
use crate::inspect::offer::{UNASKED, withheld};
use crate::inspect::remedy::use_unused;
use crate::inspect::subject::{Origin, Who};
use crate::say::code::Link;
use crate::say::finding::{Finding, not_ok};
use crate::say::show::{ago, word};

/// Tags of the user that have no effect. Where no tag is used, they are not read.
pub(super) fn unused_tags(facts: &Facts, who: &Who<'_>) -> Vec<Finding> {
    let config = facts.configured();
    let (Some((_, user)), Some(stored)) = (who.listed, config.source.stored()) else { return Vec::new() };
    let tags = user.tags.keys().filter_map(|tag| Some((tag, config.tags.meant(tag)?)));
    let unused = tags.filter(|(_, usage)| !config.tags.uses.contains(usage));
    let finding = |(tag, usage): (&String, TagUse)| {
        let what = match usage {
            TagUse::SshKey => "an SSH key",
            TagUse::Name => "a login name",
            TagUse::Uid => "a uid",
            TagUse::Shell => "a shell",
            TagUse::Gecos => "a comment",
        };
        let what = format!("has {what} in the tag '{tag}', but [tags] use does not list '{}'", usage.word());
        let remove = stored.to_remove_tag(&word(&user.name), &word(tag));
        let remedy = format!("{}; or remove the tag: {remove}; then nss-iamctl refresh", use_unused(usage));
        Finding::warn(Link::TagUnused, what, remedy)
    };
    unused.map(finding).collect()
}

/// Each key, and whether sshd is offered it.
pub(super) fn keys(facts: &Facts, who: &Who<'_>) -> Vec<Finding> {
    if !facts.configured().keys.sshd {
        return vec![Finding::ok(Link::KeysUnasked, UNASKED)];
    }
    let mut findings: Vec<Finding> = answers::keys(facts).into_iter().filter(not_ok).collect();
    let iam_name = who.iam_name().unwrap_or(&who.name);
    let (config, inactive) = (facts.configured(), who.inactive());
    let source = config.source.noun();
    if let (Some(login), Ok(published)) = (who.login, &facts.published.keys) {
        match withheld(published, login, &facts.machine_id, facts.now) {
            Some(why) => {
                let what = format!("no key is offered: {}", why.what());
                findings.push(Finding::bad(Link::NoKeyOffered, what, why.hint().unwrap_or_default()));
            }
            None => {
                let (age, origins) = (ago(login.confirmed, facts.now), who.origins(config));
                let offered = |key: &KeyLine| {
                    let origin = origins.get(key.fingerprint()).map(Origin::shown).unwrap_or_default();
                    let origin = if origin.is_empty() { origin } else { format!(" ({origin})") };
                    let (kind, fingerprint) = (key.kind(), key.fingerprint());
                    let what = format!(
                        "{kind} {fingerprint}{origin} is offered; confirmed {age} by '{}'",
                        login.source
                    );
                    Finding::ok(Link::KeyOffered, what)
                };
                findings.extend(login.keys.iter().map(offered));
                if !published.options.is_empty() && !login.keys.is_empty() {
                    let what = format!("every key has these options: {}", published.options);
                    findings.push(Finding::ok(Link::KeyOptions, what));
                }
            }
        }
        if config.keys.takes_pushed() {
            findings.extend(instance_connect::judge(facts));
        } else if login.keys.is_empty() {
            let active = if inactive.is_empty() { "" } else { "active " };
            let what = format!("{source} has no {active}SSH key of the user");
            // A key that is broken, or in the wrong place, is mended where it is.
            let broken = who.skips.iter().find(|skip| skip.what == What::Key);
            let remedy = match (inactive.first(), broken) {
                (Some(key), _) => activate(config, iam_name, &key.id),
                (None, Some(skip)) => skipped::remedy(config, skip),
                (None, None) => add_any_key(config, iam_name),
            };
            findings.push(Finding::bad(Link::NoKey, what, remedy));
        }
    }
    findings.extend(inactive.iter().map(|key| {
        let fingerprint =
            key.fingerprint.as_ref().map_or(String::new(), |fingerprint| format!(" ({fingerprint})"));
        let what = format!("key '{}'{fingerprint} is inactive in {source}, so it is not offered", key.id);
        Finding::warn(Link::KeyInactive, what, activate(config, iam_name, &key.id))
    }));
    findings
}

/// Keys that sshd refuses, although it is offered others that it accepts; `outlook` says if there are none.
pub(super) fn refused_keys(facts: &Facts, who: &Who<'_>, probe: &Probe) -> Vec<Finding> {
    let (Some(login), Some(Ok(settings))) = (who.login, &probe.sshd) else { return Vec::new() };
    let refused = refusal::of_keys(settings, &probe.key_files, login);
    if !facts.configured().keys.sshd || refused.len() == login.keys.len() {
        return Vec::new();
    }
    let told = refusal::told(settings, &refused).into_iter();
    let found = told.map(|(link, why)| {
        let what = format!("sshd refuses some of the keys: {}", why.what());
        Finding::warn(link, what, why.hint().unwrap_or_default())
    });
    found.collect()
}

/// The last login attempts. Those of a user who is not published were not the keys' fault.
pub(super) fn tries(facts: &Facts, who: &Who<'_>) -> Option<Finding> {
    if who.is_known() && who.cached.is_none() {
        return None;
    }
    let remembered = || who.remembered.map_or(&[][..], |(_, user)| &user.keys);
    let active = who.login.map_or_else(remembered, |login| &login.keys);
    let inactive = who.inactive().into_iter().filter_map(|key| Some((key.id, key.fingerprint?)));
    let asked = Asked {
        name: &who.name,
        config: facts.configured(),
        iam_name: who.iam_name().unwrap_or(&who.name),
        active: active.iter().map(KeyLine::fingerprint).collect(),
        inactive: inactive.collect(),
    };
    last(&facts.log, &asked)
}
