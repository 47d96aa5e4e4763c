//! Whether sshd is offered a user's keys now, and why not, as keys-cmd decides.

use cache::snapshot::{Keys, Login};
use message::Message;
use policy::offer::{Confirmation, Withheld};

use crate::say::show::{ago, length};

/// What `[keys] sshd = false` means.
pub(crate) const UNASKED: &str =
    "sshd does not ask nss-iam for keys ('enable --no-keys'): something else authenticates the user";

/// Why keys-cmd does not offer a user's keys, and what to do; `None` if it offers them.
pub(crate) fn withheld(keys: &Keys, login: &Login, machine_id: &str, now: i64) -> Option<Message> {
    let confirmation = Confirmation {
        made_for: keys.machine_id.as_bytes(),
        machine_id: machine_id.as_bytes(),
        confirmed: login.confirmed,
        max_age: keys.max_age.into(),
        now,
    };
    let (why, remedy) = match confirmation.age().err()? {
        Withheld::OtherMachine => {
            ("they were fetched for another machine-id".to_owned(), "nss-iamctl refresh")
        }
        Withheld::Unconfirmed => (
            "the source has not confirmed them yet".to_owned(),
            "nss-iamctl refresh, and read which call fails",
        ),
        Withheld::Future(_) => (
            format!("they were confirmed {}: the clock is or was wrong", ago(login.confirmed, now)),
            "set the clock, then nss-iamctl refresh",
        ),
        Withheld::Old(_) => (
            format!(
                "they were last confirmed {}, and max_age is {}",
                ago(login.confirmed, now),
                length(keys.max_age.into())
            ),
            "nss-iamctl refresh; nss-iamctl doctor shows why refreshes fail",
        ),
    };
    Some(Message::new(why).with_hint(remedy))
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
            withheld(&keys, &login, machine, NOW).map(|why| why.what().to_owned())
        };
        let machine = keys.machine_id.clone();
        assert_eq!(judge(&|_| {}, &machine), None);
        assert!(judge(&|_| {}, "other").unwrap().contains("machine-id"));
        assert!(judge(&|keys| keys.machine_id.clear(), "").unwrap().contains("machine-id"));
        assert!(
            judge(&|keys| keys.logins[0].confirmed = 0, &machine).unwrap().contains("the source has not")
        );
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
