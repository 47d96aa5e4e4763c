//! Recovers a `state.db` that was removed, emptied or restored from an older copy while `cache.db` still has the users.
//! It is rebuilt from the two published files, so that nobody gets an id, name or home of another user, and users who
//! left in the meantime are still disabled. Pure.

use std::collections::BTreeMap;

use cache::snapshot::{self, Cache, Keys, Login};
use cache::state::{Group, Identity, State, User};
use config::Config;
use foldhash::{HashMap, HashMapExt, HashSet};
use listing::Listing;
use policy::{FORWARD_ONLY_HOME, IamId, Id};

/// What a state had lost.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// The number of users and groups that it did not know.
    pub unknown: usize,
    /// It is older than `keys.db`, which a plan publishes after it has saved the state.
    pub is_older: bool,
    /// Whether it was completed otherwise.
    pub taken_over: bool,
}

impl Lost {
    /// Whether the state was changed.
    pub(crate) fn is_any(&self) -> bool {
        self.unknown > 0 || self.taken_over
    }
}

/// Adds what the published files have and the state lacks.
pub(crate) fn recover(state: &mut State, cache: &Cache, keys: &Keys, input: &Sources<'_>) -> Lost {
    let known = ids_of(state);
    // Tens of thousands of searches take less time in it.
    let users: HashMap<&IamId, &User> = state.users.iter().collect();
    let is_known =
        |user: &&snapshot::User| known.get(&user.uid).is_some_and(|iam_id| users.contains_key(iam_id));
    let lost_users: Vec<&snapshot::User> = cache.users.iter().filter(|user| !is_known(user)).collect();
    let private: HashSet<Id> = lost_users.iter().map(|user| user.uid).collect();
    let lost_groups: Vec<&snapshot::Group> = cache
        .groups
        .iter()
        .filter(|group| !known.contains_key(&group.gid) && !private.contains(&group.gid))
        .collect();
    let is_whole = lost_users.is_empty() && lost_groups.is_empty();
    let is_newer =
        |login: &Login| users.get(&login.iam_id).is_some_and(|user| user.confirmed < login.confirmed);
    let is_older = keys.logins.iter().any(is_newer);
    let logins: BTreeMap<Id, &Login> =
        keys.logins.iter().filter(|_| !is_whole).map(|login| (login.uid, login)).collect();
    let whose = if is_whole { BTreeMap::new() } else { input.whose() };
    for group in &lost_groups {
        let own = IamId::of_own_group(&group.name);
        let iam_id = if Id::computed(&own) == group.gid {
            own
        } else {
            let iam_id = whose.get(&group.gid).cloned().unwrap_or_else(|| IamId::of_lost(group.gid));
            let known = Group { account: input.account.to_owned(), name: group.name.clone() };
            state.groups.insert(iam_id.clone(), known);
            iam_id
        };
        state.identities.insert(iam_id, Identity { id: group.gid, pinned: group.pinned });
    }
    let ids = if is_whole { HashMap::new() } else { ids_of(state) };
    for user in &lost_users {
        let login = logins.get(&user.uid);
        let iam_id = known.get(&user.uid).cloned();
        let iam_id = iam_id
            .or_else(|| login.map(|login| login.iam_id.clone()))
            .or_else(|| whose.get(&user.uid).cloned())
            .unwrap_or_else(|| IamId::of_lost(user.uid));
        state.identities.insert(iam_id.clone(), Identity { id: user.uid, pinned: user.pinned });
        let groups =
            user.groups.iter().filter_map(|gid| ids.get(gid)).filter(|id| state.groups.contains_key(id));
        let groups = groups.cloned().collect();
        state.users.insert(iam_id, input.user(user, login.copied(), groups));
    }
    let taken_over = take_over(state, cache, &if is_whole { known } else { ids_of(state) }, input.now);
    Lost { unknown: lost_users.len() + lost_groups.len(), is_older, taken_over }
}

/// Updates users whom an older copy has: a user who is disabled in `cache.db` stays disabled until a listing says
/// otherwise, and the present home is remembered. Returns whether anything changed.
fn take_over(state: &mut State, cache: &Cache, ids: &HashMap<Id, IamId>, now: i64) -> bool {
    let homes: HashSet<&str> = state.homes.keys().map(AsRef::as_ref).collect();
    let unknown = |user: &&snapshot::User| {
        let home = user.passwd.home.as_str();
        home != FORWARD_ONLY_HOME && !homes.contains(home)
    };
    let unknown: Vec<_> = cache.users.iter().filter(unknown).collect();
    let mut changed = false;
    for user in unknown {
        let Some(iam_id) = ids.get(&user.uid) else { continue };
        state.homes.entry(user.passwd.home.as_str().into()).or_insert_with(|| iam_id.clone());
        changed = true;
    }
    for user in cache.users.iter().filter(|user| !user.active) {
        let Some(iam_id) = ids.get(&user.uid) else { continue };
        if let Some(known) = state.users.get_mut(iam_id).filter(|known| known.disabled.is_none()) {
            known.disabled = Some(now);
            changed = true;
        }
    }
    changed
}

