//! Who gets which id, and who gets none.

use super::*;

/// Two UserIds, and a GroupId and a UserId, of one computed id; found by trying.
const TWINS: [&str; 2] = ["AIDATWIN10726", "AIDATWIN11697"];
const TWIN_ID: u32 = 2_007_905_670;
const GROUP_TWINS: [&str; 2] = ["AGPATWIN10484", "AIDATWIN52804"];

#[test]
fn the_id_of_a_user_and_of_a_group_is_the_documented_hash() {
    // printf nss-iam:ID | sha256sum | head -c16; python3 -c 'print(0x70000000 + 0x… % 0x0ffe0000)'
    let mut world = World::of(&[]);
    world.member("", "AIDAEXAMPLE", "ana", "G-OPS");
    let plan = world.run();
    assert_eq!(plan.named("ana").unwrap().uid.get(), 1_895_840_708);
    assert_eq!(plan.group("ana").unwrap().gid.get(), 1_895_840_708);
    assert_eq!(plan.group("iam-users").unwrap().gid.get(), 1_962_406_056);
}

#[test]
fn of_two_newcomers_with_one_id_the_first_created_gets_it_and_the_other_is_reported() {
    for (dates, winner) in [([1, 2], 0), ([2, 1], 1), ([1, 1], 0)] {
        let mut world = World::of(&[]);
        for (id, date) in TWINS.into_iter().zip(dates) {
            world.member("", id, &id.to_lowercase(), "G-OPS").created = Some(at(date));
        }
        let plan = world.run();
        let (has, lacks) = (TWINS[winner], TWINS[1 - winner]);
        assert_eq!(plan.row(has).unwrap().uid.get(), TWIN_ID);
        assert_eq!(plan.row(lacks), None);
        assert!(plan.told(lacks, &format!("its id {TWIN_ID} is that of '{has}'")), "{:?}", plan.skips);
        assert!(plan.told(lacks, "[ids]"));
    }
}

#[test]
fn a_holder_keeps_the_id_against_later_users_even_when_disabled() {
    for [first, second] in [TWINS, [TWINS[1], TWINS[0]]] {
        let mut world = World::of(&[]);
        world.member("", first, "first", "G-OPS").created = Some(at(2));
        world.run();
        world.member("", second, "second", "G-OPS").created = Some(at(1));
        let told = |plan: &Plan| plan.told(second, "its id") && plan.active(second).is_none();
        assert!(told(&world.run()));
        world.gone(first);
        let plan = world.run();
        assert!(told(&plan));
        assert_eq!(plan.id(first), TWIN_ID);
    }
}

#[test]
fn a_collision_ends_with_an_entry_in_ids() {
    let mut world = World::of(&[]);
    world.member("", TWINS[0], "ana", "G-OPS");
    world.member("", TWINS[1], "bob", "G-OPS");
    world.run();
    world.config.ids.insert(TWINS[1].to_owned(), 1003);
    let plan = world.run();
    assert_eq!((plan.id(TWINS[0]), plan.id(TWINS[1])), (TWIN_ID, 1003));
    assert!(plan.row(TWINS[1]).unwrap().pinned && plan.row(TWINS[1]).unwrap().active);
}

#[test]
fn users_and_groups_share_one_space_of_ids() {
    let mut world = World::of(&["ana"]);
    world.group("", GROUP_TWINS[0], "twins").members = vec!["U-ana".to_owned()];
    world.member("", GROUP_TWINS[1], "bob", "G-OPS");
    let plan = world.run();
    assert_eq!(plan.members("twins"), ["ana"]);
    assert!(plan.told(GROUP_TWINS[1], "is that of 'AGPATWIN10484'"), "{:?}", plan.skips);
}

#[test]
fn a_group_whose_id_a_user_holds_is_left_out_and_its_members_stay() {
    let mut world = World::of(&[]);
    world.member("", GROUP_TWINS[1], "bob", "G-OPS");
    world.run();
    world.group("", GROUP_TWINS[0], "twins").members = vec![GROUP_TWINS[1].to_owned()];
    let plan = world.run();
    assert!(plan.told(GROUP_TWINS[0], "is that of 'AIDATWIN52804'") && plan.group("twins").is_none());
    assert_eq!(plan.active(GROUP_TWINS[1]), Some("bob"));
}

#[test]
fn a_later_entry_in_ids_changes_nothing_and_is_reported() {
    let mut world = World::of(&["ana"]).uses(&[TagUse::Uid]);
    let uid = world.run().id("U-ana");
    world.config.ids.insert("U-ana".to_owned(), 1003);
    let plan = world.run();
    assert_eq!(plan.id("U-ana"), uid);
    assert!(plan.warns("'U-ana' keeps id"), "{:?}", plan.warnings);
    world.config.ids.clear();
    world.tag("U-ana", "uid", "1004");
    let plan = world.run();
    assert_eq!(plan.id("U-ana"), uid);
    assert!(plan.warns("1004 is not used"), "{:?}", plan.warnings);
}

