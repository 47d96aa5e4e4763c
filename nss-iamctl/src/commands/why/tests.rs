//! Breaks each link of the chain, and checks what is reported. The host is that of `doctor`'s tests.

use cache::snapshot::User;
use claims::{Kind, Use};
use config::{Config, TagUse};
use listing::{Key, Listing};
use policy::{IamId, Id, Name};
use status::{Locked, Part, Skip, SkipReason, Warning, What};

use super::{chain, verdict_line};
use crate::fixtures::{KEY, NOW, answer, assert_finds, good, mosca, probe, uses};
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
fn a_name_that_leads_nowhere_is_explained() {
    use Level::Bad;
    finds(
        "eve",
        Bad,
        "no nss-iam user is called 'eve' here",
        "add-user-to-group --group-name Ops --user-name eve",
        |_| (),
    );
    finds("eve", Bad, "no nss-iam user is called 'eve'", "doctor", |facts| {
        facts.config = Ok(Config::default())
    });
    finds("an", Bad, "no nss-iam user is called 'an'", "did you mean 'ana'?", |_| ());
    finds("ubuntu", Bad, "'ubuntu' is a local user of this host, uid 1000", "own keys", |_| ());
    finds("ana", Bad, "'ana' is a local user of this host, uid 1001", "nss-iamctl adopt", |facts| {
        facts.passwd.insert("ana".to_owned(), 1001);
    });
    finds("Admin", Bad, "'admin' is reserved", "nss-iam:name", |facts| {
        skip(facts, Part::User, "Admin", "AIDAADM", SkipReason::NameReserved { name: "admin".to_owned() });
    });
}

#[test]
fn one_who_was_refused_can_be_allowed_and_a_new_name_that_was_refused_is_told() {
    use Level::{Bad, Warn};
    let allow = |id, name| {
        format!("printf '[names.allow]\\n{id} = \"{name}\"\\n' >/etc/nss-iam/config.d/60-name-{name}.toml")
    };
    finds("grace", Bad, "'grace' is a member of 'sudo'", &allow("AIDAG", "grace"), |facts| {
        let [name, group, service] = ["grace", "sudo", "files"].map(str::to_owned);
        let reason = SkipReason::NameInGroups { name, groups: vec![group], service };
        skip(facts, Part::User, "Grace", "AIDAG", reason);
    });
    finds("ana", Warn, "'AIDAANA' keeps the name 'ana'", &allow("AIDAANA", "anna"), |facts| {
        let [what, place, refused] = ["in a sudo rule", "/etc/sudoers", "anna"].map(str::to_owned);
        let reason = SkipReason::NameUsed { name: refused, used: Use { kind: Kind::Sudo, what, place } };
        let [iam_id, name, source] = ["AIDAANA", "ana", "IAM"].map(str::to_owned);
        warn(facts, Warning::KeepsName { what: What::User, iam_id, name, source, reason });
    });
    finds("ana", Warn, "'AIDAANA' keeps id 5", "an id never", |facts| {
        warn(facts, Warning::KeepsId { iam_id: "AIDAANA".to_owned(), id: 5, unused: 6 });
        warn(facts, Warning::KeepsId { iam_id: "AIDAOTHER".to_owned(), id: 7, unused: 8 });
    });
}

#[test]
fn of_two_who_want_a_name_the_one_who_is_asked_for_is_explained() {
    let mut facts = good();
    let mut other = listing(&mut facts).accounts[0].users[0].clone();
    (other.id, other.name) = ("AIDATWO".to_owned(), "ana+".to_owned());
    (facts.config.as_mut().unwrap().users.strip_domains) = vec!["example.com".to_owned()];
    other.name = "Ana@example.com".to_owned();
    listing(&mut facts).accounts[0].users.push(other);
    let [name, called, holder] = ["ana", "IAM user", "Ana"].map(str::to_owned);
    let taken = SkipReason::NameTaken { name, called, holder };
    skip(&mut facts, Part::User, "Ana@example.com", "AIDATWO", taken);
    let (findings, verdict) = why(&facts, "Ana@example.com");
    assert!(findings[0].what.contains("IAM user 'Ana@example.com' (AIDATWO)"), "{findings:#?}");
    assert!(verdict.contains("already the name of IAM user 'Ana'"), "{verdict}");
    assert!(
        !findings.iter().any(|finding| finding.what.contains("is offered")),
        "the key of the other: {findings:#?}"
    );
    let also =
        "there is also IAM user 'Ana@example.com' (AIDATWO), who was skipped: 'ana' is already the name";
    assert_finds(&why(&facts, "ana").0, Level::Warn, also, "nss-iamctl why AIDATWO; ");
    assert_eq!(worst(&why(&facts, "AIDAANA").0), Level::Ok, "asked for by id");
    let (findings, verdict) = why(&facts, "AIDATWO");
    assert!(verdict.contains("already the name of IAM user 'Ana'"), "{verdict}: {findings:#?}");
}

