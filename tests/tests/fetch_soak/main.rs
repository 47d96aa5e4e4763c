//! Refreshes with answers of IAM that fail, are truncated, late or outdated, while people join and leave: users who
//! were members all the time keep everything after each refresh, and once IAM works again the host shows what IAM
//! has.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod faults;
mod people;
mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tests::{Account, FaultProxy, Host, LISTING, Person, REFRESHER, Ran, published};

use faults::Faults;
use people::People;
use random::Random;

/// How long faults are injected. Some minutes find more.
const LASTS: Duration = Duration::from_secs(70);

/// The seed of a failed run, to repeat its choices. The timing still differs.
const SEED: Option<u64> = None;

/// The maximum number of refreshes without faults until everything is correct.
const SETTLING: usize = 2;

/// Enough to query GetGroup again after ten seconds.
const LONG: &str = "25s";

fn config(timeout: &str) -> String {
    format!(
        "groups = [\"Alpha\", \"Beta\", \"Gamma\"]\n[local_groups]\nAlpha = [\"users\"]\n[aws]\ntimeout = \"{timeout}\"\n"
    )
}

fn refresh(host: &Host, account: &Account, endpoint: &str) -> Ran {
    // A refresh makes no calls for a while after calls were throttled.
    let _ = fs::remove_file("/var/lib/nss-iam-fetch/calls.json");
    let mut command = host.machine.command(&[REFRESHER]);
    command.envs(account.env(endpoint)).output().unwrap().into()
}

/// Joins and leaves until it is stopped.
fn change(people: &Mutex<People>, random: &mut Random, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        people.lock().unwrap().change(random);
        thread::sleep(Duration::from_millis(random.below(500)));
    }
}

/// The users in which two sets differ, with the ends of their keys.
fn difference(host: &BTreeMap<String, Person>, iam: &BTreeMap<String, Person>) -> Vec<String> {
    let names: BTreeSet<&String> = host.keys().chain(iam.keys()).collect();
    let shown = |person: Option<&Person>| {
        person.map(|person| {
            let keys: Vec<_> = person.keys.iter().map(|key| &key[key.len() - 8..]).collect();
            format!("{} {:?} {:?} {keys:?}", person.iam_id, person.groups, person.local)
        })
    };
    let differing = names.into_iter().filter(|name| host.get(*name) != iam.get(*name));
    differing
        .map(|name| format!("{name}: {:?}, not {:?}", shown(host.get(name)), shown(iam.get(name))))
        .collect()
}

/// The first refresh shows everyone. Returns those who stay members all the time.
fn begins(people: &People, first: &Ran) -> BTreeMap<String, Person> {
    assert_eq!(first.status, Some(0), "{}", first.err);
    let before = published();
    assert_eq!(difference(&before, &people.expected()), [""; 0]);
    let stable: Vec<&str> = people.stable().collect();
    before.into_iter().filter(|(name, _)| stable.contains(&name.as_str())).collect()
}

/// Once IAM works again, the host shows what IAM has.
fn settles(seed: u64, people: &People, refresh: impl Fn() -> Ran) {
    let last = (0..SETTLING).map(|_| refresh()).last().unwrap();
    assert_eq!(difference(&published(), &people.expected()), [""; 0], "seed {seed}\n{}", last.err);
    assert_eq!(last.status, Some(0), "seed {seed}\n{}", last.err);
}

#[test]
fn during_faults_and_changes_nobody_loses_anything_and_finally_the_host_shows_what_iam_has() {
    let Some(host) = Host::new() else { return };
    let seed = SEED.unwrap_or_else(|| jiff::Timestamp::now().as_nanosecond().unsigned_abs() as u64);
    let mut random = Random::of(seed);
    let account = Account::new();
    let people = People::seed(&account);
    let faults = Arc::new(Faults::new(random.next()));
    let proxy = FaultProxy::start(&account, {
        let faults = Arc::clone(&faults);
        move |call| faults.decide(call)
    });
    host.machine.config(&config(LONG));
    let stable = begins(&people, &refresh(&host, &account, &proxy.url()));

    let people = Mutex::new(people);
    let stop = AtomicBool::new(false);
    let begin = Instant::now();
    let mut statuses: BTreeMap<i32, usize> = BTreeMap::new();
    let mut choices = Random::of(random.next());
    thread::scope(|scope| {
        scope.spawn(|| change(&people, &mut choices, &stop));
        // The other thread must end in any case.
        let _stopping = Stopping(&stop);
        for number in 0.. {
            if begin.elapsed() >= LASTS {
                break;
            }
            // Mostly too short for a second answer.
            host.machine.config(&config(if number % 12 == 11 { LONG } else { "4s" }));
            let is_lost = random.one_in(12);
            if is_lost {
                fs::remove_file(LISTING).unwrap();
            }
            let mut here = people.lock().unwrap();
            if random.one_in(10) {
                here.rename();
            }
            faults.next_round(here.is_renamed());
            drop(here);
            let ran = refresh(&host, &account, &proxy.url());
            *statuses.entry(ran.status.unwrap_or(-1)).or_default() += 1;
            let mut now = published();
            now.retain(|name, _| stable.contains_key(name));
            assert_eq!(
                difference(&now, &stable),
                [""; 0],
                "seed {seed}, refresh {number}, listing lost: {is_lost}\n{}\nfaults: {:#?}",
                ran.err,
                faults.of_round()
            );
        }
    });
    faults.stop();
    let people = people.into_inner().unwrap();
    // Without a second answer, a user whose name another has now stays until three refreshes, two minutes apart, agree.
    host.machine.config(&config(LONG));
    settles(seed, &people, || refresh(&host, &account, &proxy.url()));
    let counts = faults.counts();
    let refreshes: usize = statuses.values().sum();
    let (changes, time) = (people.changes(), begin.elapsed().as_secs());
    let _ = writeln!(
        std::io::stdout(),
        "fetch_soak: seed {seed}: {refreshes} refreshes, {changes} changes in {time} s; exits {statuses:?}; faults {counts:?}"
    );
    assert!(counts.len() >= faults::KINDS, "some never happened: {counts:?}");
}

struct Stopping<'a>(&'a AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
