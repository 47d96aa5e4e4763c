//! Active, disabled, locked, hidden, held.

use config::Removed;

use super::*;
use crate::local::NOLOGIN;

const DAY: i64 = 86_400;

#[test]
fn a_user_who_leaves_owns_files_and_is_no_groups_name_or_member() {
    let mut world = World::of(&["ana", "bob"]);
    world.config.local_groups = [("ops".to_owned(), vec!["adm".to_owned()])].into();
    world.listed("U-ana").keys = vec![key(ED25519)];
    let before = world.run();
    let active = before.row("U-ana").unwrap();
    assert_eq!((active.local.as_slice(), before.members("iam-users")), (&[4][..], vec!["ana", "bob"]));
    world.gone("U-ana");
    let after = world.run();
    let row = after.row("U-ana").unwrap();
    assert_eq!((row.uid, row.name.as_str(), row.active), (active.uid, "ana", false));
    assert_eq!((row.passwd.shell.as_str(), row.local.is_empty()), (NOLOGIN, true));
    assert_eq!(row.groups, [after.group("iam-disabled").unwrap().gid]);
    for group in ["iam-users", "ops"] {
        assert_eq!(after.members(group), ["bob"]);
    }
    assert!(after.members("iam-disabled").is_empty() && after.group("ana").is_none());
    assert!(before.group("ana").is_some() && after.group("bob").is_some());
    assert!(after.login("U-ana").is_none());
}

#[test]
fn a_user_who_comes_back_has_the_old_id_and_is_active() {
    let mut world = World::of(&["ana"]);
    let first = world.run();
    let listing = world.listing.clone();
    world.gone("U-ana");
    world.run();
    world.now += 400 * DAY;
    assert!(world.run().row("U-ana").is_none(), "hidden by now");
    world.listing = listing;
    let back = world.run();
    assert_eq!(back.row("U-ana"), first.row("U-ana"));
}

#[test]
fn a_re_created_user_has_a_new_id_and_keeps_off_the_old_home() {
    let mut world = World::of(&["ana"]);
    let old = world.run().id("U-ana");
    world.directory("/home/ana", old);
    world.gone("U-ana");
    world.member("", "U-new", "ana", "G-OPS");
    let plan = world.run();
    let new = plan.id("U-new");
    let home = format!("/home/ana-{new}");
    assert_ne!(new, old);
    assert_eq!(plan.row("U-new").unwrap().passwd.home.as_str(), home);
    let row = plan.row("U-ana").unwrap();
    assert_eq!((row.active, row.name.as_str()), (false, format!("ana-{old}").as_str()));
    assert_eq!(row.passwd.home.as_str(), "/home/ana");
    // The old home is removed and the new one exists: nobody moves again.
    world.directories(&[(home.as_str(), new)].into());
    assert_eq!(world.run().row("U-new").unwrap().passwd.home.as_str(), home);
}

#[test]
fn a_re_created_user_never_has_the_home_of_the_old_one_even_if_it_is_gone() {
    let mut world = World::of(&["ana"]);
    world.run();
    world.gone("U-ana");
    world.member("", "U-new", "ana", "G-OPS");
    let home = format!("/home/ana-{}", world.run().id("U-new"));
    assert_eq!(
        world.run().row("U-new").unwrap().passwd.home.as_str(),
        home,
        "it may be on a disk that is not mounted"
    );
}

#[test]
fn a_user_who_is_renamed_keeps_the_home_and_never_gets_anothers() {
    let mut world = World::of(&["ana", "bob"]);
    world.run();
    world.gone("U-ana");
    world.listed("U-bob").name = "ana".to_owned();
    let plan = world.run();
    assert_eq!(plan.active("U-bob"), Some("ana"));
    assert_eq!(plan.row("U-bob").unwrap().passwd.home.as_str(), "/home/bob");
}

#[test]
fn nobody_comes_into_the_home_of_a_re_created_user_by_a_clever_name() {
    let mut world = World::of(&["ana"]);
    let old = world.run().id("U-ana");
    world.directory("/home/ana", old);
    world.gone("U-ana");
    world.member("", "U-new", "ana", "G-OPS");
    let home = format!("/home/ana-{}", Id::computed(&IamId::new("U-new")));
    world.member("", "U-eve", &home["/home/".len()..], "G-OPS");
    let plan = world.run();
    assert_eq!(plan.row("U-new").unwrap().passwd.home.as_str(), home);
    assert_eq!(plan.row("U-eve").unwrap().passwd.home.as_str(), format!("{home}-{}", plan.id("U-eve")));
}

#[test]
fn a_disabled_user_is_hidden_after_removed_keep_and_a_pinned_one_never() {
    let mut world = World::of(&["ana", "bob"]);
    world.config.ids.insert("U-bob".to_owned(), 1003);
    world.run();
    world.gone("U-ana");
    world.gone("U-bob");
    let left = world.now;
    world.run();
    world.now = left + 90 * DAY;
    assert!(world.plan().row("U-ana").is_some());
    world.now += 1;
    let plan = world.plan();
    assert_eq!((plan.row("U-ana"), plan.row("U-bob").map(|row| row.active)), (None, Some(false)));
}