fn ids_of(state: &State) -> HashMap<Id, IamId> {
    state.identities.iter().map(|(iam_id, identity)| (identity.id, iam_id.clone())).collect()
}

/// Gives users and groups whose UserId or GroupId was lost their identity back, once the listing has them. Returns whether
/// there were any.
pub(crate) fn reclaim(state: &mut State, sources: &Sources<'_>) -> bool {
    if !state.identities.keys().any(IamId::is_lost) {
        return false;
    }
    let mut found: BTreeMap<IamId, IamId> = BTreeMap::new();
    for (id, iam_id) in sources.whose() {
        let lost = IamId::of_lost(id);
        if state.identities.contains_key(&iam_id) {
            continue;
        }
        if state.identities.contains_key(&lost) {
            found.insert(lost, iam_id);
        }
    }
    state.rename(&found);
    !found.is_empty()
}

/// Other sources that tell who has an id.
pub(crate) struct Sources<'a> {
    listing: &'a Listing,
    config: &'a Config,
    /// The account for users whose account is not known: an incomplete one if possible, since it removes nobody now.
    account: &'a str,
    now: i64,
}

impl<'a> Sources<'a> {
    pub(crate) fn new(listing: &'a Listing, config: &'a Config, now: i64) -> Self {
        let accounts = &listing.accounts;
        let account = accounts.iter().find(|account| !account.complete).or(accounts.first());
        Self { listing, config, account: account.map_or("", |account| &account.name), now }
    }

    /// The UserId or GroupId that would get each id.
    fn whose(&self) -> BTreeMap<Id, IamId> {
        let accounts = self.listing.accounts.iter();
        let listed = accounts.flat_map(|account| {
            let users = account.users.iter().map(|user| user.id.as_str());
            users.chain(account.groups.iter().map(|group| group.id.as_str()))
        });
        listed
            .map(|id| {
                let iam_id = IamId::new(id);
                let pinned = self.config.ids.get(id).and_then(|&id| Id::pinned(id).ok());
                (pinned.unwrap_or_else(|| Id::computed(&iam_id)), iam_id)
            })
            .collect()
    }

    fn user(&self, user: &snapshot::User, login: Option<&Login>, groups: Vec<IamId>) -> User {
        User {
            account: self.account.into(),
            iam_name: user.name.as_str().into(),
            created: "".into(),
            name: user.name.clone(),
            passwd: user.passwd.clone(),
            groups,
            disabled: (!user.active).then_some(self.now),
            hidden: false,
            keys: login.map(|login| login.keys.clone()).unwrap_or_default(),
            confirmed: login.map_or(0, |login| login.confirmed),
            source: login.map(|login| login.source.clone()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use cache::passwd::Passwd;
    use policy::{Field, Name};

    use super::*;

    fn row(iam_id: &str, name: &str, active: bool) -> snapshot::User {
        let field = |text: &str| Field::new(text).unwrap();
        snapshot::User {
            uid: Id::computed(&IamId::new(iam_id)),
            name: Name::new(name).unwrap(),
            pinned: false,
            active,
            passwd: Passwd::new(field(&format!("/home/{name}")), field("/bin/bash"), 20_000),
            groups: vec![Id::computed(&IamId::new("G-OPS"))],
            local: Vec::new(),
        }
    }

    fn group(iam_id: &str, name: &str) -> snapshot::Group {
        let (gid, name) = (Id::computed(&IamId::new(iam_id)), Name::new(name).unwrap());
        snapshot::Group { gid, name, pinned: false, members: Vec::new() }
    }

    fn published() -> (Cache, Keys) {
        let users = vec![row("U-ana", "ana", true), row("U-eve", "eve", true), row("U-old", "old", false)];
        let mut groups: Vec<_> =
            [("U-ana", "ana"), ("U-eve", "eve"), ("G-OPS", "ops"), ("group:iam-users", "iam-users")]
                .map(|(iam_id, name)| group(iam_id, name))
                .into();
        groups.sort_by_key(|group| group.gid);
        let login = |row: &snapshot::User, iam_id: &str| Login {
            uid: row.uid,
            name: row.name.clone(),
            iam_id: IamId::new(iam_id),
            confirmed: 7,
            source: "iam:1".into(),
            keys: Vec::new(),
            forward_only: false,
            principals: Vec::new(),
        };
        let logins = vec![login(&users[0], "U-ana"), login(&users[1], "U-eve")];
        (Cache { users, groups }, Keys { logins, ..Keys::default() })
    }

    fn listing(json: &str) -> Listing {
        Listing::parse(json.as_bytes()).unwrap()
    }

    const ONE: &str = r#"{"version":1,"accounts":[{"groups":[{"id":"G-OPS","name":"Ops","members":["U-ana"]}],
        "users":[{"id":"U-ana","name":"ana"}]}]}"#;

