//! The user that a name refers to: the login name, what was published and is remembered under it, and the user of the source.

use std::collections::BTreeMap;

use cache::snapshot::{Cache, Login, User};
use cache::state::{self, State};
use config::Config;
use jiff::Timestamp;
use message::near;
use policy::precedence::{Age, LastHolder, UserClaim};
use policy::{IamId, KeyLine, Name};
use status::{Skip, What};

use crate::host::published::Published;
use crate::inspect::facts::Facts;
use crate::inspect::facts::names::{Holder, holders};

/// Everything that this host knows of a user.
#[derive(Debug, Clone)]
pub(crate) struct Who<'a> {
    /// The login name; the argument, if no user has it.
    pub name: String,
    /// UserId.
    pub id: Option<String>,
    /// The account's name in the configuration, and the user of the listing.
    pub listed: Option<(&'a listing::Account, &'a listing::User)>,
    pub remembered: Option<(&'a IamId, &'a state::User)>,
    pub cached: Option<&'a User>,
    pub login: Option<&'a Login>,
    pub skips: Vec<&'a Skip>,
}

/// A key that is not active at the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inactive {
    /// SSHPublicKeyId.
    pub id: String,
    pub fingerprint: Option<String>,
}

/// Where a key is at the source, so that it can be revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// SSHPublicKeyId; empty in a document without ids.
    Key(String),
    /// The tag; of a key in parts, the first one, without which it is no key.
    Tag(String),
}

impl Origin {
    /// `tag 'nss-iam:ssh-key'`, `key 'APKA1'`.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Key(id) if id.is_empty() => String::new(),
            Self::Key(id) => format!("key '{id}'"),
            Self::Tag(tag) => format!("tag '{tag}'"),
        }
    }
}

impl<'a> Who<'a> {
    /// By login name, or else by the name at the source, in any case, or by UserId; or else by what the refresher makes of
    /// the name: `Jane.Doe@Example.com` is `jane.doe` if the domain is removed.
    pub(crate) fn find(asked: &str, facts: &'a Facts) -> Self {
        let who = Self::called(asked, facts);
        if who.is_known() || facts.passwd.contains_key(asked) {
            return who;
        }
        let spelled = facts.configured().users.mapping().spelling(asked);
        let other = Self::called(&spelled, facts);
        if other.is_known() || facts.passwd.contains_key(&spelled) { other } else { who }
    }

    fn called(asked: &str, facts: &'a Facts) -> Self {
        let config = facts.configured();
        let published = &facts.published;
        let state = published.state.as_ref().ok();
        let known = remembered(asked, state);
        let listed = listed(asked, published, config, known);
        let remembered = match listed {
            Some((_, user)) => state.and_then(|state| state.users.get_key_value(&IamId::new(&user.id))),
            None => known,
        };
        let id = listed.map(|(_, user)| user.id.clone()).or_else(|| remembered.map(|(id, _)| id.to_string()));
        let name = match (remembered, listed) {
            (Some((_, user)), _) => user.name.to_string(),
            (None, Some((_, user))) => login_name(user, published, config),
            (None, None) => asked.to_owned(),
        };
        let users = published.cache.as_ref().map_or(&[][..], |cache| &cache.users);
        let by_uid = remembered.and_then(|(id, _)| state?.identities.get(id)).map(|known| known.id);
        let cached = match by_uid {
            Some(uid) => users.iter().find(|user| user.uid == uid),
            // If this user was never published, the row with this name belongs to another one.
            None if id.is_some() && published.state.is_ok() => None,
            None => users.iter().find(|user| user.name.as_str() == name),
        };
        let logins = published.keys.as_ref().map_or(&[][..], |keys| &keys.logins);
        let login = logins.iter().find(|login| cached.is_some_and(|user| user.uid == login.uid));
        let id = id.or_else(|| login.map(|login| login.iam_id.to_string()));
        let skips = published.status.iter().flat_map(|status| &status.skips);
        let skips = skips.filter(|skip| {
            skip.what != What::Group
                && match &id {
                    Some(id) => skip.id == *id,
                    // Its tags are not known here.
                    None => {
                        skip.id == asked
                            || is(&config.users.mapping().spelling(&skip.name), &skip.name, asked)
                    }
                }
        });
        let skips = skips.collect();
        Self { name, id, listed, remembered, cached, login, skips }
    }

    /// The name at the source.
    pub(crate) fn iam_name(&self) -> Option<&str> {
        let listed = self.listed.map(|(_, user)| user.name.as_str());
        let remembered = self.remembered.map(|(_, user)| &*user.iam_name);
        listed.or(remembered).or_else(|| self.skips.first().map(|skip| skip.name.as_str()))
    }

    /// Where each active key is at the source, by fingerprint: its id, or the tag that has it.
    pub(crate) fn origins(&self, config: &Config) -> BTreeMap<String, Origin> {
        self.listed.map(|(_, user)| origins(user, config)).unwrap_or_default()
    }

    /// The inactive keys: their ids, and fingerprints if they were active once.
    pub(crate) fn inactive(&self) -> Vec<Inactive> {
        let keys = self.listed.map_or(&[][..], |(_, user)| &user.keys);
        let inactive = keys.iter().filter(|key| !key.active);
        inactive.map(|key| Inactive { id: key.id.clone(), fingerprint: fingerprint(&key.body) }).collect()
    }