#[test]
fn removed_hide_hides_who_left_at_once_but_nobody_who_is_pinned_or_only_locked() {
    let mut world = World::of(&["ana", "bob", "eve"]);
    world.config.users.removed = Removed::Hide;
    world.config.ids.insert("U-bob".to_owned(), 1003);
    world.run();
    world.gone("U-ana");
    world.gone("U-bob");
    world.lock(&["eve"]);
    let plan = world.run();
    assert!(plan.row("U-ana").is_none());
    assert_eq!(plan.disabled(), ["bob", "eve"]);
}

#[test]
fn a_lock_disables_until_it_is_taken_away() {
    let mut world = World::of(&["ana", "bob"]);
    world.listed("U-ana").keys = vec![key(ED25519)];
    let before = world.run();
    for names in [&["ana"][..], &["*"]] {
        world.lock(names);
        let plan = world.run();
        assert_eq!((plan.active("U-ana"), plan.login("U-ana")), (None, None));
        assert_eq!(plan.active("U-bob").is_some(), names != ["*"]);
        world.lock(&[]);
        assert_eq!(world.run().cache, before.cache);
    }
    world.lock(&["ana"]);
    world.run();
    world.now += 91 * DAY;
    assert!(world.run().row("U-ana").is_none(), "hidden after removed_keep");
}

#[test]
fn a_locked_user_keeps_the_name_against_newcomers_and_against_a_new_name_in_iam() {
    let mut world = World::of(&["ana"]).uses(&[TagUse::Name]);
    world.run();
    world.lock(&["ana"]);
    world.run();
    world.member("", "U-new", "ANA", "G-OPS").created = Some(at(0));
    assert!(world.run().told("U-new", "already the name"));
    for _ in 0..2 {
        world.listed("U-ana").name = "free".to_owned();
        let plan = world.run();
        assert_eq!((plan.active("U-ana"), plan.row("U-ana").unwrap().name.as_str()), (None, "ana"));
        world.tag("U-ana", "name", "freer");
    }
    world.lock(&[]);
    assert_eq!(world.run().active("U-ana"), Some("freer"));
}

#[test]
fn a_lock_is_not_undone_by_a_group_that_takes_the_name() {
    let mut world = World::of(&["ana"]);
    world.run();
    world.lock(&["ana"]);
    world.run();
    world.listed("U-ana").name = "free".to_owned();
    world.group("", "G-ANA", "ana");
    for _ in 0..3 {
        let plan = world.run();
        assert_eq!(
            (plan.active("U-ana"), plan.group("ana").is_some()),
            (None, false),
            "nor does it get the name"
        );
    }
}

#[test]
fn a_user_who_is_re_created_stays_locked() {
    let mut world = World::of(&["ana"]);
    world.run();
    world.lock(&["ana"]);
    world.gone("U-ana");
    world.member("", "U-new", "ana", "G-OPS").keys = vec![key(ED25519)];
    let plan = world.run();
    assert!(!plan.row("U-new").unwrap().active && plan.keys.logins.is_empty());
}

#[test]
fn more_than_max_removed_percent_is_held_until_forced() {
    let mut world = World::of(&["a1", "a2", "a3", "a4"]);
    world.config.safety.max_removed_percent = 50;
    let before = world.run();
    world.gone("U-a1");
    world.gone("U-a2");
    assert_eq!(world.plan().held, [], "50 % are not more than 50 %");
    world.gone("U-a3");
    world.member("", "U-new", "new", "G-OPS");
    world.member("", "U-new2", "new2", "G-OPS");
    for _ in 0..2 {
        let held = world.run();
        assert!(held.held_text().contains("3 of 4"));
        assert_eq!(held.members("iam-users"), ["a1", "a2", "a3", "a4", "new", "new2"], "nobody leaves");
        assert_eq!(held.row("U-a1"), before.row("U-a1"));
    }
    world.force = true;
    let forced = world.run();
    assert_eq!((&forced.held, forced.members("iam-users")), (&Vec::new(), vec!["a4", "new", "new2"]));
}

#[test]
fn what_is_held_back_in_a_listing_still_takes_keys_away() {
    let mut world = World::of(&["ana", "bob"]);
    world.config.safety.max_removed_percent = 0;
    world.listed("U-ana").keys = vec![key(ED25519)];
    world.listed("U-bob").keys = vec![key(ED25519)];
    world.run();
    world.gone("U-bob");
    world.listed("U-ana").keys.clear();
    let plan = world.run();
    assert!(!plan.held.is_empty() && plan.login("U-ana").unwrap().keys.is_empty());
    assert_eq!(plan.login("U-bob").unwrap().keys.len(), 1);
}

