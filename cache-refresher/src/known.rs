//! `known.db`: the configuration of the last successful refresh, and the users who were read with it. It is used if the
//! current configuration is invalid, or the listing is missing or damaged. The apply half writes it, both halves read it.

mod earlier;

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::iter;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use cache::parts;
use cache::publish::Error;
use cache::schema::KNOWN;
use config::{Config, Source};
use foldhash::{HashMap, HashSet};
use listing::{Account, Group, Listing, User};
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

/// The names of its parts: [`CONFIGURATION`], `account/00000`, `account/00000/group/AGPAEXAMPLE`, `account/00000/user/AIDAEXAMPLE`.
const CONFIGURATION: &str = "configuration";
const ACCOUNT: &str = "account";
const GROUP: &str = "group";
const USER: &str = "user";

/// What is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// Paths and texts of the configuration, in the order in which they are merged.
    configuration: Vec<(PathBuf, String)>,
    /// The users and groups that each source of published users listed last, the current source first. Without times, which
    /// change with every refresh.
    accounts: Vec<Of>,
}

/// An account of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Of {
    source: String,
    account: Account,
}

/// The part `account/…`.
#[derive(Serialize, Deserialize)]
struct AccountPart {
    source: String,
    name: String,
    id: String,
}

/// The part `account/…/user/…`: the user, and the ids of the user's groups.
#[derive(Serialize, Deserialize)]
struct UserPart<Id> {
    user: User,
    groups: Vec<Id>,
}

impl Known {
    /// `None` if it cannot be used. That is no error, since it is only a fallback.
    pub(crate) fn read(directory: &Path) -> Option<Self> {
        if let Some(document) = trusted(&directory.join(earlier::NAME)).ok().and_then(earlier::read) {
            return Some(Self::of_earlier(document));
        }
        let path = directory.join(KNOWN.name);
        trusted(&path).ok()?;
        Self::of_parts(parts::read(&path, KNOWN).ok()?)
    }

    fn of_earlier(earlier: earlier::Document) -> Self {
        let accounts = earlier.listings.into_iter().flat_map(|Listing { source, accounts, .. }| {
            accounts.into_iter().map(move |account| Of { source: source.clone(), account })
        });
        Self { configuration: earlier.configuration, accounts: accounts.collect() }
    }

    fn of_parts(parts: Vec<(String, String)>) -> Option<Self> {
        let mut known = Self::default();
        for (name, content) in parts {
            let steps: Vec<&str> = name.split('/').collect();
            match *steps {
                [CONFIGURATION] => known.configuration = serde_json::from_str(&content).ok()?,
                [ACCOUNT, _] => {
                    let AccountPart { source, name, id } = serde_json::from_str(&content).ok()?;
                    known.accounts.push(Of { source, account: Account { name, id, ..Account::default() } });
                }
                [ACCOUNT, _, GROUP, _] => {
                    let group = serde_json::from_str(&content).ok()?;
                    known.accounts.last_mut()?.account.groups.push(group);
                }
                [ACCOUNT, _, USER, _] => {
                    let UserPart { user, groups } =
                        serde_json::from_str::<UserPart<String>>(&content).ok()?;
                    let account = &mut known.accounts.last_mut()?.account;
                    for id in groups {
                        let at = account.groups.binary_search_by(|group| group.id.cmp(&id)).ok()?;
                        account.groups.get_mut(at)?.members.push(user.id.clone());
                    }
                    account.users.push(user);
                }
                // Of a later release.
                _ => {}
            }
        }
        Some(known)
    }

    /// The configuration, if its main file is at `main`.
    pub(crate) fn configuration(&self, main: &Path) -> Option<Config> {
        self.configuration.first().filter(|(path, _)| path == main)?;
        Config::parse(&self.configuration).ok()
    }

    /// The accounts of this source that were published, the latest first.
    pub(crate) fn accounts_of(self, source: &Source) -> Vec<Account> {
        self.accounts.into_iter().filter(|of| source.has_url(&of.source)).map(|of| of.account).collect()
    }