    /// The user's published names: the login name, and the names of the user's groups.
    pub(crate) fn names(&self, facts: &Facts) -> BTreeMap<String, Holder> {
        let mut names = holders(&facts.published, &facts.configured().users.common_group);
        let user = self.cached.filter(|user| user.active);
        names.retain(|_, holder| {
            user.is_some_and(|user| {
                user.uid.get() == holder.id || user.groups.iter().any(|gid| gid.get() == holder.id)
            })
        });
        names
    }

    /// Whether anything here knows of such a user.
    pub(crate) fn is_known(&self) -> bool {
        self.id.is_some() || self.cached.is_some() || !self.skips.is_empty()
    }
}

/// The login names that were probably meant by one that nobody has.
pub(crate) fn meant(asked: &str, cache: Option<&Cache>) -> Vec<String> {
    let users = cache.into_iter().flat_map(|cache| &cache.users).map(|user| user.name.as_str());
    near::meant(asked, users).into_iter().map(str::to_owned).collect()
}

/// Where each active key of a user is at the source, by fingerprint.
pub(crate) fn origins(user: &listing::User, config: &Config) -> BTreeMap<String, Origin> {
    let keys = user.keys.iter().filter(|key| key.active);
    let keys = keys.map(|key| (key.body.as_str(), Origin::Key(key.id.clone())));
    let tagged = config.tags.keys(&user.tags);
    let tags =
        tagged.iter().filter_map(|key| Some((key.body.as_deref().ok()?, Origin::Tag(key.tag.to_owned()))));
    // A key that is in both places is named by its id: untagging it would not revoke it.
    let found = tags.chain(keys).filter_map(|(body, origin)| Some((fingerprint(body)?, origin)));
    found.collect()
}

/// The fingerprint of a key, as sshd shows it; `None` if it cannot be read.
pub(crate) fn fingerprint(body: &str) -> Option<String> {
    Some(KeyLine::read(body).ok()?.fingerprint().to_owned())
}

fn is(login: &str, iam_name: &str, asked: &str) -> bool {
    login == asked || iam_name.eq_ignore_ascii_case(asked)
}

/// The user of that name in `state.db`. If there are several: the one who has the name now, or else the one who left last.
fn remembered<'a>(asked: &str, state: Option<&'a State>) -> Option<(&'a IamId, &'a state::User)> {
    let users = state.into_iter().flat_map(|state| &state.users);
    let called = users
        .filter(|(iam_id, user)| iam_id.as_str() == asked || is(user.name.as_str(), &user.iam_name, asked));
    called.min_by_key(|(iam_id, user)| {
        (user.disabled.is_some(), user.name.as_str() != asked, LastHolder::new(user.disabled, iam_id))
    })
}

/// The user of that name in the listing: the one who is active in `state.db`, or else the first one who would get it.
fn listed<'a>(
    asked: &str,
    published: &'a Published,
    config: &Config,
    known: Option<(&IamId, &state::User)>,
) -> Option<(&'a listing::Account, &'a listing::User)> {
    let active = known.filter(|(_, user)| user.disabled.is_none()).map(|(iam_id, _)| iam_id);
    let mut called = Vec::new();
    let accounts = published.listing.iter().flat_map(|listing| &listing.accounts);
    for (rank, account) in accounts.enumerate() {
        for user in &account.users {
            let iam_id = IamId::new(&user.id);
            if active == Some(&iam_id) {
                return Some((account, user));
            }
            let login = login_name(user, published, config);
            if user.id == asked || is(&login, &user.name, asked) {
                called.push((rank, account, user, iam_id, login));
            }
        }
    }
    let names = published.state.iter().flat_map(|state| &state.names);
    let last = names.filter(|(name, _)| name.as_str() == asked).map(|(_, iam_id)| iam_id).next();
    let first = called.iter().min_by_key(|(rank, _, user, iam_id, login)| {
        let claim = UserClaim {
            tagged: config.users.mapping().spelling(&user.name) != *login,
            newcomer: last != Some(iam_id),
            account: *rank,
            age: Age::new(user.created.map(Timestamp::as_nanosecond), iam_id),
        };
        (login != asked, claim)
    });
    first.map(|(_, account, user, ..)| (*account, *user))
}

/// The name that the refresher gave to a user of the listing, or would give if the host and all others leave it free.
fn login_name(user: &listing::User, published: &Published, config: &Config) -> String {
    let known = published.state.as_ref().ok().and_then(|state| state.users.get(&IamId::new(&user.id)));
    if let Some(known) = known.filter(|known| known.disabled.is_none()) {
        return known.name.to_string();
    }
    let is_free = |name: &Name| !config.names.reserves(name.as_str(), &user.id);
    let login = config.login(&user.name, &user.tags, |name| name.ok().filter(is_free).ok_or(()));
    // Nobody gets this name, but it may be what was asked for.
    login.name.map_or_else(|()| config.users.mapping().spelling(&user.name), |name| name.to_string())
}
