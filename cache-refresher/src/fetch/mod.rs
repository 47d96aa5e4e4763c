//! The half that talks to the network and has no power: reads what the configuration names, and never fails as
//! a whole. What cannot be read is as the previous listing has it, and the failure stands beside it.

mod account;
mod aws;
mod confirm;
mod directory;
mod failure;
mod file;
mod groups;
mod merge;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use config::{Config, Source};
use futures_util::future::join_all;
use jiff::Timestamp;
use listing::{Account, Failure, FailureKind, Listing, User, VERSION};

use account::Plan;
pub(crate) use aws::Calls;
use aws::{Aws, Identity};
use failure::{failure, held, quoted};

/// Told how the reading goes on.
pub(crate) trait Progress {
    /// So many more steps are to be done.
    fn more(&self, steps: usize);
    /// One step is done.
    fn done(&self);
}

/// What to read.
pub(crate) struct Request<'a> {
    /// The whole configuration.
    pub(crate) config: &'a Config,
    /// What the last fetch returned.
    pub(crate) previous: Option<Listing>,
    /// What was published last of the same source, besides.
    pub(crate) remembered: Vec<Account>,
    /// Take removals for true that could not be confirmed.
    pub(crate) force: bool,
    /// Whom a change of the configuration, or an export without users, may remove.
    pub(crate) release: &'a Release,
    /// The time of day.
    pub(crate) now: Timestamp,
    /// Who is told how it goes on.
    pub(crate) progress: &'a dyn Progress,
}

/// Who may be removed by what else is held.
#[derive(Debug, Clone, Default)]
pub(crate) struct Release {
    /// Everyone.
    pub(crate) all: bool,
    /// Users of these names, as the source spells them.
    pub(crate) names: BTreeSet<String>,
}

impl Release {
    fn lets_go(&self, user: &User) -> bool {
        self.all || self.names.contains(&user.name)
    }

    /// Without those who may be removed.
    fn rest_of(&self, mut account: Account) -> Account {
        let gone =
            account.users.iter().filter(|user| self.lets_go(user)).map(|user| user.id.clone()).collect();
        merge::remove(&mut account, &gone);
        account
    }
}

/// What was read.
pub(crate) struct Fetched {
    pub(crate) listing: Listing,
    /// Requests to AWS.
    pub(crate) calls: Calls,
    /// Everything that went wrong: `errors` of all accounts of the listing.
    pub(crate) failures: Vec<Failure>,
}

/// Reads the configured source. Blocks; at most for `[aws] timeout`.
pub(crate) fn fetch(request: Request<'_>) -> Fetched {
    let calls = Calls::default();
    // A listing has no use for parts of a second.
    let now = Timestamp::from_second(request.now.as_second()).unwrap_or(request.now);
    // What another source said is no memory of this one.
    let previous = request.previous.filter(|listing| request.config.source.has_url(&listing.source));
    let request = Request { now, previous, ..request };
    let listing = match &request.config.source {
        Source::File { path, .. } => from_file(request, path),
        Source::Iam => match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(from_iam(request, calls.clone())),
            Err(error) => {
                let failure = failure("fetch", "this host", &error.to_string(), "", FailureKind::Other);
                kept(request, failure)
            }
        },
    };
    let failures = listing.accounts.iter().flat_map(|account| account.errors.iter().cloned()).collect();
    Fetched { listing, calls, failures }
}

fn from_file(request: Request<'_>, path: &Path) -> Listing {
    match file::read(path, request.now) {
        Ok(read) => {
            let mut listing = Listing { source: request.config.source.url().to_owned(), ..read };
            let (known, _) = memory(request.previous, request.remembered);
            let kept = known.into_values().map(|account| request.release.rest_of(account));
            file::keep_emptied(&mut listing, kept.collect());
            listing
        }
        Err(failure) => kept(request, failure),
    }
}

/// The previous listing where the source as a whole cannot be read; the failure stands with its first account.
fn kept(request: Request<'_>, failure: Failure) -> Listing {
    let mut accounts = request.previous.map(|listing| listing.accounts).unwrap_or_default().into_iter();
    let mut kept = vec![merge::kept(accounts.next(), "", vec![failure])];
    kept.extend(accounts.map(|account| Account { errors: Vec::new(), ..account }));
    listing(request.config, request.now, kept)
}

fn listing(config: &Config, now: Timestamp, accounts: Vec<Account>) -> Listing {
    Listing { version: VERSION, source: config.source.url().to_owned(), read: Some(now), accounts }
}

/// The last listing's accounts by name, and what is remembered besides: of an AWS account that the same name stood for before.
fn memory(previous: Option<Listing>, remembered: Vec<Account>) -> (BTreeMap<String, Account>, Vec<Account>) {
    let mut known: BTreeMap<String, Account> = BTreeMap::new();
    let mut rest = Vec::new();
    for account in previous.into_iter().flat_map(|listing| listing.accounts).chain(remembered) {
        match known.get(&account.name) {
            None => drop(known.insert(account.name.clone(), account)),
            Some(other) if other.id == account.id => {}
            Some(_) => rest.push(account),
        }
    }
    (known, rest)
}

/// An account of the configuration; the first one's name is empty.
struct Configured<'a> {
    name: &'a str,
    role: Option<&'a str>,
    external_id: Option<&'a str>,
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

async fn from_iam(request: Request<'_>, calls: Calls) -> Listing {
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
    let reached = async {
        let aws = Aws::reach(&request.config.aws, calls).await?;
        let identity = aws.identity().await?;
        Ok::<_, Failure>((aws, identity))
    };
    let is_configured = |known: &&Account| accounts.iter().any(|account| account.name == known.name);
    let (mut known, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
        known.into_iter().partition(|(_, known)| is_configured(&known));
    let others = RefCell::new(others);
    let mut read = match reached.await {
        Ok((aws, identity)) => {
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
                one_account(&aws, &identity, account, plan, Memory { known, others: &others, rest: &rest })
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
async fn one_account(
    aws: &Aws<'_>,
    identity: &Identity,
    account: &Configured<'_>,
    plan: Plan<'_>,
    memory: Memory<'_>,
) -> Account {
    let Memory { known, others, rest } = memory;
    let tagged = match account.tag {
        None => Ok(Vec::new()),
        Some(tag) => aws.groups_in_tag(tag, Source::Iam.group_names()).await,
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
    match aws.account(identity, account.name, account.role, account.external_id).await {
        Ok((iam, id)) => {
            let known = known.filter(|known| known.id.is_empty() || known.id == id);
            let known = known.or_else(|| renamed(&mut others.borrow_mut(), account.name, &id));
            let former = || rest.iter().find(|other| other.id == id && other.name == account.name).cloned();
            let known = known.or_else(former);
            account::refresh(&Plan { groups: &groups, unresolved: &unresolved, ..plan }, &iam, &id, known)
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
