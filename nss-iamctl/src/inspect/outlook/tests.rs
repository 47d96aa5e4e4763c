//! Breaks a host in one way at a time, and compares the verdict with what sshd would do.

use claims::pam::Account;
use message::Message;
use policy::KeyLine;
use status::{Locked, Part, Skip, SkipReason};

use super::*;
use crate::edit::sshd::effective::Effective;
use crate::fixtures::{IN_FORCE, KEY, NOW, good, probe};
use crate::host::published::Trouble;
use crate::inspect::facts::NoConfig;
use crate::inspect::facts::pam::{Entry, Line};

type Break = (&'static str, fn(&mut Facts, &mut Probe));

fn seen(change: impl Fn(&mut Facts, &mut Probe)) -> Finding {
    let (mut facts, mut probe) = (good(), probe(true));
    change(&mut facts, &mut probe);
    outlook(&facts, &[probe]).verdict()
}

fn skipped_user(facts: &mut Facts, name: &str) {
    let reason = SkipReason::NameOfUser { name: name.to_lowercase(), id: 1000, service: "files".to_owned() };
    if let Ok(status) = &mut facts.published.status {
        status.skips.push(Skip::new("", Part::User, name, name, reason));
    }
}

fn settings(probe: &mut Probe, line: &str) {
    probe.sshd = Some(Ok(Effective::parse(&format!("{line}\n{IN_FORCE}"))));
}

fn revoke(probe: &mut Probe) {
    probe.key_files.revoked = Ok(std::iter::once("SHA256:ABCD".to_owned()).collect());
}

/// Nobody gets in: a part of the reason, and the break.
const CLOSED: &[Break] = &[
    ("glibc did not answer", |_, probe| (probe.waits, probe.passwd) = (true, None)),
    ("PAM refuses", |_, probe| {
        probe.pam = Some(Account::Refused { unavailable: true, why: "No".to_owned() });
    }),
    ("PAM did not say within 15 s", |_, probe| probe.pam = Some(Account::Silent { seconds: 15 })),
    ("not set up", |facts, _| {
        facts.nsswitch = Some("passwd: files\n".to_owned());
        facts.sshd.as_mut().unwrap().ours = false;
    }),
    ("no active user is published", |facts, _| {
        facts.published.cache.as_mut().unwrap().users.retain(|user| !user.active);
    }),
    ("no active user is published; 'Eve' was skipped: 'eve' is a user of /etc/passwd", |facts, _| {
        facts.published.cache.as_mut().unwrap().users.retain(|user| !user.active);
        skipped_user(facts, "Eve");
    }),
    ("no active user is published; 2 users were skipped: 'Eve', 'Kim'", |facts, _| {
        facts.published.cache.as_mut().unwrap().users.retain(|user| !user.active);
        ["Eve", "Kim"].into_iter().for_each(|name| skipped_user(facts, name));
    }),
    ("cache.db' does not exist", |facts, _| facts.published.cache = Err(Trouble::Missing)),
    ("everyone is locked", |facts, _| facts.published.locked = Ok(Locked::parse("*"))),
    ("'/var/lib/nss-iam' has mode 0700", |facts, _| facts.directory.as_mut().unwrap().mode = 0o700),
    ("no user has an active SSH key", |facts, _| {
        facts.published.keys.as_mut().unwrap().logins[0].keys.clear();
    }),
    ("no user has an active SSH key", |facts, _| facts.published.keys.as_mut().unwrap().logins.clear()),
    ("keys.db' does not exist", |facts, _| facts.published.keys = Err(Trouble::Missing)),
    ("another machine-id", |facts, _| facts.machine_id = "other".to_owned()),
    ("cannot read it", |facts, _| facts.keys_db.as_mut().unwrap().mode = 0o600),
    ("longer ago than max_age", |facts, _| facts.now = NOW + 259_200),
    ("in the future", |facts, _| facts.now = NOW - 86_400),
    ("has not confirmed", |facts, _| facts.published.keys.as_mut().unwrap().logins[0].confirmed = 0),
    ("does not resolve", |_, probe| probe.passwd = None),
    ("resolves to uid 1234", |_, probe| probe.passwd = Some("ana:x:1234:1234::/:/bin/sh".to_owned())),
    ("the module does not answer", |_, probe| (probe.passwd, probe.module) = (None, None)),
    ("stale negative entry", |facts, probe| (facts.nscd, probe.passwd) = (true, None)),
    ("no shadow entry", |_, probe| probe.shadow = None),
    ("does not get the group 'iam-users'", |_, probe| probe.groups.clear()),
    ("also a local user", |facts, _| {
        facts.passwd.insert("ana".to_owned(), 1001);
    }),
    ("sshd is not installed", |facts, _| facts.sshd = None),
    ("sshd is not running", |facts, _| facts.sshd.as_mut().unwrap().stopped = true),
    ("refuses its configuration", |facts, _| {
        facts.sshd.as_mut().unwrap().refused = Some(Message::new("sshd refuses its configuration"));
    }),
    ("is missing, so sshd does not ask", |facts, _| facts.sshd.as_mut().unwrap().ours = false),
    ("00-nss-iam.conf' was changed", |facts, _| facts.sshd.as_mut().unwrap().loaded = Some(NOW - 200)),
    ("does not treat 'ana' as an nss-iam user", |_, probe| settings(probe, "authorizedkeyscommand none")),
    ("PubkeyAuthentication no", |_, probe| settings(probe, "pubkeyauthentication no")),
    ("a key alone is not enough", |_, probe| {
        probe.sshd =
            Some(Ok(Effective::parse(&IN_FORCE.replace("methods any", "methods publickey,password"))));
    }),
    ("DenyUsers a*", |_, probe| settings(probe, "denyusers a*")),
    ("DenyGroups ops", |_, probe| {
        settings(probe, "denygroups ops");
        probe.group_names.push("ops".to_owned());
    }),
    ("AllowUsers has 'root'", |_, probe| settings(probe, "allowusers root")),
    ("AllowGroups has 'wheel'", |_, probe| settings(probe, "allowgroups wheel")),
    ("keys-cmd' is missing", |facts, _| drop(facts.keys_cmd.pop())),
    ("refuses to run", |facts, _| facts.keys_cmd[2].mode = 0o777),
    ("cannot run", |facts, _| facts.keys_cmd[2].mode = 0o700),
    ("cannot read it", |facts, _| facts.read[0].mode = 0o700),
    ("cannot read it", |facts, _| facts.read[1].mode = 0o600),
    ("sshd accepts no key of 'ana'", |_, probe| {
        let settings = IN_FORCE.replace("ssh-ed25519,rsa-sha2-512", "ssh-ed25519");
        probe.sshd = Some(Ok(Effective::parse(&settings)));
    }),
    ("because of RevokedKeys: cannot read '/etc/ssh/revoked'", |_, probe| {
        probe.key_files.revoked = Err(Message::new("cannot read '/etc/ssh/revoked'"));
    }),
    ("sshd accepts no key of 'ana': RevokedKeys '' lists 'SHA256:ABCD'", |_, probe| revoke(probe)),
    ("RefuseConnection yes", |_, probe| settings(probe, "refuseconnection yes")),
    ("PubkeyAcceptedAlgorithms lacks ssh-mldsa44-ed25519", |facts, _| {
        let line = KeyLine::new("SHA256:a ssh-mldsa44-ed25519 AAAA").unwrap();
        facts.published.keys.as_mut().unwrap().logins[0].keys = vec![line];
    }),
    ("system user 'nss-iam' is missing", |facts, _| {
        facts.passwd.remove("nss-iam");
    }),
    ("the shell '/bin/bash'", |_, probe| probe.shell_node = None),
    ("so PAM refuses the login (pam_shells)", |facts, _| {
        (facts.shells, facts.checks_shells) = (None, true);
    }),
    ("'/etc/nologin' exists", |facts, _| {
        facts.nologin = Some(("/etc/nologin".to_owned(), String::new()));
    }),
];

/// Something is wrong, and ana gets in all the same.
const OPEN: &[Break] = &[
    ("nothing", |_, _| ()),
    ("the configuration", |facts, _| facts.config = Err(NoConfig::Refused(Message::new("x")))),
    ("the timer", |facts, _| facts.schedule.as_mut().unwrap().0.active = "inactive".to_owned()),
    ("the fetch half", |facts, _| facts.services[0].result = "exit-code".to_owned()),
    ("the fetch user", |facts, _| {
        facts.passwd.remove("nss-iam-fetch");
    }),
    ("the refresher", |facts, _| facts.refresher = false),
    ("no report", |facts, _| facts.published.status = Err(Trouble::Missing)),
    ("state.db", |facts, _| facts.published.state = Err(Trouble::Missing)),
    ("a home of another user", |facts, _| facts.homes[0].2.uid = 1001),
    ("/etc/shells", |facts, _| facts.shells = None),
    ("the age", |facts, _| facts.now = NOW + 10_000),
];

#[test]
fn logins_work_exactly_where_nothing_prevents_them() {
    for (what, change) in OPEN {
        assert_eq!(seen(change), Finding::ok(Link::LoginsWork, "logins work"), "{what}");
    }
    for (what, change) in CLOSED {
        let found = seen(change);
        assert_eq!(found.code, Link::NobodyCanLogIn.into(), "{what}: {found:?}");
        assert!(found.what.contains(what), "{what}: {found:?}");
        assert!(found.level != Level::Ok && found.remedy.is_some(), "{found:?}");
        assert!(found.what.matches("can log in").count() <= 1, "said twice: {}", found.what);
    }
    let harmless: &[Break] = &[
        ("from an address", |_, probe| settings(probe, "denyusers ana@10.0.0.1")),
        ("of others", |_, probe| settings(probe, "denygroups ops")),
        ("a future confirmation without max_age", |facts, _| {
            facts.now = NOW - 86_400;
            facts.published.keys.as_mut().unwrap().max_age = 0;
        }),
    ];
    for (what, change) in harmless {
        assert_eq!(seen(change).code, Link::LoginsWork.into(), "{what}");
    }
}

proptest::proptest! {
    #[test]
    fn one_thing_that_prevents_logins_is_enough_whatever_else_is_broken(
        open in proptest::sample::subsequence((0..OPEN.len()).collect::<Vec<_>>(), 0..=OPEN.len()),
        closed in proptest::sample::subsequence((0..CLOSED.len()).collect::<Vec<_>>(), 0..=1),
    ) {
        let change = |facts: &mut Facts, probe: &mut Probe| {
            open.iter().for_each(|index| OPEN[*index].1(facts, probe));
            closed.iter().for_each(|index| CLOSED[*index].1(facts, probe));
        };
        let code = if closed.is_empty() { Link::LoginsWork } else { Link::NobodyCanLogIn };
        proptest::prop_assert_eq!(seen(change).code, code.into());
    }
}

/// What of [`CLOSED`] is wrong with keys-cmd and its file.
const OF_KEYS_CMD: [&str; 10] = [
    "keys.db' does not exist",
    "another machine-id",
    "cannot read it",
    "longer ago than max_age",
    "in the future",
    "has not confirmed",
    "keys-cmd' is missing",
    "refuses to run",
    "cannot run",
    "system user 'nss-iam' is missing",
];

/// What is wrong with keys, while something else authenticates.
#[test]
fn keys_prevent_no_login_where_sshd_does_not_ask_for_them() {
    let of_keys = [
        &[
            "because of RevokedKeys: cannot read '/etc/ssh/revoked'",
            "sshd accepts no key of 'ana': RevokedKeys '' lists 'SHA256:ABCD'",
            "PubkeyAcceptedAlgorithms lacks ssh-mldsa44-ed25519",
            "no user has an active SSH key",
        ],
        &OF_KEYS_CMD[..],
    ]
    .concat();
    for (what, change) in CLOSED {
        let (mut facts, mut probe) = (good(), crate::fixtures::probe(true));
        change(&mut facts, &mut probe);
        if probe.sshd != Some(Ok(Effective::parse(IN_FORCE))) {
            continue;
        }
        let other = IN_FORCE.replace("/usr/libexec/nss-iam/keys-cmd", "/opt/other");
        probe.sshd = Some(Ok(Effective::parse(&other)));
        let mut config = facts.configured().clone();
        config.keys.sshd = false;
        facts.config = Ok(config);
        let found = outlook(&facts, &[probe]).verdict();
        let code = if of_keys.contains(what) { Link::LoginsUnseen } else { Link::NobodyCanLogIn };
        assert_eq!(found.code, code.into(), "{what}: {found:?}");
    }
}

#[test]
fn where_pushed_keys_count_a_user_without_keys_can_log_in_as_long_as_keys_would_be_offered() {
    let verdict = |confirmed: i64, keyless: bool| {
        seen(|facts, probe| {
            facts.config.as_mut().unwrap().keys.instance_connect = true;
            probe.sshd = Some(Ok(Effective::parse(&IN_FORCE.replace("%u", "--instance-connect %u"))));
            let login = &mut facts.published.keys.as_mut().unwrap().logins[0];
            login.confirmed = confirmed;
            if keyless {
                login.keys.clear();
            }
        })
        .code
    };
    assert_eq!(verdict(NOW - 60, true), Link::LoginsUnseen.into());
    assert_eq!(verdict(NOW - 60, false), Link::LoginsWork.into());
    for keyless in [true, false] {
        assert_eq!(verdict(0, keyless), Link::NobodyCanLogIn.into());
    }
}

/// What sshd shows with `[keys] user_ca`.
const WITH_CA: &str = "trustedusercakeys /ca.pub\n\
                       authorizedprincipalscommand /usr/libexec/nss-iam/keys-cmd --principals %u %U %f %F %s %i\n\
                       authorizedprincipalscommanduser nss-iam\nauthorizedprincipalsfile /usr/libexec/nss-iam/no-principals\n";

/// What is wrong with the keys, while sshd trusts a CA: that of `[keys] user_ca`, or another one.
#[test]
fn certificates_may_let_in_whom_no_key_lets_in() {
    let ours = [
        "no user has an active SSH key",
        "sshd accepts no key of 'ana'",
        "sshd accepts no key of 'ana': RevokedKeys '' lists 'SHA256:ABCD'",
        "PubkeyAcceptedAlgorithms lacks ssh-mldsa44-ed25519",
    ];
    let without_rsa = IN_FORCE.replace("ssh-ed25519,rsa-sha2-512", "ssh-ed25519");
    for (user_ca, trusts, open) in [
        (Some("/ca.pub"), WITH_CA, ours.to_vec()),
        (None, "trustedusercakeys /ca.pub\n", [&ours[..], &OF_KEYS_CMD].concat()),
    ] {
        for (what, change) in CLOSED {
            let found = seen(|facts, probe| {
                change(facts, probe);
                let in_force = match &probe.sshd {
                    Some(Ok(told)) if *told == Effective::parse(IN_FORCE) => IN_FORCE,
                    Some(Ok(told)) if *told == Effective::parse(&without_rsa) => &without_rsa,
                    _ => return,
                };
                probe.sshd = Some(Ok(Effective::parse(&format!("{trusts}{in_force}"))));
                facts.config.as_mut().unwrap().keys.user_ca = user_ca.map(str::to_owned);
            });
            let code = if open.contains(what) { Link::LoginsUnseen } else { Link::NobodyCanLogIn };
            assert_eq!(found.code, code.into(), "{what}: {found:?}");
        }
    }
}

/// With `--no-keys`, nothing else lets users in.
#[test]
fn without_keys_nobody_gets_in_if_sshd_refuses_every_certificate() {
    let of = |change: fn(&mut Facts, &mut Probe)| {
        seen(|facts, probe| {
            let keys = &mut facts.config.as_mut().unwrap().keys;
            (keys.user_ca, keys.sshd) = (Some("/ca.pub".to_owned()), false);
            let own = IN_FORCE.lines().filter(|line| !line.starts_with("authorizedkeyscommand"));
            let own: String = own.map(|line| format!("{line}\n")).collect();
            probe.sshd = Some(Ok(Effective::parse(&format!("{WITH_CA}{own}"))));
            probe.key_files.cas = vec![KeyLine::new(KEY).unwrap()];
            change(facts, probe);
        })
    };
    assert_eq!(of(|_, _| {}).code, Link::LoginsUnseen.into());
    let closed: [Break; 3] = [
        ("sshd accepts no certificate: RevokedKeys", |_, probe| revoke(probe)),
        ("sshd accepts no certificate: CASignatureAlgorithms lacks", |_, probe| {
            if let Some(Ok(settings)) = &mut probe.sshd {
                settings.set("casignaturealgorithms", "ssh-ed25519");
            }
        }),
        ("not accepted, or not safe: '/ca.pub'", |facts, _| {
            facts.user_ca = Some(Message::new("'/ca.pub' can be changed by others"));
        }),
    ];
    for (what, change) in closed {
        let found = of(change);
        assert!(found.code == Link::NobodyCanLogIn.into() && found.what.contains(what), "{found:?}");
    }
}

/// ana, and eve, who has the same groups and shell.
fn two(change: impl Fn(&mut Facts, &mut Probe)) -> Finding {
    seen(|facts, probe| {
        let keys = facts.published.keys.as_mut().unwrap();
        let mut login = keys.logins[0].clone();
        login.name = policy::Name::new("eve").unwrap();
        keys.logins.push(login);
        probe.alike.push("eve".to_owned());
        change(facts, probe);
    })
}

#[test]
fn one_who_cannot_log_in_is_named_unless_only_a_key_is_missing() {
    assert_eq!(two(|_, _| ()).what, "logins work");
    let denied = two(|_, probe| settings(probe, "denyusers eve"));
    let what =
        "logins work for 1 of 2 users, but not for 'eve': sshd has 'DenyUsers eve', which denies 'eve'";
    assert_eq!((denied.code, denied.what.as_str()), (Link::SomeCannotLogIn.into(), what));
    let other = two(|_, probe| settings(probe, "denyusers ana"));
    assert!(other.what.contains("but not for 'ana'"), "the sample is not eve: {other:?}");
    let local = two(|_, probe| probe.passwd = Some("ana:x:1234:1234::/:/bin/sh".to_owned()));
    assert!(local.what.contains("logins work for 1 of 2 users, but not for 'ana'"), "{local:?}");
    let keyless = two(|facts, _| facts.published.keys.as_mut().unwrap().logins[1].keys.clear());
    assert_eq!(keyless, Finding::ok(Link::LoginsWork, "logins work for 1 of 2 users"));
    let all = two(|_, probe| probe.shell_node = None);
    assert_eq!(all.code, Link::NobodyCanLogIn.into());
}

#[test]
fn what_is_not_seen_is_not_said_to_work() {
    let other = |change: fn(&mut Facts, &mut Probe)| {
        seen(|facts, probe| {
            facts.root = false;
            facts.published.keys = Err(Trouble::Denied);
            (probe.sshd, probe.shadow) = (None, None);
            change(facts, probe);
        })
    };
    assert_eq!(other(|_, _| ()).code, Link::LoginsUnseen.into());
    let nobody: &[fn(&mut Facts, &mut Probe)] = &[
        |facts, _| facts.published.status.as_mut().unwrap().keys = 0,
        |facts, _| facts.now = NOW + 259_200,
        |facts, _| facts.now = NOW - 86_400,
        |_, probe| probe.passwd = None,
    ];
    for change in nobody {
        assert_eq!(other(*change).code, Link::NobodyCanLogIn.into());
    }
    let hidden = other(|facts, _| {
        let sshd = facts.sshd.as_mut().unwrap();
        (sshd.ours, sshd.hidden) = (false, true);
    });
    assert_eq!(hidden.code, Link::LoginsUnseen.into());
    let second = seen(|_, probe| {
        let methods = "methods publickey,keyboard-interactive";
        probe.sshd = Some(Ok(Effective::parse(&IN_FORCE.replace("methods any", methods))));
    });
    assert_eq!(second.code, Link::LoginsUnseen.into());
    assert!(second.what.contains("second factor"), "{second:?}");
    let elsewhere = seen(|facts, probe| {
        let access = Line {
            file: "/etc/pam.d/sshd".to_owned(),
            control: "required".to_owned(),
            module: "pam_access".to_owned(),
            arguments: Vec::new(),
        };
        facts.pam.stacks = vec![("sshd".to_owned(), vec![Entry::Line(access)])];
        probe.pam = Some(Account::Refused { unavailable: false, why: "No".to_owned() });
    });
    assert_eq!(elsewhere.code, Link::LoginsUnseen.into(), "{elsewhere:?}");
}

#[test]
fn the_command_that_sets_up_asks_for_a_group_only_where_none_is_configured() {
    let command = |config: Result<config::Config, NoConfig>| {
        let mut facts = good();
        facts.nsswitch = None;
        facts.sshd.as_mut().unwrap().ours = false;
        facts.config = config;
        not_set_up(&facts).unwrap().remedy.unwrap()
    };
    assert_eq!(command(Err(NoConfig::Missing)), "nss-iamctl enable --group GROUP");
    assert_eq!(command(Ok(config::Config::default())), "nss-iamctl enable --group GROUP");
    assert_eq!(command(good().config), "nss-iamctl enable");
    let mut facts = good();
    facts.nsswitch = Some("passwd: files\ngroup: files iam\n".to_owned());
    facts.sshd = None;
    assert_eq!(not_set_up(&facts), None, "broken");
}
