//! What in sshd's settings prevents logins even with the drop-in.

use message::Message;
use policy::FORWARD_ONLY_GROUP;

use crate::edit::sshd::authentication::Authentication;
use crate::edit::sshd::config::matches;
use crate::edit::sshd::effective::Effective;
use crate::edit::sshd::key_files::KeyFiles;

/// Why no member of `groups` could log in even with the drop-in, with a hint. For one user, these are all the user's groups:
/// a single one in DenyGroups denies the login.
pub(crate) fn obstacle(
    settings: &Effective,
    files: &KeyFiles,
    groups: &[&str],
    authentication: &Authentication<'_>,
) -> Option<Message> {
    let key = authentication.by_key().then(|| obstacle_to_keys(settings, files));
    let md5 = authentication.keys && settings.get("fingerprinthash").eq_ignore_ascii_case("md5");
    let md5 = md5
        .then(|| no("sshd has 'FingerprintHash md5', but keys are looked up by SHA256", "set it to sha256"));
    key.flatten().or_else(|| md5.flatten()).or_else(|| obstacle_to_all(settings, groups))
}

fn no(why: &str, hint: &str) -> Option<Message> {
    Some(Message::new(why).with_hint(hint))
}

/// What prevents logins with keys.
fn obstacle_to_keys(settings: &Effective, files: &KeyFiles) -> Option<Message> {
    if let Err(why) = &files.revoked {
        let what = format!("sshd refuses every key and certificate, because of RevokedKeys: {}", why.what());
        let hint = "restore the list of revoked keys; or, if nothing was ever revoked, remove RevokedKeys";
        return no(&what, hint);
    }
    if settings.get("pubkeyauthentication") == "no" {
        return no(
            "sshd has 'PubkeyAuthentication no', and nss-iam users can only log in with keys",
            "set it to yes",
        );
    }
    let methods = settings.list("authenticationmethods");
    let with_key = |chain: &str| chain.split(',').any(|method| method.starts_with("publickey"));
    if !methods.is_empty() && methods != ["any"] && !methods.iter().any(|chain| with_key(chain)) {
        let why = format!(
            "sshd has 'AuthenticationMethods {}', and nss-iam users can only log in with keys",
            methods.join(" ")
        );
        return no(&why, "add a list that begins with publickey");
    }
    None
}

/// What prevents logins of all kinds.
fn obstacle_to_all(settings: &Effective, groups: &[&str]) -> Option<Message> {
    if settings.get("refuseconnection") == "yes" {
        return no("sshd has 'RefuseConnection yes', which is not overridden", "set it to no");
    }
    if settings.list("denyusers").contains(&"*") {
        return no("sshd has 'DenyUsers *', which is not overridden", "list the users to deny in DenyUsers");
    }
    if groups.contains(&FORWARD_ONLY_GROUP) {
        if settings.get("disableforwarding") == "yes" {
            let why = "sshd has 'DisableForwarding yes', and the user may only forward connections";
            return no(why, "set it to no");
        }
        if settings.list("permitopen").contains(&"none") {
            let why = "sshd has 'PermitOpen none', and the user may only forward connections";
            return no(why, "name in PermitOpen what users may reach, or remove it");
        }
    }
    for pattern in settings.list("denygroups") {
        if let Some(group) = groups.iter().find(|group| matches(pattern, group)) {
            let why =
                format!("sshd has 'DenyGroups {pattern}', which denies '{group}' and is not overridden");
            return no(&why, "list the groups to deny in DenyGroups");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use config::{Config, Keys};

    use super::*;

    fn with_keys() -> Authentication<'static> {
        let arguments = "%u %U %f";
        Authentication { arguments, keys: true, instance_connect: false, user_ca: None }
    }

    #[test]
    fn what_cannot_be_overridden_is_an_obstacle() {
        for (line, why) in [
            ("pubkeyauthentication no", "PubkeyAuthentication"),
            ("authenticationmethods keyboard-interactive:pam password", "AuthenticationMethods"),
            ("fingerprinthash MD5", "FingerprintHash"),
            ("refuseconnection yes", "RefuseConnection"),
            ("denyusers root\ndenyusers *", "DenyUsers *"),
            ("denygroups iam-*", "DenyGroups iam-*"),
            ("denygroups sudo\ndenygroups op?", "DenyGroups op?', which denies 'ops'"),
        ] {
            let found =
                obstacle(&Effective::parse(line), &KeyFiles::default(), &["iam-users", "ops"], &with_keys())
                    .unwrap();
            assert!(found.what().contains(why) && found.hint().is_some(), "{found}");
        }
        for line in [
            "pubkeyauthentication yes",
            "authenticationmethods any",
            "authenticationmethods publickey,keyboard-interactive",
            "authenticationmethods password publickey",
            "fingerprinthash SHA256",
            "denyusers root guest *@10.0.0.1",
            "denygroups dev",
            "",
        ] {
            assert_eq!(
                obstacle(&Effective::parse(line), &KeyFiles::default(), &["iam-users", "ops"], &with_keys()),
                None,
                "{line}"
            );
        }
        let config = Config { keys: Keys { sshd: false, ..Keys::default() }, ..Config::default() };
        let without = Authentication::of(&config, "%u");
        let keys = Effective::parse("pubkeyauthentication no\nfingerprinthash MD5\n");
        assert_eq!(obstacle(&keys, &KeyFiles::default(), &["iam-users"], &without), None);
        let user_ca = Some("/ca.pub".to_owned());
        let certificates =
            Config { keys: Keys { sshd: false, user_ca, ..Keys::default() }, ..Config::default() };
        let certificates = Authentication::of(&certificates, "%u");
        assert!(
            obstacle(&keys, &KeyFiles::default(), &["iam-users"], &certificates)
                .unwrap()
                .what()
                .contains("PubkeyAuth")
        );
        assert_eq!(
            obstacle(
                &Effective::parse("fingerprinthash MD5"),
                &KeyFiles::default(),
                &["iam-users"],
                &certificates
            ),
            None
        );
        assert!(
            obstacle(&Effective::parse("denyusers *"), &KeyFiles::default(), &["iam-users"], &without)
                .is_some()
        );
    }

    #[test]
    fn a_list_of_revoked_keys_that_cannot_be_read_is_an_obstacle_to_keys_and_certificates() {
        let config = |sshd, user_ca: Option<&str>| {
            let keys = Keys { sshd, user_ca: user_ca.map(str::to_owned), ..Keys::default() };
            Config { keys, ..Config::default() }
        };
        let files = KeyFiles { revoked: Err(Message::new("cannot read '/r'")), ..KeyFiles::default() };
        for (config, is_told) in
            [(config(true, None), true), (config(false, Some("/ca.pub")), true), (config(false, None), false)]
        {
            let found =
                obstacle(&Effective::default(), &files, &["iam-users"], &Authentication::of(&config, "%u"));
            let told = found.is_some_and(|found| found.what().ends_with("RevokedKeys: cannot read '/r'"));
            assert_eq!(told, is_told);
        }
    }

    #[test]
    fn who_may_only_forward_needs_sshd_to_allow_it() {
        let groups = ["iam-users", "iam-forward-only"];
        for (line, why) in [("disableforwarding yes", "DisableForwarding"), ("permitopen none", "PermitOpen")]
        {
            let settings = Effective::parse(line);
            assert!(
                obstacle(&settings, &KeyFiles::default(), &groups, &with_keys())
                    .unwrap()
                    .what()
                    .contains(why)
            );
            assert_eq!(obstacle(&settings, &KeyFiles::default(), &groups[..1], &with_keys()), None);
        }
    }
}
