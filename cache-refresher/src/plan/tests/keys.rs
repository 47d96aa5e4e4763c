//! Which keys sshd is offered.

use super::*;

const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBIpGjX2H51x+no9afPsRzMhAfAAL/YqGZ00NON6L4U178Lqb5tqUJvO1b4Ir5UtVyJqUQyUaJVZTJW477k9ubiY=";
pub(super) const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDK91LO9BcKgAB5emqK+jSRfvLZBC9GKpKOstMWBemt0GS50acoM32z3+Zkjk5WCBy2Qralr5GYD2LrPEMnBbDlQgpQtc/+9fdQM6NkvWWxCrT0okfXRyi0Kty07WLAcPjnl0jyw9T8wMflV7QMXBtPMLDI+rV1lXes8W1pLUj1o/UN5aovKvrTMR34JiZaGKqjsyI301l9iYwsq9lignko/puFUH44o2YLV/BruMKmSE54Uxucz4WeSG5yc68z31XtGQVX8adJEH/gJXH4dZC43BtCdZ2JzsgBU0KKvmNwZIEv329wp/M2eXbC24HOu0VVrHAipVVFIHVgQhtRlOZt";

/// The keys without their fingerprints.
fn keys(plan: &Plan, id: &str) -> BTreeSet<String> {
    let lines = plan.login(id).unwrap().keys.iter();
    lines.map(|line| line.as_str().split_once(' ').unwrap().1.to_owned()).collect()
}

#[test]
fn only_active_keys_are_offered_and_each_once() {
    let mut world = World::of(&["ana"]);
    world.listed("U-ana").keys = vec![
        key(ED25519),
        key(&format!("{ED25519} comment")),
        Key { active: false, ..key(RSA) },
        Key { active: false, ..key("not a key") },
    ];
    let plan = world.run();
    assert_eq!(keys(&plan, "U-ana"), [ED25519.to_owned()].into());
    assert!(plan.skips.is_empty(), "{:?}", plan.skips);
}

#[test]
fn a_bad_key_is_reported_and_the_good_ones_stay() {
    let certificate = ED25519.replace("ssh-ed25519 ", "ssh-ed25519-cert-v01@openssh.com ");
    let foreign = "x@example.com AAAADXhAZXhhbXBsZS5jb20=";
    for (body, words) in [
        (format!("command=\"sh\" {ED25519}"), "not a public key"),
        (format!("{ED25519}\n{RSA}"), "several lines"),
        (format!("{ED25519}\0"), "control characters"),
        ("-----BEGIN RSA PRIVATE KEY-----".to_owned(), "private key"),
        ("x".repeat(1 << 20), "too long"),
        (ED25519.replace("ssh-ed25519", "ssh-rsa"), "not a public key"),
        (certificate, "not a public key"),
        (foreign.to_owned(), "not a public key"),
        (String::new(), "not a public key"),
    ] {
        let mut world = World::of(&["ana"]);
        world.listed("U-ana").keys =
            vec![Key { id: "APKA\nBAD".to_owned(), ..key(&body) }, key(RSA), key(ECDSA)];
        let plan = world.run();
        assert_eq!(keys(&plan, "U-ana"), [RSA.to_owned(), ECDSA.to_owned()].into(), "{words}");
        let skip = &plan.skips[0];
        assert!(skip.text.contains(words) && skip.text.contains(r"'APKA\nBAD'"), "{skip:?}");
        assert!(!skip.text.contains("AAAA"), "a body in {skip:?}");
    }
}

#[test]
fn keys_in_tags_are_of_the_kinds_that_iams_upload_refuses() {
    let mut world = World::of(&["ana"]).uses(&[TagUse::SshKey]);
    world.tag("U-ana", "ssh-key", ED25519);
    world.tag("U-ana", "ssh-key-2", ECDSA);
    world.tag("U-ana", "ssh-key-3", RSA);
    world.tag("U-ana", "ssh-keyring", RSA);
    let plan = world.run();
    assert_eq!(keys(&plan, "U-ana"), [ED25519.to_owned(), ECDSA.to_owned()].into());
    assert_eq!(plan.skips.len(), 1, "{:?}", plan.skips);
    assert!(plan.told("U-ana", "tag 'nss-iam:ssh-key-3': ssh-rsa belongs in IAM"));
}

