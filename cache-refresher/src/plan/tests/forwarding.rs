//! Who may only forward connections.

use policy::{FORWARD_ONLY_GROUP, FORWARD_ONLY_HOME, FORWARD_ONLY_SHELL};

use super::super::leaving::Leaving;
use super::super::narrowing::Narrowing;
use super::super::taking::{Away, Taken};
use super::*;

/// `ana` is in `Ops` only, `bob` also in `Admins`, whose members may run commands.
fn jump_host() -> World {
    let mut world = World::of(&["ana", "bob"]);
    world.group("", "G-ADM", "Admins").members = vec!["U-bob".to_owned()];
    world.config.users.forward_only = true;
    world.config.shell_groups = vec!["Admins".to_owned()];
    world
}

/// The names of the users who may only forward connections; [`invariants`] checks that all their fields agree.
fn only(plan: &Plan) -> Vec<&str> {
    plan.group(FORWARD_ONLY_GROUP).map(|_| plan.members(FORWARD_ONLY_GROUP)).unwrap_or_default()
}

#[test]
fn members_of_shell_groups_run_commands_and_nobody_else() {
    let mut world = jump_host();
    let plan = world.run();
    assert_eq!(only(&plan), ["ana"]);
    let ana = &plan.named("ana").unwrap().passwd;
    assert_eq!((ana.home.as_str(), ana.shell.as_str()), (FORWARD_ONLY_HOME, FORWARD_ONLY_SHELL));
    assert!(plan.login("U-ana").unwrap().forward_only && !plan.login("U-bob").unwrap().forward_only);
    assert_eq!(plan.named("bob").unwrap().passwd.shell.as_str(), "/bin/bash");
    // The home and the shell of one who is promoted are those of before.
    world.account("").groups[1].members.push("U-ana".to_owned());
    let plan = world.run();
    assert_eq!(only(&plan), [""; 0]);
    let ana = &plan.named("ana").unwrap().passwd;
    assert_eq!((ana.home.as_str(), ana.shell.as_str()), ("/home/ana", "/bin/bash"));
    world.config.users.forward_only = false;
    assert!(world.run().group(FORWARD_ONLY_GROUP).is_none());
}

/// As `shell_groups` spells it, IAM's names are compared without regard to case.
#[test]
fn a_shell_group_that_is_unknown_renamed_or_of_another_account_gives_no_shell() {
    for (spelt, account, ids) in [
        ("Admins", "", &["ana"][..]),
        ("ADMINS", "", &["ana"]),
        ("Administrators", "", &["ana", "bob"]),
        ("", "", &["ana", "bob"]),
        ("Admins", "b", &["ana", "bob"]),
    ] {
        let mut world = jump_host();
        let names = if spelt.is_empty() { Vec::new() } else { vec![spelt.to_owned()] };
        if account.is_empty() {
            world.config.shell_groups = names;
        } else {
            world.config.shell_groups.clear();
            world.second(account).shell_groups = names;
            world.account(account);
        }
        let plan = world.run();
        assert_eq!(only(&plan), ids, "{spelt} {account}");
        let unread = spelt == "Administrators" || account == "b";
        assert_eq!(plan.warns("no group of this name is read"), unread, "{}", plan.warning_text());
    }
}

/// Two groups of a file can differ in case only; the second one is skipped, but its members must not gain by it.
#[test]
fn in_a_file_only_the_group_of_exactly_this_name_gives_a_shell() {
    let mut world = jump_host();
    world.listing.source = "file:///srv/users.json".to_owned();
    world.config.local_groups = [("Admins".to_owned(), vec!["adm".to_owned()])].into();
    world.group("", "G-OTHER", "ADMINS").members = vec!["U-ana".to_owned()];
    let plan = world.run();
    assert_eq!(only(&plan), ["ana"]);
    assert_eq!((plan.named("ana").unwrap().local.len(), plan.named("bob").unwrap().local.len()), (0, 1));
}

#[test]
fn shell_groups_without_forward_only_are_reported() {
    let mut world = jump_host();
    world.config.users.forward_only = false;
    let plan = world.run();
    assert!(plan.warns("shell_groups 'Admins' has no effect: every user may run commands"));
    assert!(!jump_host().run().warns("shell_groups"));
}

#[test]
fn while_the_source_cannot_be_read_everybody_stays_as_published() {
    let mut world = jump_host();
    world.run();
    world.account("").complete = false;
    world.account("").users.clear();
    world.account("").groups.clear();
    assert_eq!(only(&world.run()), ["ana"]);
    // If the setting is new, the groups of before decide.
    let mut world = jump_host();
    world.config.users.forward_only = false;
    world.run();
    world.config.users.forward_only = true;
    world.account("").complete = false;
    world.account("").users.clear();
    world.account("").groups.clear();
    assert_eq!(only(&world.run()), ["ana"]);
}

#[test]
fn a_home_that_the_cache_does_not_have_is_found_again_after_the_state_was_lost() {
    let mut world = jump_host();
    let before = world.run();
    let sources = crate::recover::Sources::new(&world.listing, &world.config, world.now);
    let mut state = State::default();
    crate::recover::recover(&mut state, &before.cache, &before.keys, &sources);
    world.state = state;
    let plan = world.run();
    assert_eq!(only(&plan), ["ana"]);
    assert!(!plan.state.homes.contains_key(FORWARD_ONLY_HOME));
    world.config.users.forward_only = false;
    let plan = world.run();
    assert_eq!(plan.named("ana").unwrap().passwd.home.as_str(), "/home/ana");
}

/// Who leaves `Admins` may run nothing from then on, even if no plan can be made.
#[test]
fn without_a_plan_a_shell_is_taken_and_not_given() {
    let mut world = jump_host();
    let before = world.run();
    world.account("").groups[1].members = vec!["U-ana".to_owned()];
    let narrowing = Narrowing::of(&world.input());
    let mut taken = Taken {
        state: before.state.clone(),
        cache: Some(before.cache.clone()),
        keys: Some(before.keys.clone()),
    };
    let (leaving, nobody) = (Leaving::default(), Locked::default());
    assert!(taken.take(Away { leaving: &leaving, locked: &nobody, narrowing: &narrowing }, world.now));
    let (cache, keys) = (taken.cache.unwrap(), taken.keys.unwrap());
    assert!(keys.logins.iter().all(|login| login.forward_only));
    let group = cache.groups.iter().find(|group| group.name.as_str() == FORWARD_ONLY_GROUP).unwrap();
    assert_eq!(group.members.iter().map(Name::as_str).collect::<Vec<_>>(), ["ana", "bob"]);
    let shells = cache.users.iter().map(|user| user.passwd.shell.as_str());
    assert!(shells.clone().all(|shell| shell == FORWARD_ONLY_SHELL), "{:?}", shells.collect::<Vec<_>>());
    assert!(cache.users.iter().all(|user| user.groups.contains(&group.gid) && user.groups.is_sorted()));
}

#[test]
fn a_group_of_the_host_with_our_name_stops_the_refresh_only_if_it_is_needed() {
    let mut world = jump_host();
    world.local_group(FORWARD_ONLY_GROUP, 1500);
    assert!(plan(world.answered().input()).is_err());
    world.config.users.forward_only = false;
    assert!(plan(world.answered().input()).is_ok());
}
