//! A publisher, and hosts that read its object every 10 seconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::fleet::{Fleet, Member, Publisher, Running};

use super::cycle::{GROUP, People};
use super::usage::Usage;
use super::{Cycle, Relayed};

/// The address of the publisher.
const PUBLISHER: &str = "127.0.0.1";
/// How often the publisher reads IAM.
const LOOP: &str = "20s";
/// Users who leave, one after the other; the seconds between what the last host saw and the next one: anywhere in a round.
const PAUSES: [u64; 3] = [3, 11, 6];

/// What a host says.
enum Said {
    /// The process of its fetch half.
    Started(u8, u32),
    /// The apply half has run, and these of the users who leave are gone.
    Applied(u8, Instant, Vec<bool>),
    /// The apply half has confirmed what is published.
    Confirmed,
}

/// What all hosts are told.
#[derive(Default)]
struct Orders {
    /// The apply half confirms once.
    confirm: AtomicBool,
    stop: AtomicBool,
}

/// Hosts that run until they are stopped.
struct Hosts {
    running: Vec<Running<()>>,
    processes: BTreeMap<u8, u32>,
    orders: Arc<Orders>,
    says: Sender<Said>,
    hears: Receiver<Said>,
}

/// Measures one host and then more, for so many seconds each.
pub fn run(fleet: &Fleet, numbers: std::ops::Range<u8>, people: &People, window: u64) -> [Relayed; 2] {
    let config = format!("groups = [\"{GROUP}\"]\n[refresh]\nkeys_every = \"15m\"\n");
    let mut publisher = fleet.publisher(&config, LOOP);
    while publisher.round()["written"] != true {}
    let leaving: Vec<String> = people.iter().take(PAUSES.len()).map(|(name, _)| name.clone()).collect();
    let mut hosts = Hosts::new();
    let (first, rest) = (numbers.start, numbers.start + 1..numbers.end);
    hosts.start(fleet, first..first + 1, &leaving);
    let alone = watched(fleet, &publisher, &hosts, window);
    hosts.start(fleet, rest, &leaving);
    let mut all = watched(fleet, &publisher, &hosts, window);
    let before = hosts.usage();
    for (number, (name, pause)) in leaving.iter().zip(PAUSES).enumerate() {
        std::thread::sleep(Duration::from_secs(pause));
        fleet.account.change(json!({"do": "remove_member", "group": GROUP, "user": name}));
        all.delays.extend(hosts.until_gone(number, Instant::now()));
    }
    let used = hosts.usage().since(before);
    let changes = (hosts.processes.len() * PAUSES.len()) as f64;
    all.change = Cycle { iam: 0.0, cpu: used.cpu / changes, bytes: used.bytes / changes, seconds: 0.0 };
    all.confirmation = hosts.confirm();
    hosts.end();
    [alone, all]
}

/// What publisher and hosts do while nothing changes.
fn watched(fleet: &Fleet, publisher: &Publisher, hosts: &Hosts, window: u64) -> Relayed {
    fleet.account.forget_calls();
    let (before, publisher_before, started) = (hosts.usage(), Usage::of(publisher.id()), Instant::now());
    std::thread::sleep(Duration::from_secs(window));
    let (used, published) = (hosts.usage().since(before), Usage::of(publisher.id()).since(publisher_before));
    let calls = fleet.account.calls();
    let seconds = started.elapsed().as_secs_f64();
    let count = |of: fn(&Value) -> bool| calls.iter().filter(|call| of(call)).count() as f64 / seconds;
    Relayed {
        iam: count(|call| call["service"] != "s3"),
        publisher_s3: count(|call| call["service"] == "s3" && call["from"] == PUBLISHER),
        hosts_s3: count(|call| call["service"] == "s3" && call["from"] != PUBLISHER),
        publisher_cpu: published.cpu / seconds,
        cpu: used.cpu / seconds,
        bytes: used.bytes / seconds,
        ..Relayed::default()
    }
}

impl Hosts {
    fn new() -> Self {
        let (says, hears) = mpsc::channel();
        Self { running: Vec::new(), processes: BTreeMap::new(), orders: Arc::default(), says, hears }
    }

    /// Starts more, and waits until they know the users.
    fn start(&mut self, fleet: &Fleet, numbers: std::ops::Range<u8>, leaving: &[String]) {
        for number in numbers.clone() {
            let config = format!("{}[refresh]\nevery = \"10s\"\n", fleet.source());
            let (says, orders, leaving) = (self.says.clone(), Arc::clone(&self.orders), leaving.to_vec());
            self.running.push(
                fleet.host(number, move |member| live(number, member, &config, &leaving, &orders, &says)),
            );
        }
        let mut waiting = numbers.len();
        while waiting > 0 {
            match self.hears.recv().unwrap() {
                Said::Started(number, process) => drop(self.processes.insert(number, process)),
                Said::Applied(_, _, gone) => waiting -= usize::from(!gone.contains(&true)),
                Said::Confirmed => {}
            }
        }
    }

    /// Of all hosts: their fetch halves, and the apply halves that have ended.
    fn usage(&self) -> Usage {
        let add = |sum: Usage, more: Usage| Usage { cpu: sum.cpu + more.cpu, bytes: sum.bytes + more.bytes };
        self.processes.values().map(|process| Usage::of(*process)).fold(Usage::of_children(), add)
    }

    /// Waits until one of those who leave is gone everywhere. Returns after how many seconds on each host.
    fn until_gone(&self, leaving: usize, since: Instant) -> Vec<f64> {
        let mut gone_on = BTreeMap::new();
        while gone_on.len() < self.running.len() {
            if let Said::Applied(number, at, gone) = self.hears.recv().unwrap()
                && gone[leaving]
            {
                gone_on.entry(number).or_insert(at.duration_since(since).as_secs_f64());
            }
        }
        gone_on.into_values().collect()
    }

    /// Has each host confirm once what is published, and returns what that costs one of them.
    fn confirm(&self) -> Cycle {
        let before = self.usage();
        self.orders.confirm.store(true, Ordering::SeqCst);
        let mut waiting = self.running.len();
        while waiting > 0 {
            waiting -= usize::from(matches!(self.hears.recv().unwrap(), Said::Confirmed));
        }
        let (used, hosts) = (self.usage().since(before), self.running.len() as f64);
        Cycle { iam: 0.0, cpu: used.cpu / hosts, bytes: used.bytes / hosts, seconds: 0.0 }
    }

    fn end(self) {
        self.orders.stop.store(true, Ordering::SeqCst);
        self.running.into_iter().for_each(Running::join);
    }
}

/// One host.
fn live(number: u8, member: &Member, config: &str, leaving: &[String], orders: &Orders, says: &Sender<Said>) {
    member.host.machine.config(config);
    let (mut poll, mut confirms) = (member.poll(), false);
    says.send(Said::Started(number, poll.id())).unwrap();
    while !orders.stop.load(Ordering::SeqCst) {
        if !confirms && orders.confirm.load(Ordering::SeqCst) {
            confirms = true;
            let applied = member.host.refresher(&["apply"]);
            assert_eq!(applied.status, Some(0), "{}", applied.err);
            says.send(Said::Confirmed).unwrap();
        }
        if let Some(applied) = poll.applied() {
            assert_eq!(applied.status, Some(0), "{}", applied.err);
            let at = Instant::now();
            let gone = leaving.iter().map(|name| member.host.getent("passwd", name).is_none()).collect();
            says.send(Said::Applied(number, at, gone)).unwrap();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
