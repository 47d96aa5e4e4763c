//! Who could log in now. The verdicts of `doctor` and `status` come from here, so that they agree with each other and with
//! sshd: from what glibc answers, sshd's effective settings, and the keys that keys-cmd offers.

#[cfg(test)]
mod tests;

use std::cell::LazyCell;
use std::collections::BTreeMap;

use cache::snapshot::Login;
use message::Message;

use crate::edit::nsswitch;
use crate::edit::sshd::refusal;
use crate::host::paths::KEYS_USER;
use crate::inspect::checks::{answers, certificates, logins, pam, refresh, setup, skipped};
use crate::inspect::facts::Facts;
use crate::inspect::facts::probe::Probe;
use crate::inspect::offer::withheld;
use crate::say::code::{Code, Link};
use crate::say::finding::{Finding, Level};
use crate::say::show::{count, some};

/// The result for the active users.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outlook {
    /// Who could log in, as far as was seen.
    pub able: Vec<String>,
    /// Why nobody can.
    nobody: Option<Finding>,
    /// The others, with the first reason.
    unable: Vec<(String, Finding)>,
    /// What may prevent logins and cannot be seen.
    pub unseen: Option<&'static str>,
}

/// From the facts and the samples of the active users.
pub(crate) fn outlook(facts: &Facts, samples: &[Probe]) -> Outlook {
    let unseen = (!facts.root).then_some("keys, sshd's settings and PAM's answers are visible only to root");
    let mut outlook = Outlook { unseen, nobody: for_all(facts, samples), ..Outlook::default() };
    if outlook.nobody.is_some() {
        return outlook;
    }
    let keys = facts.published.keys.as_ref().map_or(&[][..], |keys| &keys.logins);
    let keys: BTreeMap<&str, &Login> = keys.iter().map(|login| (login.name.as_str(), login)).collect();
    let of_keys_cmd = LazyCell::new(|| of_keys_cmd(facts));
    for probe in samples.iter().filter(|probe| probe.active) {
        let (own, common): (Vec<_>, Vec<_>) =
            answers::told(facts, probe).into_iter().filter(is_bad).partition(is_of_one);
        let common = common.into_iter().next();
        let common = common.or_else(|| logins::shell(facts, probe).filter(is_bad));
        let common = common.or_else(|| pam::now(facts, probe).filter(is_bad));
        let mut one = Probe { alike: Vec::new(), ..probe.clone() };
        for name in &probe.alike {
            one.name.clone_from(name);
            let own = own.first().filter(|_| *name == probe.name);
            let of_user = || of_user(facts, &one, keys.get(&**name), &of_keys_cmd);
            match common.as_ref().or(own).cloned().map_or_else(of_user, Err) {
                Ok(unseen) => {
                    outlook.able.push(name.clone());
                    outlook.unseen = outlook.unseen.or(unseen);
                }
                Err(reason) => outlook.unable.push((name.clone(), reason)),
            }
        }
    }
    if outlook.able.is_empty() {
        outlook.nobody = Some(first(&outlook.unable));
    }
    outlook
}

/// Neither glibc nor sshd knows of nss-iam: it was never set up, or 'disable' was run.
pub(crate) fn not_set_up(facts: &Facts) -> Option<Finding> {
    let asks = facts.nsswitch.as_ref().is_some_and(|text| {
        let mut lines =
            nsswitch::DATABASES.into_iter().flat_map(|name| nsswitch::services(text.as_bytes(), name));
        lines.any(|line| line.split(' ').any(|word| word == "iam"))
    });
    if asks || facts.sshd.as_ref().is_some_and(|sshd| sshd.ours) {
        return None;
    }
    let says_who = setup::configuration(facts).level == Level::Ok;
    let command = if says_who { "nss-iamctl enable" } else { "nss-iamctl enable --group GROUP" };
    Some(Finding::bad(Link::NotSetUp, "not set up", command))
}

