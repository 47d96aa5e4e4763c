//! Who is meant, and what is shown about them.

use super::*;
use crate::inspect::facts::log::Line;

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
    for slip in ["an", "anna", "ana ", "'ana'", "ANNA", "ana@example.com"] {
        finds(slip, Bad, &format!("no nss-iam user is called '{slip}'"), "did you mean 'ana'?", |_| ());
    }
    for name in ["", "a b", "eve;id"] {
        finds(name, Bad, &format!("can be called '{name}'"), "nss-iamctl users", |_| ());
    }
    finds("ubuntu", Bad, "'ubuntu' is a local user of this host, uid 1000", "own keys", |_| ());
    finds(
        "ana",
        Bad,
        "'ana' is a local user of this host, uid 1001",
        "nss-iamctl adopt --apply ana",
        |facts| {
            facts.passwd.insert("ana".to_owned(), 1001);
        },
    );
    finds("Admin", Bad, "'admin' is reserved", "nss-iam:name", |facts| {
        skip(facts, Part::User, "Admin", "AIDAADM", SkipReason::NameReserved { name: "admin".to_owned() });
    });
}

#[test]
fn one_who_was_refused_can_be_allowed_and_a_new_name_that_was_refused_is_told() {
    use Level::{Bad, Warn};
    let allow = |id, name| {
        format!("printf '[names.allow]\\n{id} = \"{name}\"\\n' >/etc/nss-iam/config.d/60-name-{id}.toml")
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
    let stored = REAL.map(|body| policy::KeyLine::read(body).unwrap());
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
fn of_a_user_who_was_skipped_no_key_is_to_blame() {
    let mut facts = good();
    let reason = SkipReason::NameOfUser { name: "eve".to_owned(), id: 1000, service: "files".to_owned() };
    skip(&mut facts, Part::User, "eve", "AIDAEVE", reason);
    let line = |text: &str| {
        let [time, program, pid, text] = ["now", "sshd", "7", text].map(str::to_owned);
        Line { time, program, pid, text }
    };
    facts.log = vec![
        line("Failed publickey for eve from 10.0.0.1 port 1 ssh2: RSA SHA256:XYZ"),
        line("Connection closed by authenticating user eve 10.0.0.1 port 1 [preauth]"),
    ];
    let has = |facts: &Facts, code: &str| why(facts, "eve").0.iter().any(|found| found.code.code == code);
    assert!(has(&facts, "name-of-host-user") && !has(&facts, "wrong-key-tried"));
    facts.published.status.as_mut().unwrap().skips.clear();
    assert!(has(&facts, "wrong-key-tried"), "of a stranger, the log has more than the host");
}
