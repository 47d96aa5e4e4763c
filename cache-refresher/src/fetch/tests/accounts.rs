//! Several accounts: a failure in one does not affect the others, and a mistake in the configuration removes nobody.

use std::path::PathBuf;
use std::sync::Arc;

use config::Config;
use listing::Failure;

use super::*;
use crate::fetch::Request;
use crate::fetch::accounts::{self, Accounts, Configured};
use crate::fetch::failure::failure;
use crate::fetch::pace::{Pace, Past, Purpose};

/// Role -> id of its account, and what that holds. The first account has no role.
#[derive(Default)]
struct Tables {
    reached: BTreeMap<&'static str, (&'static str, Table)>,
    /// `None`: the instance shows no tags.
    tag: Option<Vec<String>>,
}

impl Accounts for Tables {
    type Directory = Table;

    async fn groups_in_tag(&self, tag: &str) -> Result<Vec<String>, Failure> {
        self.tag.clone().ok_or_else(|| failure("tag", tag, "no tags", "", FailureKind::Configuration))
    }

    async fn reach(&self, account: &Configured<'_>) -> Result<(Table, String), Failure> {
        let role = account.role.unwrap_or_default();
        let reached = self.reached.get(role).map(|(id, table)| (table.clone(), (*id).to_owned()));
        reached.ok_or_else(|| failure("reach", role, "denied", "", FailureKind::Denied))
    }
}

fn tables(reached: &[(&'static str, &'static str, Table)]) -> Tables {
    let reached = reached.iter().map(|(role, id, table)| (*role, (*id, table.clone())));
    Tables { reached: reached.collect(), tag: None }
}

/// What is read from `source` with a configuration, if `previous` is known.
fn read(source: Tables, text: &str, previous: Option<&Listing>, release: &Release) -> Listing {
    read_at(&Pace::new(None, Past::default(), at(5), false), source, text, previous, release)
}