#[test]
fn a_lock_or_a_refused_name_is_never_held_back() {
    let mut world = World::of(&["ana", "bob"]);
    world.config.safety.max_removed_percent = 0;
    world.run();
    world.lock(&["ana"]);
    world.local.files.users.insert("bob".to_owned(), 1500);
    let plan = world.run();
    assert_eq!((&plan.held[..], plan.active("U-ana"), plan.active("U-bob")), (&[][..], None, None));
}

/// docs/decisions/0028: a mistake in the configuration removes nobody.
#[test]
fn what_a_change_of_the_configuration_would_do_is_held_until_forced() {
    type Change = fn(&mut World);
    let changes: [(&str, Change); 5] = [
        ("no longer names a group", |world| world.listing.accounts.clear()),
        ("account 'b' is no longer configured", |world| {
            world.listing.accounts.retain(|account| account.name.is_empty());
        }),
        ("the source is 'iam:222' now and was 'iam:111'", |world| {
            world.account("").id = "222".to_owned();
            world.gone("U-ana");
        }),
        ("the source is 'file:///x' now and was 'iam:111'", |world| {
            world.listing.source = "file:///x".to_owned();
            world.gone("U-ana");
        }),
        ("the source is 'file:///x' now and was 'iam:'", |world| {
            world.listing.source = "file:///x".to_owned();
            world.gone("U-B");
        }),
    ];
    for (why, change) in changes {
        let mut world = World::of(&["ana", "eve"]);
        world.account("").id = "111".to_owned();
        world.config.local_groups = [("OPS".to_owned(), vec!["adm".to_owned()])].into();
        world.listed("U-ana").keys = vec![key(ED25519)];
        world.user("b", "U-B", "bob");
        let before = world.run();
        change(&mut world);
        for _ in 0..2 {
            let held = world.run();
            let text = held.held_text();
            assert!(text.contains(why) && text.contains("they stay"), "{why}: {text}");
            for id in ["U-ana", "U-eve", "U-B"] {
                assert_eq!(held.row(id), before.row(id), "{why}");
            }
            assert_eq!(held.login("U-ana").unwrap().keys, before.login("U-ana").unwrap().keys, "{why}");
        }
        world.force = true;
        let forced = world.run();
        assert!(forced.held.is_empty() && !forced.disabled().is_empty(), "{why}");
    }
}

#[test]
fn users_whom_a_new_source_has_too_are_not_asked_about() {
    let mut world = World::of(&["ana"]);
    let before = world.run();
    world.listing.source = "file:///x".to_owned();
    let after = world.run();
    assert_eq!((after.held, after.cache), (Vec::new(), before.cache));
    world.gone("U-ana");
    assert_eq!(world.run().disabled(), ["ana"], "of the new source from now on");
}

#[test]
fn an_incomplete_account_loses_nobody_and_no_group() {
    let mut world = World::of(&["ana", "bob"]);
    world.config.local_groups = [("OPS".to_owned(), vec!["adm".to_owned()])].into();
    world.listed("U-ana").keys = vec![key(ED25519)];
    world.group("", "G-EMPTY", "empty");
    world.user("b", "U-B", "eve");
    let before = world.run();
    let account = world.account("");
    *account = listing::Account { name: String::new(), complete: false, ..Default::default() };
    let plan = world.run();
    assert_eq!((plan.cache, plan.keys), (before.cache, before.keys));
}

#[test]
fn an_incomplete_account_holds_nobody_of_another_account() {
    let mut world = World::of(&["ana"]);
    world.user("b", "U-B", "bob");
    world.run();
    world.account("").complete = false;
    world.gone("U-ana");
    world.gone("U-B");
    let plan = world.run();
    assert_eq!((plan.active("U-ana"), plan.active("U-B")), (Some("ana"), None));
}

#[test]
fn a_user_who_moves_to_another_account_keeps_id_and_name() {
    let mut world = World::of(&["ana"]);
    let before = world.run();
    world.gone("U-ana");
    world.user("b", "U-ana", "ana");
    let after = world.run();
    assert_eq!((after.id("U-ana"), after.active("U-ana")), (before.id("U-ana"), Some("ana")));
}

#[test]
fn an_emptied_group_disables_its_members_and_stays() {
    let mut world = World::of(&["ana", "bob"]);
    world.run();
    world.gone("U-ana");
    world.gone("U-bob");
    let plan = world.run();
    assert!(plan.members("ops").is_empty() && plan.keys.logins.is_empty());
    assert_eq!(plan.disabled(), ["ana", "bob"]);
}

/// "`cache.db` is replaced only when an answer changes."
#[test]
fn that_time_passes_changes_no_answer() {
    let mut world = World::of(&["ana", "bob"]);
    world.run();
    world.gone("U-bob");
    let before = world.run();
    world.now += 30 * DAY;
    assert_eq!(world.run().cache, before.cache);
}