    /// Writes what differs from the present file. `published` are the UserIds of all users who are present: those whom the
    /// listing lacks stay known, so that they are found again when a mistake in the configuration is corrected. `gid` is the
    /// group of the fetch half, which reads it.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) fn record<'a>(
        directory: &Path,
        configuration: &[(PathBuf, String)],
        listing: &Listing,
        published: impl Iterator<Item = &'a str>,
        gid: Option<u32>,
    ) -> Result<(), Error> {
        let users = listing.accounts.iter().flat_map(|account| &account.users);
        let listed: HashSet<&str> = users.map(|user| user.id.as_str()).collect();
        let missing: BTreeSet<&str> = published.filter(|id| !listed.contains(id)).collect();
        let former = if missing.is_empty() { None } else { Self::read(directory) };
        let former = former.map(|known| known.only(&missing)).unwrap_or_default();
        let current = listing.accounts.iter().map(|account| (listing.source.as_str(), account));
        let former = former.iter().map(|of| (of.source.as_str(), &of.account));
        let accounts: Vec<(&str, &Account)> = current.chain(former).collect();
        parts::write(directory, KNOWN, gid, || all_parts(configuration, &accounts))?;
        earlier::remove(directory)
    }

    /// The accounts of these users, without anybody else.
    fn only(self, users: &BTreeSet<&str>) -> Vec<Of> {
        let mut accounts = self.accounts;
        for Of { account, .. } in &mut accounts {
            account.users.retain(|user| users.contains(user.id.as_str()));
            let ids: BTreeSet<&str> = account.users.iter().map(|user| user.id.as_str()).collect();
            account.groups.iter_mut().for_each(|group| group.members.retain(|id| ids.contains(id.as_str())));
        }
        accounts.retain(|of| !of.account.users.is_empty());
        accounts
    }
}

/// In the order of their names.
fn all_parts<'a>(
    configuration: &'a [(PathBuf, String)],
    accounts: &'a [(&'a str, &'a Account)],
) -> impl Iterator<Item = (String, String)> + 'a {
    let accounts = accounts
        .iter()
        .enumerate()
        .flat_map(|(number, (source, account))| parts_of(format!("{ACCOUNT}/{number:05}"), source, account));
    // A path that is no text is not the one that is asked for, later.
    let configuration = configuration.iter().map(|(path, text)| (path.to_string_lossy(), text));
    let configuration: Vec<_> = configuration.collect();
    accounts.chain(iter::once((CONFIGURATION.to_owned(), json(&configuration))))
}

fn parts_of<'a>(
    name: String,
    source: &str,
    account: &'a Account,
) -> impl Iterator<Item = (String, String)> + 'a {
    let mut groups: Vec<&Group> = account.groups.iter().collect();
    groups.sort_unstable_by_key(|group| &group.id);
    let mut users: Vec<&User> = account.users.iter().collect();
    users.sort_unstable_by_key(|user| &user.id);
    let mut groups_of: HashMap<&str, Vec<&str>> = HashMap::default();
    for group in &groups {
        group.members.iter().for_each(|id| groups_of.entry(id).or_default().push(&group.id));
    }
    let about = AccountPart { source: source.to_owned(), name: account.name.clone(), id: account.id.clone() };
    let about = iter::once((name.clone(), json(&about)));
    let of_groups = format!("{name}/{GROUP}");
    let groups = groups.into_iter().map(move |group| {
        let Group { id, name, renamed, unconfigured, members: _ } = group;
        let (id, name, renamed) = (id.clone(), name.clone(), renamed.clone());
        let content = json(&Group { id, name, renamed, unconfigured: *unconfigured, members: Vec::new() });
        (format!("{of_groups}/{}", group.id), content)
    });
    let of_users = format!("{name}/{USER}");
    let users = users.into_iter().map(move |user| {
        let groups = groups_of.remove(user.id.as_str()).unwrap_or_default();
        let user = User { confirmed: None, missing: None, ..user.clone() };
        (format!("{of_users}/{}", user.id), json(&UserPart { user, groups }))
    });
    about.chain(groups).chain(users)
}

