//! Random histories of small worlds, with so few names, ids and dates that collisions are the rule.
//! `World::run` checks the invariants at every step.

use std::collections::BTreeMap;

use config::Removed;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;

const ACCOUNTS: [&str; 3] = ["", "b", "c"];
/// Two of each kind have the same computed id.
const USERS: [&str; 6] = ["U1", "U2", "U3", "AIDATWIN10726", "AIDATWIN11697", "AIDATWIN52804"];
const GROUPS: [&str; 4] = ["G1", "G2", "G3", "AGPATWIN10484"];
const NAMES: [&str; 16] = [
    "ana",
    "Ana",
    "a+b",
    "a=b",
    "bob",
    "Ops",
    "dev",
    "admin",
    "root",
    "of-sudoers",
    "iam-users",
    "a:b",
    "x/y",
    "..",
    "ana@example.com",
    "ana-2007905670",
];
/// The computed ids of the twins, of `U1` and of `common_group` among them.
const UIDS: [&str; 9] =
    ["0", "999", "1000", "1003", "65534", "2007905670", "1962406056", "4294967294", "2147483647"];

#[derive(Debug, Clone)]
struct Person {
    account: usize,
    name: &'static str,
    created: Option<i64>,
    groups: Vec<&'static str>,
    tags: Vec<(&'static str, &'static str)>,
    keys: Vec<bool>,
    confirmed: bool,
}

#[derive(Debug, Clone)]
struct Step {
    people: BTreeMap<&'static str, Person>,
    groups: BTreeMap<&'static str, (usize, &'static str)>,
    listed: [bool; 3],
    complete: [bool; 3],
    uses: Vec<TagUse>,
    ids: BTreeMap<&'static str, u32>,
    locked: Vec<&'static str>,
    /// Users of the host besides the usual ones.
    local: Vec<&'static str>,
    /// Directories and their owners.
    homes: BTreeMap<&'static str, u32>,
    /// Members of a group of the host.
    members: Vec<&'static str>,
    /// Names that rules and units of the host use.
    used: Vec<&'static str>,
    /// Users of another service of nsswitch.conf, and whether it can be asked.
    directory: Vec<&'static str>,
    answers: bool,
    strip: bool,
    hide: bool,
    /// With `forward_only`, `shell_groups`.
    shell_groups: Option<Vec<&'static str>>,
    percent: u8,
    force: bool,
    minutes: i64,
}

fn person() -> impl Strategy<Value = Person> {
    let tag = prop_oneof![
        select(&NAMES[..]).prop_map(|name| ("name", name)),
        select(&UIDS[..]).prop_map(|uid| ("uid", uid)),
        select(&["/bin/sh", "/bin/evil", ""][..]).prop_map(|shell| ("shell", shell)),
        select(&["Ana", "a:b", "a\nb"][..]).prop_map(|gecos| ("gecos", gecos)),
        select(&[ED25519, "no key"][..]).prop_map(|key| ("ssh-key", key)),
    ];
    (
        0..ACCOUNTS.len(),
        select(&NAMES[..]),
        option::of(0..3_i64),
        subsequence(&GROUPS[..], 0..=GROUPS.len()),
        vec(tag, 0..3),
        vec(any::<bool>(), 0..3),
        any::<bool>(),
    )
        .prop_map(|(account, name, created, groups, tags, keys, confirmed)| Person {
            account,
            name,
            created,
            groups,
            tags,
            keys,
            confirmed,
        })
}

fn step() -> impl Strategy<Value = Step> {
    let mostly = || prop::bool::weighted(0.8);
    let uses = [TagUse::SshKey, TagUse::Name, TagUse::Uid, TagUse::Shell, TagUse::Gecos];
    let listing = (
        btree_map(select(&USERS[..]), person(), 0..=USERS.len()),
        btree_map(select(&GROUPS[..]), (0..ACCOUNTS.len(), select(&NAMES[..])), 0..=GROUPS.len()),
        [mostly(), mostly(), mostly()],
        [mostly(), mostly(), mostly()],
    );
    let pins = btree_map(select(&USERS[..4]), select(&[1003_u32, 1004, 2_007_905_670][..]), 0..2);
    let host = (
        subsequence(&["ana", "a_b", "bob", "*"][..], 0..=2),
        subsequence(&["ana", "dev"][..], 0..=1),
        btree_map(
            select(&["/home/ana", "/home/bob", "/home/a_b", "/home/ana-2007905670"][..]),
            select(&[0_u32, 1001, 2_007_905_670, 2_147_000_000][..]),
            0..=3,
        ),
        subsequence(&["ana", "a_b", "bob", "dev"][..], 0..=2),
        subsequence(&["ana", "bob", "ops"][..], 0..=2),
        (subsequence(&["ana", "bob"][..], 0..=1), mostly()),
    );
    let shell_groups = option::of(subsequence(&["ops", "dev"][..], 0..=2));
    let config = (subsequence(uses.to_vec(), 0..=5), pins, any::<bool>(), any::<bool>(), shell_groups);
    let run = (select(&[0_u8, 40, 100, 100][..]), any::<bool>(), select(&[1_i64, 60, 200_000][..]));
    (listing, host, config, run).prop_map(
        |(
            (people, groups, listed, complete),
            (locked, local, homes, members, used, (directory, answers)),
            (uses, ids, strip, hide, shell_groups),
            (percent, force, minutes),
        )| {
            Step {
                people,
                groups,
                listed,
                complete,
                uses,
                ids,
                locked,
                local,
                homes,
                members,
                used,
                directory,
                answers,
                strip,
                hide,
                shell_groups,
                percent,
                force,
                minutes,
            }
        },
    )
}

