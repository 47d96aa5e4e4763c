//! Rounds against an object in memory.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};

use listing::{Account, FailureKind, User};

use super::*;

/// An object, and all that it ever was.
#[derive(Default)]
struct Memory {
    present: Mutex<Vec<Vec<u8>>>,
    /// Answers to writes, instead of the right one.
    refusals: Mutex<Vec<Result<Put, Failure>>>,
}

impl Store for Memory {
    fn get(&self) -> Result<Option<(String, Vec<u8>)>, Failure> {
        let present = self.present.lock().unwrap();
        Ok(present.last().map(|document| (present.len().to_string(), document.clone())))
    }

    fn put(&self, document: Vec<u8>, over: Option<&str>) -> Result<Put, Failure> {
        if let Some(refused) = self.refusals.lock().unwrap().pop() {
            return refused;
        }
        let mut present = self.present.lock().unwrap();
        let etag = Some(present.len().to_string()).filter(|_| !present.is_empty());
        if etag.as_deref() != over {
            return Ok(Put::Raced);
        }
        present.push(document);
        Ok(Put::Written)
    }
}

impl Memory {
    fn listings(&self) -> Vec<Listing> {
        let keys = [SIGNER.public()];
        self.present
            .lock()
            .unwrap()
            .iter()
            .map(|document| signed::authentic(document, &keys).unwrap())
            .collect()
    }
}

fn key() -> Signer {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path).status();
    assert!(made.unwrap().success());
    Signer::read(&std::fs::read(path).unwrap()).unwrap()
}

static SIGNER: LazyLock<Signer> = LazyLock::new(key);

fn publish() -> Publish {
    Publish {
        url: "s3://fleet/users".to_owned(),
        bucket: "fleet".to_owned(),
        object: "users".to_owned(),
        fleet: "jump".to_owned(),
        key: "/key".into(),
        valid: Duration::from_secs(86_400),
        again: Duration::from_secs(3600),
        trusted_keys: Vec::new(),
    }
}

fn at(minutes: i64) -> Timestamp {
    let start: Timestamp = "2026-11-27T12:00:00Z".parse().unwrap();
    start + SignedDuration::from_mins(minutes)
}

/// A source with so many users.
fn users(count: usize) -> Listing {
    let users = (0..count).map(|number| User {
        id: format!("AIDA{number}"),
        name: format!("u{number}"),
        ..User::default()
    });
    let account = Account { complete: true, users: users.collect(), ..Account::default() };
    Listing { version: 1, source: "iam:".to_owned(), accounts: vec![account], ..Listing::default() }
}

