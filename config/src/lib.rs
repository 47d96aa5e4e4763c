//! The configuration of nss-iam: its model, its defaults and its reader. Manual: nss-iam.toml(5).
//!
//! Every value is checked here, so later code need not check again. Whether a group exists at the source, or a
//! shell on this host, is not checked. The shipped file is `config/config.toml`.
#![forbid(unsafe_code)]

mod check;
pub mod environment;
mod error;
pub mod key_tags;
mod load;
mod no_effect;
mod publish;
mod source;
mod tags;
#[cfg(test)]
mod tests;
mod tree;
mod trust;

pub use check::parse_duration;
pub use error::Error;
pub use no_effect::NoEffect;
pub use publish::Publish;
pub use source::{GroupNames, Source, Stored, is_same_origin};
pub use tags::{TagUse, Tags};
pub use trust::{SIGNING, Trust};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use policy::login::{Login, Mapping, NameStyle};
use policy::{Invalid, Name};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Everything that an administrator can set. [`Config::default`] has the values of keys that no file sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Groups of the first account whose members become users.
    pub groups: Vec<String>,
    /// The instance tag that names more of these groups, separated by `:` or spaces.
    pub groups_from_instance_tag: Option<String>,
    /// Access to AWS.
    pub aws: Aws,
    /// Further accounts, in order of precedence for names.
    pub account: Vec<Account>,
    /// Where the listing comes from.
    pub source: Source,
    /// Which listings of a document are believed.
    pub trust: Trust,
    /// The identity store of the first account. Every account whose groups are read has one, if the source is
    /// [`Source::IdentityCenter`], and none otherwise.
    pub store: Option<Store>,
    /// Attributes of users.
    pub users: Users,
    /// Group of the first account -> local groups that its members join.
    pub local_groups: BTreeMap<String, Vec<String>>,
    /// Groups of the first account whose members may run commands although [`Users::forward_only`] is set.
    pub shell_groups: Vec<String>,
    /// Which names are assigned.
    pub names: Names,
    /// Which tags of users are used.
    pub tags: Tags,
    /// UserId, GroupId, or `group:` and the name of a group of nss-iam -> its id; no id occurs twice.
    pub ids: BTreeMap<String, u32>,
    /// Which keys are offered to sshd.
    pub keys: Keys,
    /// How often the source is asked for what.
    pub refresh: Refresh,
    /// Limits.
    pub safety: Safety,
    /// What `cache-refresher publish` writes; none: nothing.
    pub publish: Option<Publish>,
}

impl Config {
    /// The login name of a user with these tags, see [`Mapping::login`].
    pub fn login<E>(
        &self,
        iam_name: &str,
        tags: &BTreeMap<String, String>,
        give: impl FnMut(Result<Name, Invalid>) -> Result<Name, E>,
    ) -> Login<E> {
        self.users.mapping().login(iam_name, self.tags.value(TagUse::Name, tags), give)
    }

    /// The groups of an account, by its name in the configuration, whose members may run commands although
    /// [`Users::forward_only`] is set.
    #[must_use]
    pub fn shell_groups_of(&self, account: &str) -> &[String] {
        let other = self.account.iter().find(|other| other.name == account);
        match other {
            Some(other) => &other.shell_groups,
            None if account.is_empty() => &self.shell_groups,
            None => &[],
        }
    }

    /// Whether there can be users: some group is named, or the source is a file, which needs no groups.
    #[must_use]
    pub fn names_groups(&self) -> bool {
        !self.source.is_directory()
            || !self.groups.is_empty()
            || self.groups_from_instance_tag.is_some()
            || self.account.iter().any(|account| !account.groups.is_empty())
    }
}

