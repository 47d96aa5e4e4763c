//! The end of `enable`: the first refresh, and who may log in now, or why nobody may.

use std::io::Write;

use message::Message;
use policy::Name;
use status::Locked;

use crate::host::Host;
use crate::host::paths::KEYS;
use crate::host::published::Published;
use crate::host::services;
use crate::inspect::offer::withheld;
use crate::say::error::Error;
use crate::say::say;
use crate::say::show::{count, some, word};

/// Refreshes if that is needed and possible. What the refresh reports is no failure of `enable`: the timer repeats it.
pub(super) fn finish(host: &Host, changed: bool, now: i64, out: &mut dyn Write) -> Result<(), Error> {
    if changed || !host.exists(KEYS) {
        if !services::are_usable(host) {
            let what = "systemd does not run here, so users come with the first refresh on the running host";
            say(Message::new(what).with_hint("to refresh now: nss-iamctl refresh"));
            return Ok(());
        }
        if is_starting(host) {
            let what = "the host is still starting, so the first refresh runs in the background";
            say(Message::new(what).with_hint("nss-iamctl status"));
            return Ok(());
        }
        say("reading the users; this is what the timer does from now on");
        match services::run(host) {
            Ok(ran) => ran.tell(host, false, out)?,
            Err(failed) => say(failed),
        }
    }
    let machine_id = std::fs::read_to_string(host.path("/etc/machine-id")).unwrap_or_default();
    say(who_may_log_in(&Published::read(host), machine_id.trim(), now));
    Ok(())
}

/// cloud-init runs `enable` during boot. The refresh waits for the network, which may wait for cloud-init.
fn is_starting(host: &Host) -> bool {
    let state = host.run(&["systemctl", "is-system-running"]).map(|output| output.stdout).unwrap_or_default();
    ["initializing", "starting"].contains(&state.trim())
}

fn who_may_log_in(published: &Published, machine_id: &str, now: i64) -> Message {
    let nobody =
        |why: &str, hint: &str| Message::new(format!("nobody may log in yet: {why}")).with_hint(hint);
    let (Ok(cache), Ok(keys)) = (&published.cache, &published.keys) else {
        return nobody("no user was published", "nss-iamctl doctor");
    };
    let active: Vec<_> = cache.users.iter().filter(|user| user.active).collect();
    let Some(first) = active.first() else {
        return nobody(
            "the groups have no members that this host can use",
            "nss-iamctl doctor says who was skipped, and why",
        );
    };
    let is_locked = |name: &str| published.locked.as_ref().is_ok_and(|locked| locked.contains(name));
    let with_keys: Vec<_> = keys.logins.iter().filter(|login| !login.keys.is_empty()).collect();
    let offered: Vec<&Name> = with_keys
        .iter()
        .filter(|login| withheld(keys, login, machine_id, now).is_none())
        .filter_map(|login| active.iter().find(|user| user.uid == login.uid).map(|user| &user.name))
        .filter(|name| !is_locked(name.as_str()))
        .collect();
    if !offered.is_empty() {
        let mut names: Vec<&str> = offered.iter().map(|name| name.as_str()).collect();
        names.sort_unstable();
        return Message::new(format!("{} may log in: {}", count(names.len(), "user"), some(&names)));
    }
    if is_locked(Locked::ALL) {
        return nobody("everyone is locked", "nss-iamctl unlock --all");
    }
    let why = match with_keys.first() {
        None => format!("{} without an SSH key", count(active.len(), "user")),
        Some(login) => withheld(keys, login, machine_id, now).map_or_else(
            || "users with keys are locked".to_owned(),
            |why| format!("keys are not offered: {}", why.what()),
        ),
    };
    nobody(&why, &format!("nss-iamctl why {}", word(first.name.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{MACHINE, NOW, published};
    use crate::host::published::Trouble;

    fn told(change: impl FnOnce(&mut Published)) -> String {
        let mut published = published();
        change(&mut published);
        who_may_log_in(&published, MACHINE, NOW).to_string()
    }

    #[test]
    fn it_ends_with_those_who_may_log_in_or_why_nobody_may() {
        assert_eq!(told(|_| {}), "1 user may log in: 'ana'");
        assert_eq!(
            told(|published| published.keys.as_mut().unwrap().logins[0].keys.clear()),
            "nobody may log in yet: 1 user without an SSH key\nhint: nss-iamctl why ana"
        );
        assert_eq!(
            told(|published| published.locked = Ok(Locked([Locked::ALL.to_owned()].into()))),
            "nobody may log in yet: everyone is locked\nhint: nss-iamctl unlock --all"
        );
        let old = told(|published| published.keys.as_mut().unwrap().logins[0].confirmed = 1);
        assert!(
            old.starts_with("nobody may log in yet: keys are not offered: they were last confirmed"),
            "{old}"
        );
        let none = told(|published| published.cache.as_mut().unwrap().users.retain(|user| !user.active));
        assert!(none.contains("the groups have no members"), "{none}");
        assert!(told(|published| published.keys = Err(Trouble::Missing)).contains("no user was published"));
    }
}