/// What prevents the logins of all users.
fn for_all(facts: &Facts, samples: &[Probe]) -> Option<Finding> {
    let active = facts.published.cache.iter().flat_map(|cache| &cache.users).any(|user| user.active);
    let nobody = || {
        let what = Message::new("no active user is published");
        let (what, hint) = match skipped::users(facts) {
            Some(skipped) => (what.and(skipped.what()), skipped.hint().unwrap_or_default().to_owned()),
            None => {
                let hint = "check that the configured groups have members; nss-iamctl refresh, and read what it reports";
                (what, hint.to_owned())
            }
        };
        Finding::bad(Link::NobodyPublished, what.what(), hint)
    };
    let others = samples.iter().any(|probe| certificates::of_others(facts, probe));
    let asks = facts.configured().keys.asks_keys_cmd() && !others;
    let is_closed = |found: &Finding| {
        found.level == Level::Bad && facts.directory.as_ref().is_none_or(|node| node.mode & 0o001 == 0)
    };
    not_set_up(facts)
        .or_else(|| Some(setup::directory(facts)).filter(is_closed))
        .or_else(|| Some(answers::cache(facts)).filter(is_bad))
        .or_else(|| refresh::locks(facts).filter(is_bad))
        .or_else(|| (!active).then(nobody))
        .or_else(|| of_keys_cmd(facts).filter(|_| asks))
        .or_else(|| {
            logins::daemon(facts)
                .into_iter()
                .find(|found| is_bad(found) || found.code == Link::SshdMissing.into())
        })
        .or_else(|| logins::label(facts))
        .or_else(|| logins::nologin(facts))
}

/// Why keys-cmd lets nobody in.
fn of_keys_cmd(facts: &Facts) -> Option<Finding> {
    let keys = answers::keys(facts).into_iter().find(is_bad);
    keys.or_else(|| refresh::age(facts).filter(is_bad))
        .or_else(|| unread_keys(facts))
        .or_else(|| Some(setup::keys_cmd(&facts.keys_cmd)).filter(is_bad))
        .or_else(|| setup::read(facts))
        .or_else(|| (!facts.passwd.contains_key(KEYS_USER)).then(|| setup::users(facts)))
}

/// Without root, what the last report says about the keys.
fn unread_keys(facts: &Facts) -> Option<Finding> {
    if facts.published.keys.is_ok() || facts.configured().keys.takes_pushed() {
        return None;
    }
    let none = facts.published.status.as_ref().is_ok_and(|status| status.keys == 0);
    let none = none && facts.configured().keys.user_ca.is_none();
    none.then(no_key).or_else(|| refresh::clock(facts).into_iter().find(is_bad))
}

fn no_key() -> Finding {
    Finding::bad(Link::UsersWithoutKey, "no user has an active SSH key", "nss-iamctl why USER")
}

const ELSEWHERE: &str = "what authenticates users is not checked, since sshd does not ask nss-iam for keys";

/// What prevents the login of a user; or else what may prevent it, and cannot be seen.
fn of_user(
    facts: &Facts,
    probe: &Probe,
    login: Option<&&Login>,
    of_keys_cmd: &Option<Finding>,
) -> Result<Option<&'static str>, Finding> {
    let name = &probe.name;
    if facts.passwd.contains_key(name) {
        let what = format!("'{name}' is also a local user of this host");
        return Err(Finding::bad(Link::LocalUser, what, format!("nss-iamctl why {name}")));
    }
    let settings = logins::settings(facts, probe);
    let prevents = |found: &&Finding| is_bad(found) && found.code != Link::SshdPermits.into();
    if let Some(reason) = settings.iter().find(prevents) {
        return Err(reason.clone());
    }
    let config = &facts.configured().keys;
    let is_keyless = facts.published.keys.is_ok() && login.is_some_and(|login| login.keys.is_empty());
    let elsewhere = match keys(facts, probe, login).or_else(|| of_keys_cmd.clone()) {
        _ if !config.asks_keys_cmd() => Some(ELSEWHERE),
        Some(reason) if !certificates::let_in(facts, probe, &reason) => return Err(reason),
        Some(_) => Some(certificates::UNSEEN),
        None if !config.sshd => match certificates::refused(facts, probe) {
            Some(refused) => return Err(refused),
            None => Some(certificates::UNSEEN),
        },
        None => is_keyless.then_some("keys that were pushed with EC2 Instance Connect cannot be seen"),
    };
    let second = settings.iter().any(|found| found.code == Link::SshdMethods.into());
    // A refusal that prevents the login was found before.
    let depends =
        pam::now(facts, probe).map(|_| "what PAM says depends on where from and when somebody logs in");
    Ok(elsewhere.or(second.then_some("sshd asks for a second factor")).or(depends))
}

