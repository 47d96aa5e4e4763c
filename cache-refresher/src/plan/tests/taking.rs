//! What is taken away when no plan can be made.

use super::super::leaving::{self, Facts, Leaving};
use super::super::narrowing::Narrowing;
use super::super::taking::{Away, Taken};
use super::*;

fn of(plan: &Plan) -> Taken {
    Taken { state: plan.state.clone(), cache: Some(plan.cache.clone()), keys: Some(plan.keys.clone()) }
}

/// The published data after users who stay lost what they lost at the source, which is something.
fn narrowed(world: &World, plan: &Plan) -> Taken {
    let (leaving, locked) = (Leaving::default(), Locked::default());
    let narrowing = Narrowing::of(&world.input());
    let mut taken = of(plan);
    assert!(taken.take(Away { leaving: &leaving, locked: &locked, narrowing: &narrowing }, world.now));
    taken
}

/// The published data after the removals with these locks.
fn taken(world: &World, plan: &Plan, locked: &[&str], listing: Option<&Listing>) -> (bool, Taken) {
    let locked = Locked::of(locked.iter().map(ToString::to_string));
    let leaving = leaving(world, &locked, listing);
    let mut taken = of(plan);
    let changed = take(world, &mut taken, &leaving, &locked);
    (changed, taken)
}

fn take(world: &World, taken: &mut Taken, leaving: &Leaving, locked: &Locked) -> bool {
    let narrowing = Narrowing::default();
    taken.take(Away { leaving, locked, narrowing: &narrowing }, world.now)
}

fn leaving(world: &World, locked: &Locked, listing: Option<&Listing>) -> Leaving {
    let max_removed_percent = world.config.safety.max_removed_percent;
    leaving::leaving(Facts {
        state: &world.state,
        listing,
        locked,
        max_removed_percent,
        force: world.force,
        release: &[],
    })
}

fn published() -> (World, Plan) {
    let mut world = World::of(&["ana", "bob", "eve"]);
    world.config.local_groups = [("Ops".to_owned(), vec!["adm".to_owned()])].into();
    for name in ["U-ana", "U-bob", "U-eve"] {
        world.listed(name).keys = vec![key(ED25519)];
    }
    let plan = world.run();
    (world, plan)
}

/// The same as a whole plan would do with them, to the byte.
#[test]
fn removed_and_locked_users_lose_what_a_plan_would_take() {
    let (mut world, before) = published();
    world.gone("U-eve");
    let (changed, taken) = taken(&world, &before, &["ana"], Some(&world.listing));
    world.lock(&["ana"]);
    let mut plan = world.plan();
    assert!(changed);
    assert_eq!((taken.cache, taken.keys), (Some(plan.cache), Some(plan.keys)));
    plan.state.asked = taken.state.asked;
    assert_eq!(taken.state, plan.state);
}

#[test]
fn without_a_listing_only_a_lock_acts() {
    let (world, before) = published();
    assert!(!taken(&world, &before, &[], None).0);
    let (changed, taken) = taken(&world, &before, &["ana"], None);
    assert!(changed);
    let active: Vec<Name> = taken.keys.unwrap().logins.into_iter().map(|login| login.name).collect();
    assert_eq!(active.iter().map(Name::as_str).collect::<BTreeSet<_>>(), ["bob", "eve"].into());
    let cache = taken.cache.unwrap();
    let rows = |cache: &Cache| -> Vec<_> {
        cache.users.iter().filter(|user| user.name.as_str() != "ana").cloned().collect()
    };
    assert_eq!(rows(&cache), rows(&before.cache));
}

#[test]
fn a_lock_of_all_takes_everyone() {
    let (world, before) = published();
    let (_, taken) = taken(&world, &before, &["*"], None);
    assert!(
        taken.keys.unwrap().logins.is_empty() && taken.cache.unwrap().users.iter().all(|user| !user.active)
    );
}

/// A run was interrupted between the files.
#[test]
fn disabled_users_are_removed_from_a_file_that_still_has_them() {
    let (mut world, before) = published();
    world.gone("U-eve");
    let after = world.plan();
    let mut taken = Taken {
        state: after.state.clone(),
        cache: Some(before.cache.clone()),
        keys: Some(before.keys.clone()),
    };
    let nobody = Locked::default();
    assert!(take(&world, &mut taken, &leaving(&world, &nobody, Some(&world.listing)), &nobody));
    assert_eq!((taken.cache, taken.keys), (Some(after.cache), Some(after.keys)));
}

