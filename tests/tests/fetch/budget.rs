//! How many calls refreshes make where `[refresh]` limits them.

use std::collections::BTreeMap;
use std::fs::File;
use std::time::Duration;

use listing::{Listing, User, WarningCode};
use serde_json::json;
use tests::Fault;

use crate::host::{GROUPS, Host};

/// Users whose keys were read between two listings.
fn read_between(before: &Listing, after: &Listing) -> usize {
    let users = |listing: &Listing| -> BTreeMap<String, User> {
        listing.accounts[0].users.iter().map(|user| (user.id.clone(), user.clone())).collect()
    };
    let before = users(before);
    users(after).values().filter(|user| user.confirmed != before[&user.id].confirmed).count()
}

/// One call for each group and for each user who is due, besides `sts:GetCallerIdentity`.
#[test]
fn with_keys_every_a_refresh_asks_for_the_keys_of_those_who_are_due_and_if_it_was_asked_for_of_all() {
    let Some((host, first)) = Host::refreshed() else { return };
    host.machine.config(&format!("{GROUPS}[refresh]\nkeys_every = \"30m\"\n"));
    let calls = |more: &[&str]| {
        // A listing has whole seconds.
        std::thread::sleep(Duration::from_secs(1));
        host.account.forget_calls();
        let ended = host.refresh_with(&host.account.direct(), more);
        ended.told(0, &[]);
        let actions = host.account.actions();
        let count = |of: &str| actions.iter().filter(|action| *action == of).count();
        assert_eq!(count("GetGroup"), 2, "{actions:?}");
        assert_eq!(actions.len(), 3 + count("ListSSHPublicKeys"), "{actions:?}");
        (count("ListSSHPublicKeys"), ended.listing.unwrap())
    };
    let (due, second) = calls(&[]);
    assert_eq!(due, read_between(&first, &second));
    assert!(due < 5, "all periods would end in the same seconds");
    File::create("/run/nss-iam-refresh").unwrap();
    let (asked, third) = calls(&[]);
    assert_eq!((asked, read_between(&second, &third)), (5, 5));
    let (due, fourth) = calls(&[]);
    assert!(due < 5 && due == read_between(&third, &fourth));
    let (forced, _) = calls(&["--force"]);
    assert_eq!(forced, 5);
}

#[test]
fn a_limit_on_calls_holds_over_several_refreshes_and_leaves_keys_for_later_ones() {
    let names: Vec<_> = (0..10).map(|n| format!("user{n}")).collect();
    let users: Vec<_> = names.iter().map(|name| json!({"name": name, "keys": 1})).collect();
    let Some(host) = Host::seeded(&json!({"users": users, "groups": {"G": names, "H": []}})) else { return };
    host.machine.config(&format!(
        "{GROUPS}[aws]\ntimeout = \"20s\"\n[refresh]\nkeys_every = \"30m\"\nmax_calls_per_minute = 20\n"
    ));
    let refresh = || {
        let ended = host.refresh();
        ended.told(0, &[]);
        let listing = ended.listing.unwrap();
        let account = &listing.accounts[0];
        assert_eq!((account.users.len(), account.errors.len()), (10, 0));
        let read = account.users.iter().filter(|user| user.confirmed.is_some()).count();
        let codes: Vec<_> = account.warnings.iter().filter_map(|warning| warning.code).collect();
        assert_eq!(codes, if read < 10 { vec![WarningCode::KeysLeft] } else { vec![] });
        (read, host.account.actions().len())
    };
    host.account.forget_calls();
    let (first, calls) = refresh();
    assert!((3..10).contains(&first) && calls == 16, "{first} {calls}");
    let (second, calls) = refresh();
    assert_eq!((second, calls), (first, 19), "only memberships");
    // A minute later.
    std::fs::write("/var/lib/nss-iam-fetch/calls.json", "damaged").unwrap();
    assert_eq!(refresh().0, 10);
}

#[test]
fn after_throttling_the_next_refresh_makes_no_call_unless_it_is_forced() {
    let Some((host, before)) = Host::refreshed() else { return };
    host.give("2s");
    let (ended, _proxy) = host.refresh_through(|call| match call.action.as_str() {
        "GetGroup" => Fault::throttling(),
        _ => Fault::Pass,
    });
    ended.told(75, &["Throttling"]).kept(&before);
    host.account.forget_calls();
    let paused = host.refresh();
    paused.told(75, &["not called before", "AWS throttled", "kept the listing of", "refresh --force"]);
    paused.kept(&before);
    assert_eq!(host.account.actions(), [""; 0]);
    host.refresh_with(&host.account.direct(), &["--force"]).told(0, &[]);
    host.refresh().told(0, &[]);
}