/// Why no key lets the user in.
fn keys(facts: &Facts, probe: &Probe, login: Option<&&Login>) -> Option<Finding> {
    let (name, config) = (&probe.name, &facts.configured().keys);
    if let Ok(keys) = &facts.published.keys {
        let needs_key = config.sshd && !config.takes_pushed();
        let Some(login) = login.filter(|login| !needs_key || !login.keys.is_empty()) else {
            let what = format!("'{name}' has no active SSH key");
            return Some(Finding::bad(Link::NoKey, what, format!("nss-iamctl why {name}")));
        };
        if let Some(why) = withheld(keys, login, &facts.machine_id, facts.now) {
            let what = format!("no key of '{name}' is offered: {}", why.what());
            return Some(Finding::bad(Link::NoKeyOffered, what, why.hint().unwrap_or_default()));
        }
    }
    let settings = probe.sshd.as_ref().filter(|_| config.sshd)?.as_ref().ok()?;
    let login = login?;
    let refused = refusal::of_keys(settings, &probe.key_files, login);
    if refused.len() < login.keys.len() {
        return None;
    }
    let told = refusal::told(settings, &refused);
    let (link, _) = told.first()?;
    let whats: Vec<&str> = told.iter().map(|(_, why)| why.what()).collect();
    let hints: Vec<&str> = told.iter().filter_map(|(_, why)| why.hint()).collect();
    let what = format!("sshd accepts no key of '{name}': {}", whats.join("; "));
    Some(Finding::bad(*link, what, hints.join("; ")))
}

fn is_bad(found: &Finding) -> bool {
    found.level == Level::Bad
}

/// Whether it says nothing about other users.
fn is_of_one(found: &Finding) -> bool {
    [Link::ResolvesToOther, Link::NscdStale].map(Code::from).contains(&found.code)
}

/// One reason for all: that there is no key, if that holds for everyone.
fn first(unable: &[(String, Finding)]) -> Finding {
    let is_keyless = |(_, reason): &&(String, Finding)| reason.code == Link::NoKey.into();
    unable.iter().find(|user| !is_keyless(user)).map_or_else(no_key, |(_, reason)| reason.clone())
}

impl Outlook {
    /// The verdict. A user without a key is no reason to worry, as long as others have one.
    pub(crate) fn verdict(&self) -> Finding {
        if let Some(reason) = &self.nobody {
            let what = format!("nobody can log in: {}", reason.what);
            let remedy = reason.remedy.clone().unwrap_or_default();
            return Finding::bad(Link::NobodyCanLogIn, what, remedy).at(reason.level);
        }
        let who = format!("logins work for {} of {}", self.able.len(), count(self.of(), "user"));
        let unable: Vec<_> =
            self.unable.iter().filter(|(_, reason)| reason.code != Link::NoKey.into()).collect();
        if let [(_, reason), ..] = unable.as_slice() {
            let names: Vec<&String> = unable.iter().map(|(name, _)| name).collect();
            let what = format!("{who}, but not for {}: {}", some(&names), reason.what);
            return Finding::warn(Link::SomeCannotLogIn, what, reason.remedy.clone().unwrap_or_default());
        }
        if let Some(unseen) = self.unseen {
            return Finding::ok(
                Link::LoginsUnseen,
                format!("nothing was found that prevents logins, but {unseen}"),
            );
        }
        let what = if self.unable.is_empty() { "logins work".to_owned() } else { who };
        Finding::ok(Link::LoginsWork, what)
    }

    /// How many users were looked at.
    fn of(&self) -> usize {
        self.able.len() + self.unable.len()
    }

    /// Why nobody can log in.
    pub(crate) fn reason(&self) -> Option<&Finding> {
        self.nobody.as_ref()
    }
}
