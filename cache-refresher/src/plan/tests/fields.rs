//! gecos, home, shell and local groups.

use super::*;

#[test]
fn hostile_tags_are_reported_and_the_configured_value_stays() {
    for (tag, value, words) in [
        ("shell", "/bin/zsh", "is not in /etc/shells"),
        ("shell", "", "is not in /etc/shells"),
        ("shell", "/bin/sh\n", r"'/bin/sh\n' is not in /etc/shells"),
        ("gecos", "a:b", "are not allowed in a passwd field"),
        ("gecos", "a\nroot:x:0:0::/:/bin/sh", "are not allowed in a passwd field"),
        ("gecos", "\u{e9}", "are not allowed in a passwd field"),
    ] {
        let mut world = World::of(&["ana"]).uses(&[TagUse::Shell, TagUse::Gecos]);
        world.tag("U-ana", tag, value);
        let plan = world.run();
        let row = plan.row("U-ana").unwrap();
        assert_eq!((row.passwd.shell.as_str(), row.passwd.gecos.as_str()), ("/bin/bash", "AWS User"));
        assert!(plan.told("U-ana", words), "{value:?}: {:?}", plan.skips);
    }
}

#[test]
fn good_tags_are_obeyed() {
    let mut world = World::of(&["ana"]).uses(&[TagUse::Shell, TagUse::Gecos]);
    world.tag("U-ana", "shell", "/bin/sh");
    world.tag("U-ana", "gecos", "Ana, Ops");
    let plan = world.run();
    let row = plan.row("U-ana").unwrap();
    assert_eq!((row.passwd.shell.as_str(), row.passwd.gecos.as_str()), ("/bin/sh", "Ana, Ops"));
    assert!(plan.skips.is_empty());
}

#[test]
fn a_shell_that_no_passwd_line_can_hold_costs_nobody_the_account() {
    let mut world = World::of(&["ana"]).uses(&[TagUse::Shell]);
    world.local.files.shells.insert("/bin/s:h".to_owned());
    world.tag("U-ana", "shell", "/bin/s:h");
    let plan = world.run();
    assert_eq!(plan.row("U-ana").unwrap().passwd.shell.as_str(), "/bin/bash");
    assert!(plan.told("U-ana", "tag 'shell'"));
}

#[test]
fn the_home_is_made_by_the_template() {
    let mut world = World::of(&["Ana"]);
    world.user("b", "U-B", "Bob");
    world.config.users.home = "/h/{account}/{iam_name}/{name}-{uid}".to_owned();
    let plan = world.run();
    assert_eq!(plan.row("U-B").unwrap().passwd.home.as_str(), format!("/h/b/Bob/bob-{}", plan.id("U-B")));
}

#[test]
fn no_name_leads_out_of_the_home_directory() {
    for iam_name in ["../../etc", "a/b", "..", ".", "/", ""] {
        let mut world = World::of(&[]).uses(&[TagUse::Name]);
        world.member("", "U-X", iam_name, "G-OPS");
        world.tag("U-X", "name", "ana");
        world.config.users.home = "/home/{iam_name}".to_owned();
        let plan = world.run();
        assert!(plan.told("U-X", "not be a plain path") && plan.row("U-X").is_none(), "{iam_name}");
    }
    let mut world = World::of(&[]);
    world.user("../b", "U-B", "bob");
    assert!(world.run().row("U-B").is_none());
}

#[test]
fn lastchg_is_the_day_of_the_first_refresh_for_ever() {
    let mut world = World::of(&["ana"]);
    let day = u32::try_from(NOW / 86_400).unwrap();
    world.run();
    world.now += 1000 * 86_400;
    assert_eq!(world.run().row("U-ana").unwrap().passwd.lastchg, day);
    world.state = State::default();
    world.now = 0;
    assert_eq!(
        world.run().row("U-ana").unwrap().passwd.lastchg,
        1,
        "0 would ask for a new password, shadow(5)"
    );
}

#[test]
fn members_join_local_groups_by_iams_name_of_the_group_without_regard_to_case() {
    let mut world = World::of(&["ana"]);
    world.user("", "U-none", "none");
    world.group("", "G-REFUSED", "sudo").members = vec!["U-none".to_owned()];
    world.local_group("sudo", 27);
    world.local_group("twice", 4);
    world.config.local_groups = [
        ("oPS".to_owned(), vec!["adm".to_owned(), "twice".to_owned()]),
        ("Sudo".to_owned(), vec!["sudo".to_owned()]),
    ]
    .into();
    let plan = world.run();
    assert_eq!(plan.row("U-ana").unwrap().local, [4]);
    assert_eq!(plan.row("U-none").unwrap().local, [27], "the group need not be published");
}

