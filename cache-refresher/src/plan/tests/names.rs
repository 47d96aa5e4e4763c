//! Who gets which name, and who gets none.

use super::*;

#[test]
fn names_are_lower_cased_replaced_and_stripped_of_domains() {
    for (iam_name, name, stripped) in [
        ("Ana,Maria", "ana_maria", "ana_maria"),
        ("BOB+x=y", "bob_x_y", "bob_x_y"),
        ("Jane@Example.com", "jane@example.com", "jane"),
    ] {
        let mut world = World::of(&[]);
        world.member("", "U-1", iam_name, "G-OPS");
        assert_eq!(world.run().active("U-1"), Some(name));
        world.config.users.strip_domains = vec!["example.com".to_owned()];
        assert_eq!(world.run().active("U-1"), Some(stripped));
    }
}

#[test]
fn hostile_names_are_skipped_and_reported_escaped() {
    let long = "a".repeat(33);
    for (name, words) in [
        ("a:b", "which no login name may have"),
        ("a\nb", "which no login name may have"),
        ("a\0b", "which no login name may have"),
        ("jos\u{e9}", "which no login name may have"),
        ("\u{212a}elvin", "which no login name may have"),
        ("a b", "which no login name may have"),
        ("", "empty"),
        ("..", "may not begin"),
        ("-rf", "may not begin"),
        ("1003", "digits only"),
        (&long, "more than 32"),
        ("a/b", "which no login name may have"),
    ] {
        let mut world = World::of(&["ana"]);
        world.member("", "U-X", name, "G-OPS");
        world.group("", "G-X", name);
        let plan = world.run();
        assert!(plan.told("U-X", words) && plan.told("G-X", words), "{name:?}: {:?}", plan.skips);
        assert!(plan.skips.iter().all(|skip| !skip.name.contains(char::is_control)));
        assert_eq!(plan.cache.users.len(), 1, "{name:?}");
    }
}

#[test]
fn refused_names_stay_out_as_user_as_group_and_as_private_group() {
    let reserved =
        "admin wheel sudo docker lxd disk shadow nginx postgres ubuntu ec2-user nobody _apt systemd-x root";
    let here = "local adm of-group of-sysusers of-sudoers iam-users iam-disabled joined joined-by-b";
    for name in reserved.split(' ').chain(here.split(' ')) {
        let mut world = World::of(&["ana"]);
        world.config.local_groups = [("Ops".to_owned(), vec!["joined".to_owned()])].into();
        world.second("b").local_groups = [("Ops".to_owned(), vec!["joined-by-b".to_owned()])].into();
        world.member("", "U-X", name, "G-OPS");
        world.member("", "U-Y", &name.to_uppercase(), "G-OPS");
        world.group("", "G-X", name).members = vec!["U-ana".to_owned()];
        let plan = world.run();
        for id in ["U-X", "U-Y", "G-X"] {
            assert!(plan.told(id, &format!("'{name}' is ")), "{name} as {id}: {:?}", plan.skips);
        }
        let ours = ["iam-users", "iam-disabled"].contains(&name);
        assert_eq!((plan.named(name).is_none(), plan.group(name).is_none()), (true, !ours), "{name}");
        assert_eq!(plan.active("U-ana"), Some("ana"));
    }
}

#[test]
fn a_group_that_comes_later_takes_no_name_of_a_user_and_a_user_none_of_a_group() {
    let mut world = World::of(&["ana", "dev"]);
    assert_eq!(world.run().active("U-dev"), Some("dev"));
    world.group("", "G-DEV", "Dev").members = vec!["U-ana".to_owned()];
    world.member("", "U-new", "ops", "G-OPS");
    for _ in 0..2 {
        let plan = world.run();
        assert!(plan.told("G-DEV", "'dev' is already the name of IAM user 'dev'"), "{:?}", plan.skips);
        assert!(plan.told("U-new", "'ops' is the name of a group"), "{:?}", plan.skips);
        assert_eq!((plan.active("U-dev"), plan.active("U-ana")), (Some("dev"), Some("ana")));
    }
    world.gone("U-dev");
    assert_eq!(world.run().members("dev"), ["ana"]);
}

#[test]
fn a_name_that_the_configuration_writes_somewhere_disables_no_user_who_has_it() {
    let mut world = World::of(&["ana"]);
    let before = world.run();
    world.config.local_groups = [("Ops".to_owned(), vec!["ana".to_owned()])].into();
    assert_eq!(world.run().cache, before.cache);
    world.member("", "U-new", "Adm2", "G-OPS");
    world.config.local_groups = [("Ops".to_owned(), vec!["adm2".to_owned()])].into();
    assert!(world.run().told("U-new", "'adm2' is the name of a group"), "newcomers do not get it");
    world.config.users.common_group = "ana".to_owned();
    let refused = plan(world.answered().input()).unwrap_err();
    assert!(refused.to_string().contains("common_group 'ana' is already the name of a user"), "{refused}");
}

