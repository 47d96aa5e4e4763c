//! Breaks each link of the chain, and checks what is reported. The host is that of `doctor`'s tests.

mod person;

use cache::snapshot::User;
use claims::{Kind, Use};
use config::{Config, TagUse};
use listing::{Key, Listing};
use policy::{IamId, Id, KeyLine, Name};
use status::{Locked, Part, Skip, SkipReason, Warning, What};

use super::{chain, verdict_line};
use crate::fixtures::{KEY, NOW, answer, assert_finds, good, log_line, mosca, probe, uses};
use crate::host::published::Trouble;
use crate::inspect::facts::Facts;
use crate::inspect::facts::probe::Probe;
use crate::inspect::subject::Who;
use crate::say::finding::{Finding, Level, worst};

/// Like the command, with the answers that glibc and sshd would give.
fn why(facts: &Facts, asked: &str) -> (Vec<Finding>, String) {
    let who = Who::find(asked, facts);
    let probe = who.cached.map(|user| probe(user.active));
    with(facts, &who, asked, probe.as_ref())
}

fn with(facts: &Facts, who: &Who<'_>, asked: &str, probe: Option<&Probe>) -> (Vec<Finding>, String) {
    let findings = chain::judge(facts, who, asked, probe);
    let verdict = verdict_line(&who.name, &findings);
    (findings, verdict)
}

/// Breaks the host, and finds these words with that remedy, and the verdict that follows from it.
fn finds(asked: &str, level: Level, what: &str, remedy: &str, break_it: impl Fn(&mut Facts)) {
    let mut facts = good();
    break_it(&mut facts);
    let (findings, verdict) = why(&facts, asked);
    assert_finds(&findings, level, what, remedy);
    let expected = if level == Level::Bad { "cannot log in: " } else { "but see: " };
    assert!(verdict.contains(expected), "{verdict}");
}

fn listing(facts: &mut Facts) -> &mut Listing {
    facts.published.listing.as_mut().unwrap()
}

fn row(facts: &mut Facts) -> &mut User {
    &mut facts.published.cache.as_mut().unwrap().users[0]
}

fn skip(facts: &mut Facts, part: Part<'_>, name: &str, id: &str, reason: SkipReason) {
    facts.published.status.as_mut().unwrap().skips.push(Skip::new("", part, name, id, reason));
}

fn warn(facts: &mut Facts, warning: Warning) {
    facts.published.status.as_mut().unwrap().warnings.push(warning.into());
}

#[test]
fn the_chain_of_one_who_can_log_in_is_told_link_by_link() {
    for asked in ["ana", "Ana", "ANA"] {
        let (findings, verdict) = why(&good(), asked);
        let mut told: Vec<(&str, &str)> =
            findings.iter().map(|finding| (finding.code.check, finding.what.as_str())).collect();
        let other = format!("log in as 'ana', not as '{asked}'");
        assert_eq!(told.iter().any(|(_, what)| *what == other), asked != "ana");
        told.retain(|(_, what)| *what != other);
        assert_eq!(
            told,
            [
                ("name", "'ana' is IAM user 'Ana' (AIDAANA) of AWS account 123456789012"),
                ("groups", "member of 'Ops' in IAM"),
                ("state", "active, uid 1895840708"),
                ("keys", "ssh-rsa SHA256:ABCD is offered; confirmed 60 s ago by 'iam:123456789012'"),
                ("getent", "'ana' resolves to uid 1895840708"),
                ("home", "'/home/ana' belongs to 'ana', mode 0700"),
                ("sshd", "for 'ana', it asks keys-cmd, and nothing denies the login"),
            ]
        );
        assert_eq!(
            (worst(&findings), verdict.as_str()),
            (Level::Ok, "nothing on this host prevents 'ana' from logging in")
        );
    }
}