#[test]
fn a_name_in_another_spelling_is_found_under_the_login_name() {
    let mut facts = good();
    facts.config.as_mut().unwrap().users.strip_domains = vec!["example.com".to_owned()];
    for asked in ["ANA@Example.com", "Ana@EXAMPLE.COM"] {
        let (findings, verdict) = why(&facts, asked);
        let what = format!("log in as 'ana', not as '{asked}'");
        assert!(findings.iter().any(|finding| finding.what == what), "{findings:#?}");
        assert_eq!(verdict, "nothing on this host prevents 'ana' from logging in");
    }
    let (findings, _) = why(&facts, "Ubuntu");
    assert_finds(&findings, Level::Bad, "'ubuntu' is a local user of this host", "own keys");
    facts.published.state.as_mut().unwrap().users.get_mut(&IamId::new("AIDAANA")).unwrap().iam_name =
        "root".into();
    listing(&mut facts).accounts[0].users[0].name = "root".to_owned();
    let (findings, _) = why(&facts, "root");
    assert_finds(
        &findings,
        Level::Warn,
        "'root' is a local user of this host; the nss-iam user is called 'ana'",
        "as 'ana'",
    );
}

/// With the fingerprint that `ssh-keygen -l` shows.
const REAL: [&str; 2] = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA",
];

#[test]
fn groups_options_commands_and_the_origin_of_each_key_are_shown() {
    let mut facts = good();
    facts.config.as_mut().unwrap().tags.uses = vec![TagUse::SshKey];
    row(&mut facts).local = vec![27, 4];
    facts.group.insert("sudo".to_owned(), 27);
    let user = &mut listing(&mut facts).accounts[0].users[0];
    user.keys[0].body = format!("{} ana@laptop", REAL[0]);
    user.tags = [("nss-iam:ssh-key-2".to_owned(), REAL[1].to_owned())].into();
    let stored = REAL.map(|body| {
        let key = ssh_key::PublicKey::from_openssh(body).unwrap();
        policy::KeyLine::new(&format!("{} {body}", key.fingerprint(ssh_key::HashAlg::Sha256))).unwrap()
    });
    let keys = facts.published.keys.as_mut().unwrap();
    keys.options = "restrict,pty".to_owned();
    keys.logins[0].keys = stored.to_vec();
    let mut probe = probe(true);
    probe.sshd = Some(Ok(crate::edit::sshd::effective::Effective::parse(&format!(
        "forcecommand /usr/bin/menu\n{}",
        crate::fixtures::IN_FORCE
    ))));
    let who = Who::find("ana", &facts);
    let (findings, _) = with(&facts, &who, "ana", Some(&probe));
    for what in [
        "member of the local groups 'sudo', '4'",
        "(key 'APKA1') is offered",
        "(tag 'nss-iam:ssh-key-2') is offered",
        "every key has these options: restrict,pty",
        "sshd runs '/usr/bin/menu' instead of what 'ana' asks for",
    ] {
        assert!(findings.iter().any(|finding| finding.what.contains(what)), "{what}: {findings:#?}");
    }
}

