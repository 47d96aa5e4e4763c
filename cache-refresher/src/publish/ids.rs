//! Which uid or gid every user and group of a fleet gets. Pure.

use std::collections::{BTreeMap, BTreeSet};

use config::{Config, TagUse};
use foldhash::{HashMap, HashMapExt as _};
use listing::{Listing, User};
use policy::{DISABLED_GROUP, FORWARD_ONLY_GROUP, IamId, Id, Name};

/// The ids of a listing, and what was wished and not given.
pub(super) struct Assigned {
    /// Also of everybody who ever had one.
    pub(super) ids: BTreeMap<String, u32>,
    pub(super) warnings: Vec<String>,
}

/// An id that was given before stays, and no other user or group ever gets it. Others get the one in `[ids]`, the one in
/// the tag, or the first of their series that is free. The order in which they come is that of the rules for hosts.
pub(super) fn assign(config: &Config, listing: &Listing, before: &BTreeMap<String, u32>) -> Assigned {
    let mut given = Given::new(config, before);
    let mut holders = holders(config, before);
    let groups = listing.accounts.iter().flat_map(|account| &account.groups).map(|group| group.id.as_str());
    let mut users: Vec<&User> = listing.accounts.iter().flat_map(|account| &account.users).collect();
    users.sort_by_key(|user| {
        let created = user.created.map_or((true, None), |created| (false, Some(created)));
        (tag(config, user).is_some(), created, &user.id)
    });
    let groups: BTreeSet<&str> = groups.collect();
    for id in groups.iter().copied().chain(users.iter().map(|user| user.id.as_str())) {
        given.pin(id, config.ids.get(id).copied(), &mut holders);
    }
    for id in groups {
        given.first_free(id);
    }
    for user in users {
        given.tagged(&user.id, tag(config, user));
        given.first_free(&user.id);
    }
    Assigned { ids: given.ids, warnings: given.warnings }
}

fn tag<'a>(config: &Config, user: &'a User) -> Option<&'a str> {
    config.tags.value(TagUse::Uid, &user.tags)
}

/// Who was given an id that `[ids]` names.
type Holders<'a> = HashMap<u32, &'a str>;

fn holders<'a>(config: &Config, before: &'a BTreeMap<String, u32>) -> Holders<'a> {
    let pinned: BTreeSet<u32> = config.ids.values().copied().collect();
    let mut holders = HashMap::with_capacity(pinned.len());
    for (id, given) in before.iter().filter(|(_, given)| pinned.contains(given)) {
        holders.entry(*given).or_insert(id.as_str());
    }
    holders
}

struct Given {
    ids: BTreeMap<String, u32>,
    taken: BTreeSet<u32>,
    warnings: Vec<String>,
}

impl Given {
    fn new(config: &Config, before: &BTreeMap<String, u32>) -> Self {
        let own = [config.users.common_group.as_str(), DISABLED_GROUP, FORWARD_ONLY_GROUP];
        let own = own.into_iter().filter_map(|name| Name::new(name).ok());
        let own = own.map(|name| Id::computed(&IamId::of_own_group(&name)).get());
        let configured = config.ids.values().copied();
        let taken = before.values().copied().chain(own).chain(configured).collect();
        Self { ids: before.clone(), taken, warnings: Vec::new() }
    }

