//! A host on which somebody would leave by mistake, with the whole refresher, and what must happen there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Mutex;

use serde_json::{Value, json};
use tests::{Account, Call, Fault, FaultProxy, Host, LISTING, Person, REFRESHER, Ran, published};

pub(crate) const CONFIG: &str = "groups = [\"G\", \"H\"]\n[local_groups]\nG = [\"users\"]\n";

/// The second account of [`Site::of_two`].
const SECOND: &str = "groups = [\"M\"]\n";

/// A host that has published `ana` (G, H), `bob` and `eve` (G), and `zoe` (H).
pub(crate) struct Site {
    pub(crate) host: Host,
    pub(crate) account: Account,
    pub(crate) other: Account,
    pub(crate) before: BTreeMap<String, Person>,
}

fn four() -> Value {
    let user = |name: &str| json!({"name": name, "keys": 2});
    let users = ["ana", "bob", "eve", "zoe", "max"].map(user);
    json!({"users": users, "groups": {"G": ["ana", "bob", "eve"], "H": ["ana", "zoe"], "Z": ["max"]}})
}

impl Site {
    pub(crate) fn new(config: impl Fn(&Account) -> String, prepare: impl Fn(&Account)) -> Option<Self> {
        let host = Host::new()?;
        let (account, other) = (Account::new(), Account::new());
        account.seed(four());
        other.seed(json!({
            "users": [{"name": "moe", "keys": 1}, {"name": "max", "keys": 1}],
            "groups": {"M": ["moe", "max"], "G": ["max"], "H": []},
            "roles": [{"name": "Look"}],
        }));
        prepare(&account);
        host.machine.config(&config(&other));
        let mut site = Self { host, account, other, before: BTreeMap::new() };
        site.refresh(&[]).told(0, &[]);
        site.before = published();
        Some(site)
    }

    pub(crate) fn start() -> Option<Self> {
        Self::new(|_| CONFIG.to_owned(), |_| {})
    }

    /// With `moe` and `max` in a second AWS account.
    pub(crate) fn of_two() -> Option<Self> {
        Self::new(|other| format!("{CONFIG}{}", second(other, "second")), |_| {})
    }

    pub(crate) fn config(&self, toml: &str) {
        self.host.machine.config(toml);
    }

    pub(crate) fn groups(&self, groups: &str) {
        self.config(&format!("groups = {groups}\n[local_groups]\nG = [\"users\"]\n"));
    }

    pub(crate) fn refresh(&self, words: &[&str]) -> Ran {
        self.refresh_at(&self.account.direct(), words)
    }

    fn refresh_at(&self, environment: &[(&'static str, String)], words: &[&str]) -> Ran {
        let mut command = self.host.machine.command(&[&[REFRESHER], words].concat());
        command.envs(environment.iter().cloned()).output().unwrap().into()
    }

    /// The first answer about each group has no members.
    pub(crate) fn refresh_on_half_an_answer(&self) -> Ran {
        let seen = Mutex::new(BTreeSet::new());
        let proxy = FaultProxy::start(&self.account, move |call: &Call| match call.params.get("GroupName") {
            Some(group) if seen.lock().unwrap().insert((call.action.clone(), group.clone())) => {
                Fault::no_members()
            }
            _ => Fault::Pass,
        });
        self.refresh_at(&self.account.env(&proxy.url()), &[])
    }

    /// Asserts that no present user has lost anything, except those who are named. Returns the other users.
    #[track_caller]
    pub(crate) fn all_stay_but(&self, gone: &[&str], ran: &Ran) -> Vec<String> {
        let mut now = published();
        for (name, person) in self.before.iter().filter(|(name, _)| !gone.contains(&name.as_str())) {
            assert_eq!(now.remove(name).as_ref(), Some(person), "{name}: {ran:?}");
        }
        now.into_keys().collect()
    }
}

pub(crate) fn second(other: &Account, name: &str) -> String {
    format!("[[account]]\nname = \"{name}\"\nrole = \"{}\"\n{SECOND}", other.role_arn("Look"))
}

pub(crate) trait Told {
    fn told(&self, status: i32, words: &[&str]) -> &Self;
}

impl Told for Ran {
    #[track_caller]
    fn told(&self, status: i32, words: &[&str]) -> &Self {
        assert_eq!(self.status, Some(status), "{}", self.err);
        for word in words {
            assert!(self.err.contains(word), "no '{word}' in: {}", self.err);
        }
        self
    }
}

/// What a host does in this state.
pub(crate) struct State<'a> {
    pub(crate) status: i32,
    pub(crate) words: &'a [&'a str],
    /// Users who join nevertheless.
    pub(crate) joined: &'a [&'a str],
    /// The user who then leaves, and the change in IAM. None: no user who can still be queried.
    pub(crate) leaver: Option<(&'a str, Value)>,
    /// The users after `--force`, and its exit status.
    pub(crate) forced: (&'a [&'a str], i32),
}

/// Refreshes follow each other, the listing is lost, an answer is truncated: only users who leave are removed.
#[track_caller]
pub(crate) fn holds(site: &Site, state: &State<'_>) {
    for _ in 0..2 {
        let ran = site.refresh(&[]);
        ran.told(state.status, state.words);
        assert_eq!(site.all_stay_but(&[], &ran), state.joined);
    }
    fs::remove_file(LISTING).unwrap();
    let ran = site.refresh(&[]);
    ran.told(state.status, state.words);
    assert_eq!(site.all_stay_but(&[], &ran), state.joined);
    fs::remove_file(LISTING).unwrap();
    let ran = site.refresh_on_half_an_answer();
    assert_eq!(site.all_stay_but(&[], &ran), state.joined);
    if let Some((name, change)) = &state.leaver {
        let of = if site.before.keys().any(|known| known == "moe") { &site.other } else { &site.account };
        of.change(change.clone());
        let ran = site.refresh(&[]);
        ran.told(state.status, &[]);
        site.all_stay_but(&[name], &ran);
        assert!(!published().contains_key(*name), "{}", ran.err);
    }
    let ran = site.refresh(&["--force"]);
    ran.told(state.forced.1, &[]);
    let names: Vec<String> = published().into_keys().collect();
    assert_eq!(names, state.forced.0, "{}", ran.err);
    let ran = site.refresh(&[]);
    assert_eq!(published().into_keys().collect::<Vec<_>>(), names, "{}", ran.err);
}

pub(crate) fn eve_leaves() -> Option<(&'static str, Value)> {
    Some(("eve", json!({"do": "delete_user", "user": "eve"})))
}
