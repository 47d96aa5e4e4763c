//! Twenty hosts, each with its own root and network, and one publisher: what all of them answer, and every call that they make.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use policy::{IamId, Id};
use serde_json::{Value, json};
use tests::fleet::{Fleet, Member, OBJECT, Publisher};

const HOSTS: u8 = 20;
/// "A removal in force everywhere within 60 seconds". It takes a few.
const REMOVED: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(120);

/// What NSS and keys-cmd answer about each user on one host: uid, and whether a key is offered.
type Answers = BTreeMap<String, Option<(String, bool)>>;

/// The publisher runs beside the emulator.
const PUBLISHER: &str = "127.0.0.1";

const NAMES: [&str; 5] = ["ana", "bob", "cy", "first", "second"];

/// UserIds whose computed uids are equal.
fn colliding() -> (String, String) {
    let mut seen = BTreeMap::new();
    let pair = (0_u32..).find_map(|number| {
        let id = format!("AIDA{number}");
        seen.insert(Id::computed(&IamId::new(&id)), id.clone()).map(|first| (first, id))
    });
    pair.unwrap()
}

fn answers(member: &Member) -> Answers {
    let answer = |name: &str| {
        let line = member.host.getent("passwd", name)?;
        let uid = line.split(':').nth(2).unwrap().to_owned();
        Some((uid, !member.host.keys(name).is_empty()))
    };
    NAMES.into_iter().map(|name| (name.to_owned(), answer(name))).collect()
}

/// A host, and its answers after a run of the apply half.
struct Said(u8, Answers);

