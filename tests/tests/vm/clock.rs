//! Suspend, and clocks that are wrong and become right again.

use std::collections::BTreeMap;

use serde_json::Value;
use tests::login::Key;
use tests::vm::Vm;

use crate::support::{found, installed, logs_in};

/// Sets the clock forward or back, like `date -s`.
fn set(vm: &Vm, change: &str) {
    vm.done(&format!("date -s '{change}'"));
}

fn check(vm: &Vm) -> Option<i32> {
    vm.sh("nss-iamctl status --check").0
}

/// A lock needs no right clock.
fn a_lock_works(vm: &Vm, keys: &BTreeMap<String, Key>) {
    vm.done("nss-iamctl lock bob");
    assert_ne!(vm.sh("id bob").0, Some(0));
    assert!(!logs_in(vm, keys, "bob"));
    vm.done("nss-iamctl unlock bob && id bob");
}

/// At the latest ten minutes, plus the random delay of at most five, after the last run.
fn the_timer_runs_soon(vm: &Vm) {
    let listed: Value =
        serde_json::from_str(&vm.done("systemctl list-timers -o json nss-iam-refresh.timer")).unwrap();
    let now: u64 = vm.done("date +%s").trim().parse().unwrap();
    let next = listed[0]["next"].as_u64().unwrap() / 1_000_000;
    assert!(next <= now + 900, "the next run is in {} s: {listed}", next - now);
}

fn all_is_well(vm: &Vm, keys: &BTreeMap<String, Key>) {
    vm.done("systemctl start nss-iam-refresh.service");
    assert!(logs_in(vm, keys, "ana"));
    assert_eq!(check(vm), Some(0));
    let left = found(vm, "nss-iamctl doctor");
    // The machine has no network, and so no time server.
    assert_eq!(left, ["clock-unsynchronised"]);
}

#[test]
fn suspended_for_a_moment_or_for_days_everybody_can_log_in_after_one_refresh() {
    let Some((vm, keys)) = installed() else { return };
    vm.done("rtcwake -m mem -s 5");
    assert!(vm.done("journalctl -k -o cat").contains("PM: suspend exit"));
    all_is_well(&vm, &keys);

    // As after four days without a refresh: longer than `max_age`.
    vm.done("mv /srv/users.json /srv/away");
    set(&vm, "+4 days");
    vm.done("systemctl start nss-iam-refresh.service");
    assert!(!logs_in(&vm, &keys, "ana"));
    assert_eq!(check(&vm), Some(2));
    assert!(found(&vm, "nss-iamctl doctor").contains(&"confirmed-too-long-ago".to_owned()));
    assert!(found(&vm, "nss-iamctl why ana").contains(&"no-key-offered".to_owned()));
    a_lock_works(&vm, &keys);
    the_timer_runs_soon(&vm);
    vm.done("mv /srv/away /srv/users.json");
    all_is_well(&vm, &keys);

    // The clock was wrong: keys were confirmed in the future.
    set(&vm, "-4 days");
    in_the_future(&vm, &keys);
    all_is_well(&vm, &keys);
}

#[test]
fn a_clock_that_is_a_day_back_keeps_nobody_out_longer_than_until_the_next_refresh() {
    let Some((vm, keys)) = installed() else { return };
    set(&vm, "-1 day");
    in_the_future(&vm, &keys);
    all_is_well(&vm, &keys);

    // Right again: what was confirmed with the wrong clock is a day old, and not too old.
    set(&vm, "+1 day");
    assert!(logs_in(&vm, &keys, "ana"));
    all_is_well(&vm, &keys);
}

/// Nobody can log in, and every command says why.
fn in_the_future(vm: &Vm, keys: &BTreeMap<String, Key>) {
    // A run of the timer would mend it.
    the_timer_runs_soon(vm);
    assert!(!logs_in(vm, keys, "ana"));
    assert_eq!(check(vm), Some(2));
    assert!(found(vm, "nss-iamctl doctor").contains(&"confirmation-in-future".to_owned()));
    assert!(found(vm, "nss-iamctl why ana").contains(&"no-key-offered".to_owned()));
    a_lock_works(vm, keys);
}
