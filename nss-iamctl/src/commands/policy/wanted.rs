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
    /// Whether all of an account of IAM is read with one call.
    pub details: bool,
    pub partition: String,
    /// Twelve digits; `None` for any account.
    pub account: Option<String>,
    /// The role to assume, as the configuration has it: an ARN, or a name with its path. `None`: the host's own.
    pub role: Option<String>,
    pub external_id: Option<String>,
    /// The listings in S3 that it reads or writes.
    pub objects: Vec<Object>,
}

/// A listing in S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    pub bucket: String,
    pub key: String,
    /// Whether the publisher writes it.
    pub is_written: bool,
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
        let objects = Object::of(config);
        if let (Source::File { url, .. }, []) = (&config.source, &objects[..]) {
            crate::say::say(format!("users come from '{}', not from IAM", printable(url)));
        }
        // A document in S3, or one that is published there, is all that is read.
        let reads_groups = config.source.is_directory() || objects.is_empty();
        let configured: &[String] = if reads_groups { &config.groups } else { &[] };
        // The ids in a report are those of identity stores.
        let none = BTreeMap::new();
        let known = if config.source == Source::IdentityCenter { &none } else { known };
        let groups = if args.groups.is_empty() { configured } else { &args.groups };
        let role = args.role.as_ref().or(config.aws.role.as_ref());
        let mut first = Reader::of("", groups, role, config.aws.external_id.as_ref(), known);
        // The configured role says in which account it is, also if the role to create has another name.
        let configured = Reader::of("", groups, config.aws.role.as_ref(), None, known);
        first.account = args.account.clone().or(first.account).or(configured.account);
        first.partition = configured.partition;
        first.stores = config.store.iter().map(|store| store.id.clone()).collect();
        first.objects = objects;
        let others = config.account.iter().filter(|_| reads_groups).map(|account| Reader {
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
        let details = config.aws.account_details;
        let is_needed = |reader: &Reader| !reader.groups.is_empty() || !reader.objects.is_empty();
        let readers = std::iter::once(first).chain(others).filter(is_needed);
        let readers: Vec<Reader> = readers.map(|reader| Reader { tags, details, ..reader }).collect();
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
            all.objects.extend(other.objects);
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

impl Object {
    /// Those that the host reads as its source, and that it publishes: with the first role, see `fetch/aws/s3.rs`.
    fn of(config: &Config) -> Vec<Self> {
        let read = match &config.source {
            Source::S3 { bucket, key, .. } => Some((bucket, key, false)),
            Source::Iam | Source::IdentityCenter | Source::File { .. } => None,
        };
        let written = config.publish.as_ref().map(|publish| (&publish.bucket, &publish.object, true));
        let all = read.into_iter().chain(written);
        all.map(|(bucket, key, is_written)| Self { bucket: bucket.clone(), key: key.clone(), is_written })
            .collect()
    }

    /// Without s3:ListBucket, S3 denies an object that does not exist: a host then reads no listing in either case, and
    /// a publisher could not write the first one.
    fn grants(&self, partition: &str) -> Vec<Grant> {
        let bucket = format!("{partition}:s3:::{}", self.bucket);
        let object = format!("{bucket}/{}", pattern(&self.key));
        if self.is_written {
            vec![
                Grant { sid: "PublishListing", actions: &["s3:GetObject", "s3:PutObject"], resource: object },
                Grant { sid: "SeeWhetherListingExists", actions: &["s3:ListBucket"], resource: bucket },
            ]
        } else {
            vec![Grant { sid: "ReadListing", actions: &["s3:GetObject"], resource: object }]
        }
    }
}

/// A statement of a policy.
#[derive(Debug)]
pub(super) struct Grant {
    pub sid: &'static str,
    pub actions: &'static [&'static str],
    /// An ARN.
    pub resource: String,
}

/// A pattern of ARNs for this name. A character that means something in such a pattern, a template or HCL becomes `?`, which is
/// any one character.
fn pattern(key: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.+=,@:!'() ".contains(c);
    key.chars().map(|c| if is_plain(c) { c } else { '?' }).collect()
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
            details: false,
            partition: partition.to_owned(),
            account: account.map(str::to_owned).or_else(|| known.get(name).cloned()),
            role: role.cloned(),
            external_id: external_id.cloned(),
            objects: Vec::new(),
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

    /// What it may do with listings in S3. `prefix` is that of ARNs of IAM.
    pub(super) fn grants(&self, prefix: &str) -> Vec<Grant> {
        let partition = prefix.split(":iam:").next().unwrap_or_default();
        self.objects.iter().flat_map(|object| object.grants(partition)).collect()
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