/// Texts, numbers and times always have a form in JSON.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The file, if it belongs to root and nobody else may be able to write it.
fn trusted(path: &Path) -> io::Result<File> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.uid() != 0 || found.mode() & 0o022 != 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs::{self, Permissions};
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;

    fn listing(json: &str) -> Listing {
        Listing::parse(json.as_bytes()).unwrap()
    }

    const ONE: &str = r#"{"version":1,"source":"iam:","read":"2026-11-22T18:00:00Z","accounts":[{"id":"123456789012",
        "groups":[{"id":"G2","name":"Ops","members":["1","2"]},{"id":"G1","name":"Dev","members":["2"],"unconfigured":true}],
        "users":[{"id":"2","name":"eve","tags":{"iam:uid":"7"},"keys":[{"id":"K","body":"ssh-ed25519 AAAA"}]},
        {"id":"1","name":"ana","confirmed":"2026-11-22T18:00:00Z"}]}]}"#;
    const TWO: &str = r#"{"version":1,"source":"file:///x","accounts":[{"groups":[{"id":"G1","name":"Dev","members":["2"]}],
        "users":[{"id":"2","name":"eve"}]}]}"#;

    fn record(directory: &Path, listing: &str, published: &[&str]) -> Known {
        let configuration = [(PathBuf::from("/etc/nss-iam/config.toml"), "groups = [\"Ops\"]".to_owned())];
        let published = published.iter().copied();
        Known::record(directory, &configuration, &self::listing(listing), published, None).unwrap();
        Known::read(directory).unwrap()
    }

    /// Source and name of each user, with the names of the user's groups.
    fn users(known: &Known) -> BTreeMap<String, Vec<&str>> {
        let mut users = BTreeMap::new();
        for Of { source, account } in &known.accounts {
            for user in &account.users {
                let of_user = |group: &&Group| group.members.contains(&user.id);
                let groups = account.groups.iter().filter(of_user).map(|group| group.name.as_str());
                users.insert(format!("{source} {}", user.name), groups.collect());
            }
        }
        users
    }

    #[test]
    fn what_was_listed_is_known_but_for_its_times() {
        let directory = tempfile::tempdir().unwrap();
        let known = record(directory.path(), ONE, &["1", "2"]);
        assert_eq!(
            users(&known),
            BTreeMap::from([
                ("iam: ana".to_owned(), vec!["Ops"]),
                ("iam: eve".to_owned(), vec!["Dev", "Ops"])
            ])
        );
        let [Of { account, .. }] = &known.accounts[..] else { panic!("{known:?}") };
        let mut listed = listing(ONE).accounts.remove(0);
        listed.users.sort_by(|one, other| one.id.cmp(&other.id));
        listed.groups.sort_by(|one, other| one.id.cmp(&other.id));
        listed.users[0].confirmed = None;
        assert_eq!(account, &Account { complete: false, ..listed });
        assert!(known.configuration(Path::new("/etc/nss-iam/config.toml")).is_some());
        assert!(known.configuration(Path::new("/etc/other.toml")).is_none());
    }

    #[test]
    fn users_who_are_missing_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        record(directory.path(), ONE, &["1", "2"]);
        let eve = ("file:///x eve".to_owned(), vec!["Dev"]);
        for _ in 0..2 {
            let known = record(directory.path(), TWO, &["1", "2"]);
            assert_eq!(users(&known), BTreeMap::from([("iam: ana".to_owned(), vec!["Ops"]), eve.clone()]));
            assert_eq!(known.accounts_of(&Source::default())[0].id, "123456789012");
        }
        assert_eq!(users(&record(directory.path(), TWO, &["2"])), BTreeMap::from([eve]), "she is gone");
    }

    #[test]
    fn a_configuration_whose_path_is_no_text_is_not_kept_and_its_users_are() {
        let directory = tempfile::tempdir().unwrap();
        let path = PathBuf::from(std::ffi::OsString::from_vec(b"/etc/\xff.toml".to_vec()));
        let configuration = [(path.clone(), String::new())];
        Known::record(directory.path(), &configuration, &listing(TWO), std::iter::empty(), None).unwrap();
        let known = Known::read(directory.path()).unwrap();
        assert!(known.configuration(&path).is_none());
        assert_eq!(users(&known).len(), 1);
    }

    #[test]
    fn only_a_file_of_root_that_nobody_else_can_write_is_believed() {
        let directory = tempfile::tempdir().unwrap();
        record(directory.path(), ONE, &[]);
        let path = directory.path().join(KNOWN.name);
        for mode in [0o660, 0o642] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(Known::read(directory.path()), None, "{mode:o}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(Known::read(directory.path()).is_some());
        chown(&path, Some(1), None).unwrap();
        assert_eq!(Known::read(directory.path()), None);
    }

    /// As the release before wrote it.
    #[test]
    fn a_file_of_an_earlier_release_is_read_until_it_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let earlier = directory.path().join("known.json");
        let before = format!(
            r#"{{"version":1,"configuration":[["/etc/nss-iam/config.toml",""]],"listings":[{ONE}]}}"#
        );
        fs::write(&earlier, before).unwrap();
        let known = Known::read(directory.path()).unwrap();
        assert!(known.configuration(Path::new("/etc/nss-iam/config.toml")).is_some());
        assert_eq!(users(&known).len(), 2);
        let known = record(directory.path(), TWO, &["1", "2"]);
        assert_eq!(users(&known).len(), 2, "it had the one who is missing");
        assert!(!earlier.exists());
    }
}