/// Reads the source every few seconds until it is stopped.
fn live(number: u8, member: &Member, config: &str, stop: &AtomicBool, says: &Sender<Said>) {
    member.host.machine.config(config);
    let mut poll = member.poll();
    while !stop.load(Ordering::SeqCst) {
        if let Some(applied) = poll.applied() {
            assert_eq!(applied.status, Some(0), "{}", applied.err);
            says.send(Said(number, answers(member))).unwrap();
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Waits until all hosts give answers of which this holds.
fn until(
    hosts: &Receiver<Said>,
    within: Duration,
    holds: impl Fn(&Answers) -> bool,
) -> BTreeMap<u8, Answers> {
    let (mut all, deadline) = (BTreeMap::new(), Instant::now() + within);
    while all.len() < usize::from(HOSTS) {
        let left = deadline.saturating_duration_since(Instant::now());
        let said = hosts.recv_timeout(left);
        let done = all.len();
        match said.unwrap_or_else(|_| panic!("only {done} hosts after {within:?}")) {
            Said(number, answers) if holds(&answers) => drop(all.insert(number, answers)),
            Said(..) => {}
        }
    }
    all
}

/// How often the publisher made each call, and how often it wrote the object, by its own reports of all rounds that reached the
/// emulator.
fn reported(fleet: &Fleet, mut publisher: Publisher) -> (BTreeMap<String, u64>, usize) {
    let is_get = |call: &&Value| call["action"] == "GET" && call["from"] == PUBLISHER;
    let asked = fleet.account.calls().iter().filter(is_get).count() as u64;
    let (mut calls, mut written) = (BTreeMap::new(), 0);
    while calls.get("s3:GetObject").is_none_or(|reported| *reported < asked) {
        let report = publisher.round();
        written += usize::from(report["written"] == true);
        for (action, count) in report["calls"].as_object().unwrap() {
            *calls.entry(action.clone()).or_default() += count.as_u64().unwrap();
        }
    }
    (calls, written)
}

/// Of the calls from an address: how often each action was called.
fn counted(calls: &[Value], from: &str) -> BTreeMap<String, u64> {
    let mut counted = BTreeMap::new();
    for call in calls.iter().filter(|call| call["from"] == from) {
        let action = match call["action"].as_str().unwrap() {
            "GET" => "GetObject",
            "PUT" => "PutObject",
            action => action,
        };
        let action = format!("{}:{action}", call["service"].as_str().unwrap());
        *counted.entry(action).or_default() += 1;
    }
    counted
}

/// A host asks nothing but the object, with what it has of it, and gets it only if it changed.
fn asked(calls: &[Value], number: u8) {
    let from = format!("10.77.{number}.2");
    let asked: Vec<&Value> = calls.iter().filter(|call| call["from"] == from).collect();
    let path = format!("/{OBJECT}");
    let is_object = |call: &&&Value| call["action"] == "GET" && call["params"]["path"] == path;
    assert!(asked.iter().all(|call| is_object(&call)), "{asked:?}");
    let conditional = asked.iter().filter(|call| call["params"]["If-None-Match"].is_string()).count();
    assert_eq!(conditional, asked.len() - 1, "{asked:?}");
    let with = |status: u16| asked.iter().filter(|call| call["status"] == status).count();
    // The host may have been ended before the last answer.
    let answered = asked.iter().filter(|call| !call["status"].is_null()).count();
    assert!(with(200) == 2 && with(304) > 0 && with(200) + with(304) == answered, "{asked:?}");
}

#[test]
fn twenty_hosts_have_equal_uids_a_removal_reaches_all_and_every_call_is_counted() {
    let Some(fleet) = Fleet::start() else { return };
    let (first, second) = colliding();
    let user = |name: &str| json!({"name": name, "keys": 1});
    let dated = |name: &str, id: &str, year: u16| json!({"name": name, "id": id, "keys": 1, "created": format!("{year}-01-01T00:00:00Z")});
    let users =
        [user("ana"), user("bob"), user("cy"), dated("first", &first, 2020), dated("second", &second, 2026)];
    let seeded = fleet.account.seed(json!({"users": users, "groups": {"G": NAMES}}));
    let publisher = fleet.publisher("groups = [\"G\"]\n", "3s");
    let (stop, (says, hosts)) = (Arc::new(AtomicBool::new(false)), mpsc::channel());
    // Before there is an object, a host cannot read it.
    while !fleet.account.actions().iter().any(|action| action == "PUT") {
        std::thread::sleep(Duration::from_millis(100));
    }
    let running: Vec<_> = (1..=HOSTS)
        .map(|number| {
            let config = format!("{}[refresh]\nevery = \"2s\"\n", fleet.source());
            let (stop, says) = (Arc::clone(&stop), says.clone());
            fleet.host(number, move |member| live(number, member, &config, &stop, &says))
        })
        .collect();

    let all = until(&hosts, PATIENCE, |answers| answers.values().all(Option::is_some));
    let expected = &all[&1];
    assert!(all.values().all(|answers| answers == expected), "{all:#?}");
    let uid = |name: &str| expected[name].clone().unwrap();
    let computed = |id: &str| Id::computed(&IamId::new(id)).to_string();
    assert_eq!(uid("ana"), (computed(seeded["users"]["ana"]["id"].as_str().unwrap()), true));
    assert_eq!(uid("first"), (computed(&first), true));
    let next = Id::series(&IamId::new(&second)).nth(1).unwrap().to_string();
    assert_eq!(uid("second"), (next, true), "the one who came later gets the next id, on all hosts");

    fleet.account.change(json!({"do": "remove_member", "group": "G", "user": "bob"}));
    let mut left = expected.clone();
    left.insert("bob".to_owned(), None);
    let all = until(&hosts, REMOVED, |answers| answers["bob"].is_none());
    assert!(all.values().all(|answers| *answers == left), "{all:#?}");

    // A host that came last may not have asked again since.
    let had_nothing_new = |number: u8| {
        let from = format!("10.77.{number}.2");
        fleet.account.calls().iter().any(|call| call["from"] == from && call["status"] == 304)
    };
    let since = Instant::now();
    while !(1..=HOSTS).all(had_nothing_new) {
        assert!(since.elapsed() < PATIENCE, "a host never asks for an object that it has");
        std::thread::sleep(Duration::from_millis(100));
    }
    stop.store(true, Ordering::SeqCst);
    running.into_iter().for_each(tests::fleet::Running::join);
    let (reported, written) = reported(&fleet, publisher);
    let calls = fleet.account.calls();
    let is_known = |call: &Value| call["from"] == PUBLISHER || call["service"] == "s3";
    assert!(calls.iter().all(is_known), "only the publisher calls IAM: {calls:?}");
    (1..=HOSTS).for_each(|number| asked(&calls, number));
    assert_eq!((counted(&calls, PUBLISHER), written), (reported.clone(), 2));
    let count = |action: &str| reported.get(action).copied().unwrap_or_default();
    let rounds = count("iam:GetGroup");
    assert!(rounds <= count("s3:GetObject"), "{reported:?}");
    assert!((4 * rounds..=5 * rounds).contains(&count("iam:ListSSHPublicKeys")), "{reported:?}");
    assert_eq!(["iam:GetSSHPublicKey", "iam:ListGroupsForUser", "s3:PutObject"].map(count), [5, 1, 2]);
}