    #[test]
    fn all_that_was_published_is_known_again() {
        let ((cache, keys), listing, config) = (published(), listing(ONE), Config::default());
        let mut state = State::default();
        let sources = Sources::new(&listing, &config, 9);
        // Three users, the group of the source, and the common group.
        assert_eq!(recover(&mut state, &cache, &keys, &sources).unknown, 5);
        let old = IamId::of_lost(Id::computed(&IamId::new("U-old")));
        let ids: Vec<&str> = state.users.keys().map(IamId::as_str).collect();
        assert_eq!(ids, ["U-ana", "U-eve", old.as_str()]);
        let state_of =
            |iam_id: &IamId| (state.users[iam_id].disabled, state.users[iam_id].passwd.home.to_string());
        assert_eq!(state_of(&IamId::new("U-eve")), (None, "/home/eve".to_owned()));
        assert_eq!(state_of(&old), (Some(9), "/home/old".to_owned()));
        assert_eq!(state.users[&IamId::new("U-ana")].groups, [IamId::new("G-OPS")]);
        assert_eq!(state.homes["/home/old"], old);
        for iam_id in ["U-ana", "U-eve", "G-OPS", "group:iam-users"].map(IamId::new) {
            assert_eq!(state.identities[&iam_id].id, Id::computed(&iam_id));
        }
        assert_eq!(recover(&mut state, &cache, &keys, &sources), Lost::default(), "nothing is lost any more");
    }

    #[test]
    fn an_older_copy_gets_those_who_came_since_and_keeps_what_it_knows() {
        let ((cache, keys), listing, config) = (published(), listing(ONE), Config::default());
        let sources = Sources::new(&listing, &config, 9);
        let mut whole = State::default();
        recover(&mut whole, &cache, &keys, &sources);
        let mut state = whole.clone();
        let ana = IamId::new("U-ana");
        state.identities.remove(&ana);
        state.users.remove(&ana);
        state.homes.clear();
        assert_eq!(recover(&mut state, &cache, &keys, &sources).unknown, 1);
        assert_eq!(state, whole);
    }

    #[test]
    fn one_who_left_since_an_older_copy_stays_out_and_one_whose_row_is_gone_is_known_again() {
        let ((cache, keys), listing, config) = (published(), listing(ONE), Config::default());
        let sources = Sources::new(&listing, &config, 9);
        let mut whole = State::default();
        recover(&mut whole, &cache, &keys, &sources);
        let old = IamId::of_lost(Id::computed(&IamId::new("U-old")));
        let mut older = whole.clone();
        older.users.get_mut(&old).unwrap().disabled = None;
        let taken_over = Lost { taken_over: true, ..Lost::default() };
        assert_eq!(recover(&mut older, &cache, &keys, &sources), taken_over);
        assert_eq!(older, whole);
        older.users.get_mut(&IamId::new("U-ana")).unwrap().confirmed -= 1;
        assert!(recover(&mut older, &cache, &keys, &sources).is_older);
        older.users.remove(&IamId::new("U-eve"));
        assert_eq!(recover(&mut older, &cache, &Keys::default(), &sources).unknown, 1);
        assert!(older.users.contains_key(&IamId::new("U-eve")));
    }

    #[test]
    fn one_who_is_listed_again_is_known_by_the_id_that_was_lost() {
        let ((cache, _), config) = (published(), Config::default());
        let nobody = listing(r#"{"version":1,"accounts":[]}"#);
        let mut state = State::default();
        recover(&mut state, &cache, &Keys::default(), &Sources::new(&nobody, &config, 9));
        assert!(state.users.keys().all(IamId::is_lost));
        let listing = listing(ONE);
        reclaim(&mut state, &Sources::new(&listing, &config, 10));
        let ana = IamId::new("U-ana");
        assert_eq!(state.users[&ana].name.as_str(), "ana");
        assert_eq!(state.homes["/home/ana"], ana);
        assert_eq!(state.users[&ana].groups, [IamId::new("G-OPS")]);
        assert!(state.groups.contains_key(&IamId::new("G-OPS")));
        assert_eq!(state.users.keys().filter(|iam_id| iam_id.is_lost()).count(), 2);
    }

    #[test]
    fn of_a_lost_account_nobody_leaves_while_another_is_incomplete() {
        let listing = listing(r#"{"version":1,"accounts":[{"name":""},{"name":"b","complete":false}]}"#);
        let config = Config::default();
        assert_eq!(Sources::new(&listing, &config, 0).account, "b");
    }
}