#[test]
fn a_pinned_id_stays_after_its_entry_is_gone() {
    let mut world = World::of(&["ana"]);
    world.config.ids = [("U-ana".to_owned(), 1003), ("G-OPS".to_owned(), 1004)].into();
    world.run();
    world.config.ids.clear();
    let plan = world.run();
    assert_eq!((plan.id("U-ana"), plan.id("G-OPS")), (1003, 1004));
    assert!(plan.row("U-ana").unwrap().pinned && plan.group("ops").unwrap().pinned);
}

#[test]
fn an_id_of_the_host_is_given_to_nobody() {
    let mut world = World::of(&["ana", "bob"]).uses(&[TagUse::Uid]);
    world.tag("U-bob", "uid", "1000");
    let plan = world.run();
    assert!(plan.told("U-bob", "tag 'uid': its id 1000 is that of 'local' on this host"), "{:?}", plan.skips);
    assert_eq!(plan.id("U-bob"), Id::computed(&IamId::new("U-bob")).get());
    world.local_group("later", plan.id("U-ana"));
    let plan = world.run();
    assert!(plan.told("U-ana", "is that of 'later' on this host") && plan.row("U-ana").is_none());
    assert!(plan.login("U-ana").is_none());
}

#[test]
fn a_user_who_lost_the_id_to_the_host_leaves_the_name_to_another() {
    let mut world = World::of(&["ana"]);
    let uid = world.run().id("U-ana");
    world.local_group("later", uid);
    world.account("").complete = false;
    world.gone("U-ana");
    world.user("b", "U-new", "Ana");
    assert_eq!(world.run().active("U-new"), Some("ana"));
}

#[test]
fn hostile_uid_tags_are_reported_and_the_computed_id_stays() {
    for uid in [
        "0",
        "999",
        "65534",
        "65535",
        "4294967295",
        "4294967294",
        "2147483648",
        "2147352576",
        "-1",
        "1e3",
        "",
    ] {
        let mut world = World::of(&["ana"]).uses(&[TagUse::Uid]);
        world.tag("U-ana", "uid", uid);
        let plan = world.run();
        assert_eq!(plan.id("U-ana"), Id::computed(&IamId::new("U-ana")).get(), "{uid}");
        assert!(plan.told("U-ana", "tag 'uid': "), "{uid}");
    }
}

#[test]
fn a_uid_tag_takes_no_id_from_one_without_a_tag() {
    let mut world = World::of(&["victim", "eve"]).uses(&[TagUse::Uid]);
    world.config.ids.insert("U-victim".to_owned(), 1003);
    world.listed("U-eve").created = Some(at(1));
    world.tag("U-eve", "uid", "1003");
    let plan = world.run();
    assert_eq!(plan.id("U-victim"), 1003);
    assert!(plan.told("U-eve", "is that of 'U-victim'"), "{:?}", plan.skips);
}

#[test]
fn an_id_that_could_be_anothers_is_neither_tagged_nor_pinned() {
    let computed = |iam_id: &str| Id::computed(&IamId::new(iam_id)).get();
    for id in [
        60_001,
        60_513,
        60_577,
        61_184,
        65_519,
        524_288,
        0x6fff_ffff,
        0x7000_0000,
        computed("U-NOBODY-YET"),
        computed("group:iam-users"),
        100_000,
        165_535,
        5000,
    ] {
        let mut world = World::of(&["ana", "bob"]).uses(&[TagUse::Uid]);
        world.local.sub_ids = vec![100_000..=165_535];
        world.service("sss").ids.insert(5000, "dana".to_owned());
        world.tag("U-ana", "uid", &id.to_string());
        world.config.ids.insert("U-bob".to_owned(), id);
        let plan = world.run();
        assert_eq!(plan.id("U-ana"), computed("U-ana"), "{id}");
        assert!(plan.told("U-ana", "tag 'uid': "), "{id}: {:?}", plan.skips);
        assert!(plan.told("U-bob", "[ids]: ") && plan.row("U-bob").is_none(), "{id}: {:?}", plan.skips);
    }
    for id in [1000 + 1, 60_000, 60_578, 65_520, 99_999, 524_287, computed("U-ana")] {
        let mut world = World::of(&["ana"]).uses(&[TagUse::Uid]);
        world.tag("U-ana", "uid", &id.to_string());
        assert_eq!(world.run().id("U-ana"), id);
    }
}

#[test]
fn a_pinned_id_that_was_given_stays_whatever_its_range_becomes() {
    let mut world = World::of(&["ana"]).uses(&[TagUse::Uid]);
    world.config.ids.insert("U-ana".to_owned(), 100_005);
    world.tag("U-ana", "uid", "100005");
    world.run();
    world.local.sub_ids = vec![100_000..=165_535];
    let plan = world.run();
    assert_eq!((plan.id("U-ana"), plan.active("U-ana"), plan.skips.len()), (100_005, Some("ana"), 0));
}

