//! Who owns a name on this host and what the host grants to it: never passed on to another UserId.

use super::*;

/// Words of the reason, and what happens to the host.
type Case = (&'static str, fn(&mut World));

#[test]
fn a_user_or_group_of_any_service_wins_over_newcomers_and_present_holders() {
    let cases: [Case; 4] = [
        ("is a user of service 'sss' of nsswitch.conf (uid 5000)", |world| {
            world.service("sss").users.insert("ana".to_owned(), 5000);
        }),
        ("is a group of service 'systemd' of nsswitch.conf (gid 5000)", |world| {
            world.service("systemd").groups.insert("ana".to_owned(), 5000);
        }),
        ("is a user of /etc/passwd (uid 1500)", |world| {
            world.local.files.users.insert("ana".to_owned(), 1500);
        }),
        ("is a group of /etc/group (gid 1500)", |world| drop(world.local_group("ana", 1500).clone())),
    ];
    for (words, happens) in cases {
        for held in [false, true] {
            let mut world = World::of(&["ana"]);
            world.config.names.allow.insert("U-ana".to_owned(), "ana".to_owned());
            if held {
                world.run();
            }
            happens(&mut world);
            for _ in 0..2 {
                let plan = world.run();
                assert!(plan.told("U-ana", words), "{words}: {:?}", plan.skips);
                assert_eq!((plan.active("U-ana"), plan.named("ana")), (None, None), "{words}");
            }
        }
    }
}

/// Ways in which the host grants something to a name.
const GRANTS: [Case; 8] = [
    ("is a member of 'disk', 'sudo'", |world| {
        world.local_group("sudo", 27).insert("ana".to_owned());
        world.local_group("disk", 6).insert("ana".to_owned());
    }),
    ("is a member of 'admins' in service 'sss'", |world| {
        world.service("sss").memberships.insert("ana".to_owned(), vec!["admins".to_owned()]);
    }),
    ("is named by Sudo", |world| world.used("ana", Kind::Sudo)),
    ("is named by Doas", |world| world.used("Ana", Kind::Doas)),
    ("is named by Unit", |world| world.used("ana", Kind::Unit)),
    ("is named by Sysusers", |world| world.used("ana", Kind::Sysusers)),
    ("is reserved", |world| world.config.names.reserved.push("ana".to_owned())),
    ("is reserved", |world| world.config.names.reserved.push("an*".to_owned())),
];

#[test]
fn what_a_name_earns_is_never_given_to_a_newcomer_but_by_the_administrators_word() {
    for (words, happens) in GRANTS {
        let mut world = World::of(&["Ana"]);
        world.group("", "G-ANA", "ana2");
        happens(&mut world);
        let plan = world.run();
        assert!(plan.told("U-Ana", words), "{words}: {:?}", plan.skips);
        assert_eq!((plan.active("U-Ana"), &plan.held[..]), (None, &[][..]), "{words}");
        world.config.names.allow.insert("U-Ana".to_owned(), "ana".to_owned());
        assert_eq!(world.run().active("U-Ana"), Some("ana"), "{words}");
    }
}

#[test]
fn the_administrators_word_is_for_one_user_and_one_name() {
    for (id, name) in [("U-other", "ana"), ("U-ana", "bob")] {
        let mut world = World::of(&["ana"]);
        world.used("ana", Kind::Sudo);
        world.config.names.allow.insert(id.to_owned(), name.to_owned());
        assert_eq!(world.run().active("U-ana"), None, "{id} {name}");
    }
}

#[test]
fn a_holder_keeps_name_and_grants_also_after_a_leave_and_another_never_inherits_them() {
    for (words, happens) in GRANTS {
        let mut world = World::of(&["ana"]);
        let listing = world.listing.clone();
        world.run();
        happens(&mut world);
        assert_eq!(world.run().active("U-ana"), Some("ana"), "{words}");
        world.gone("U-ana");
        world.run();
        world.member("", "U-new", "ana", "G-OPS");
        let plan = world.run();
        assert!(plan.told("U-new", words) && plan.active("U-new").is_none(), "{words}: {:?}", plan.skips);
        world.listing = listing;
        assert_eq!(world.run().active("U-ana"), Some("ana"), "{words}");
    }
}

#[test]
fn of_several_who_had_a_name_only_the_last_one_gets_it_back_with_what_it_earned() {
    let mut world = World::of(&["ana"]);
    let first = world.listing.clone();
    world.run();
    world.gone("U-ana");
    world.member("", "U-new", "ana", "G-OPS");
    world.run();
    world.local_group("sudo", 27).insert("ana".to_owned());
    // The second user no longer has it, but is still here.
    world.listed("U-new").name = "anna".to_owned();
    assert_eq!(world.run().active("U-new"), Some("anna"));
    world.listing.accounts[0].users.extend(first.accounts[0].users.clone());
    world.listing.accounts[0].groups[0].members.push("U-ana".to_owned());
    for _ in 0..2 {
        let plan = world.run();
        assert!(plan.told("U-ana", "is a member of 'sudo'") && plan.active("U-ana").is_none());
    }
    world.listed("U-new").name = "ana".to_owned();
    assert_eq!(world.run().active("U-new"), Some("ana"));
    // The same holds for a group with that name.
    world.gone("U-ana");
    world.gone("U-new");
    world.group("", "G-ANA", "ana");
    world.used("ana", Kind::Sudo);
    assert!(world.run().group("ana").is_none());
}

#[test]
fn a_group_of_iam_that_comes_back_has_what_it_earned() {
    let mut world = World::of(&["bob"]);
    let without = world.listing.clone();
    world.group("", "G-DEV", "dev").members = vec!["U-bob".to_owned()];
    let with = world.listing.clone();
    world.run();
    world.used("dev", Kind::Sudo);
    world.listing = without;
    assert!(world.run().group("dev").is_none());
    world.listing = with;
    assert_eq!(world.run().members("dev"), ["bob"]);
}

#[test]
fn a_group_of_iam_earns_nothing_either() {
    for (words, happens) in GRANTS {
        let mut world = World::of(&["bob"]);
        world.group("", "G-ANA", "Ana");
        happens(&mut world);
        let plan = world.run();
        assert!(plan.told("G-ANA", words) && plan.group("ana").is_none(), "{words}: {:?}", plan.skips);
        world.config.names.allow.insert("G-ANA".to_owned(), "ana".to_owned());
        assert!(world.run().group("ana").is_some(), "{words}");
    }
}

#[test]
fn a_service_that_cannot_be_asked_lets_nobody_new_in_and_touches_nobody_else() {
    let mut world = World::of(&["ana", "bob"]);
    let before = world.run();
    world.service("sss").failed = Some("connection refused".to_owned());
    let plan = world.run();
    assert_eq!((&plan.cache, &plan.keys), (&before.cache, &before.keys));
    let held = plan.held_text();
    assert!(
        held.contains("'sss'") && held.contains("connection refused") && held.contains("exclude"),
        "{held}"
    );
    world.member("", "U-new", "new", "G-OPS");
    world.group("", "G-NEW", "dev").members = vec!["U-ana".to_owned()];
    world.gone("U-bob");
    let plan = world.run();
    assert!(
        plan.told("U-new", "service 'sss' cannot be asked") && plan.told("G-NEW", "'sss'"),
        "{:?}",
        plan.skips
    );
    assert_eq!((plan.active("U-new"), plan.active("U-bob"), plan.active("U-ana")), (None, None, Some("ana")));
    assert!(plan.group("dev").is_none());
    world.service("sss").failed = None;
    assert_eq!(world.run().active("U-new"), Some("new"));
}

#[test]
fn a_name_that_was_checked_before_a_service_failed_is_given() {
    let mut world = World::of(&["ana", "bob"]);
    let answer = world.service("sss");
    answer.failed = Some("no answer within 15 s".to_owned());
    answer.asked.names.extend(["ana", "ops"].map(str::to_owned));
    let plan = world.run();
    assert_eq!((plan.active("U-ana"), plan.active("U-bob")), (Some("ana"), None));
    assert!(!plan.held.is_empty());
}

#[test]
fn rules_that_cannot_be_resolved_let_nobody_new_in() {
    let mut world = World::of(&["ana"]);
    world.run();
    let unresolved = claims::Unresolved {
        kind: Kind::Sudo,
        place: "/etc/sudoers".to_owned(),
        why: "line 7 includes '/etc/%x'".to_owned(),
    };
    world.local.uses.unresolved.insert(unresolved);
    assert_eq!(world.run().held, [], "nobody is new");
    world.member("", "U-new", "new", "G-OPS");
    let plan = world.run();
    assert!(plan.told("U-new", "line 7 includes '/etc/%x'"), "{:?}", plan.skips);
    assert!(plan.held_text().contains("nss-iamctl enable --exclude sudo"));
    world.config.names.allow.insert("U-new".to_owned(), "new".to_owned());
    assert_eq!(world.run().active("U-new"), Some("new"));
}

#[test]
fn a_user_renamed_to_a_refused_name_keeps_the_old_one() {
    let names = ["local", "of-group", "of-sudoers", "root", "iam-users", "a:b", "1003"];
    for new in names {
        let mut world = World::of(&["ana"]);
        world.run();
        world.listed("U-ana").name = new.to_owned();
        for _ in 0..2 {
            let plan = world.run();
            assert_eq!(plan.active("U-ana"), Some("ana"), "{new}: {:?}", plan.skips);
            assert!(plan.warns("'U-ana' keeps the name 'ana'"), "{new}");
        }
        // And keeps it although another user now has it in IAM.
        world.member("", "U-new", "ana", "G-OPS");
        assert_eq!(world.run().active("U-ana"), Some("ana"), "{new}");
    }
    let mut world = World::of(&["ana"]);
    world.run();
    world.service("sss").failed = Some("down".to_owned());
    world.listed("U-ana").name = "anna".to_owned();
    world.account("").groups[0].name = "Operators".to_owned();
    let plan = world.run();
    assert_eq!(plan.active("U-ana"), Some("ana"));
    assert_eq!(plan.members("ops"), ["ana"]);
    world.service("sss").failed = None;
    let plan = world.run();
    assert_eq!((plan.active("U-ana"), plan.members("operators")), (Some("anna"), vec!["anna"]));
}

#[test]
fn two_who_swap_their_names_never_swap_what_the_names_earned_and_nobody_is_out() {
    for earned in [&[][..], &["alice"], &["bob"], &["alice", "bob"]] {
        let mut world = World::of(&["alice", "bob"]);
        world.run();
        world.local_group("sudo", 27).extend(earned.iter().map(ToString::to_string));
        world.listed("U-alice").name = "bob".to_owned();
        world.listed("U-bob").name = "alice".to_owned();
        for _ in 0..2 {
            let plan = world.run();
            let names = (plan.active("U-alice"), plan.active("U-bob"));
            let swapped = (Some("bob"), Some("alice"));
            assert!(earned.is_empty() == (names == swapped), "{earned:?}: {names:?}");
            assert!(names.0.is_some() && names.1.is_some(), "{earned:?}: {:?}", plan.skips);
        }
    }
}

#[test]
fn a_user_renamed_to_a_taken_name_keeps_the_old_one() {
    let mut world = World::of(&["ana"]);
    world.user("b", "U-B", "bob");
    world.group("b", "G-DEV", "dev");
    world.run();
    world.listed("U-ana").name = "Bob".to_owned();
    world.account("").groups[0].name = "Dev".to_owned();
    for _ in 0..2 {
        let plan = world.run();
        assert_eq!((plan.active("U-ana"), plan.active("U-B")), (Some("ana"), Some("bob")));
        assert_eq!(plan.members("ops"), ["ana"]);
        assert!(plan.warns("'U-ana' keeps the name 'ana'"));
        assert!(plan.warns("'G-OPS' keeps the name 'ops'"));
    }
}

#[test]
fn a_unit_that_would_run_as_a_user_is_reported_at_every_refresh_until_it_is_allowed() {
    let mut world = World::of(&["ana"]);
    world.run();
    for name in ["ana", "ops"] {
        world.used(name, Kind::Unit);
    }
    for _ in 0..2 {
        let warnings = world.run().warning_text();
        assert!(warnings.contains("IAM user 'ana' is named by Unit"), "{warnings}");
        assert!(warnings.contains("IAM group 'ops' is named by Unit"), "{warnings}");
    }
    world.service("sss").memberships.insert("ana".to_owned(), vec!["admins".to_owned()]);
    let warnings = world.run().warning_text();
    assert!(warnings.contains("IAM user 'ana' is a member of 'admins' in service 'sss'"), "{warnings}");
    world.config.names.allow.insert("U-ana".to_owned(), "ana".to_owned());
    assert!(!world.run().warning_text().contains("IAM user 'ana'"));
}

#[test]
fn a_home_that_belongs_to_another_uid_is_given_to_nobody() {
    let uid = Id::computed(&IamId::new("U-ana")).get();
    let own = format!("/home/ana-{uid}");
    for (owner, home) in [(0, own.as_str()), (1001, &own), (u32::MAX, &own), (uid, "/home/ana")] {
        let mut world = World::of(&["ana"]);
        world.directory("/home/ana", owner);
        assert_eq!(world.run().row("U-ana").unwrap().passwd.home.as_str(), home, "{owner}");
    }
    let mut world = World::of(&["ana"]);
    world.directory("/home/ana", 1001);
    world.directory(&own, 1001);
    let plan = world.run();
    assert!(plan.told("U-ana", "can be its home") && plan.row("U-ana").is_none(), "{:?}", plan.skips);
    world.directory(&own, uid);
    assert_eq!(world.run().row("U-ana").unwrap().passwd.home.as_str(), own);
}

#[test]
fn where_homes_cannot_be_checked_nobody_new_gets_one_and_that_is_reported() {
    let mut world = World::of(&["ana"]);
    world.run();
    world.member("", "U-bob", "bob", "G-OPS");
    world.local.directories = Err("no answer".to_owned());
    let plan = world.run();
    assert!(plan.row("U-ana").is_some() && plan.row("U-bob").is_none());
    assert!(plan.held_text().contains("cannot be checked: no answer; nobody gets a new home"));
}

#[test]
fn a_home_that_was_given_is_kept_and_given_back_unless_it_is_anothers() {
    let mut world = World::of(&["ana"]);
    let uid = world.run().id("U-ana");
    world.config.users.home = "/srv/{name}".to_owned();
    let home = |plan: &Plan| plan.row("U-ana").unwrap().passwd.home.to_string();
    for owner in [uid, 0, 1001] {
        world.directory("/home/ana", owner);
        assert!(questions(&world.input()).directories.owners.is_empty(), "nobody looks at it");
        assert_eq!(home(&world.run()), "/home/ana", "{owner}");
        // The user leaves and comes back: now the directory is checked.
        let back = world.clone();
        world.gone("U-ana");
        world.run();
        world.listing = back.listing.clone();
        assert_eq!(home(&world.run()), if owner == 1001 { "/srv/ana" } else { "/home/ana" }, "{owner}");
    }
    world.directory("/home/ana", uid);
    assert_eq!(home(&world.run()), "/srv/ana");
    // A home that somebody once had is never assigned to another user.
    world.gone("U-ana");
    world.config.users.home = "/home/{name}".to_owned();
    world.member("", "U-new", "ana", "G-OPS");
    let plan = world.run();
    assert_eq!(plan.row("U-new").unwrap().passwd.home.as_str(), format!("/home/ana-{}", plan.id("U-new")));
}

#[test]
fn no_two_users_have_one_home_whatever_the_template() {
    for (template, names) in [
        ("/srv/all", ["ana", "bob"]),
        ("/", ["ana", "bob"]),
        ("/home/{account}", ["ana", "bob"]),
        ("/home/x{account}x", ["ana", "bob"]),
    ] {
        let mut world = World::of(&names);
        world.config.users.home = template.to_owned();
        let plan = world.run();
        assert_eq!(plan.cache.users.len(), 2, "{template}: {:?}", plan.skips);
        assert_ne!(plan.cache.users[0].passwd.home, plan.cache.users[1].passwd.home, "{template}");
    }
    let mut world = World::of(&["jane"]).uses(&[TagUse::Name]);
    world.config.users.home = "/home/{iam_name}".to_owned();
    world.user("b", "U-B", "jane");
    world.tag("U-B", "name", "jane2");
    let plan = world.run();
    assert_eq!(plan.row("U-B").unwrap().passwd.home.as_str(), "/home/jane");
    assert_eq!(plan.row("U-jane").unwrap().passwd.home.as_str(), format!("/home/jane-{}", plan.id("U-jane")));
}

#[test]
fn homes_that_an_earlier_release_gave_twice_are_separated() {
    let mut world = World::of(&["ana", "bob"]);
    world.run();
    world.state.homes.clear();
    for user in world.state.users.values_mut() {
        user.passwd.home = Field::new("/srv//all/").unwrap();
    }
    let plan = world.run();
    assert_eq!(plan.row("U-ana").unwrap().passwd.home.as_str(), "/srv/all");
    assert_eq!(plan.row("U-bob").unwrap().passwd.home.as_str(), "/home/bob");
}

#[test]
fn nobody_lives_in_a_directory_of_another_user() {
    let mut world = World::of(&["alice"]);
    let alice = world.run().id("U-alice");
    world.directory("/home/alice", alice);
    world.config.users.home = "/home/{account}/{name}".to_owned();
    world.user("alice", "U-B", "bob");
    let plan = world.run();
    assert!(plan.told("U-B", "can be its home") && plan.row("U-B").is_none(), "{:?}", plan.skips);
}
