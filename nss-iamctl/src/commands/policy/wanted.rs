//! What the policies are for, from the command line, the configuration and the last report, validated.

use std::collections::BTreeMap;

use config::{Config, Source};

use crate::cli;
use crate::say::error::Error;
use crate::say::show::printable;

/// `--for`: the host's own role.
pub(super) const OF_HOST: &str = "host";
/// `--for`: the role in `[aws]`.
pub(super) const OF_FIRST: &str = "aws";

/// Everything that this host needs in AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub host: Own,
    /// The roles that the host assumes.
    pub roles: Vec<Reader>,
}

/// The role that the host has, of its instance or container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Own {
    pub partition: String,
    /// Twelve digits; `None` if it is not known.
    pub account: Option<String>,
    /// What it reads itself.
    pub reads: Option<Reader>,
    /// Its ARN, from the command line.
    pub arn: Option<String>,
}

/// A role that reads groups and users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reader {
    /// The account's name in the configuration; empty for the first one.
    pub name: String,
    pub groups: Vec<String>,
    /// The identity stores; none: IAM.
    pub stores: Vec<String>,
    /// Whether tags are read.
    pub tags: bool,
    pub partition: String,
    /// Twelve digits; `None` for any account.
    pub account: Option<String>,
    /// The role to assume, as the configuration has it: an ARN, or a name with its path. `None`: the host's own.
    pub role: Option<String>,
    pub external_id: Option<String>,
}

impl Wanted {
    /// `known` has the ids of accounts by their name, as the last refresh found them.
    ///
    /// # Errors
    /// When no group is known, or a name, an account id or an ARN is not valid.
    pub(super) fn of(
        args: &cli::Policy,
        config: &Config,
        known: &BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        if let Source::File { url, .. } | Source::S3 { url, .. } = &config.source {
            crate::say::say(format!("users come from '{}', not from IAM", printable(url)));
        }
        // The ids in a report are those of identity stores.
        let none = BTreeMap::new();
        let known = if config.source == Source::IdentityCenter { &none } else { known };
        let groups = if args.groups.is_empty() { &config.groups } else { &args.groups };
        let role = args.role.as_ref().or(config.aws.role.as_ref());
        let mut first = Reader::of("", groups, role, config.aws.external_id.as_ref(), known);
        // The configured role says in which account it is, also if the role to create has another name.
        let configured = Reader::of("", groups, config.aws.role.as_ref(), None, known);
        first.account = args.account.clone().or(first.account).or(configured.account);
        first.partition = configured.partition;
        first.stores = config.store.iter().map(|store| store.id.clone()).collect();
        let others = config.account.iter().map(|account| Reader {
            stores: account.store.iter().map(|store| store.id.clone()).collect(),
            ..Reader::of(
                &account.name,
                &account.groups,
                account.role.as_ref(),
                account.external_id.as_ref(),
                known,
            )
        });
        let tags = !config.tags.uses.is_empty();
        let readers = std::iter::once(first).chain(others).filter(|reader| !reader.groups.is_empty());
        let readers: Vec<Reader> = readers.map(|reader| Reader { tags, ..reader }).collect();
        if readers.is_empty() {
            let error = wrong("no group is configured, so there is nothing to allow".to_owned());
            return Err(error.hint("nss-iamctl policy --group GROUP"));
        }
        for reader in &readers {
            reader.check()?;
        }
        if let Some(arn) = args.instance_role.as_deref().filter(|arn| !is_role_arn(arn)) {
            return Err(wrong(format!("'{}' is not the ARN of an IAM role", printable(arn)))
                .hint("aws iam get-role --role-name NAME shows it"));
        }
        Ok(Self::divided(readers, args.instance_role.clone()))
    }

    fn divided(readers: Vec<Reader>, arn: Option<String>) -> Self {
        let is_of_host =
            |reader: &&Reader| !reader.role.as_deref().is_some_and(|role| role.starts_with("arn:"));
        let of_arn = arn.as_deref().and_then(|arn| arn.split(':').nth(4)).map(str::to_owned);
        let in_its_account = readers.iter().find(is_of_host);
        let account = of_arn.or_else(|| in_its_account.and_then(|reader| reader.account.clone()));
        let partition = readers.first().map_or_else(|| "aws".to_owned(), |first| first.partition.clone());
        let (own, roles): (Vec<Reader>, Vec<Reader>) =
            readers.into_iter().partition(|reader| reader.role.is_none());
        let reads = own.into_iter().reduce(|mut all, other| {
            all.groups.extend(other.groups);
            all.stores.extend(other.stores);
            all
        });
        Self { host: Own { partition, account, reads, arn }, roles }
    }

    /// The role that `--for` names; `None` for the host's own.
    ///
    /// # Errors
    /// If there is no such role.
    pub(super) fn named(&self, name: &str) -> Result<Option<&Reader>, Error> {
        if name == OF_HOST {
            return Ok(None);
        }
        let name = if name == OF_FIRST { "" } else { name };
        let role = self.roles.iter().find(|role| role.name == name);
        let names = self.roles.iter().map(Reader::shown);
        let names: Vec<&str> = std::iter::once(OF_HOST).chain(names).collect();
        role.map(Some).ok_or_else(|| {
            wrong(format!("this host has no role for '{}'", printable(name)))
                .hint(format!("nss-iamctl policy --for NAME; NAME is one of {}", message::quoted(&names, 20)))
        })
    }
}