fn read_at(
    pace: &Pace,
    source: Tables,
    text: &str,
    previous: Option<&Listing>,
    release: &Release,
) -> Listing {
    let config = Config::parse(&[(PathBuf::from("config.toml"), text.to_owned())]).unwrap();
    let request = Request {
        config: &config,
        previous: previous.cloned(),
        stored: None,
        kept: None,
        read: None,
        remembered: Vec::new(),
        force: release.all,
        release,
        past: Past::default(),
        asked: None,
        now: at(5),
        progress: Arc::new(Quiet),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(accounts::read(request, pace, async { Ok(source) }))
}

/// Names of users, by account.
fn people(listing: &Listing) -> Vec<(&str, Vec<&str>)> {
    listing.accounts.iter().map(|account| (account.name.as_str(), names(account))).collect()
}

const TWO: &str = "groups = ['G']\n[[account]]\nname = 'b'\nrole = 'B'\ngroups = ['H']\n";

fn other() -> Table {
    // The ids differ from those of the first account.
    let mut table = Table::default().user("zoe", &["H"]);
    table.groups.get_mut("H").unwrap().0 = "AGPAofB".to_owned();
    table
}

fn both() -> Tables {
    tables(&[("", "1", two()), ("B", "2", other())])
}

#[test]
fn an_account_that_cannot_be_reached_is_as_it_was_and_the_other_one_is_read() {
    let none = Release::default();
    let known = read(both(), TWO, None, &none);
    assert_eq!(people(&known), [("", vec!["ana", "bob"]), ("b", vec!["zoe"])]);
    let mut left = two();
    left.delete("bob");
    let listing = read(tables(&[("", "1", left)]), TWO, Some(&known), &none);
    assert_eq!(people(&listing), [("", vec!["ana"]), ("b", vec!["zoe"])]);
    let failures: Vec<_> = listing.accounts.iter().flat_map(|account| &account.errors).collect();
    assert_eq!((failures.len(), failures[0].on.as_str()), (1, "b/B"));
}

#[test]
fn an_account_is_known_by_its_id_when_the_configuration_gives_it_another_name() {
    let none = Release::default();
    let known = read(both(), TWO, None, &none);
    let renamed = TWO.replace("'b'", "'c'");
    // What was not known before cannot be kept.
    let unread = other().refusing("ListSSHPublicKeys", "zoe", Reason::NoAnswer);
    let listing = read(tables(&[("", "1", two()), ("B", "2", unread)]), &renamed, Some(&known), &none);
    assert_eq!(people(&listing), [("", vec!["ana", "bob"]), ("c", vec!["zoe"])]);
    assert_eq!(
        user(&listing.accounts[1], "zoe"),
        user(&known.accounts[1], "zoe"),
        "with the keys that were known"
    );
}

#[test]
fn an_account_that_is_no_longer_configured_is_held_until_it_is_let_go() {
    let none = Release::default();
    let known = read(both(), TWO, None, &none);
    let one = "groups = ['G']\n";
    let held = read(both(), one, Some(&known), &none);
    assert_eq!(people(&held), [("", vec!["ana", "bob"]), ("b", vec!["zoe"])]);
    assert!(!held.accounts[1].complete);
    assert_eq!(
        (kinds(&held.accounts[1]), &held.accounts[1].errors[0].users),
        (vec![FailureKind::Held], &vec!["zoe".to_owned()])
    );
    let all = Release { all: true, ..Release::default() };
    assert_eq!(people(&read(both(), one, Some(&held), &all)), [("", vec!["ana", "bob"])]);
    let zoe = Release { names: ["zoe".to_owned()].into(), ..Release::default() };
    assert_eq!(people(&read(both(), one, Some(&held), &zoe)), [("", vec!["ana", "bob"])]);
}

#[test]
fn groups_of_an_instance_tag_are_read_besides_and_those_that_are_known_without_it() {
    let text = "groups = ['G']\ngroups_from_instance_tag = 'groups'\n";
    let source = |tag: Option<&[&str]>| Tables {
        tag: tag.map(|tag| tag.iter().map(|name| (*name).to_owned()).collect()),
        ..tables(&[("", "1", two().user("eve", &["H"]))])
    };
    let none = Release::default();
    let known = read(source(Some(&["H", "g"])), text, None, &none);
    assert_eq!(people(&known), [("", vec!["ana", "bob", "eve"])]);
    assert_eq!(known.accounts[0].groups.len(), 2, "'g' is 'G'");
    let listing = read(source(None), text, Some(&known), &none);
    assert_eq!(people(&listing), people(&known));
    assert_eq!(kinds(&listing.accounts[0]), [FailureKind::Held, FailureKind::Configuration]);
    assert!(read(source(None), text, None, &none).accounts[0].users.is_empty());
}

#[test]
fn where_no_account_is_configured_the_source_is_not_asked() {
    let (config, release) = (Config::default(), Release::default());
    let request = Request {
        config: &config,
        previous: None,
        stored: None,
        kept: None,
        read: None,
        remembered: Vec::new(),
        force: false,
        release: &release,
        past: Past::default(),
        asked: None,
        now: at(0),
        progress: Arc::new(Quiet),
    };
    let source = async { panic!("asked") as Result<Tables, Failure> };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(
        runtime
            .block_on(accounts::read(request, &Pace::new(None, Past::default(), at(0), false), source))
            .accounts
            .is_empty()
    );
}

/// After calls about these accounts were throttled.
fn after_throttling(of: &[(&str, Purpose)]) -> Pace {
    let before = Pace::new(None, Past::default(), at(4), false);
    for (account, purpose) in of {
        before.throttled(account, *purpose);
    }
    Pace::new(None, before.past(), at(5), false)
}

#[test]
fn an_account_whose_calls_were_throttled_is_not_asked_for_a_while_and_the_others_are() {
    let none = Release::default();
    let known = read(both(), TWO, None, &none);
    let mut left = both();
    for (_, table) in left.reached.values_mut() {
        table.delete("bob");
        table.delete("zoe");
    }
    let of =
        |pace: &[(&str, Purpose)], source| read_at(&after_throttling(pace), source, TWO, Some(&known), &none);
    let listing = of(&[("b", Purpose::Members)], left);
    assert_eq!(people(&listing), [("", vec!["ana"]), ("b", vec!["zoe"])]);
    assert_eq!(kinds(&listing.accounts[1]), [FailureKind::Unavailable]);
    let cause = &listing.accounts[1].errors[0].cause;
    assert!(
        cause.contains("not called before 2026-11-22T18:06Z") && cause.contains("kept the listing"),
        "{cause}"
    );

    let unreached = of(&[("", Purpose::Members), ("b", Purpose::Members)], Tables::default());
    assert_eq!(people(&unreached), people(&known));
    assert!(unreached.accounts.iter().all(|account| account.errors[0].cause.contains("AWS throttled")));
}

#[test]
fn after_keys_were_throttled_only_members_and_the_keys_of_new_users_are_read() {
    let none = Release::default();
    let known = read(both(), TWO, None, &none);
    let mut table = two().user("new", &["G"]).refusing("ListSSHPublicKeys", "ana", Reason::NoAnswer);
    table.delete("bob");
    let source = tables(&[("", "1", table), ("B", "2", other())]);
    let listing = read_at(&after_throttling(&[("", Purpose::Keys)]), source, TWO, Some(&known), &none);
    assert_eq!(people(&listing), [("", vec!["ana", "new"]), ("b", vec!["zoe"])]);
    let account = &listing.accounts[0];
    assert!(account.errors.is_empty() && user(account, "new").keys.len() == 1, "{:?}", account.errors);
    assert_eq!(account.warnings[0].code, Some(listing::WarningCode::KeysLeft));
    assert!(listing.accounts[1].warnings.is_empty());
}