#[test]
fn a_user_whose_name_a_package_takes_later_is_disabled_under_another() {
    let mut world = World::of(&["ana"]);
    let uid = world.run().id("U-ana");
    world.local.files.users.insert("ana".to_owned(), 999);
    let plan = world.run();
    assert!(plan.told("U-ana", "'ana' is a user of /etc/passwd (uid 999)"));
    assert_eq!(plan.row("U-ana").unwrap().name.as_str(), format!("ana-{uid}"));
    assert!(!plan.row("U-ana").unwrap().active);
}

#[test]
fn a_disabled_row_gives_up_a_name_that_local_groups_wants() {
    let mut world = World::of(&["ana", "bob"]);
    world.run();
    world.gone("U-bob");
    world.config.local_groups = [("Ops".to_owned(), vec!["bob".to_owned()])].into();
    let plan = world.run();
    assert!(plan.group("bob").is_none());
    assert_eq!(plan.row("U-bob").unwrap().name.as_str(), format!("bob-{}", plan.id("U-bob")));
}

#[test]
fn the_first_account_then_the_first_created_then_the_smaller_id_gets_the_name_and_the_others_learn_who_has_it()
 {
    let mut world = World::of(&[]);
    world.member("", "U-3", "a+b", "G-OPS").created = Some(at(300));
    world.member("", "U-2", "a=b", "G-OPS").created = Some(at(200));
    world.member("", "U-1", "a,b", "G-OPS");
    world.user("b", "U-0", "a_b").created = Some(at(100));
    let plan = world.run();
    assert_eq!(plan.active("U-2"), Some("a_b"));
    for id in ["U-0", "U-1", "U-3"] {
        assert!(plan.told(id, "'a_b' is already the name of IAM user 'a=b'"), "{:?}", plan.skips);
    }
    world.listed("U-2").created = Some(at(300));
    world.state = State::default();
    assert_eq!(world.run().active("U-2"), Some("a_b"), "of one date, the smaller id");
}

#[test]
fn the_present_holder_keeps_the_name_of_a_user_and_of_a_group() {
    let mut world = World::of(&[]);
    world.user("b", "U-B", "ana").created = Some(at(200));
    world.group("b", "G-B", "dev");
    world.run();
    world.member("", "U-A", "Ana", "G-OPS").created = Some(at(100));
    world.group("", "G-A", "Dev");
    let plan = world.run();
    assert_eq!((plan.active("U-B"), plan.active("U-A")), (Some("ana"), None));
    assert!(plan.told("U-A", "IAM user 'ana'") && plan.told("G-A", "IAM group 'dev'"), "{:?}", plan.skips);
}

#[test]
fn a_renamed_group_does_not_take_the_name_of_one_that_has_it() {
    let mut world = World::of(&[]);
    world.group("b", "G-DEV", "dev");
    let gid = world.run().group("dev").unwrap().gid;
    world.account("").groups[0].name = "Dev".to_owned();
    let plan = world.run();
    assert_eq!(plan.group("dev").unwrap().gid, gid);
    let kept = "'G-OPS' keeps the name 'ops', because its name in IAM is refused: 'dev' is already the name of IAM group";
    assert!(plan.warns(kept), "{:?}", plan.warnings);
}

#[test]
fn iam_is_named_where_the_listing_is_of_iam_and_nowhere_else() {
    for (source, of) in [
        ("iam:", ["IAM user", "IAM group", "in IAM", "belongs in IAM"]),
        ("file:///srv/users.json", ["name of user", "name of group", "in the file", "belongs in the file"]),
        ("", ["name of user", "name of group", "in the source", "belongs in the source"]),
    ] {
        let mut world = World::of(&["ana", "eve"]).uses(&[TagUse::SshKey]);
        world.group("b", "G-DEV", "dev");
        source.clone_into(&mut world.listing.source);
        world.run();
        world.account("").groups[0].name = "Dev".to_owned();
        world.user("b", "U-ANA", "ANA");
        world.tag("U-ana", "ssh-key", keys::RSA);
        world.used("eve", Kind::Unit);
        let plan = world.run();
        let reasons = plan.skips.iter().map(|skip| skip.text.clone());
        let warnings = plan.warnings.iter().map(|warning| warning.message().to_string());
        let texts: Vec<String> = reasons.chain(warnings).collect();
        for words in of {
            assert!(texts.iter().any(|text| text.contains(words)), "{words}: {texts:?}");
        }
        assert_eq!(texts.iter().any(|text| text.contains("IAM")), source == "iam:", "{texts:?}");
    }
}

#[test]
fn a_later_account_takes_no_name_of_an_earlier_one() {
    let mut world = World::of(&["ana"]);
    world.user("b", "U-0", "ANA").created = Some(at(0));
    world.group("b", "A-OPS", "ops");
    let plan = world.run();
    assert_eq!(plan.active("U-ana"), Some("ana"));
    assert!(plan.told("U-0", "already the name") && plan.told("A-OPS", "already the name"));
    assert_eq!(plan.members("ops"), ["ana"]);
}