#[test]
fn a_computed_id_that_another_service_has_is_given_to_nobody() {
    let mut world = World::of(&["ana"]);
    let id = Id::computed(&IamId::new("U-ana")).get();
    world.service("sss").ids.insert(id, "dana".to_owned());
    let plan = world.run();
    assert!(
        plan.told("U-ana", "is that of 'dana' on this host (service 'sss')") && plan.row("U-ana").is_none()
    );
}

#[test]
fn an_entry_in_ids_wins_over_a_tag() {
    let mut world = World::of(&["ana", "eve"]).uses(&[TagUse::Uid]);
    world.config.ids.insert("U-ana".to_owned(), 1003);
    world.listed("U-eve").created = Some(at(1));
    for id in ["U-ana", "U-eve"] {
        world.tag(id, "uid", if id == "U-ana" { "1004" } else { "1003" });
    }
    let plan = world.run();
    assert_eq!(plan.id("U-ana"), 1003);
    assert!(plan.told("U-eve", "is that of 'U-ana'"));
}

#[test]
fn a_common_group_whose_id_is_taken_is_left_out_and_reported() {
    let mut world = World::of(&["ana"]);
    world.local_group("odd", Id::computed(&IamId::new("group:iam-users")).get());
    let plan = world.run();
    assert!(plan.group("iam-users").is_none());
    assert!(plan.warns("'iam-users' left out"), "{:?}", plan.warnings);
}

#[test]
fn no_plan_is_made_if_a_local_group_has_the_name_of_ours() {
    for name in ["iam-users", "iam-disabled"] {
        let mut world = World::of(&["ana"]);
        world.local_group(name, 5000);
        assert!(plan(world.input()).unwrap_err().to_string().contains("is a group of /etc/group"), "{name}");
    }
    let mut world = World::of(&["ana"]);
    world.config.users.shell = "/bin/zsh".to_owned();
    assert!(plan(world.input()).unwrap_err().to_string().contains("/etc/shells"));
}

/// Twins get the same ids on all hosts, whoever arrives first on each.
#[test]
fn the_publisher_of_a_signed_listing_assigns_ids_for_all_hosts() {
    for first in [0, 1] {
        let mut world = World::of(&[]);
        let ids = [(TWINS[0], TWIN_ID), (TWINS[1], TWIN_ID + 1), ("U-low", 2001), ("G-OPS", TWIN_ID + 2)];
        world.listing.ids = ids.map(|(iam_id, id)| (iam_id.to_owned(), id)).into();
        world.member("", TWINS[first], "first", "G-OPS");
        world.run();
        world.member("", TWINS[1 - first], "second", "G-OPS");
        world.member("", "U-low", "low", "G-OPS");
        let plan = world.run();
        for (iam_id, id) in ids {
            assert_eq!(
                (plan.id(iam_id), plan.state.identities[&IamId::new(iam_id)].pinned),
                (id, id == 2001)
            );
        }
        assert!(plan.skips.is_empty(), "{:?}", plan.skips);
    }
}

#[test]
fn an_id_in_a_signed_listing_that_this_host_cannot_use_is_reported() {
    let mut world = World::of(&["kept", "pinned", "root", "nobody", "high", "homed", "local", "taken"]);
    world.listing.ids = [
        ("U-kept", TWIN_ID),
        ("U-root", 0),
        ("U-nobody", 65_534),
        ("U-high", 0x7ffe_0000),
        ("U-homed", 60_001),
        ("U-local", 1000),
        ("U-taken", 3000),
    ]
    .map(|(iam_id, id)| (iam_id.to_owned(), id))
    .into();
    let kept = Id::computed(&IamId::new("U-kept"));
    world.state.identities.insert(IamId::new("U-kept"), cache::state::Identity { id: kept, pinned: false });
    world
        .state
        .identities
        .insert(IamId::new("U-gone"), cache::state::Identity { id: Id::pinned(3000).unwrap(), pinned: true });
    world.config.ids.insert("U-pinned".to_owned(), 4000);
    world.listing.ids.insert("U-pinned".to_owned(), 4001);
    let plan = world.run();
    assert_eq!(plan.id("U-kept"), kept.get());
    assert_eq!(plan.id("U-pinned"), 4000, "the host's own configuration decides");
    for iam_id in ["U-root", "U-nobody", "U-high", "U-homed", "U-local", "U-taken"] {
        assert_eq!(plan.active(iam_id), None, "{iam_id}");
        assert!(plan.skips.iter().any(|skip| skip.id == iam_id), "{iam_id}: {:?}", plan.skips);
    }
}