impl Own {
    /// `arn:aws:iam::123456789012`
    pub(super) fn prefix(&self) -> String {
        prefix(&self.partition, self.account.as_deref())
    }

    /// Whom the trust policies of other roles name: the role, or everybody in its account whom that account lets.
    pub(super) fn principal(&self) -> Option<String> {
        let of_account = || self.account.as_ref().map(|_| format!("{}:root", self.prefix()));
        self.arn.clone().or_else(of_account)
    }
}

impl Reader {
    fn of(
        name: &str,
        groups: &[String],
        role: Option<&String>,
        external_id: Option<&String>,
        known: &BTreeMap<String, String>,
    ) -> Self {
        // arn:aws:iam::123456789012:role/path/Name
        let mut parts = role.map_or("", String::as_str).split(':').skip(1);
        let (partition, account) = (parts.next().unwrap_or("aws"), parts.nth(2));
        Self {
            name: name.to_owned(),
            groups: groups.to_vec(),
            stores: Vec::new(),
            tags: false,
            partition: partition.to_owned(),
            account: account.map(str::to_owned).or_else(|| known.get(name).cloned()),
            role: role.cloned(),
            external_id: external_id.cloned(),
        }
    }

    fn check(&self) -> Result<(), Error> {
        let mut named = self.groups.iter().filter(|_| self.stores.is_empty());
        if let Some(group) = named.find(|group| !is_name(group)) {
            return Err(wrong(format!("'{}' is not a valid name of an IAM group", printable(group))));
        }
        if let Some(account) = self.account.as_deref().filter(|id| !is_account(id)) {
            return Err(wrong(format!(
                "'{}' is not an AWS account id, which has twelve digits",
                printable(account)
            )));
        }
        match self.role_name() {
            Some(role) if !is_name(role) => {
                Err(wrong(format!("'{}' is not a valid name of an IAM role", printable(role))))
            }
            _ => Ok(()),
        }
    }

    /// What `--for` calls it.
    pub(super) fn shown(&self) -> &str {
        if self.name.is_empty() { OF_FIRST } else { &self.name }
    }

    /// `arn:aws:iam::123456789012`
    pub(super) fn prefix(&self) -> String {
        prefix(&self.partition, self.account.as_deref())
    }

    /// Its ARN; a role without one is in the host's account.
    pub(super) fn role_arn(&self, prefix_of_host: &str) -> Option<String> {
        let role = self.role.as_deref()?;
        let in_account = || format!("{prefix_of_host}:role/{}", role.trim_start_matches('/'));
        Some(if role.starts_with("arn:") { role.to_owned() } else { in_account() })
    }

    /// Without its path.
    pub(super) fn role_name(&self) -> Option<&str> {
        self.role.as_deref().map(|role| role.rsplit('/').next().unwrap_or(role))
    }

    /// `/ops/`, if the role has a path.
    pub(super) fn role_path(&self) -> Option<String> {
        let role = self.role.as_deref()?;
        let role = role.split_once(":role/").map_or(role, |(_, path)| path).trim_start_matches('/');
        role.rsplit_once('/').map(|(path, _)| format!("/{path}/"))
    }

    /// The ARNs of everything in its identity stores, since the ids of single groups are not known here; `None`: it reads IAM.
    /// `prefix` is that of ARNs of IAM. A store belongs to the organization's account, whatever account reads it.
    pub(super) fn store_arns(&self, prefix: &str) -> Option<Vec<String>> {
        let partition = prefix.split(":iam:").next().unwrap_or_default();
        let stores = self.stores.iter().map(|id| format!("{partition}:identitystore::*:identitystore/{id}"));
        let parts =
            ["group", "membership", "user"].map(|part| format!("{partition}:identitystore:::{part}/*"));
        (!self.stores.is_empty()).then(|| stores.chain(parts).collect())
    }

    /// The ARNs of its groups, which may have paths that GetGroup does not ask for.
    pub(super) fn group_arns(&self, prefix: &str) -> Vec<String> {
        let arns = |group: &String| [format!("{prefix}:group/{group}"), format!("{prefix}:group/*/{group}")];
        self.groups.iter().flat_map(arns).collect()
    }
}

fn prefix(partition: &str, account: Option<&str>) -> String {
    format!("arn:{partition}:iam::{}", account.unwrap_or("*"))
}

fn wrong(what: String) -> Error {
    Error::configuration(what)
}

/// IAM's own rule for names; none of these characters means anything in an ARN pattern, a template or HCL.
fn is_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c))
}

fn is_account(id: &str) -> bool {
    id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_role_arn(arn: &str) -> bool {
    match arn.splitn(6, ':').collect::<Vec<_>>()[..] {
        ["arn", partition, "iam", "", account, resource] => {
            let path = resource.strip_prefix("role/");
            is_name(partition) && is_account(account) && path.is_some_and(|path| path.split('/').all(is_name))
        }
        _ => false,
    }
}