#[test]
fn a_key_in_parts_is_offered_whole_or_not_at_all_and_never_joined_from_two_users() {
    let mut world = World::of(&["ana", "bob", "eve"]).uses(&[TagUse::SshKey]);
    let (first, second) = ECDSA.split_at(90);
    let (middle, last) = second.split_at(20);
    for (part, value) in [("1", first), ("2", middle), ("3", last)] {
        world.tag("U-ana", &format!("ssh-key-1.{part}"), value);
    }
    world.tag("U-bob", "ssh-key-1.1", first);
    world.tag("U-eve", "ssh-key-1.2", middle);
    world.tag("U-eve", "ssh-key-1.3", last);
    // The end is missing, and a key of its own has the name.
    world.tag("U-bob", "ssh-key-2.1", ECDSA);
    world.tag("U-bob", "ssh-key-2", ED25519);
    let plan = world.run();
    assert_eq!(keys(&plan, "U-ana"), [ECDSA.to_owned()].into());
    assert_eq!(keys(&plan, "U-bob"), [ED25519.to_owned()].into());
    assert_eq!(keys(&plan, "U-eve"), [].into());
    assert!(plan.told("U-bob", "tag 'nss-iam:ssh-key-1.1': not a public key of OpenSSH"));
    assert!(
        plan.told(
            "U-bob",
            "tag 'nss-iam:ssh-key-2.1': a key in parts, but 'nss-iam:ssh-key-2' also has a key"
        )
    );
    assert!(plan.told(
        "U-eve",
        "tag 'nss-iam:ssh-key-1.2': a key in parts: the part 'nss-iam:ssh-key-1.1' is missing"
    ));
    let parts: Vec<&[String]> = plan.skips.iter().map(|skip| skip.parts.as_slice()).collect();
    assert!(
        parts.contains(&&["nss-iam:ssh-key-1.2".to_owned(), "nss-iam:ssh-key-1.3".to_owned()][..]),
        "{parts:?}"
    );
}

#[test]
fn keys_that_were_never_read_leave_those_of_the_state_at_their_age() {
    let mut world = World::of(&["ana"]);
    world.listed("U-ana").keys = vec![key(ED25519)];
    let before = world.run();
    world.listed("U-ana").keys.clear();
    world.listed("U-ana").confirmed = None;
    let after = world.run();
    assert_eq!(after.login("U-ana"), before.login("U-ana"));
    assert_eq!(after.login("U-ana").unwrap().confirmed, NOW - 5);
}

/// The listing was lost, and `known.db` had the keys.
#[test]
fn remembered_keys_that_were_not_read_keep_their_age() {
    let mut world = World::of(&["ana"]);
    world.listed("U-ana").keys = vec![key(ED25519)];
    world.run();
    for more in [vec![], vec![key(RSA)]] {
        world.listed("U-ana").keys = [vec![key(ED25519)], more].concat();
        world.listed("U-ana").confirmed = None;
        let after = world.run();
        assert_eq!(keys(&after, "U-ana").len(), world.listed("U-ana").keys.len());
        assert_eq!(after.login("U-ana").unwrap().confirmed, NOW - 5);
    }
}

#[test]
fn an_empty_list_of_keys_removes_the_old_ones() {
    let mut world = World::of(&["ana"]);
    world.listed("U-ana").keys = vec![key(ED25519)];
    world.run();
    world.listed("U-ana").keys.clear();
    assert!(keys(&world.run(), "U-ana").is_empty());
}

/// docs/reference/listing.md: a time more than five minutes in the future does not count.
#[test]
fn a_key_that_is_confirmed_in_the_future_or_before_all_time_is_not_confirmed() {
    for (stated, confirmed) in [(NOW + 10_000, 0), (NOW + 60, NOW), (-1, 0)] {
        let mut world = World::of(&["ana"]);
        world.listed("U-ana").confirmed = Some(at(stated));
        let plan = world.run();
        assert_eq!(plan.login("U-ana").unwrap().confirmed, confirmed);
        assert_eq!(plan.warns("future"), stated == NOW + 10_000);
    }
}

#[test]
fn keys_that_were_confirmed_before_keep_their_age_when_the_clock_is_wrong() {
    let mut world = World::of(&["ana"]);
    world.listed("U-ana").keys = vec![key(ED25519)];
    let before = world.run().login("U-ana").unwrap().confirmed;
    for _ in 0..2 {
        world.listed("U-ana").confirmed = Some(at(NOW + 90_000));
        assert_eq!(world.run().login("U-ana").unwrap().confirmed, before);
    }
    world.listed("U-ana").keys.clear();
    assert_eq!(world.run().login("U-ana").unwrap().confirmed, 0, "other keys");
}

