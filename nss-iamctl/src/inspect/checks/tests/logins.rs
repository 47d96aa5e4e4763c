//! What stands in the way of a login: sshd, PAM, the shell, the home directory.

use config::CreateHomes;

use super::*;
use crate::edit::sshd::drop_in::OutOfForce;
use crate::fixtures::log_line;

#[test]
fn what_keeps_sshd_from_letting_in_is_named() {
    use Level::{Bad, Warn};
    finds(Warn, "sshd is not installed", "", |facts, _| {
        facts.sshd = None;
        facts.schedule = None;
    });
    finds(Bad, "refuses its configuration: line 5", "sshd -t", |facts, _| {
        sshd(facts).refused = Some(Message::new("sshd refuses its configuration: line 5"));
    });
    finds(Bad, "00-nss-iam.conf' is missing", "enable", |facts, _| sshd(facts).ours = false);
    // If it may concern others, what sshd says of the users decides.
    for (level, for_all) in [(Bad, true), (Warn, false)] {
        finds(level, "is not in effect", "enable", |facts, _| {
            sshd(facts).out_of_force = Some(OutOfForce { why: "x".to_owned(), for_all });
        });
    }
    finds(Bad, "00-nss-iam.conf' was changed", "reload", |facts, _| sshd(facts).loaded = Some(NOW - 200));
    finds(Warn, "'/etc/ssh/sshd_config' was changed", "reload", |facts, _| {
        sshd(facts).changed = Some(("/etc/ssh/sshd_config".to_owned(), NOW));
    });
    finds(Bad, "AuthorizedKeysCommand is '/opt/other', not", "earlier Match", |_, probes| {
        settings(&mut probes[0], "/usr/libexec/nss-iam/keys-cmd %u %U %f", "/opt/other");
    });
    finds(Warn, "AuthorizedKeysCommand without %C", "enable", |facts, _| {
        sshd(facts).arguments = "%u %U %f %C".to_owned();
    });
    finds(Bad, "AllowUsers has 'ubuntu'", "enable", |_, probes| {
        settings(&mut probes[0], "usepam yes", "allowusers ubuntu");
    });
    finds(Bad, "PubkeyAuthentication no", "yes", |_, probes| {
        settings(&mut probes[0], "pubkeyauthentication yes", "pubkeyauthentication no");
    });
    finds(Bad, "DenyUsers a*", "DenyUsers", |_, probes| {
        settings(&mut probes[0], "usepam yes", "denyusers x\ndenyusers a*")
    });
    finds(Warn, "DenyUsers ana@10.0.0.1", "DenyUsers", |_, probes| {
        settings(&mut probes[0], "usepam yes", "denyusers ana@10.0.0.1")
    });
    finds(Bad, "'DenyGroups ops', which denies 'ops'", "DenyGroups", |_, probes| {
        settings(&mut probes[0], "usepam yes", "denygroups ops");
        probes[0].group_names.push("ops".to_owned());
    });
    finds(Warn, "only from certain addresses", "AllowUsers", |_, probes| {
        settings(&mut probes[0], "usepam yes", "allowusers *@10.0.0.0/8");
    });
    finds(Warn, "a key alone is not enough", "second factor", |_, probes| {
        settings(&mut probes[0], "methods any", "methods publickey,keyboard-interactive");
    });
    finds(Bad, "a key alone is not enough", "have no password", |_, probes| {
        settings(&mut probes[0], "methods any", "methods publickey,password");
    });
    finds(Warn, "UsePAM no", "home directories", |_, probes| {
        settings(&mut probes[0], "usepam yes", "usepam no")
    });
    finds(Warn, "accepts no RSA keys", "rsa-sha2-512", |_, probes| {
        settings(&mut probes[0], ",rsa-sha2-512", "")
    });
    finds(Bad, "cannot read sshd's settings", "sshd -T", |_, probes| {
        let untold = Message::new("cannot read sshd's settings for user 'ana': x").with_hint("sshd -T");
        probes[0].sshd = Some(Err(untold));
    });
}

