//! Sources that consist of accounts: which accounts are read, what is known of each, and what happens to those that the
//! configuration no longer names.

use std::cell::RefCell;
use std::collections::BTreeMap;

use config::{Config, Store};
use futures_util::future::join_all;
use listing::{Account, Failure, FailureKind, Listing};
use message::quoted;

use super::account::refresh;
use super::directory::Directory;
use super::failure::{failure, held};
use super::pace::{Pace, Purpose};
use super::request::{AccountRequest, Release, Request};
use super::retention::{self, keep_account};

/// Access to the accounts of a source.
pub(crate) trait Accounts {
    type Directory: Directory;

    /// The groups that this tag of the instance names.
    async fn groups_in_tag(&self, tag: &str) -> Result<Vec<String>, Failure>;

    /// One account, and its id.
    async fn reach(&self, account: &Configured<'_>) -> Result<(Self::Directory, String), Failure>;
}

/// An account of the configuration. The name of the first one is empty.
pub(crate) struct Configured<'a> {
    pub(crate) name: &'a str,
    pub(crate) role: Option<&'a str>,
    pub(crate) external_id: Option<&'a str>,
    pub(crate) store: Option<&'a Store>,
    groups: &'a [String],
    tag: Option<&'a str>,
}

impl<'a> Configured<'a> {
    pub(super) fn first(config: &'a Config) -> Self {
        Self {
            name: "",
            role: config.aws.role.as_deref(),
            external_id: config.aws.external_id.as_deref(),
            store: config.store.as_ref(),
            groups: &config.groups,
            tag: config.groups_from_instance_tag.as_deref(),
        }
    }
}

/// In the order of precedence. An account without groups is left out, unless it has users who have to stay.
fn configured<'a>(config: &'a Config, has_to_stay: impl Fn(&str) -> bool) -> Vec<Configured<'a>> {
    let others = config.account.iter().map(|account| Configured {
        name: &account.name,
        role: account.role.as_deref(),
        external_id: account.external_id.as_deref(),
        store: account.store.as_ref(),
        groups: &account.groups,
        tag: None,
    });
    let is_read = |account: &Configured<'_>| {
        !account.groups.is_empty() || account.tag.is_some() || has_to_stay(account.name)
    };
    std::iter::once(Configured::first(config)).chain(others).filter(is_read).collect()
}

/// Reads all accounts; a failure of one does not affect the others. `source` is not awaited if no account is configured.
pub(super) async fn read<A: Accounts>(
    mut request: Request<'_>,
    pace: &Pace,
    source: impl Future<Output = Result<A, Failure>>,
) -> Listing {
    let (known, rest) = retention::by_name(request.previous.take(), std::mem::take(&mut request.remembered));
    let has_to_stay =
        |name: &str| !request.release.all && known.get(name).is_some_and(|known| !known.users.is_empty());
    let accounts = configured(request.config, has_to_stay);
    let mut memory = Memory::new(known, rest, &accounts);
    if request.release.all {
        memory.others.clear();
    }
    let memory = RefCell::new(memory);
    let is_paused = |account: &Configured<'_>| paused::<A>(pace, account.name).is_some();
    let mut read = if accounts.iter().all(is_paused) {
        let kept = |account: &Configured<'_>| {
            let failures = paused::<A>(pace, account.name).into_iter().collect();
            keep_account(memory.borrow_mut().take(account), account.name, failures)
        };
        accounts.iter().map(kept).collect()
    } else {
        match source.await {
            Ok(source) => {
                let reading =
                    accounts.iter().map(|account| one_account(&request, pace, &source, account, &memory));
                join_all(reading).await
            }
            Err(failure) => accounts
                .iter()
                .map(|account| {
                    keep_account(memory.borrow_mut().take(account), account.name, vec![failure.clone()])
                })
                .collect(),
        }
    };
    for account in read.iter_mut().filter(|account| !account.name.is_empty()) {
        for failure in &mut account.errors {
            failure.on = format!("{}/{}", account.name, failure.on);
        }
    }
    retention::each_id_once(&mut read);
    let others = memory.into_inner().others.into_values();
    retention::add_rest(&mut read, others.filter_map(|account| former(account, request.release)));
    request.listing(read)
}

/// Keeps an account that is no longer configured: it cannot be read any more, and a mistake in the configuration must
/// disable nobody.
fn former(known: Account, release: &Release) -> Option<Account> {
    let known = retention::without_released(known, release);
    let mut names: Vec<&str> = known.users.iter().map(|user| user.name.as_str()).collect();
    names.sort_unstable();
    let cause = format!("the account is no longer configured; {} would leave, and stay", quoted(&names, 10));
    let hint = "correct the configuration; if the removal is intended, run 'nss-iamctl refresh --force'";
    let held = held("configuration", &known.name, &cause, hint, &names);
    (!known.users.is_empty()).then(|| Account {
        complete: false,
        errors: vec![held],
        warnings: Vec::new(),
        ..known
    })
}