#[test]
fn a_local_group_that_is_missing_or_roots_is_left_out_and_reported() {
    let mut world = World::of(&["ana"]);
    world.local_group("wheel0", 0);
    world.config.local_groups = [("Ops".to_owned(), vec!["wheel0".to_owned(), "nowhere".to_owned()])].into();
    let plan = world.run();
    assert!(plan.row("U-ana").unwrap().local.is_empty());
    for words in ["'wheel0' left out: its gid is 0", "'nowhere' left out: there is no such group"] {
        assert!(plan.warns(words), "{:?}", plan.warnings);
    }
}

#[test]
fn a_group_of_local_groups_that_is_not_configured_is_reported() {
    let mut world = World::of(&["ana"]);
    world.config.local_groups = [("Opps".to_owned(), vec!["adm".to_owned()])].into();
    assert!(world.run().warns("[local_groups] 'Opps' has no effect: no group of this name is read"));
    world.config.local_groups = [("OPS".to_owned(), vec!["adm".to_owned()])].into();
    assert!(!world.run().warns("has no effect"));
}

#[test]
fn account_b_gains_nothing_through_local_groups_of_account_a() {
    let local = |plan: &Plan, id: &str| plan.row(id).map(|row| row.local.clone());
    let mut world = World::of(&["ana"]);
    world.config.local_groups = [("Ops".to_owned(), vec!["adm".to_owned()])].into();
    world.second("c").local_groups = [("BOps".to_owned(), vec!["adm".to_owned()])].into();
    world.second("b").local_groups = [("BOps".to_owned(), vec!["local".to_owned()])].into();
    for (id, user, name) in [("B-1", "B-U1", "Ops"), ("B-2", "B-U2", "ops"), ("B-3", "B-U3", "BOps")] {
        world.group("b", id, name);
        world.member("b", user, user, id);
    }
    assert_eq!(local(&world.plan(), "B-U3"), Some(vec![1000]));
    world.group("", "A-BOPS", "bops");
    world.member("", "U-bob", "bob", "A-BOPS");
    world.group("stranger", "S-OPS", "Ops");
    world.member("stranger", "U-eve", "eve", "S-OPS");
    for complete in [true, false] {
        let plan = world.run();
        assert_eq!(local(&plan, "U-ana"), Some(vec![4]), "complete: {complete}");
        for id in ["B-U1", "B-U2", "U-bob", "U-eve"] {
            assert_eq!(local(&plan, id), Some(vec![]), "{id}, complete: {complete}");
        }
        for account in &mut world.listing.accounts {
            account.complete = false;
            account.users.clear();
            account.groups.clear();
        }
    }
}

#[test]
fn a_member_who_is_listed_twice_is_one() {
    let mut world = World::of(&["ana"]);
    world.account("").groups[0].members.push("U-ana".to_owned());
    assert_eq!(world.run().members("ops"), ["ana"]);
}

#[test]
fn a_group_whose_name_only_becomes_alike_gains_nothing() {
    let mut world = World::of(&[]);
    world.config.local_groups = [("Jump+Admins".to_owned(), vec!["adm".to_owned()])].into();
    world.group("", "G-1", "jump_admins");
    world.member("", "U-eve", "eve", "G-1");
    assert!(world.run().row("U-eve").unwrap().local.is_empty());
    world.account("").groups[1].name = "jump+admins".to_owned();
    assert_eq!(world.run().row("U-eve").unwrap().local, [4]);
}

/// If two groups have the same Linux name, one has no Unix group; its members still join the local groups of their IAM
/// group.
#[test]
fn members_of_a_group_that_is_only_remembered_stay_in_its_local_groups_and_in_no_others() {
    let mut world = World::of(&[]);
    world.config.local_groups = [("ops+admins".to_owned(), vec!["adm".to_owned()])].into();
    for (id, name, user) in [("G-A", "ops_admins", "ana"), ("G-B", "ops+admins", "eve")] {
        world.group("", id, name);
        world.member("", &format!("U-{user}"), user, id);
    }
    let before = world.run();
    let local = |plan: &Plan, id: &str| plan.row(id).unwrap().local.clone();
    assert_eq!((local(&before, "U-ana"), local(&before, "U-eve")), (vec![], vec![4]));
    *world.account("") = listing::Account { complete: false, ..Default::default() };
    assert_eq!(world.run().cache, before.cache);
}