impl World {
    fn be(&mut self, step: &Step) {
        self.listing.accounts.clear();
        for (place, name) in ACCOUNTS.iter().enumerate().filter(|(place, _)| step.listed[*place]) {
            self.account(name).complete = step.complete[place];
        }
        for (id, (account, name)) in step.groups.iter().filter(|(_, (account, _))| step.listed[*account]) {
            self.group(ACCOUNTS[*account], id, name);
        }
        for (id, person) in step.people.iter().filter(|(_, person)| step.listed[person.account]) {
            self.person(id, person);
        }
        self.config.tags.uses = step.uses.clone();
        self.config.ids = step.ids.iter().map(|(id, pin)| ((*id).to_owned(), *pin)).collect();
        self.config.local_groups = [("Ops".to_owned(), vec!["adm".to_owned(), "root".to_owned()])].into();
        self.config.users.strip_domains = step.strip.then(|| "example.com".to_owned()).into_iter().collect();
        self.config.users.removed = if step.hide { Removed::Hide } else { Removed::Disable };
        self.config.users.forward_only = step.shell_groups.is_some();
        let shell_groups = step.shell_groups.iter().flatten();
        self.config.shell_groups = shell_groups.map(|name| (*name).to_owned()).collect();
        self.config.safety.max_removed_percent = step.percent;
        let users = &mut self.local.files.users;
        users.retain(|_, uid| *uid <= 1000);
        users.extend(step.local.iter().map(|name| ((*name).to_owned(), 2_007_905_670)));
        self.directories(&step.homes);
        *self.local_group("adm", 4) = step.members.iter().map(ToString::to_string).collect();
        self.local.uses = claims::Uses::default();
        for name in &step.used {
            self.used(name, Kind::Unit);
        }
        let users = step.directory.iter().map(|name| ((*name).to_owned(), 5000)).collect();
        let failed = (!step.answers).then(|| "down".to_owned());
        *self.service("sss") = Answer { users, failed, ..Answer::default() };
        self.lock(&step.locked);
        self.force = step.force;
        self.now += step.minutes * 60;
    }

    fn person(&mut self, id: &str, person: &Person) {
        let account = ACCOUNTS[person.account];
        for group in &mut self.account(account).groups {
            if person.groups.contains(&group.id.as_str()) {
                group.members.push(id.to_owned());
            }
        }
        let confirmed = person.confirmed.then(|| at(self.now));
        let user = self.user(account, id, person.name);
        user.created = person.created.map(at);
        user.confirmed = confirmed;
        user.tags =
            person.tags.iter().map(|(tag, value)| (format!("nss-iam:{tag}"), (*value).to_owned())).collect();
        user.keys = person.keys.iter().map(|good| key(if *good { ED25519 } else { "bad" })).collect();
    }
}

/// The same listing in another order, except for the accounts, whose order matters.
fn turned(listing: &Listing, by: usize) -> Listing {
    fn turn<T>(list: &mut [T], by: usize) {
        if !list.is_empty() {
            let by = by % list.len();
            list.rotate_left(by);
            list[by..].reverse();
        }
    }
    let mut listing = listing.clone();
    for account in &mut listing.accounts {
        turn(&mut account.users, by);
        turn(&mut account.groups, by);
        account.groups.iter_mut().for_each(|group| turn(&mut group.members, by));
        account.users.iter_mut().for_each(|user| turn(&mut user.keys, by));
    }
    listing
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    /// Users come, go, return, are renamed, move; groups and accounts too; tags and `[ids]` appear and disappear.
    #[test]
    fn whatever_happens_no_id_changes_or_is_shared_and_every_plan_is_sound(
        steps in vec(step(), 1..6),
        by in 1..5_usize,
    ) {
        let mut world = World::of(&[]);
        for step in &steps {
            world.be(step);
            let turned = World { listing: turned(&world.listing, by), ..world.clone() };
            let (plan, other) = (world.run(), turned.plan());
            prop_assert_eq!(plan, other, "the order of the listing matters");
        }
    }

    /// On a new host, in whatever order people were hired.
    #[test]
    fn newcomers_never_change_the_name_or_id_of_present_users(
        people in btree_map(select(&USERS[..]), select(&["ana", "bob", "a+b", "a=b"][..]), 2..=USERS.len()),
        order in Just(USERS.to_vec()).prop_shuffle(),
    ) {
        let mut world = World::of(&[]);
        let mut here: BTreeMap<&str, (u32, String)> = BTreeMap::new();
        for id in order {
            let Some(name) = people.get(id) else { continue };
            world.member("", id, name, "G-OPS");
            let plan = world.run();
            for (iam_id, (uid, name)) in &here {
                prop_assert_eq!(plan.active(iam_id), Some(name.as_str()));
                prop_assert_eq!(plan.id(iam_id), *uid);
            }
            match plan.active(id) {
                Some(name) => drop(here.insert(id, (plan.id(id), name.to_owned()))),
                None => prop_assert!(plan.skips.iter().any(|skip| skip.id == id && skip.what == What::User)),
            }
        }
    }
}