/// What is known of the accounts from earlier listings.
struct Memory {
    /// Accounts that are configured, by name.
    configured: BTreeMap<String, Account>,
    /// Accounts that are not configured, by name.
    others: BTreeMap<String, Account>,
    /// Accounts that a name stood for before.
    rest: Vec<Account>,
}

impl Memory {
    fn new(known: BTreeMap<String, Account>, rest: Vec<Account>, accounts: &[Configured<'_>]) -> Self {
        let is_configured = |name: &str| accounts.iter().any(|account| account.name == name);
        let (configured, others) = known.into_iter().partition(|(name, _)| is_configured(name));
        Self { configured, others, rest }
    }

    /// What is known under the name of the account.
    fn take(&mut self, account: &Configured<'_>) -> Option<Account> {
        self.configured.remove(account.name)
    }

    /// What is known of the account with this id, even under another name; or of the name, if no id is known for it.
    /// `by_name` is what that name stood for last.
    fn of_id(&mut self, by_name: Option<Account>, name: &str, id: &str) -> Option<Account> {
        let by_name = by_name.filter(|known| known.id.is_empty() || known.id == id);
        by_name
            .or_else(|| self.renamed(name, id))
            .or_else(|| self.rest.iter().find(|other| other.id == id && other.name == name).cloned())
    }

    fn renamed(&mut self, name: &str, id: &str) -> Option<Account> {
        let (former, _) = self.others.iter().find(|(_, other)| other.id == id)?;
        let former = former.clone();
        let account = self.others.remove(&former)?;
        Some(Account { name: name.to_owned(), ..account })
    }
}

/// The failure of an account that is not asked at present, because AWS throttled its calls.
fn paused<A: Accounts>(pace: &Pace, account: &str) -> Option<Failure> {
    let pause = pace.pause(account).filter(|pause| pause.of == Purpose::Members)?;
    let until = pause.until.strftime("%Y-%m-%dT%H:%MZ");
    let cause = format!("not called before {until}, because AWS throttled the calls of earlier refreshes");
    let call = A::Directory::words().members;
    Some(failure(
        call,
        "all groups",
        &cause,
        "'nss-iamctl refresh --force' does not wait",
        FailureKind::Unavailable,
    ))
}

/// Reads one account.
async fn one_account<A: Accounts>(
    request: &Request<'_>,
    pace: &Pace,
    source: &A,
    account: &Configured<'_>,
    memory: &RefCell<Memory>,
) -> Account {
    let known = memory.borrow_mut().take(account);
    if let Some(failure) = paused::<A>(pace, account.name) {
        return keep_account(known, account.name, vec![failure]);
    }
    let tagged = match account.tag {
        None => Ok(Vec::new()),
        Some(tag) => source.groups_in_tag(tag).await,
    };
    let (tagged, unresolved) = match tagged {
        Ok(tagged) => (tagged, Vec::new()),
        // The known groups are read anyway.
        Err(failure) if known.as_ref().is_some_and(|known| !known.groups.is_empty()) => {
            (Vec::new(), vec![failure])
        }
        Err(failure) => return keep_account(known, account.name, vec![failure]),
    };
    let (directory, id) = match source.reach(account).await {
        Ok(reached) => reached,
        Err(failure) => return keep_account(known, account.name, vec![failure]),
    };
    let known = memory.borrow_mut().of_id(known, account.name, &id);
    let wanted = AccountRequest {
        source: &request.config.source,
        name: account.name,
        groups: &without_repeats(account.groups, tagged),
        tags: &request.config.tags,
        concurrency: request.config.aws.concurrency,
        unresolved: &unresolved,
        force: request.force,
        release: request.release,
        members: request.schedule(request.config.refresh.members_every),
        schedule: request.schedule(request.config.refresh.keys_every),
        keys_pause: pace.pause(account.name).map(|pause| pause.until),
        now: request.now,
        progress: &*request.progress,
    };
    refresh(&wanted, &directory, &id, known).await
}

/// Group names are compared without regard to case.
fn without_repeats(configured: &[String], tagged: Vec<String>) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    for name in configured.iter().cloned().chain(tagged) {
        if !groups.iter().any(|group| group.eq_ignore_ascii_case(&name)) {
            groups.push(name);
        }
    }
    groups
}