    /// `[ids]` reserves the id that it names.
    fn pin<'a>(&mut self, id: &'a str, wanted: Option<u32>, holders: &mut Holders<'a>) {
        let Some(wanted) = wanted else { return };
        match self.ids.get(id) {
            Some(present) if *present == wanted => {}
            Some(present) => self.warn(id, wanted, &format!("it was given {present} before")),
            None => {
                let foreign = Id::pinned(wanted).map(|pin| pin.may_be_pinned(&IamId::new(id), &[]));
                match (holders.get(&wanted), foreign) {
                    (Some(holder), _) => self.warn(id, wanted, &format!("it was given to '{holder}' before")),
                    (None, Ok(Ok(()))) => {
                        holders.insert(wanted, id);
                        self.give(id, wanted);
                    }
                    (None, Ok(Err(foreign))) => self.warn(id, wanted, &foreign.to_string()),
                    (None, Err(invalid)) => self.warn(id, wanted, &invalid.to_string()),
                }
            }
        }
    }

    /// A tag that cannot be used is reported by each host, too.
    fn tagged(&mut self, id: &str, tag: Option<&str>) {
        let Some(tag) = tag.filter(|_| !self.ids.contains_key(id)) else { return };
        match Id::of_tag(tag, &IamId::new(id), None, &[]) {
            Ok(wanted) if !self.taken.contains(&wanted.get()) => self.give(id, wanted.get()),
            Ok(wanted) => self.warn(id, wanted.get(), "another user or group has it"),
            Err(_) => self.warnings.push(format!("the uid tag of '{id}' is not used: it is no valid uid")),
        }
    }

    fn first_free(&mut self, id: &str) {
        if self.ids.contains_key(id) {
            return;
        }
        let iam_id = IamId::new(id);
        let series = Id::series(&iam_id).map(Id::get);
        if let Some(free) = series.take(LONGEST).find(|free| !self.taken.contains(free)) {
            self.give(id, free);
        }
    }

    fn give(&mut self, id: &str, given: u32) {
        self.taken.insert(given);
        self.ids.insert(id.to_owned(), given);
    }

    fn warn(&mut self, id: &str, wanted: u32, why: &str) {
        self.warnings.push(format!("'{id}' does not get the id {wanted}: {why}"));
    }
}

/// How many ids of a series are tried. If half of all ids were taken, one of these would still be free.
const LONGEST: usize = 1000;

#[cfg(test)]
mod tests {
    use listing::{Account, Group};

    use super::*;

    fn user(id: &str, created: &str) -> User {
        User { id: id.to_owned(), name: id.to_owned(), created: created.parse().ok(), ..User::default() }
    }

    fn listing(users: Vec<User>) -> Listing {
        let groups = vec![Group { id: "AGPA1".to_owned(), name: "G".to_owned(), ..Group::default() }];
        Listing {
            version: listing::VERSION,
            accounts: vec![Account { groups, users, ..Account::default() }],
            ..Listing::default()
        }
    }

    fn computed(id: &str) -> u32 {
        Id::computed(&IamId::new(id)).get()
    }

    fn second(id: &str) -> u32 {
        Id::series(&IamId::new(id)).nth(1).unwrap().get()
    }

    /// Two ids of users with the same computed uid.
    fn pair() -> (String, String) {
        let mut seen = BTreeMap::new();
        (0_u32..)
            .find_map(|number| {
                let id = format!("AIDA{number}");
                seen.insert(computed(&id), id.clone()).map(|first| (first, id))
            })
            .unwrap()
    }

    const EARLY: &str = "2020-01-01T00:00:00Z";
    const LATE: &str = "2026-01-01T00:00:00Z";

    #[test]
    fn users_and_groups_get_the_ids_that_hosts_would_compute() {
        let assigned = assign(&Config::default(), &listing(vec![user("AIDAX", EARLY)]), &BTreeMap::new());
        let expected = [("AGPA1", computed("AGPA1")), ("AIDAX", computed("AIDAX"))];
        assert_eq!(assigned.ids, expected.map(|(id, given)| (id.to_owned(), given)).into());
        assert!(assigned.warnings.is_empty());
    }

    #[test]
    fn a_collision_is_resolved_for_the_one_who_came_first_and_whoever_has_the_id_keeps_it() {
        let (one, other) = pair();
        let both = |first: &str, second: &str| listing(vec![user(first, EARLY), user(second, LATE)]);
        for (first, later) in [(&one, &other), (&other, &one)] {
            let ids = assign(&Config::default(), &both(first, later), &BTreeMap::new()).ids;
            assert_eq!((ids[first], ids[later]), (computed(first), second(later)));
            // Whoever comes first at the source, and also if the holder has left.
            let again = assign(&Config::default(), &both(later, first), &ids).ids;
            assert_eq!(again, ids);
            let left = assign(&Config::default(), &listing(Vec::new()), &ids).ids;
            assert_eq!(left, ids);
            let alone = BTreeMap::from([(later.clone(), computed(later))]);
            let ids = assign(&Config::default(), &listing(vec![user(first, EARLY)]), &alone).ids;
            assert_eq!((ids[later], ids[first]), (computed(later), second(first)));
        }
    }

