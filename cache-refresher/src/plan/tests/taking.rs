//! What is taken away where no plan can be made.

use super::super::leaving::{self, Facts, Leaving};
use super::super::taking::Taken;
use super::*;

/// What is published, and what the rule makes of it with these locks.
fn taken(world: &World, plan: &Plan, locked: &[&str], listing: Option<&Listing>) -> (bool, Taken) {
    let locked = Locked(locked.iter().map(ToString::to_string).collect());
    let leaving = leaving(world, &locked, listing);
    let mut taken =
        Taken { state: plan.state.clone(), cache: Some(plan.cache.clone()), keys: Some(plan.keys.clone()) };
    let changed = taken.take(&leaving, &locked, world.now);
    (changed, taken)
}

fn leaving(world: &World, locked: &Locked, listing: Option<&Listing>) -> Leaving {
    let max_removed_percent = world.config.safety.max_removed_percent;
    leaving::leaving(Facts { state: &world.state, listing, locked, max_removed_percent, force: world.force })
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

/// What a whole plan would do with them, and to the byte.
#[test]
fn who_leaves_and_who_is_locked_is_taken_away_as_by_a_plan() {
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

/// A run was cut off between the files.
#[test]
fn who_is_remembered_as_disabled_goes_out_of_a_file_that_still_has_them() {
    let (mut world, before) = published();
    world.gone("U-eve");
    let after = world.plan();
    let mut taken = Taken {
        state: after.state.clone(),
        cache: Some(before.cache.clone()),
        keys: Some(before.keys.clone()),
    };
    let nobody = Locked::default();
    assert!(taken.take(&leaving(&world, &nobody, Some(&world.listing)), &nobody, world.now));
    assert_eq!((taken.cache, taken.keys), (Some(after.cache), Some(after.keys)));
}

#[test]
fn one_file_that_cannot_be_read_saves_nobody_in_the_other() {
    let (mut world, before) = published();
    world.gone("U-eve");
    for (cache, keys) in [(None, Some(before.keys.clone())), (Some(before.cache.clone()), None)] {
        let mut taken = Taken { state: before.state.clone(), cache, keys };
        let nobody = Locked::default();
        assert!(taken.take(&leaving(&world, &nobody, Some(&world.listing)), &nobody, world.now));
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
