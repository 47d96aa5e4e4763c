//! With `keys_every`, a refresh reads the keys of a part of the users, and over time those of all.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// With `keys_every` of so many minutes.
fn every(minutes: u64, now: i64) -> Schedule {
    Schedule { every: Some(Duration::from_secs(60 * minutes)), asked: None, now: at(now) }
}

fn run_every(schedule: Schedule, table: &Table, known: Option<&Account>) -> Account {
    run_by(schedule, table, known, &["G"], &Tags::default(), false)
}

fn many(users: usize) -> Table {
    (0..users).fold(Table::default(), |table, n| table.user(&format!("u{n}"), &["G"]))
}

/// Users whose keys were asked for.
fn asked(table: &Table) -> BTreeSet<String> {
    let asked = table.asked.borrow();
    asked.iter().filter(|(call, _)| *call == "ListSSHPublicKeys").map(|(_, on)| on.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Nobody's keys become older than the period and one run; the calls of a run stay near the even share; and each user is
    /// read once in a period.
    #[test]
    fn keys_are_read_in_time_and_evenly(users in 1_usize..200, period in 1_u64..30, apart in 1_i64..7) {
        let table = many(users);
        let mut known = run_every(every(period, 0), &table, None);
        prop_assert_eq!(table.asked("ListSSHPublicKeys"), users, "everyone is new");
        let minutes = i64::try_from(period).unwrap();
        let share = users as f64 * (apart as f64 / minutes as f64).min(1.0);
        let runs = 4 * minutes / apart + 2;
        let mut calls = Vec::new();
        for run in 1..=runs {
            table.asked.borrow_mut().clear();
            known = run_every(every(period, run * apart), &table, Some(&known));
            let oldest = known.users.iter().filter_map(|user| user.confirmed).min().unwrap();
            prop_assert!(at(run * apart).duration_since(oldest).as_mins() <= minutes + apart);
            calls.push(table.asked("ListSSHPublicKeys"));
            // Six standard deviations of a draw.
            prop_assert!(calls[calls.len() - 1] as f64 <= share + 6.0 * share.sqrt() + 6.0, "{:?}", calls);
        }
        if apart < minutes {
            let whole = runs * apart / minutes;
            let total: usize = calls.iter().sum();
            prop_assert!(total <= users * (usize::try_from(whole).unwrap() + 1), "{:?}", calls);
        } else {
            prop_assert!(calls.iter().all(|calls| *calls == users), "no run leaves anyone out: {:?}", calls);
        }
    }
}

#[test]
fn users_who_joined_were_missing_have_another_name_or_were_not_read_whole_are_read_at_once() {
    let table = many(100);
    let first = run_every(every(30, 0), &table, None);
    table.asked.borrow_mut().clear();
    let second = run_every(every(30, 1), &table, Some(&first));
    let by_time = asked(&table);
    assert!(by_time.len() < 20, "{by_time:?}");
    let mut quiet = (0..100).map(|n| format!("u{n}")).filter(|name| !by_time.contains(name));
    let [missing, renamed, broken, gone] = [(); 4].map(|()| quiet.next().unwrap());

    let table = many(100);
    let mut known = first.clone();
    let of = |name: &str| known.users.iter().position(|user| user.name == name).unwrap();
    let (missing_at, broken_at) = (of(&missing), of(&broken));
    known.users[missing_at].missing = Some(listing::Missing { last: at(0), times: 1, groups: Vec::new() });
    known.users[broken_at].confirmed = None;
    let mut table = table.user("new", &["G"]);
    table.rename(&[renamed], &["other".to_owned()]);
    table.delete(&gone);
    let account = run_every(every(30, 1), &table, Some(&known));
    let read = asked(&table);
    assert_eq!(
        read.difference(&by_time).cloned().collect::<BTreeSet<_>>(),
        [missing, broken, "new".to_owned(), "other".to_owned()].into()
    );
    assert_eq!(account.users.len(), 100, "who left is out");
    assert_eq!(user(&account, "new").confirmed, Some(at(1)));
    assert_eq!(user(&account, "new").keys.len(), 1);
    assert_eq!(second.users.len(), 100);
}

#[test]
fn a_refresh_that_was_asked_for_reads_everyone_once_and_after_a_failure_the_rest() {
    let mut known = run_every(every(30, 0), &many(100), None);
    let asked_for = |now| Schedule { asked: Some(at(1)), ..every(30, now) };
    let failing = ["u1", "u2"]
        .into_iter()
        .fold(many(100), |table, name| table.refusing("ListSSHPublicKeys", name, Reason::NoAnswer));
    known = run_every(asked_for(1), &failing, Some(&known));
    assert_eq!(failing.asked("ListSSHPublicKeys"), 100);
    let table = many(100);
    known = run_every(asked_for(2), &table, Some(&known));
    assert!(
        table.asked("ListSSHPublicKeys") < 20
            && asked(&table).is_superset(&["u1", "u2"].map(str::to_owned).into())
    );
    let forced = many(100);
    let by_force = Schedule { every: None, ..every(30, 3) };
    run_by(by_force, &forced, Some(&known), &["G"], &Tags::default(), true);
    assert_eq!(forced.asked("ListSSHPublicKeys"), 100);
}

#[test]
fn a_clock_that_was_set_back_does_not_stop_the_reading() {
    let ahead = run_every(every(15, 60), &many(50), None);
    let table = many(50);
    let now = run_every(every(15, 0), &table, Some(&ahead));
    assert_eq!(table.asked("ListSSHPublicKeys"), 50);
    assert!(now.users.iter().all(|user| user.confirmed == Some(at(0))));
}

#[test]
fn keys_that_are_not_due_stay_with_the_time_of_their_reading() {
    let known = run_every(every(30, 0), &many(50), None);
    let table = many(50);
    let later = run_every(every(30, 5), &table, Some(&known));
    let before: BTreeMap<_, _> = known.users.iter().map(|user| (&user.id, user)).collect();
    for user in &later.users {
        assert_eq!(user.keys, before[&user.id].keys);
        let confirmed = user.confirmed.unwrap();
        match asked(&table).contains(&user.name) {
            true => assert!(at(0) < confirmed && confirmed <= at(5), "when the user became due"),
            false => assert_eq!(confirmed, at(0)),
        }
    }
}

/// Runs of 100 users, five minutes apart, with so many calls for keys in each.
fn limited(calls: u32, schedule: impl Fn(i64) -> Schedule, runs: i64) -> Vec<Account> {
    let table = many(100);
    let mut all: Vec<Account> = Vec::new();
    for run in 0..runs {
        table.calls_left.set(Some(calls));
        all.push(run_every(schedule(5 * run), &table, all.last()));
    }
    all
}

#[test]
fn keys_that_no_call_is_left_for_are_read_by_later_runs_with_a_warning_and_no_failure() {
    // Two calls for each new user.
    let runs = limited(80, |now| every(30, now), 5);
    let unread = |account: &Account| account.users.iter().filter(|user| user.confirmed.is_none()).count();
    assert!((20..=62).contains(&unread(&runs[0])), "{}", unread(&runs[0]));
    for account in &runs[..2] {
        assert_eq!((account.users.len(), account.complete, account.errors.len()), (100, true, 0));
        assert_eq!(account.warnings[0].code, Some(listing::WarningCode::KeysLeft));
    }
    assert!(unread(&runs[3]) == 0 && runs[4].warnings.is_empty());
    assert!(runs[4].users.iter().all(|user| user.keys.len() == 1));
}

#[test]
fn keys_become_an_error_once_they_are_twice_as_old_as_they_should_be() {
    let late = |account: &Account| {
        assert_eq!(account.users.len(), 100);
        account.errors.iter().any(|error| error.cause.contains("users were read more than 20 min ago"))
    };
    let starved = limited(250, |now| every(10, now), 1);
    let table = many(100);
    let (mut known, mut seen) = (starved[0].clone(), Vec::new());
    for run in 1..8 {
        table.calls_left.set(Some(15));
        known = run_every(every(10, 5 * run), &table, Some(&known));
        seen.push(late(&known));
        assert!(kinds(&known).iter().all(|kind| *kind == FailureKind::Unavailable));
    }
    assert_eq!(seen[..4], [false; 4], "up to 20 minutes");
    assert_eq!(seen[4..], [true; 3], "100 users in runs of 15 take 35 minutes");
    let enough = limited(250, |now| every(10, now), 1);
    let mut known = enough[0].clone();
    for run in 1..12 {
        table.calls_left.set(Some(75));
        known = run_every(every(10, 5 * run), &table, Some(&known));
        assert!(!late(&known));
    }
}

#[test]
fn memberships_that_were_just_read_are_not_read_again_unless_something_is_in_doubt_or_changed() {
    let members = Some(Duration::from_secs(10 * 60));
    let run = |table: &Table, known: Option<&Account>, minute: i64, groups: &[&str]| {
        table.asked.borrow_mut().clear();
        let schedule = every(30, minute);
        run_as(schedule, members, table, known, groups, (&Tags::default(), false))
    };
    let first = run(&two(), None, 0, &["G", "H"]);
    let mut left = two().user("new", &["G"]);
    left.delete("bob");
    let soon = run(&left, Some(&first), 9, &["G", "H"]);
    assert_eq!((names(&soon), soon.as_of), (vec!["ana", "bob"], Some(at(0))));
    assert_eq!(left.asked("GetGroup") + left.asked("ListGroupsForUser"), 0);
    let due = run(&left, Some(&soon), 10, &["G", "H"]);
    assert_eq!((names(&due), due.as_of), (vec!["ana", "new"], Some(at(10))));

    let keyless = Table { keyless: true, ..two() };
    let known = run(&keyless, None, 0, &["G", "H"]);
    assert_eq!(run(&keyless, Some(&known), 9, &["G", "H"]), known, "no answer has confirmed anybody");

    type Change = fn(&mut Account);
    let doubts: [(&str, Change); 6] = [
        ("incomplete", |known| known.complete = false),
        ("missing", |known| {
            known.users[1].missing = Some(listing::Missing { last: at(0), times: 1, groups: Vec::new() });
        }),
        ("failed", |known| {
            let why = super::super::failure::failure("a", "b", "c", "", FailureKind::Unavailable);
            known.errors.push(why);
        }),
        ("warned", |known| {
            known.warnings.push(listing::Warning::new(listing::WarningCode::GroupGone, "a", "b"));
        }),
        ("unconfigured", |known| known.groups[0].unconfigured = true),
        ("of the future", |known| known.as_of = Some(at(2))),
    ];
    for (what, change) in doubts {
        let mut known = first.clone();
        change(&mut known);
        run(&left, Some(&known), 1, &["G", "H"]);
        assert!(left.asked("GetGroup") >= 2, "{what}");
    }
    for groups in [&["G"][..], &["G", "H", "Z"], &["G", "Z"]] {
        run(&left, Some(&first), 1, groups);
        assert!(left.asked("GetGroup") >= 1, "{groups:?}");
    }
}
