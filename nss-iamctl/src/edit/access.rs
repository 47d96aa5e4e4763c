//! Whether a local user could still log in if nss-iam users cannot.

use crate::edit::sshd::config::matches;
use crate::edit::sshd::effective::Effective;
use crate::edit::sshd::{Sshd, people};
use crate::host::Host;
use crate::host::accounts::{self, Account, SHADOW};
use crate::host::files;
use crate::say::error::Error;

/// How many local users are checked; each one costs a run of sshd.
const LOCALS: usize = 20;

/// The first local user who could log in with their own key or password.
///
/// # Errors
/// When sshd does not report its settings, or the users cannot be read.
pub(crate) fn other_way_in(host: &Host, sshd: &Sshd<'_>) -> Result<Option<String>, Error> {
    let shadow = files::read(&host.path(SHADOW))?.unwrap_or_default();
    for user in people(host)?.into_iter().take(LOCALS) {
        let settings = sshd.settings(&user.name)?;
        if is_let_in(&settings, &user.name)
            && (has_key(host, &settings, &user) || has_password(&settings, &shadow, &user.name))
        {
            return Ok(Some(user.name));
        }
    }
    Ok(None)
}

/// Checks the lists of users only; lists of groups are assumed to admit the user.
fn is_let_in(settings: &Effective, user: &str) -> bool {
    let fits = |keyword: &str| {
        let patterns = settings.list(keyword).into_iter();
        // sshd, too, divides at the last '@': names can have one.
        let mut names = patterns.map(|pattern| pattern.rsplit_once('@').map_or(pattern, |(name, _)| name));
        names.any(|name| matches(name, user))
    };
    let allowed = settings.list("allowusers").is_empty() || fits("allowusers");
    allowed && !fits("denyusers") && !(user == "root" && settings.get("permitrootlogin") == "no")
}

fn has_key(host: &Host, settings: &Effective, user: &Account) -> bool {
    if settings.get("pubkeyauthentication") == "no" {
        return false;
    }
    // EC2 Instance Connect and similar tools provide keys.
    if !["", "none"].contains(&settings.get("authorizedkeyscommand")) {
        return true;
    }
    settings.list("authorizedkeysfile").into_iter().filter(|file| *file != "none").any(|file| {
        let file = file.replace("%h", &user.home).replace("%u", &user.name).replace("%%", "%");
        let path = if file.starts_with('/') { file } else { format!("{}/{file}", user.home) };
        let text = std::fs::read(host.path(&path)).unwrap_or_default();
        text.split(|byte| *byte == b'\n').any(|line| line.first().is_some_and(|first| *first != b'#'))
    })
}

fn has_password(settings: &Effective, shadow: &[u8], user: &str) -> bool {
    let asked = ["passwordauthentication", "kbdinteractiveauthentication", "challengeresponseauthentication"]
        .into_iter()
        .any(|keyword| settings.get(keyword) == "yes");
    let root_by_key_only = user == "root" && settings.get("permitrootlogin") != "yes";
    let hash = accounts::password(shadow, user);
    asked && !root_by_key_only && hash.is_some_and(|hash| hash.starts_with(b"$") || hash.starts_with(b"_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_counts_only_where_it_is_asked_for() {
        let shadow = b"root:$6$x:1::::::\nana:$y$x:1::::::\nbob:!$y$x:1::::::\nubuntu:*:1::::::\n";
        let yes = Effective::parse("passwordauthentication yes\npermitrootlogin prohibit-password\n");
        let no = Effective::parse("passwordauthentication no\npermitrootlogin yes\n");
        assert!(has_password(&yes, shadow, "ana"));
        for (settings, user) in [(&no, "ana"), (&yes, "bob"), (&yes, "ubuntu"), (&yes, "root"), (&yes, "an")]
        {
            assert!(!has_password(settings, shadow, user), "{user}");
        }
    }

    #[test]
    fn a_key_counts_only_if_there_is_one() {
        let directory = tempfile::tempdir().unwrap();
        let host = Host::this_directory(directory.path());
        let user = Account { name: "ana".to_owned(), home: "/home/ana".to_owned(), ..Account::default() };
        let settings = Effective::parse(
            "authorizedkeysfile .ssh/authorized_keys /keys/%u\nauthorizedkeyscommand none\n",
        );
        assert!(!has_key(&host, &settings, &user));
        std::fs::create_dir_all(directory.path().join("keys")).unwrap();
        std::fs::write(directory.path().join("keys/ana"), "# none\n\n").unwrap();
        assert!(!has_key(&host, &settings, &user));
        std::fs::write(directory.path().join("keys/ana"), "# one\nssh-ed25519 AAAA\n").unwrap();
        assert!(has_key(&host, &settings, &user));
        assert!(has_key(&host, &Effective::parse("authorizedkeyscommand /opt/eic\n"), &user));
        assert!(!has_key(
            &host,
            &Effective::parse("authorizedkeyscommand /x\npubkeyauthentication no\n"),
            &user
        ));
    }

    #[test]
    fn lists_of_users_count() {
        assert!(is_let_in(&Effective::parse("allowusers ubuntu@10.0.0.0/8\n"), "ubuntu"));
        assert!(is_let_in(&Effective::parse("allowusers eve@corp@10.0.0.0/8\n"), "eve@corp"));
        assert!(!is_let_in(&Effective::parse("allowusers ubuntu\n"), "ana"));
        assert!(!is_let_in(&Effective::parse("denyusers a*\n"), "ana"));
        assert!(!is_let_in(&Effective::parse("permitrootlogin no\n"), "root"));
    }
}