#[test]
fn who_left_or_is_locked_is_told_since_when_and_how_to_come_back() {
    use Level::{Bad, Warn};
    finds(
        "bob",
        Bad,
        "(2 h ago): the user left the IAM groups 'Ops'",
        "--group-name Ops --user-name Bob",
        |_| (),
    );
    let told = why(&good(), "bob").0.into_iter().map(|finding| (finding.code.check, finding.what));
    let told: Vec<_> = told.filter(|(check, _)| ["getent", "sshd", "groups"].contains(check)).collect();
    let nameless = "'bob' is disabled, owns files as uid 1895840709, and does not resolve by name";
    assert_eq!(told, [("getent", nameless.to_owned())]);
    let disabled = |facts: &mut Facts| {
        row(facts).active = false;
        let users = &mut facts.published.state.as_mut().unwrap().users;
        users.get_mut(&IamId::new("AIDAANA")).unwrap().disabled = Some(NOW - 60);
    };
    finds("ana", Bad, "locked on this host since", "nss-iamctl unlock ana", |facts| {
        disabled(facts);
        facts.published.locked = Ok(Locked::parse("ana"));
    });
    finds("ana", Bad, "everyone is locked", "unlock --all", |facts| {
        disabled(facts);
        facts.published.locked = Ok(Locked::parse("*"));
    });
    finds("ana", Bad, "it is not applied yet", "nss-iamctl refresh", disabled);
    finds("ana", Bad, "the cache does not yet", "nss-iamctl refresh", |facts| {
        facts.published.cache.as_mut().unwrap().users.remove(0);
    });
    finds("bob", Bad, "longer ago than removed_keep", "same uid", |facts| {
        facts.published.cache.as_mut().unwrap().users.remove(1);
        facts.published.state.as_mut().unwrap().users.get_mut(&IamId::new("AIDABOB")).unwrap().hidden = true;
    });
    finds("ana", Bad, "no user is published", "doctor", |facts| {
        facts.published.cache = Err(Trouble::Missing)
    });
    finds("ana", Warn, "this is not confirmed yet", "--force", |facts| {
        let last = jiff::Timestamp::from_second(NOW - 100).unwrap();
        listing(facts).accounts[0].users[0].missing =
            Some(listing::Missing { last, times: 1, groups: Vec::new() });
    });
}

#[test]
fn keys_that_do_not_do_are_told_one_by_one() {
    use Level::{Bad, Warn};
    let inactive = |facts: &mut Facts| {
        let key = Key { id: "APKA9".to_owned(), active: false, body: String::new() };
        listing(facts).accounts[0].users[0].keys = vec![key];
    };
    let without = |facts: &mut Facts| facts.published.keys.as_mut().unwrap().logins[0].keys.clear();
    finds(
        "ana",
        Bad,
        "IAM has no SSH key of the user",
        "aws iam upload-ssh-public-key --user-name Ana",
        without,
    );
    finds("ana", Bad, "IAM has no SSH key of the user", "--tags Key=nss-iam:ssh-key,Value=", without);
    finds("ana", Bad, "IAM has no SSH key of the user", "untag-user --user-name Ana --tag-keys x", |facts| {
        skip(facts, Part::KeyInTag("x"), "Ana", "AIDAANA", SkipReason::KeyForm);
        without(facts);
    });
    finds("ana", Bad, "IAM has no active SSH key", "--ssh-public-key-id APKA9 --status Active", |facts| {
        inactive(facts);
        without(facts);
    });
    finds("ana", Warn, "key 'APKA9' is inactive in IAM", "update-ssh-public-key --user-name Ana", inactive);
    finds("ana", Warn, "key 'APKA8': not a public key", "ssh-keygen -l", |facts| {
        let reason = SkipReason::KeyUnreadable { cause: "x".to_owned() };
        skip(facts, Part::Key("APKA8"), "Ana", "AIDAANA", reason);
    });
    let later = KeyLine::new("SHA256:a ssh-mldsa44-ed25519 AAAA").unwrap();
    let of_type = "sshd refuses some of the keys: PubkeyAcceptedAlgorithms lacks ssh-mldsa44-ed25519";
    finds(
        "ana",
        Warn,
        of_type,
        "ssh-mldsa44-ed25519, which needs OpenSSH 10.6; or use a key of another",
        |facts| {
            facts.published.keys.as_mut().unwrap().logins[0].keys.push(later.clone());
        },
    );
    finds("ana", Bad, "no key is offered: they were last confirmed", "refresh", |facts| facts.now += 300_000);
    finds("ana", Bad, "another machine-id", "refresh", |facts| facts.machine_id.clear());
    finds("ana", Bad, "'/var/lib/nss-iam/keys.db' does not exist", "refresh", |facts| {
        facts.published.keys = Err(Trouble::Missing);
    });
}