/// Names and ids at the source, the local users, and which of them certificates may have.
#[test]
fn a_principal_means_one_user_of_this_host_or_is_none() {
    for (users, local, wanted) in [
        (&[("U-1", "Ana"), ("U-2", "eve")][..], &[][..], &[&["Ana", "U-1"][..], &["U-2"]][..]),
        // One user's id is another one's name.
        (&[("eve", "Ana"), ("U-2", "Eve")], &[], &[&["Ana"], &["U-2"]]),
        (&[("U-1", "Ana"), ("u-1", "eve")], &[], &[&["Ana"], &[]]),
        (&[("U-1", "Ana")], &["u-1"], &[&["Ana"]]),
    ] {
        let mut world = World::of(&[]);
        for (id, name) in users {
            world.member("", id, name, "G-OPS");
        }
        for name in local {
            world.local.files.users.insert((*name).to_owned(), 1500);
        }
        let plan = world.run();
        for ((id, _), wanted) in users.iter().zip(wanted) {
            assert_eq!(plan.principals(id), *wanted, "{id} of {users:?}");
        }
    }
}

#[test]
fn the_name_at_the_source_is_no_principal_of_who_has_another_login_name_or_had_it_after_somebody_else() {
    let mut world = World::of(&["ana"]);
    world.config.tags.uses = vec![TagUse::Name];
    world.listed("U-ana").tags.insert("nss-iam:name".to_owned(), "ana2".to_owned());
    let plan = world.run();
    assert_eq!(plan.login("U-ana").unwrap().name.as_str(), "ana2");
    assert_eq!(plan.principals("U-ana"), ["U-ana"]);

    let mut world = World::of(&["ana"]);
    world.run();
    world.account("").users.clear();
    world.account("").groups.iter_mut().for_each(|group| group.members.clear());
    world.run();
    world.member("", "U-2", "Ana", "G-OPS");
    for _ in 0..2 {
        assert_eq!(world.run().principals("U-2"), ["U-2"]);
    }
}

/// For a login name, the same.
#[test]
fn the_name_at_the_source_is_no_principal_if_another_service_has_an_account_of_it_or_has_not_answered() {
    let principals = |world: &mut World| {
        let plan = world.run();
        plan.principals("U-1").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let has = |world: &mut World, name: &str| {
        world.service("sss").users = [(name.to_owned(), 5000)].into();
    };
    let jane = || {
        let mut world = World::of(&[]);
        world.config.users.strip_domains = vec!["example.com".to_owned()];
        world.member("", "U-1", "Jane@example.com", "G-OPS");
        world.service("sss");
        world
    };
    let asks = |world: &World| {
        let names = questions(&world.input()).nss.names;
        ["Jane@example.com", "jane@example.com"].map(|name| names.contains(name))
    };
    let (with, without) = (["Jane@example.com", "U-1"], ["U-1"]);
    for name in ["Jane@example.com", "jane@example.com"] {
        let mut world = jane();
        has(&mut world, name);
        assert_eq!(principals(&mut world), without, "{name}");
        world.service("sss").users.clear();
        assert_eq!(principals(&mut world), with, "as soon as it has no such account");
        world.state.asked = world.now;
        assert_eq!(asks(&world), [false; 2], "in every refresh");
        // Within a day, it is found.
        world.state.asked = 0;
        assert_eq!(asks(&world), [true; 2]);
        has(&mut world, name);
        assert_eq!(principals(&mut world), without, "{name}");
    }
    let mut world = jane();
    world.run();
    world.offered = Keys::default();
    world.service("sss").failed = Some("down".to_owned());
    assert_eq!(principals(&mut world), without, "nobody knows");
    world.service("sss").failed = None;
    assert_eq!(principals(&mut world), with);
    world.service("sss").failed = Some("down".to_owned());
    world.state.asked = 0;
    assert_eq!(principals(&mut world), with, "as a login name stays");
    world.lock(&["jane"]);
    world.run();
    assert_eq!(asks(&world), [false; 2], "a locked user has no principal");
}

#[test]
fn keys_db_says_of_which_host_source_and_account_it_is() {
    let mut world = World::of(&["ana"]);
    world.account("").id = "123456789012".to_owned();
    world.config.keys.options = "restrict".to_owned();
    let plan = world.run();
    assert_eq!((plan.keys.machine_id.as_str(), plan.keys.max_age), ("0123", 3 * 86_400));
    assert_eq!(plan.keys.options, "restrict");
    assert_eq!(&*plan.login("U-ana").unwrap().source, "iam:123456789012");
    world.listing.source = "file:///a\nb".to_owned();
    world.config.keys.max_age = None;
    let plan = world.run();
    assert_eq!(&*plan.login("U-ana").unwrap().source, r"file:///a\nb");
    assert_eq!(plan.keys.max_age, 0);
}
