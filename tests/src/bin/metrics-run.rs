//! What docs/metrics-picture.py draws: refreshes against the emulator, while AWS throttles and fails for a while. Prints one JSON
//! text a line: when, and the metrics at that time.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "it is a program for a person at a terminal, and ends at the first surprise"
)]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use tests::{Account, CACHE, Fault, FaultProxy, Machine, REFRESHER};

const ROUNDS: usize = 90;
const PAUSE: Duration = Duration::from_secs(5);
const CONFIG: &str = "groups = [\"JumpHostAccess\"]\n[aws]\ntimeout = \"4s\"\n[keys]\nmax_age = \"10m\"\n";

fn main() {
    let account = Account::new();
    let Some(machine) = Machine::enter() else { panic!("it needs root") };
    machine.install();
    machine.config(CONFIG);
    let round = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&round);
    let proxy = FaultProxy::start(&account, move |call| match now.load(Ordering::Relaxed) {
        25..40 if call.total % 5 == 0 => Fault::throttling(),
        40..58 => Fault::throttling(),
        _ => Fault::Pass,
    });
    for number in 0..ROUNDS {
        let started = Instant::now();
        round.store(number, Ordering::Relaxed);
        prepare(&machine, &account, number);
        machine.command(&[REFRESHER, "--force"]).envs(account.env(&proxy.url())).output().unwrap();
        let metrics = fs::read_to_string(format!("{CACHE}/metrics.prom")).unwrap();
        let at = Timestamp::now().as_second();
        println!("{}", json!({ "at": at, "metrics": metrics }));
        sleep(PAUSE.saturating_sub(started.elapsed()));
    }
}

/// What changes before this refresh.
fn prepare(machine: &Machine, account: &Account, number: usize) {
    let name = |n: usize| format!("user{n:02}");
    let seed = |names: Vec<String>| {
        let users: Vec<Value> = names.iter().map(|name| json!({"name": name, "keys": 1})).collect();
        drop(account.seed(json!({"users": users, "groups": {"JumpHostAccess": names}})));
    };
    match number {
        0 => seed((0..40).map(name).collect()),
        10 => seed((40..52).map(name).chain(["root".to_owned()]).collect()),
        18 => (36..52)
            .map(name)
            .for_each(|name| drop(account.change(json!({"do": "delete_user", "user": name})))),
        66 => (1..4).map(name).for_each(|name| {
            assert!(machine.run(&["nss-iamctl", "lock", &name]).status.success(), "{name}");
        }),
        72 => machine.config("grups = []\n"),
        80 => machine.config(CONFIG),
        _ => {}
    }
}