#[test]
fn what_is_wrong_with_the_host_is_told_as_far_as_it_concerns_the_login() {
    use Level::{Bad, Warn};
    finds("ana", Bad, "'iam' for shadow: 'shadow: files'", "enable", |facts| {
        facts.nsswitch =
            Some("passwd: files iam\ngroup: files [SUCCESS=merge] iam\nshadow: files\n".to_owned());
    });
    finds("ana", Bad, "00-nss-iam.conf' is missing", "enable", |facts| {
        facts.sshd.as_mut().unwrap().ours = false
    });
    finds("ana", Bad, "mode 0777", "chmod go-w", |facts| facts.keys_cmd[3].mode = 0o777);
    finds("ana", Bad, "nologin' exists", "rm", |facts| {
        facts.nologin = Some(("/run/nologin".to_owned(), String::new()))
    });
    finds("ana", Warn, "not run as root", "sudo nss-iamctl why ana", |facts| facts.root = false);
    let judged = |change: &dyn Fn(&mut Probe)| {
        let (facts, mut probe) = (good(), probe(true));
        change(&mut probe);
        with(&facts, &Who::find("ana", &facts), "ana", Some(&probe)).1
    };
    assert!(judged(&|probe| probe.home_node.as_mut().unwrap().uid = 5).contains("belongs to uid 5"));
    assert!(judged(&|probe| probe.shell_node = None).contains("the shell '/bin/bash' of 'ana' is missing"));
    assert!(judged(&|probe| probe.shadow = None).contains("no shadow entry"));
    assert!(judged(&|probe| probe.home_node = None).contains("nothing on this host"));
}

#[test]
fn a_home_that_is_still_missing_after_a_login_is_told_and_how_to_create_it() {
    let (mut facts, mut probe) = (good(), probe(true));
    probe.home_node = None;
    facts.log.push(log_line("Accepted publickey for ana from ::1 port 5 ssh2: RSA SHA256:good"));
    let (findings, verdict) = with(&facts, &Who::find("ana", &facts), "ana", Some(&probe));
    let remedy = format!("install -d -m 0700 -o {0} -g {0} /home/ana; if it is on NFS", probe.uid);
    assert_finds(&findings, Level::Warn, "'/home/ana' does not exist although a login was accepted", &remedy);
    assert!(verdict.contains("but see: "), "{verdict}");
}

#[test]
fn what_the_host_gives_to_the_name_is_told_with_its_place() {
    let mut facts = good();
    facts.names.members.insert("ana".to_owned(), vec!["adm".to_owned(), "disk".to_owned()]);
    uses(&mut facts, "ana", Kind::Sudo, "in a sudo rule", "/etc/sudoers.d/ana");
    uses(&mut facts, "ana", Kind::Grant, "the owner of a crontab", "/var/spool/cron/crontabs/ana");
    let (findings, verdict) = why(&facts, "ana");
    let told =
        findings.iter().filter(|finding| finding.code.check == "names").map(|finding| finding.what.as_str());
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "'ana' is a member of 'adm', 'disk' in /etc/group",
            "'ana' is in a sudo rule ('/etc/sudoers.d/ana')",
            "'ana' is the owner of a crontab ('/var/spool/cron/crontabs/ana')",
        ]
    );
    assert_eq!(verdict, "nothing on this host prevents 'ana' from logging in");
    finds("ana", Level::Warn, "IAM user 'ana' is the user of 'mosca.service'", "[names.allow]", mosca);
    finds("ana", Level::Bad, "a user of service 'sss' of nsswitch.conf (uid 9)", "nss-iam:name", |facts| {
        answer(facts, "sss", |answer| answer.users.extend([("ana".to_owned(), 9)]));
    });
}

#[test]
fn the_names_of_the_user_and_of_the_users_groups_are_looked_up() {
    let mut facts = good();
    let cache = facts.published.cache.as_mut().unwrap();
    for (name, gid) in [("ops", 5000), ("dev", 5001)] {
        let mut group = cache.groups[0].clone();
        (group.name, group.gid) = (Name::new(name).unwrap(), Id::pinned(gid).unwrap());
        cache.groups.push(group);
    }
    cache.users[0].groups.push(Id::pinned(5000).unwrap());
    let names = |asked: &str| Who::find(asked, &facts).names(&facts).into_keys().collect::<Vec<_>>();
    assert_eq!(names("ana"), ["ana", "ops"]);
    assert!(names("bob").is_empty() && names("eve").is_empty());
}