#[test]
fn a_user_who_has_no_name_yet_is_found_by_the_one_that_a_tag_gives() {
    let mut facts = good();
    let config = facts.config.as_mut().unwrap();
    config.tags.uses = vec![TagUse::Name];
    config.users.strip_domains = vec!["example.com".to_owned()];
    let mut zoe = listing(&mut facts).accounts[0].users[0].clone();
    (zoe.id, zoe.name) = ("AIDAZOE".to_owned(), "Zoe@example.com".to_owned());
    listing(&mut facts).accounts[0].users.push(zoe);
    for (tag, asked, found) in [
        (None, "zoe", true),
        (Some("zo.e"), "zo.e", true),
        (Some("zo.e"), "zoe", false),
        (Some("zo.e"), "zoe@EXAMPLE.com", true),
        // Tags that the refresher refuses, so that the IAM name decides.
        (Some("docker"), "docker", false),
        (Some("docker"), "zoe", true),
        (Some("Zo:e"), "Zo:e", false),
    ] {
        let user = &mut listing(&mut facts).accounts[0].users[1];
        user.tags = tag.map(|name| ("nss-iam:name".to_owned(), name.to_owned())).into_iter().collect();
        let who = Who::find(asked, &facts);
        assert_eq!(who.id.as_deref() == Some("AIDAZOE"), found, "tag {tag:?}, asked for '{asked}'");
    }
    facts.config.as_mut().unwrap().tags.uses.clear();
    assert_eq!(Who::find("zoe", &facts).id.as_deref(), Some("AIDAZOE"), "tags that are not used");
}

#[test]
fn a_user_who_has_a_name_is_not_taken_for_another_by_a_tag() {
    let mut facts = good();
    facts.config.as_mut().unwrap().tags.uses = vec![TagUse::Name];
    let tag = ("nss-iam:name".to_owned(), "ubuntu2".to_owned());
    listing(&mut facts).accounts[0].users[0].tags = [tag].into();
    assert_eq!(Who::find("ubuntu2", &facts).id, None, "the refresher gave another name");
    assert_eq!(Who::find("ana", &facts).id.as_deref(), Some("AIDAANA"));
}

#[test]
fn of_several_who_could_be_meant_it_is_the_one_who_has_the_name_or_would_get_it() {
    let mut facts = good();
    facts.config.as_mut().unwrap().tags.uses = vec![TagUse::Name];
    let template = listing(&mut facts).accounts[0].users[0].clone();
    let mut add = |id: &str, name: &str, tag: Option<&str>, created: i64| {
        let tags = tag.map(|tag| ("nss-iam:name".to_owned(), tag.to_owned())).into_iter().collect();
        let created = jiff::Timestamp::from_second(created).ok();
        let user =
            listing::User { id: id.to_owned(), name: name.to_owned(), tags, created, ..template.clone() };
        listing(&mut facts).accounts[0].users.push(user);
    };
    // A user's own name takes precedence over a tag, and the user who was created first over the others.
    add("AIDA1", "eve", Some("zoe"), 1);
    add("AIDA2", "zo+e", None, 5);
    add("AIDA3", "zo=e", None, 4);
    add("AIDA4", "Zoe", None, 9);
    // A user with another name by a tag is found by the IAM name only if no other user has that name.
    add("AIDA5", "pia", Some("pia2"), 1);
    add("AIDA6", "lea", Some("pia"), 2);
    add("AIDA7", "ana", Some("ann"), 1);
    for (asked, id) in
        [("zoe", "AIDA4"), ("eve", "AIDA1"), ("zo_e", "AIDA3"), ("pia", "AIDA6"), ("ana", "AIDAANA")]
    {
        assert_eq!(Who::find(asked, &facts).id.as_deref(), Some(id), "{asked}");
    }
    let state = facts.published.state.as_mut().unwrap();
    state.names.insert(Name::new("zo_e").unwrap(), IamId::new("AIDA2"));
    assert_eq!(Who::find("zo_e", &facts).id.as_deref(), Some("AIDA2"), "who had it last");
    // Two known users: one has the login name, the other the IAM name.
    let state = facts.published.state.as_mut().unwrap();
    let ana = state.users.get(&IamId::new("AIDAANA")).unwrap().clone();
    let other = cache::state::User { name: Name::new("ann").unwrap(), ..ana };
    state.users.insert(IamId::new("AIDA0"), other);
    assert_eq!(Who::find("ana", &facts).id.as_deref(), Some("AIDAANA"));
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
