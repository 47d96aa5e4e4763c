//! Whether sshd is offered a user's keys now, and why not, as keys-cmd decides.

use cache::snapshot::{Keys, Login};
use policy::KeyLine;

use crate::say::show::{ago, length};

/// So many seconds may a confirmation lie in the future, as in keys-cmd.
pub(crate) const CLOCK_TOLERANCE: i64 = 300;

/// The type, as `ssh-ed25519`.
pub(crate) fn kind(key: &KeyLine) -> &str {
    key.as_str().split(' ').nth(1).unwrap_or_default()
}

/// Why keys-cmd offers none of a user's keys, and what to do; none: it does.
pub(crate) fn withheld(keys: &Keys, login: &Login, machine_id: &str, now: i64) -> Option<(String, String)> {
    let told = |why: String, remedy: &str| Some((why, remedy.to_owned()));
    if keys.machine_id.is_empty() || keys.machine_id != machine_id {
        return told("they were fetched for another machine-id".to_owned(), "nss-iamctl refresh");
    }
    if login.confirmed <= 0 {
        return told(
            "no source has confirmed them yet".to_owned(),
            "nss-iamctl refresh, and see which call fails",
        );
    }
    let age = now.saturating_sub(login.confirmed);
    if keys.max_age > 0 && age < -CLOCK_TOLERANCE {
        let why = format!("they were confirmed {}: the clock is wrong, or was", ago(login.confirmed, now));
        return told(why, "set the clock, then nss-iamctl refresh");
    }
    if keys.max_age > 0 && age > i64::from(keys.max_age) {
        let limit = length(i64::from(keys.max_age));
        return told(
            format!("they were last confirmed {}, and max_age is {limit}", ago(login.confirmed, now)),
            "nss-iamctl refresh; nss-iamctl doctor says why no refresh succeeds",
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{NOW, keys_of};

    #[test]
    fn keys_are_withheld_for_the_reasons_of_keys_cmd_and_no_others() {
        let keys = keys_of("ana", 3600 * 24);
        let judge = |change: &dyn Fn(&mut Keys), machine: &str| {
            let mut keys = keys.clone();
            change(&mut keys);
            let login = keys.logins[0].clone();
            withheld(&keys, &login, machine, NOW).map(|(why, _)| why)
        };
        let machine = keys.machine_id.clone();
        assert_eq!(judge(&|_| {}, &machine), None);
        assert!(judge(&|_| {}, "other").unwrap().contains("machine-id"));
        assert!(judge(&|keys| keys.machine_id.clear(), "").unwrap().contains("machine-id"));
        assert!(judge(&|keys| keys.logins[0].confirmed = 0, &machine).unwrap().contains("no source"));
        assert!(
            judge(&|keys| keys.logins[0].confirmed = NOW + 301, &machine).unwrap().contains("in the future")
        );
        assert_eq!(judge(&|keys| keys.logins[0].confirmed = NOW + 300, &machine), None);
        assert_eq!(judge(&|keys| keys.logins[0].confirmed = NOW - 3600 * 24, &machine), None);
        assert!(
            judge(&|keys| keys.logins[0].confirmed = NOW - 3600 * 24 - 1, &machine)
                .unwrap()
                .contains("max_age is 24 h")
        );
        let forever = |keys: &mut Keys| {
            keys.max_age = 0;
            keys.logins[0].confirmed = 1;
        };
        assert_eq!(judge(&forever, &machine), None);
    }
}