#[test]
fn what_two_samples_have_in_common_is_told_once() {
    let facts = good();
    let [ana, mut eve] = [probe(true), probe(true)];
    eve.name = "eve".to_owned();
    let codes =
        |probes: &[Probe]| judge(&facts, probes).into_iter().map(|found| found.code).collect::<Vec<_>>();
    assert_eq!(codes(&[ana.clone(), eve.clone()]), codes(std::slice::from_ref(&ana)));
    eve.shell_node = None;
    let mut both = ana.clone();
    both.shell_node = None;
    assert_eq!(codes(&[ana, eve.clone()]).len(), codes(&[both.clone()]).len(), "only eve's");
    assert_eq!(codes(&[both.clone(), eve]), codes(&[both]));
}

#[test]
fn what_else_stands_in_the_way_of_a_login_is_named() {
    use Level::{Bad, Warn};
    finds(Bad, "'/etc/nologin' exists", "rm /etc/nologin", |facts, _| {
        facts.nologin = Some(("/etc/nologin".to_owned(), "down".to_owned()));
    });
    finds(Bad, "the shell '/bin/bash' of 'ana' is missing", "[users] shell", |_, probes| {
        probes[0].shell_node = None
    });
    finds(Warn, "is not in /etc/shells", "/etc/shells", |facts, _| facts.shells = Some(Vec::new()));
    finds(Warn, "belongs to uid 1001, not to 1895840708", "chown -Rh --from=1001", |facts, _| {
        facts.homes[0].2.uid = 1001
    });
    finds(Warn, "is not a directory", "mv", |facts, _| {
        (facts.homes[0].2.directory, facts.homes[0].2.file) = (false, true);
    });
    finds(Warn, "is writable by others", "chmod go-w", |facts, _| facts.homes[0].2.mode = 0o770);
    finds(Warn, "sshd's PAM configuration does not include pam_mkhomedir", "enable", |facts, _| {
        facts.makes_homes = Some(false)
    });
    finds(
        Warn,
        "1 user without a home directory after a login: 'ana'; PAM could not",
        "why USER",
        |facts, _| {
            facts.homes.clear();
            facts.log.push(log_line("Accepted keyboard-interactive/pam for ana from ::1 port 5 ssh2"));
        },
    );
    finds(
        Warn,
        "1 user without a home directory, although create_homes",
        "cache-refresher homes",
        |facts, _| {
            facts.config.as_mut().unwrap().users.create_homes = CreateHomes::Refresh;
            facts.homes.clear();
        },
    );
    let not_yet = broken(|facts, _| {
        facts.homes.clear();
        facts.log.push(log_line("Accepted publickey for eve from ::1 port 5 ssh2"));
    });
    assert_eq!(not_yet, [], "it is created at the first login");
    finds(Warn, "1 user without an active key: 'ana'", "why", |facts, _| {
        facts.published.keys.as_mut().unwrap().logins[0].keys.clear();
    });
    finds(Warn, "not run as root", "sudo", |facts, _| facts.root = false);
}

#[test]
fn what_selinux_and_apparmor_deny_is_named_and_what_a_permissive_one_would_deny_is_a_warning() {
    use Level::{Bad, Warn};
    let denied = |by, only_logged, reader: Option<&'static str>| {
        move |facts: &mut Facts, _: &mut [Probe]| {
            let (program, path) = ("sshd".to_owned(), "/var/lib/nss-iam/cache.db".to_owned());
            facts.denials.push(Denial { by, program, path, only_logged, reader: reader.map(str::to_owned) });
        }
    };
    finds(Bad, "SELinux denied 'sshd' access to", "selinux load; if", denied("selinux", false, None));
    finds(Bad, "SELinux denied 'sshd' access to", "selinux allow x_t", denied("selinux", false, Some("x_t")));
    finds(Warn, "cache.db', but is permissive", "selinux load; if", denied("selinux", true, None));
    finds(Bad, "AppArmor denied 'sshd' access to", "/etc/apparmor.d/local", denied("apparmor", false, None));
    for (level, what, enforcing) in
        [(Bad, "programs may not read", true), (Warn, "may not read once SELinux is enforcing", false)]
    {
        finds(level, what, "selinux load", move |facts, _| {
            let label = "a:b:var_lib_t:s0".to_owned();
            facts.wrong_label = Some(WrongLabel { path: "/var/lib/nss-iam", label, enforcing });
        });
    }
}
