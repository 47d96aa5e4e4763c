//! A host with nss-iam installed, in a separate account.

use listing::Listing;
use serde_json::Value;
use tests::{Account, Call, Fault, FaultProxy, Machine, text};

/// Two groups, five users, one key each.
pub(crate) const GROUPS: &str = "groups = [\"G\", \"H\"]\n";

pub(crate) struct Host {
    pub(crate) machine: Machine,
    pub(crate) account: Account,
}

/// The result of a refresh.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) said: String,
    pub(crate) listing: Option<Listing>,
}

impl Host {
    /// With `ana`, `bob`, `eve`, `joe` and `zoe` in G and `ana` in H, already read once; None without root.
    pub(crate) fn refreshed() -> Option<(Self, Listing)> {
        let host = Self::seeded(&five())?;
        host.machine.config(GROUPS);
        let first = host.refresh();
        assert_eq!(first.status, Some(0), "{first:?}");
        let listing = first.listing.unwrap();
        assert_eq!(names(&listing), ["ana", "bob", "eve", "joe", "zoe"]);
        Some((host, listing))
    }

    pub(crate) fn seeded(wish: &Value) -> Option<Self> {
        let machine = Machine::enter()?;
        machine.install();
        let account = Account::new();
        account.seed(wish.clone());
        Some(Self { machine, account })
    }

    pub(crate) fn refresh(&self) -> Ended {
        self.refresh_with(&self.account.direct(), &[])
    }

    pub(crate) fn refresh_with(&self, environment: &[(&'static str, String)], more: &[&str]) -> Ended {
        let line = [&["/usr/libexec/nss-iam/cache-refresher", "fetch"], more].concat();
        let mut command = self.machine.command(&line);
        let ran = command.envs(environment.iter().cloned()).output().unwrap();
        Ended {
            status: ran.status.code(),
            said: text(&ran.stderr).to_owned(),
            listing: tests::left_listing(),
        }
    }

    /// Refreshes through a proxy, which is returned with the calls that it saw.
    pub(crate) fn refresh_through(
        &self,
        decide: impl Fn(&Call) -> Fault + Send + Sync + 'static,
    ) -> (Ended, FaultProxy) {
        let proxy = FaultProxy::start(&self.account, decide);
        (self.refresh_with(&self.account.env(&proxy.url()), &[]), proxy)
    }

    /// Sets how long a refresh may take.
    pub(crate) fn give(&self, time: &str) {
        self.machine.config(&format!("{GROUPS}[aws]\ntimeout = \"{time}\"\n"));
    }
}

pub(crate) fn five() -> Value {
    let users = ["ana", "bob", "eve", "joe", "zoe"];
    serde_json::json!({
        "users": users.map(|name| serde_json::json!({"name": name, "keys": 1})),
        "groups": {"G": users, "H": ["ana"]},
    })
}

impl Ended {
    /// The message names call, cause and hint, and the status is the documented one.
    pub(crate) fn told(&self, status: i32, words: &[&str]) -> &Self {
        assert_eq!(self.status, Some(status), "{self:?}");
        for word in words {
            assert!(self.said.contains(word), "no '{word}' in: {}", self.said);
        }
        self
    }

    /// All data is unchanged, byte for byte; only the time of the attempt differs.
    pub(crate) fn kept(&self, before: &Listing) -> &Self {
        let mut after = self.listing.clone().unwrap();
        after.read = before.read;
        for account in &mut after.accounts {
            account.errors.clear();
        }
        let bytes = |listing: &Listing| serde_json::to_string_pretty(listing).unwrap();
        assert_eq!(bytes(&after), bytes(before));
        self
    }

    pub(crate) fn names(&self) -> Vec<String> {
        names(self.listing.as_ref().unwrap())
    }

    pub(crate) fn user(&self, name: &str) -> listing::User {
        user(self.listing.as_ref().unwrap(), name)
    }
}

/// The names of the users of all accounts, in order.
pub(crate) fn names(listing: &Listing) -> Vec<String> {
    let users = listing.accounts.iter().flat_map(|account| &account.users);
    let mut names: Vec<_> = users.map(|user| user.name.clone()).collect();
    names.sort();
    names
}

pub(crate) fn user(listing: &Listing, name: &str) -> listing::User {
    let mut users = listing.accounts.iter().flat_map(|account| &account.users);
    users.find(|user| user.name == name).expect(name).clone()
}