#[test]
fn an_unreadable_file_does_not_stop_removals_from_the_other() {
    let (mut world, before) = published();
    world.gone("U-eve");
    for (cache, keys) in [(None, Some(before.keys.clone())), (Some(before.cache.clone()), None)] {
        let mut taken = Taken { state: before.state.clone(), cache, keys };
        let nobody = Locked::default();
        assert!(take(&world, &mut taken, &leaving(&world, &nobody, Some(&world.listing)), &nobody));
        assert!(taken.keys.is_none_or(|keys| keys.logins.iter().all(|login| login.name.as_str() != "eve")));
        assert!(taken.cache.is_none_or(|cache| cache.users.iter().any(|user| !user.active)));
    }
}

#[test]
fn what_is_held_is_not_taken_either() {
    let (mut world, before) = published();
    world.config.safety.max_removed_percent = 50;
    world.gone("U-eve");
    world.gone("U-bob");
    assert!(!taken(&world, &before, &[], Some(&world.listing)).0);
    world.config.safety.max_removed_percent = 100;
    world.account("").complete = false;
    assert!(!taken(&world, &before, &[], Some(&world.listing)).0);
}

/// A leaked key or a group that gives sudo is taken away; other changes in the listing are not applied.
#[test]
fn those_who_stay_lose_the_keys_and_groups_that_they_lost_at_the_source_and_gain_nothing() {
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ+Y0Jwq0kUzVGQp5MsKcWdO4dH4JzKQ1Yx3v0m2xY8N";
    let mut world = World::of(&["ana", "bob"]);
    world.config.local_groups = [("Admins".to_owned(), vec!["adm".to_owned()])].into();
    world.group("", "G-ADM", "Admins").members = vec!["U-ana".to_owned(), "U-bob".to_owned()];
    for id in ["U-ana", "U-bob"] {
        world.listed(id).keys = vec![key(ED25519), Key { id: "APKA2".to_owned(), ..key(OTHER) }];
    }
    let before = world.run();
    assert_eq!(
        (before.row("U-ana").unwrap().local.as_slice(), before.members("admins")),
        (&[4][..], vec!["ana", "bob"])
    );
    world.account("").groups[1].members = vec!["U-bob".to_owned()];
    world.listed("U-ana").keys[0].active = false;
    world.listed("U-bob").keys.clear();
    world.listed("U-bob").confirmed = None;
    world.listed("U-ana").confirmed = Some(at(world.now));
    world.member("", "U-new", "new", "G-ADM");
    let taken = narrowed(&world, &before);
    let (cache, keys) = (taken.cache.unwrap(), taken.keys.unwrap());
    let named = |name: &str| cache.users.iter().find(|user| user.name.as_str() == name);
    let ana = named("ana").unwrap();
    assert_eq!(
        (ana.local.as_slice(), ana.groups.len()),
        (&[][..], before.row("U-ana").unwrap().groups.len() - 1)
    );
    assert_eq!(named("bob"), before.row("U-bob"));
    assert_eq!(named("new"), None);
    let admins = cache.groups.iter().find(|group| group.name.as_str() == "admins").unwrap();
    assert_eq!(admins.members.iter().map(Name::as_str).collect::<Vec<_>>(), ["bob"]);
    let login = |name: &str| keys.logins.iter().find(|login| login.name.as_str() == name).unwrap();
    assert_eq!(
        (login("ana").keys.len(), login("bob")),
        (1, before.login("U-bob").unwrap()),
        "bob's were not read"
    );
    assert_eq!(login("ana").confirmed, world.now);
    // A plan would do the same.
    let plan = world.plan();
    assert_eq!(plan.login("U-ana").unwrap().keys, login("ana").keys);
    assert_eq!(plan.row("U-ana"), Some(ana));
}

#[test]
fn a_principal_that_could_mean_another_now_is_taken_away_without_a_plan() {
    let mut world = World::of(&[]);
    world.member("", "U-1", "Ana", "G-OPS");
    world.member("", "U-2", "Eve", "G-OPS");
    let before = world.run();
    assert_eq!(before.principals("U-1"), ["Ana", "U-1"]);
    world.listed("U-1").name = "Anna".to_owned();
    world.local.files.users.insert("u-2".to_owned(), 1500);
    let left = narrowed(&world, &before).keys.unwrap().logins.into_iter();
    let mut left: Vec<_> = left.map(|login| (login.iam_id.to_string(), login.principals)).collect();
    left.sort();
    assert_eq!(
        left,
        [("U-1", vec!["U-1".into()]), ("U-2", vec!["Eve".into()])].map(|(id, rest)| (id.to_owned(), rest))
    );
}