/// `[aws]`: access to AWS. The SDK chooses a default for keys that are not set, except the role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aws {
    /// Role name (with its path, if it has one) or role ARN; none: the instance's role.
    pub role: Option<String>,
    /// sts:ExternalId.
    pub external_id: Option<String>,
    /// RoleSessionName; none: `nss-iam@` and the instance id.
    pub session_name: Option<String>,
    /// Region: of calls to STS, and to identity stores without their own.
    pub region: Option<String>,
    /// Of a whole fetch; never zero.
    pub timeout: Duration,
    /// Maximum number of concurrent calls, 1 to 64.
    pub concurrency: usize,
    /// Read the memberships and tags of a whole account of IAM with GetAccountAuthorizationDetails.
    pub account_details: bool,
    /// Endpoint of all services.
    pub endpoint_url: Option<String>,
    /// Endpoint of IAM.
    pub endpoint_url_iam: Option<String>,
    /// Endpoint of STS.
    pub endpoint_url_sts: Option<String>,
    /// Endpoint of identity stores.
    pub endpoint_url_identitystore: Option<String>,
    /// Endpoint of S3.
    pub endpoint_url_s3: Option<String>,
    /// Proxy for calls to AWS.
    pub https_proxy: Option<String>,
    /// Hosts that are reached without the proxy, comma separated.
    pub no_proxy: Option<String>,
    /// Certificates to trust, a PEM file; an absolute path.
    pub ca_bundle: Option<PathBuf>,
    /// Use FIPS endpoints.
    pub use_fips: bool,
    /// Use endpoints that also support IPv6.
    pub use_dualstack: bool,
}

impl Default for Aws {
    fn default() -> Self {
        Self {
            role: None,
            external_id: None,
            session_name: None,
            region: None,
            timeout: Duration::from_secs(120),
            concurrency: 8,
            account_details: false,
            endpoint_url: None,
            endpoint_url_iam: None,
            endpoint_url_sts: None,
            endpoint_url_identitystore: None,
            endpoint_url_s3: None,
            https_proxy: None,
            no_proxy: None,
            ca_bundle: None,
            use_fips: false,
            use_dualstack: false,
        }
    }
}

/// `[[account]]`: one further account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Unique and never empty: the empty name is the first account's.
    pub name: String,
    /// See [`Aws::role`].
    pub role: Option<String>,
    /// See [`Config::store`].
    pub store: Option<Store>,
    /// Groups whose members become users.
    pub groups: Vec<String>,
    /// Group of this account -> local groups.
    pub local_groups: BTreeMap<String, Vec<String>>,
    /// Groups of this account whose members may run commands although [`Users::forward_only`] is set.
    pub shell_groups: Vec<String>,
    /// sts:ExternalId.
    pub external_id: Option<String>,
}

/// The identity store of an Identity Center.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// IdentityStoreId: `d-` and ten hexadecimal digits, or a UUID.
    pub id: String,
    /// The region of its Identity Center; none: [`Aws::region`].
    pub region: Option<String>,
}

/// `[users]`: attributes of users, and what happens to users who left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Users {
    /// An absolute path.
    pub shell: String,
    /// An absolute path with the placeholders `{name}`, `{uid}`, `{iam_name}`, `{account}` and no others.
    pub home: String,
    /// The comment field.
    pub gecos: String,
    /// The group that every active user is a member of.
    pub common_group: String,
    /// When home directories are created.
    pub create_homes: CreateHomes,
    /// Domains that are removed from user names; in lower case, because names are compared in lower case.
    pub strip_domains: Vec<String>,
    /// How characters that Linux names cannot have are replaced.
    pub name_style: NameStyle,
    /// What happens to a user who left.
    pub removed: Removed,
    /// How long a disabled user can be found by uid; never zero.
    pub removed_keep: Duration,
    /// Whether sessions and processes of users who left are ended.
    pub terminate_sessions: bool,
    /// Whether users may only forward connections, except members of the `shell_groups`.
    pub forward_only: bool,
}

impl Default for Users {
    fn default() -> Self {
        Self {
            shell: "/bin/bash".to_owned(),
            home: "/home/{name}".to_owned(),
            gecos: "AWS User".to_owned(),
            common_group: "iam-users".to_owned(),
            create_homes: CreateHomes::Login,
            strip_domains: Vec::new(),
            name_style: NameStyle::Plain,
            removed: Removed::Disable,
            removed_keep: 90 * DAY,
            terminate_sessions: true,
            forward_only: false,
        }
    }
}