#[test]
fn a_tagged_name_never_beats_an_untagged_one_not_even_as_present_holder() {
    let mut world = World::of(&["eve"]).uses(&[TagUse::Name]);
    world.tag("U-eve", "name", "ana");
    assert_eq!(world.run().active("U-eve"), Some("ana"));
    world.user("b", "U-ana", "ana").created = Some(at(NOW));
    for _ in 0..2 {
        let plan = world.run();
        assert_eq!(plan.active("U-ana"), Some("ana"));
        assert!(plan.told("U-eve", "already the name of IAM user 'ana'"));
        assert!(!plan.row("U-eve").unwrap().active);
    }
}

#[test]
fn a_tag_that_says_what_the_name_is_anyway_weakens_nobody() {
    let mut world = World::of(&["ana"]).uses(&[TagUse::Name]);
    world.tag("U-ana", "name", "ana");
    world.user("b", "U-B", "ana").created = Some(at(0));
    assert_eq!(world.run().active("U-ana"), Some("ana"));
}

#[test]
fn a_kept_user_with_a_tagged_name_loses_it_to_an_untagged_one_too() {
    let mut world = World::of(&["eve"]).uses(&[TagUse::Name]);
    world.tag("U-eve", "name", "ana");
    world.run();
    world.account("").complete = false;
    world.gone("U-eve");
    world.user("b", "U-ana", "ana");
    let plan = world.run();
    assert_eq!((plan.active("U-ana"), plan.active("U-eve")), (Some("ana"), None));
}

#[test]
fn a_refused_name_tag_is_reported_and_the_iam_name_stays() {
    for name in ["admin", "of-sudoers", "ops", "Upper", "a:b", "", "iam-users", "1000"] {
        let mut world = World::of(&["eve"]).uses(&[TagUse::Name]);
        world.tag("U-eve", "name", name);
        let plan = world.run();
        assert_eq!(plan.active("U-eve"), Some("eve"), "{name:?}");
        assert!(plan.told("U-eve", "tag 'name': "), "{name:?}");
    }
}

#[test]
fn tags_decide_nothing_unless_they_are_used() {
    let mut world = World::of(&["eve"]);
    for (tag, value) in
        [("name", "ana"), ("uid", "1003"), ("shell", "/bin/sh"), ("gecos", "Eve"), ("ssh-key", ED25519)]
    {
        world.tag("U-eve", tag, value);
    }
    let plan = world.run();
    let row = plan.row("U-eve").unwrap();
    assert_eq!((row.name.as_str(), row.passwd.gecos.as_str()), ("eve", "AWS User"));
    assert_eq!((row.passwd.shell.as_str(), row.pinned), ("/bin/bash", false));
    assert!(plan.login("U-eve").unwrap().keys.is_empty());
}

#[test]
fn the_holder_of_a_name_is_reported_without_control_characters() {
    let mut world = World::of(&["ana"]).uses(&[TagUse::Name]);
    world.user("b", "U-0", "x\ny\u{7f}");
    world.tag("U-0", "name", "bob");
    world.run();
    world.user("d\ne", "U-1", "z");
    world.tag("U-1", "name", "bob");
    let plan = world.run();
    assert!(plan.told("U-1", r"IAM user 'x\ny\u{7f}'"), "{:?}", plan.skips);
    let text = format!("{}{}", plan.skips[0].account, plan.skips[0].text);
    assert!(!text.contains(char::is_control));
}

#[test]
fn an_id_that_was_a_users_is_no_group_later() {
    let mut world = World::of(&["ana"]);
    world.run();
    world.gone("U-ana");
    world.group("", "U-ana", "dev");
    let plan = world.run();
    assert!(plan.told("U-ana", "was the id of a user"));
    assert!(plan.group("dev").is_none() && !plan.row("U-ana").unwrap().active);
}

#[test]
fn an_id_that_is_a_groups_is_no_user_while_the_group_is_kept() {
    let mut world = World::of(&["ana"]);
    world.run();
    world.account("").complete = false;
    world.account("").groups.clear();
    world.user("b", "G-OPS", "bob");
    let plan = world.run();
    assert!(plan.told("G-OPS", "is also the id of a group"), "{:?}", plan.skips);
    assert_eq!((plan.named("bob"), plan.group("ops").is_some()), (None, true));
}

#[test]
fn a_name_that_looks_like_a_disabled_users_is_given_once() {
    let mut world = World::of(&["ana"]);
    let uid = world.run().id("U-ana");
    world.gone("U-ana");
    world.member("", "U-new", "ana", "G-OPS");
    world.member("", "U-twin", &format!("ana-{uid}"), "G-OPS");
    let plan = world.run();
    assert_eq!(plan.row("U-ana").unwrap().name.as_str(), format!("ana-{uid}-{uid}"));
    assert_eq!(plan.active("U-twin"), Some(format!("ana-{uid}").as_str()));
}
