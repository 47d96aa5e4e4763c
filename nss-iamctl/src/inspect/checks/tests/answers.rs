//! nsswitch.conf, the published files, and what glibc answers.

use super::*;

#[test]
fn lines_of_nsswitch_conf_that_do_not_ask_iam_are_named() {
    use Level::Bad;
    let line = |from: &'static str, to: &'static str| {
        move |facts: &mut Facts, _: &mut [Probe]| {
            let text = facts.nsswitch.as_mut().unwrap();
            assert!(text.contains(from));
            *text = text.replace(from, to);
        }
    };
    finds(Bad, "for shadow, has no newline", "nss-iamctl enable", |facts, _| {
        let text = facts.nsswitch.as_mut().unwrap();
        *text = "passwd: files iam\ngroup: files [SUCCESS=merge] iam\nshadow: files iam".to_owned();
    });
    finds(Bad, "nsswitch.conf' is missing", "enable", |facts, _| facts.nsswitch = None);
    finds(
        Bad,
        "does not ask 'iam' for passwd: 'passwd: files'",
        "passwd: files iam",
        line("passwd: files iam", "passwd: files"),
    );
    finds(Bad, "'iam' for group: 'group: files'", "merge", line("files [SUCCESS=merge] iam", "files"));
    finds(
        Bad,
        "'iam' for shadow: 'shadow: files'; PAM finds no shadow entry",
        "shadow: files iam",
        line("shadow: files iam", "shadow: files"),
    );
    finds(Level::Warn, "no line for shadow", "enable adds one", line("shadow: files iam\n", ""));
    finds(
        Bad,
        "'iam' for initgroups: 'initgroups: files'",
        "initgroups:",
        line("shadow:", "initgroups: files\nshadow:"),
    );
    finds(
        Level::Warn,
        "in an unusual place",
        "enable moves it",
        line("passwd: files iam", "passwd: iam files"),
    );
}

#[test]
fn published_files_that_cannot_be_used_are_named() {
    use Level::Bad;
    finds(Bad, "'/var/lib/nss-iam/cache.db' does not exist", "refresh", |facts, _| {
        facts.published.cache = Err(Trouble::Missing);
    });
    finds(Bad, "refuse '/var/lib/nss-iam/cache.db': not owned by root", "refresh", |facts, _| {
        facts.published.cache = Err(Trouble::Unusable("not owned by root".to_owned()));
    });
    finds(Bad, "'/var/lib/nss-iam/keys.db' does not exist", "refresh", |facts, _| {
        facts.published.keys = Err(Trouble::Missing);
    });
    finds(Bad, "another machine-id", "nss-iamctl clean", |facts, _| facts.machine_id = "other".to_owned());
    finds(Bad, "'nss-iam' cannot read it", "refresh", |facts, _| facts.keys_db.as_mut().unwrap().gid = 0);
}

#[test]
fn answers_of_glibc_that_are_not_those_of_the_cache_are_named() {
    use Level::Bad;
    finds(Bad, "nscd has a stale negative entry for 'ana'", "nscd -i passwd", |facts, probes| {
        facts.nscd = true;
        probes[0].passwd = None;
    });
    finds(Bad, "'ana' does not resolve, although the module has", "enable", |_, probes| {
        probes[0].passwd = None
    });
    finds(Bad, "the module does not answer for 'ana'", "SELinux", |_, probes| {
        probes[0].passwd = None;
        probes[0].module = None;
    });
    finds(Bad, "glibc did not answer for 'ana' within 15 s", "getent -s SERVICE passwd USER", |_, probes| {
        probes[0].waits = true;
    });
    for (services, told) in
        [("sss iam", "'sss' may hang, and is asked before 'iam'"), ("iam sss", "'sss' may hang")]
    {
        let lines = format!(
            "passwd: files {services}\ngroup: files [SUCCESS=merge] {services}\nshadow: files {services}\n"
        );
        finds(Bad, told, "systemctl restart sssd", |facts, probes| {
            facts.nsswitch = Some(lines.clone());
            probes[0].waits = true;
        });
    }
    finds(Bad, "'ana' resolves to uid 1234", "LDAP", |_, probes| {
        probes[0].passwd = Some("ana:x:1234:1234::/:/bin/sh".to_owned());
    });
    finds(Bad, "the module does not answer for uid 1895840709 ('bob')", "SELinux", |_, probes| {
        probes[1].passwd = None;
        probes[1].module = None;
    });
    let line = |uid: u32| Some(format!("bob:x:{uid}:{uid}::/:/bin/sh"));
    finds(Bad, "'bob' is disabled, but still resolves by name", "of another release", |_, probes| {
        probes[1].by_name = line(probes[1].uid);
    });
    finds(Bad, "'bob' is disabled, but still resolves by name", "nscd -i passwd", |facts, probes| {
        facts.nscd = true;
        probes[1].by_name = line(probes[1].uid);
    });
    assert_eq!(broken(|_, probes| probes[1].by_name = line(1234)), [], "somebody else of that name");
    finds(Bad, "'ana' has no shadow entry", "shadow line", |_, probes| probes[0].shadow = None);
    finds(Bad, "'ana' does not get the group 'iam-users'", "initgroups", |_, probes| {
        probes[0].groups.clear()
    });
}