impl Users {
    /// The rules that turn names of the source into names of this host.
    #[must_use]
    pub fn mapping(&self) -> Mapping<'_> {
        Mapping { style: self.name_style, strip_domains: &self.strip_domains }
    }
}

/// When home directories are created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateHomes {
    /// By PAM, at the first login.
    Login,
    /// After each refresh, for the users who are published.
    Refresh,
}

/// What happens to a user who left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// Found by uid, but not by name, for [`Users::removed_keep`].
    Disable,
    /// Immediately no longer found at all.
    Hide,
}

/// `[names]`: which names are assigned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Names that no user or group of the source gets, in addition to the shipped list; a `*` at the end
    /// matches anything.
    pub reserved: Vec<String>,
    /// Parts of this host that are not checked for names: services of nsswitch.conf, and [`PARTS`].
    pub exclude: Vec<String>,
    /// UserId or GroupId -> the name that it may have although the host already uses it; no name occurs twice.
    pub allow: BTreeMap<String, String>,
}

impl Names {
    /// Whether `[names.allow]` allows this name for this user or group although the host already uses it.
    #[must_use]
    pub fn allows(&self, name: &str, iam_id: &str) -> bool {
        self.allow.get(iam_id).is_some_and(|allowed| allowed == name)
    }

    /// Whether the name is reserved, by the shipped list or by `reserved`, and not allowed to this user or group.
    #[must_use]
    pub fn reserves(&self, name: &str, iam_id: &str) -> bool {
        !self.allows(name, iam_id) && policy::reserved::is_reserved(name, &self.reserved)
    }
}

/// What [`Names::exclude`] can contain besides services of nsswitch.conf.
pub const PARTS: [&str; 4] = ["sudo", "doas", "systemd-units", "sysusers"];

/// `[keys]`: which keys are offered to sshd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// Well-formed authorized_keys options, or empty.
    pub options: String,
    /// Older keys are not offered; none: no limit.
    pub max_age: Option<Duration>,
    /// Whether sshd asks nss-iam for keys. If not, something else authenticates the users.
    pub sshd: bool,
    /// Whether keys count, too, that were pushed with EC2 Instance Connect; of no effect unless sshd asks.
    pub instance_connect: bool,
    /// A file with public keys of CAs whose certificates let users in; an absolute path of letters, digits and `/._+@-`.
    pub user_ca: Option<String>,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            options: String::new(),
            max_age: Some(3 * DAY),
            sshd: true,
            instance_connect: false,
            user_ca: None,
        }
    }
}

impl Keys {
    /// Whether keys-cmd decides who is let in.
    #[must_use]
    pub fn asks_keys_cmd(&self) -> bool {
        self.sshd || self.user_ca.is_some()
    }

    /// Whether a user without a key at the source can log in with one that was pushed with EC2 Instance Connect.
    #[must_use]
    pub fn takes_pushed(&self) -> bool {
        self.sshd && self.instance_connect
    }
}

/// `[refresh]`: how often the source is read, and what of it, if it is asked by calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refresh {
    /// The fetch half stays, and reads the source again after this time, at most 30 minutes and half of [`Keys::max_age`]; none: each refresh of the timer reads it
    /// once.
    pub every: Option<Duration>,
    /// Keys and tags of a user are read again after this time, at most 30 minutes and half of [`Keys::max_age`]; none: by each
    /// refresh.
    pub keys_every: Option<Duration>,
    /// Memberships are read again after this time, at most 30 minutes; none: by each refresh.
    pub members_every: Option<Duration>,
    /// Requests to AWS in any minute, of all accounts together, at least 10; none: no limit.
    pub max_calls_per_minute: Option<u32>,
}

/// `[safety]`: limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Safety {
    /// Maximum percentage of the active users that is disabled at once; 0 to 100.
    pub max_removed_percent: u8,
}

impl Default for Safety {
    fn default() -> Self {
        Self { max_removed_percent: 100 }
    }
}