    #[test]
    fn a_user_keeps_an_id_through_a_new_name_and_gets_a_new_one_if_re_created() {
        let before = assign(&Config::default(), &listing(vec![user("AIDA1", EARLY)]), &BTreeMap::new()).ids;
        let renamed = User { name: "other".to_owned(), ..user("AIDA1", EARLY) };
        assert_eq!(assign(&Config::default(), &listing(vec![renamed]), &before).ids, before);
        let re_created = User { name: "AIDA1".to_owned(), ..user("AIDA2", LATE) };
        let ids = assign(&Config::default(), &listing(vec![re_created]), &before).ids;
        assert_eq!((ids["AIDA1"], ids["AIDA2"]), (before["AIDA1"], computed("AIDA2")));
    }

    #[test]
    fn the_configuration_comes_before_tags_and_tags_before_the_computation_but_nothing_changes_an_id() {
        let mut config = Config { ids: BTreeMap::from([("AIDA1".to_owned(), 2000)]), ..Config::default() };
        config.tags.uses = vec![TagUse::Uid];
        let tagged = |id: &str, uid: &str| User {
            tags: BTreeMap::from([("nss-iam:uid".to_owned(), uid.to_owned())]),
            ..user(id, EARLY)
        };
        let users = vec![
            tagged("AIDA1", "2001"),
            tagged("AIDA2", "2002"),
            tagged("AIDA3", "2000"),
            tagged("AIDA4", "x"),
        ];
        let assigned = assign(&config, &listing(users.clone()), &BTreeMap::new());
        let of = |ids: &BTreeMap<String, u32>| ["AIDA1", "AIDA2", "AIDA3", "AIDA4"].map(|id| ids[id]);
        assert_eq!(of(&assigned.ids), [2000, 2002, computed("AIDA3"), computed("AIDA4")]);
        assert_eq!(assigned.warnings.len(), 2, "{:?}", assigned.warnings);
        config.ids = BTreeMap::from([
            ("AIDA1".to_owned(), 2002),
            ("AIDA9".to_owned(), 2000),
            ("AIDA5".to_owned(), 60_001),
        ]);
        let users = [users, vec![user("AIDA9", LATE), user("AIDA5", LATE)]].concat();
        let later = assign(&config, &listing(users), &assigned.ids);
        assert_eq!(of(&later.ids), of(&assigned.ids));
        assert_eq!((later.ids["AIDA9"], later.ids["AIDA5"]), (computed("AIDA9"), computed("AIDA5")));
        assert_eq!(later.warnings.len(), 3, "{:?}", later.warnings);
        let held = "'AIDA9' does not get the id 2000: it was given to 'AIDA1' before";
        assert!(later.warnings.iter().any(|warning| warning == held), "{:?}", later.warnings);
    }

    #[test]
    fn an_id_that_is_pinned_twice_goes_to_one_who_keeps_it() {
        let pins = [("AIDA1", 2000), ("AIDA2", 2000)].map(|(id, pin)| (id.to_owned(), pin));
        let config = Config { ids: pins.into(), ..Config::default() };
        let users = || vec![user("AIDA2", EARLY), user("AIDA1", LATE)];
        let first = assign(&config, &listing(users()), &BTreeMap::new());
        assert_eq!((first.ids["AIDA2"], first.ids["AIDA1"]), (2000, computed("AIDA1")));
        assert_eq!(first.warnings, ["'AIDA1' does not get the id 2000: it was given to 'AIDA2' before"]);
        assert_eq!(assign(&config, &listing(users()), &first.ids).ids, first.ids);
    }

    #[test]
    fn no_id_is_that_of_a_group_of_nss_iam_or_reserved_by_the_configuration() {
        let common = Id::computed(&IamId::of_own_group(&Name::new("iam-users").unwrap())).get();
        assert!(Given::new(&Config::default(), &BTreeMap::new()).taken.contains(&common));
        let config =
            Config { ids: BTreeMap::from([("AIDA9".to_owned(), computed("AIDA1"))]), ..Config::default() };
        let ids = assign(&config, &listing(vec![user("AIDA1", EARLY)]), &BTreeMap::new()).ids;
        assert_eq!(ids["AIDA1"], second("AIDA1"));
    }
}