fn round<T>(
    store: &Memory,
    config: &Config,
    publish: &Publish,
    run: impl FnOnce(Round<'_, Memory>) -> T,
) -> T {
    run(Round { config, publish, signer: &SIGNER, store, seen: None, force: false, dry_run: false })
}

/// Publishes so many users after so many minutes.
fn once(store: &Memory, count: usize, minutes: i64) -> Result<Done, Stop> {
    round(store, &Config::default(), &publish(), |round| {
        round.run(|| at(minutes), |_| (users(count), Vec::new()))
    })
}

#[test]
fn a_listing_is_published_if_it_says_something_new_or_some_time_has_passed() {
    let store = Memory::default();
    for (count, minutes, written) in [
        (1, 0, true),
        (1, 1, false),
        (2, 1, true),
        (2, 60, false),
        (2, 61, true),
        (2, 30, true),
        (2, 40, false),
    ] {
        assert_eq!(once(&store, count, minutes).unwrap().written, written, "{count} users at {minutes}");
    }
    let listings = store.listings();
    let generations: Vec<_> = listings.iter().map(|listing| listing.generation.unwrap()).collect();
    // Of the clock, and with a clock that goes back one more than before.
    let clock = |minutes| u64::try_from(at(minutes).as_second()).unwrap();
    assert_eq!(generations, [clock(0), clock(1), clock(61), clock(61) + 1]);
    let last = listings.last().unwrap();
    assert_eq!(
        (last.issued, last.expires, last.fleet.as_deref()),
        (Some(at(30)), Some(at(30 + 24 * 60)), Some("jump"))
    );
    assert_eq!(last.ids.len(), 2);
}

#[test]
fn what_cannot_be_verified_is_never_overwritten() {
    let other = key();
    let signed = |change: fn(&mut Listing), signer: &Signer| {
        let mut listing = Listing { fleet: Some("jump".to_owned()), generation: Some(1), ..users(1) };
        change(&mut listing);
        signer.sign(&serde_json::to_vec(&listing).unwrap()).unwrap()
    };
    let cut = signed(|_| {}, &SIGNER);
    for (document, words) in [
        (b"{}".to_vec(), "it is not signed"),
        (Vec::new(), "it is not signed"),
        (cut[..cut.len() - 9].to_vec(), "cannot be verified"),
        (signed(|_| {}, &other), "not one of the trusted keys"),
        (
            signed(|listing| listing.fleet = Some("build".to_owned()), &SIGNER),
            "for the fleet 'build', not for 'jump'",
        ),
        (signed(|listing| listing.fleet = None, &SIGNER), "for the fleet ''"),
        (
            signed(|listing| listing.source = "identity-center:".to_owned(), &SIGNER),
            "the users of 'identity-center:'",
        ),
    ] {
        let store = Memory { present: Mutex::new(vec![document]), ..Memory::default() };
        let stop = once(&store, 2, 0).unwrap_err();
        assert_eq!(stop.exit, exit::HELD);
        assert!(stop.message.what().contains(words) && stop.message.hint().is_some(), "{}", stop.message);
        assert_eq!(store.present.lock().unwrap().len(), 1);
    }
    // A former key of the publisher may be trusted.
    let store = Memory { present: Mutex::new(vec![signed(|_| {}, &other)]), ..Memory::default() };
    let publish = Publish { trusted_keys: vec![other.public()], ..publish() };
    let config = Config::default();
    let done =
        round(&store, &config, &publish, |round| round.run(|| at(0), |_| (users(2), Vec::new()))).unwrap();
    assert!(done.written && done.listing.generation > Some(1));
}

#[test]
fn a_process_notices_that_the_object_was_deleted_or_replaced_by_an_older_one() {
    let store = Memory::default();
    let seen = once(&store, 1, 0).unwrap().listing.generation;
    let (config, publish) = (Config::default(), publish());
    let again = |store: &Memory, seen| {
        let round = Round {
            config: &config,
            publish: &publish,
            signer: &SIGNER,
            store,
            seen,
            force: false,
            dry_run: false,
        };
        round.run(|| at(90), |_| (users(1), Vec::new()))
    };
    let newer = seen.map(|seen| seen + 1);
    assert!(again(&store, newer).unwrap_err().message.what().contains("replaced by an older one"));
    assert!(again(&Memory::default(), seen).unwrap_err().message.what().contains("was deleted"));
    assert!(again(&store, seen).unwrap().written);
}

#[test]
fn nothing_is_published_for_the_first_time_before_the_whole_source_was_read() {
    let failure: Failure =
        serde_json::from_str(r#"{"call": "c", "on": "o", "cause": "x", "kind": "denied"}"#).unwrap();
    let mut partial = users(1);
    partial.accounts[0].complete = false;
    partial.accounts[0].errors = vec![failure.clone()];
    let read = |store: &Memory| {
        round(store, &Config::default(), &publish(), |round| {
            round.run(|| at(0), |_| (partial.clone(), vec![failure.clone()]))
        })
    };
    let store = Memory::default();
    assert_eq!(read(&store).unwrap_err().exit, exit::of(FailureKind::Denied));
    assert!(store.present.lock().unwrap().is_empty());
    // Later, hosts are told what is known.
    once(&store, 1, 0).unwrap();
    let done = read(&store).unwrap();
    assert!(done.written && done.failures.len() == 1 && !read(&store).unwrap().written);
}

#[test]
fn a_dry_run_writes_nothing_and_shows_what_would_be_written() {
    let store = Memory::default();
    let (config, publish) = (Config::default(), publish());
    let round = Round {
        config: &config,
        publish: &publish,
        signer: &SIGNER,
        store: &store,
        seen: None,
        force: false,
        dry_run: true,
    };
    let done = round.run(|| at(0), |_| (users(3), Vec::new())).unwrap();
    assert!(!done.written && done.listing.ids.len() == 3 && store.present.lock().unwrap().is_empty());
}

#[test]
fn a_lost_race_reads_all_again_and_an_endless_one_ends() {
    let store = Memory { refusals: Mutex::new(vec![Ok(Put::Raced), Ok(Put::Raced)]), ..Memory::default() };
    let reads = AtomicUsize::new(0);
    let read = |_: Option<Listing>| (users(1 + reads.fetch_add(1, Ordering::Relaxed)), Vec::new());
    let done = round(&store, &Config::default(), &publish(), |round| round.run(|| at(0), read)).unwrap();
    assert!(done.written && done.listing.accounts[0].users.len() == 3);
    let lost = (0..ATTEMPTS).map(|_| Ok(Put::Raced)).collect();
    let store = Memory { refusals: Mutex::new(lost), ..Memory::default() };
    assert_eq!(once(&store, 1, 0).unwrap_err().exit, exit::UNAVAILABLE);
    let failure: Failure =
        serde_json::from_str(r#"{"call": "c", "on": "o", "cause": "x", "kind": "denied"}"#).unwrap();
    let store = Memory { refusals: Mutex::new(vec![Err(failure)]), ..Memory::default() };
    assert_eq!(once(&store, 1, 0).unwrap_err().exit, exit::DENIED);
}

/// Two publishers, 200 rounds in all. A user joins before each round, so each has something to say.
#[test]
fn two_publishers_at_once_lose_no_update() {
    let (store, joined) = (Memory::default(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..100 {
                    joined.fetch_add(1, Ordering::SeqCst);
                    // The other one may come first at each of these points.
                    let read = |_: Option<Listing>| {
                        let read = users(joined.load(Ordering::SeqCst));
                        std::thread::yield_now();
                        (read, Vec::new())
                    };
                    let config = Config::default();
                    let done = round(&store, &config, &publish(), |round| round.run(|| at(0), read));
                    assert!(done.is_ok() || done.is_err_and(|stop| stop.exit == exit::UNAVAILABLE));
                }
            });
        }
    });
    let last = once(&store, joined.load(Ordering::SeqCst), 0).unwrap().listing;
    assert_eq!((last.accounts[0].users.len(), last.ids.len()), (200, 200));
    for pair in store.listings().windows(2) {
        assert!(pair[0].generation < pair[1].generation);
        assert!(pair[0].accounts[0].users.len() <= pair[1].accounts[0].users.len(), "an update was lost");
        assert!(pair[0].ids.iter().all(|(id, given)| pair[1].ids.get(id) == Some(given)), "an id changed");
    }
}
