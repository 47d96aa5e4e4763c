//! What is read account by account: which accounts, what is known of each, and what becomes of those that the
//! configuration no longer names.

use std::cell::RefCell;
use std::collections::BTreeMap;

use config::Config;
use futures_util::future::join_all;
use listing::{Account, Failure, Listing};

use super::account::{self, Plan};
use super::directory::Directory;
use super::failure::{held, quoted};
use super::{Release, Request, listing, memory, merge};

/// How the accounts of a source are reached.
pub(crate) trait Accounts {
    type Directory: Directory;

    /// The groups that a tag of this instance names.
    async fn groups_in_tag(&self, tag: &str) -> Result<Vec<String>, Failure>;

    /// One of them, and its id.
    async fn reach(&self, account: &Configured<'_>) -> Result<(Self::Directory, String), Failure>;
}

/// An account of the configuration; the first one's name is empty.
pub(crate) struct Configured<'a> {
    pub(crate) name: &'a str,
    pub(crate) role: Option<&'a str>,
    pub(crate) external_id: Option<&'a str>,
    groups: &'a [String],
    tag: Option<&'a str>,
}

/// In the order of precedence. An account without groups is none, but for one whose users are `known`.
fn configured<'a>(config: &'a Config, known: &BTreeMap<String, Account>) -> Vec<Configured<'a>> {
    let first = Configured {
        name: "",
        role: config.aws.role.as_deref(),
        external_id: config.aws.external_id.as_deref(),
        groups: &config.groups,
        tag: config.groups_from_instance_tag.as_deref(),
    };
    let others = config.account.iter().map(|account| Configured {
        name: &account.name,
        role: account.role.as_deref(),
        external_id: account.external_id.as_deref(),
        groups: &account.groups,
        tag: None,
    });
    std::iter::once(first)
        .chain(others)
        .filter(|account| {
            let has_users = known.get(account.name).is_some_and(|known| !known.users.is_empty());
            !account.groups.is_empty() || account.tag.is_some() || has_users
        })
        .collect()
}

/// Reads all accounts, whatever becomes of one. `source` is not asked for if no account is configured.
pub(super) async fn read<A: Accounts>(
    request: Request<'_>,
    source: impl Future<Output = Result<A, Failure>>,
) -> Listing {
    let (mut known, rest) = memory(request.previous, request.remembered);
    let mut accounts = configured(request.config, &known);
    if request.release.all {
        accounts.retain(|account| !account.groups.is_empty() || account.tag.is_some());
        known.retain(|name, _| accounts.iter().any(|account| account.name == name));
    }
    if accounts.is_empty() {
        let former = known.into_values().filter_map(|account| former(account, request.release)).collect();
        return listing(request.config, request.now, former);
    }
    let is_configured = |known: &&Account| accounts.iter().any(|account| account.name == known.name);
    let (mut known, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
        known.into_iter().partition(|(_, known)| is_configured(&known));
    let others = RefCell::new(others);
    let mut read = match source.await {
        Ok(source) => {
            let reading = accounts.iter().map(|account| {
                let known = known.remove(account.name);
                let plan = Plan {
                    name: account.name,
                    groups: account.groups,
                    tags: &request.config.tags,
                    concurrency: request.config.aws.concurrency,
                    unresolved: &[],
                    force: request.force,
                    release: request.release,
                    now: request.now,
                    progress: request.progress,
                };
                one_account(&source, account, plan, Memory { known, others: &others, rest: &rest })
            });
            join_all(reading).await
        }
        Err(failure) => accounts
            .iter()
            .map(|account| merge::kept(known.remove(account.name), account.name, vec![failure.clone()]))
            .collect(),
    };
    for account in &mut read {
        for failure in &mut account.errors {
            if !account.name.is_empty() {
                failure.on = format!("{}/{}", account.name, failure.on);
            }
        }
    }
    merge::each_id_once(&mut read);
    merge::add_rest(
        &mut read,
        others.into_inner().into_values().filter_map(|account| former(account, request.release)),
    );
    listing(request.config, request.now, read)
}

/// An account that is no longer configured, as it was known: it cannot be reached any more, and a mistake in the
/// configuration disables nobody.
fn former(known: Account, release: &Release) -> Option<Account> {
    let known = release.rest_of(known);
    let mut names: Vec<&str> = known.users.iter().map(|user| user.name.as_str()).collect();
    names.sort_unstable();
    let cause = format!("the account is no longer configured; {} would leave, and stay", quoted(&names, 10));
    let hint = "correct the configuration; if they are to leave, run 'nss-iamctl refresh --force'";
    let held = held("configuration", &known.name, &cause, hint, &names);
    (!known.users.is_empty()).then(|| Account {
        complete: false,
        errors: vec![held],
        warnings: Vec::new(),
        ..known
    })
}

/// What is known of accounts.
struct Memory<'a> {
    /// By this name.
    known: Option<Account>,
    /// By names that are not configured; one that has another name now is taken out.
    others: &'a RefCell<BTreeMap<String, Account>>,
    /// Of AWS accounts that a name stood for before.
    rest: &'a [Account],
}

/// Gets at an account and reads it, whatever becomes of the others.
async fn one_account<A: Accounts>(
    source: &A,
    account: &Configured<'_>,
    plan: Plan<'_>,
    memory: Memory<'_>,
) -> Account {
    let Memory { known, others, rest } = memory;
    let tagged = match account.tag {
        None => Ok(Vec::new()),
        Some(tag) => source.groups_in_tag(tag).await,
    };
    let (tagged, unresolved) = match tagged {
        Ok(tagged) => (tagged, Vec::new()),
        // Those that are known are read all the same.
        Err(failure) if known.as_ref().is_some_and(|known| !known.groups.is_empty()) => {
            (Vec::new(), vec![failure])
        }
        Err(failure) => return merge::kept(known, account.name, vec![failure]),
    };
    let groups = without_repeats(account.groups, tagged);
    match source.reach(account).await {
        Ok((directory, id)) => {
            let known = known.filter(|known| known.id.is_empty() || known.id == id);
            let known = known.or_else(|| renamed(&mut others.borrow_mut(), account.name, &id));
            let former = || rest.iter().find(|other| other.id == id && other.name == account.name).cloned();
            let known = known.or_else(former);
            account::refresh(
                &Plan { groups: &groups, unresolved: &unresolved, ..plan },
                &directory,
                &id,
                known,
            )
            .await
        }
        Err(failure) => merge::kept(known, account.name, vec![failure]),
    }
}

/// The memory of this AWS account by the name that the configuration had for it.
fn renamed(others: &mut BTreeMap<String, Account>, name: &str, id: &str) -> Option<Account> {
    let (former, _) = others.iter().find(|(_, other)| other.id == id)?;
    let former = former.clone();
    let account = others.remove(&former)?;
    Some(Account { name: name.to_owned(), ..account })
}

/// IAM tells names of groups apart without regard to case.
fn without_repeats(configured: &[String], tagged: Vec<String>) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    for name in configured.iter().cloned().chain(tagged) {
        if !groups.iter().any(|group| group.eq_ignore_ascii_case(&name)) {
            groups.push(name);
        }
    }
    groups
}