#[test]
fn where_users_come_from_a_file_every_remedy_changes_the_file() {
    let of_file = |facts: &mut Facts| {
        let text = "[source]\nurl = \"file:///srv/a%20b.json\"\n".to_owned();
        facts.config = Ok(Config::parse(&[("config.toml".into(), text)]).unwrap());
    };
    let keys = |facts: &mut Facts, keys: Vec<Key>| {
        facts.published.keys.as_mut().unwrap().logins[0].keys.clear();
        listing(facts).accounts[0].users[0].keys = keys;
    };
    let tried = |kind: &str| {
        super::log::tests::lines(&[&format!(
            "Failed publickey for ana from ::1 port 5 ssh2: {kind} SHA256:WXYZ"
        )])
    };
    type Break<'a> = &'a dyn Fn(&mut Facts);
    let broken: [(&str, &str, Break<'_>); 6] = [
        ("eve", "add the user eve to '/srv/a b.json'", &|_| ()),
        ("bob", "add the user Bob to '/srv/a b.json'", &|_| ()),
        ("ana", "to the keys of user Ana in '/srv/a b.json'", &|facts| keys(facts, Vec::new())),
        ("ana", "set key APKA9 of user Ana to \"active\": true in '/srv/a b.json'", &|facts| {
            keys(facts, vec![Key { id: "APKA9".to_owned(), active: false, body: String::new() }]);
        }),
        ("ana", "to the keys of user Ana in '/srv/a b.json'", &|facts| facts.log = tried("RSA")),
        ("ana", "to the keys of user Ana in '/srv/a b.json'", &|facts| facts.log = tried("ED25519")),
    ];
    for (asked, wanted, break_it) in broken {
        let mut facts = good();
        of_file(&mut facts);
        break_it(&mut facts);
        let (findings, _) = why(&facts, asked);
        let remedies: Vec<&str> = findings.iter().filter_map(|finding| finding.remedy.as_deref()).collect();
        assert!(remedies.iter().any(|remedy| remedy.contains(wanted)), "'{wanted}' is not in: {remedies:?}");
        assert!(!remedies.iter().any(|remedy| remedy.contains("aws iam")), "{remedies:?}");
    }
}

#[test]
fn the_last_refusal_is_compared_with_what_iam_has() {
    let line = "Failed publickey for ana from 10.0.0.1 port 5 ssh2: RSA SHA256:WXYZ";
    finds(
        "ana",
        Level::Warn,
        "offered 'SHA256:WXYZ'; IAM has 'SHA256:ABCD'",
        "upload-ssh-public-key",
        |facts| {
            facts.log = super::log::tests::lines(&[line]);
        },
    );
    assert!(KEY.starts_with("SHA256:ABCD "));
}

#[test]
fn a_tag_that_is_not_used_is_named_with_what_lets_it_count_and_what_removes_it() {
    let break_it = |facts: &mut Facts, uses: &[TagUse]| {
        facts.config.as_mut().unwrap().tags.uses = uses.to_vec();
        let user = listing(facts).accounts[0].users.iter_mut().find(|user| user.name == "Ana").unwrap();
        user.tags = [("nss-iam:ssh-key".to_owned(), KEY.to_owned())].into();
    };
    for remedy in [
        "nss-iamctl enable --use-tag ssh-key && nss-iamctl refresh",
        "or remove the tag: aws iam untag-user --user-name Ana --tag-keys nss-iam:ssh-key; then nss-iamctl refresh",
    ] {
        let what = "has an SSH key in the tag 'nss-iam:ssh-key', but [tags] use does not list 'ssh-key'";
        finds("ana", Level::Warn, what, remedy, |facts| break_it(facts, &[TagUse::Uid]));
    }
    let mut facts = good();
    break_it(&mut facts, &[TagUse::SshKey]);
    let told = why(&facts, "ana").0;
    assert!(told.iter().all(|finding| !finding.what.contains("[tags]")), "{told:?}");
}
