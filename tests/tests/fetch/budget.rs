//! How many calls refreshes make where `[refresh]` limits them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use listing::{Listing, User, WarningCode};
use serde_json::json;
use tests::{Account, Fault, LISTING, files_of_both, written_since};

use crate::host::{GROUPS, Host, five};
use crate::site::{CONFIG, Site, Told as _};

/// Users whose keys were read between two listings.
fn read_between(before: &Listing, after: &Listing) -> usize {
    let users = |listing: &Listing| -> BTreeMap<String, User> {
        listing.accounts[0].users.iter().map(|user| (user.id.clone(), user.clone())).collect()
    };
    let before = users(before);
    users(after).values().filter(|user| user.confirmed != before[&user.id].confirmed).count()
}

fn inode() -> u64 {
    fs::metadata(LISTING).unwrap().ino()
}

/// Refreshes after so many seconds, without news.
fn writes_less_than_a_page(site: &Site, pause: Duration) {
    let before = files_of_both();
    std::thread::sleep(pause);
    site.refresh(&[]).told(0, &[]);
    let written = written_since(&before);
    let names: Vec<&str> = written.keys().map(String::as_str).collect();
    assert_eq!(names, ["confirmed", "fetch/confirmed", "fetch/report.json", "metrics.prom", "status.json"]);
    assert!(written.values().sum::<usize>() < 4096, "{written:?}");
}

/// With IAM, whose calls are in reports and metrics.
#[test]
fn a_refresh_without_news_writes_less_than_a_page() {
    let Some(site) = Site::start() else { return };
    // A listing has whole seconds.
    writes_less_than_a_page(&site, Duration::from_secs(1));
}

/// Once all users were read in the period of their own, their keys have many times of confirmation.
#[test]
fn with_keys_every_too_a_refresh_without_news_writes_less_than_a_page() {
    let names: Vec<_> = (0..60).map(|n| format!("user{n}")).collect();
    let users: Vec<_> = names.iter().map(|name| json!({"name": name, "keys": 1})).collect();
    let config = format!("{CONFIG}[refresh]\nkeys_every = \"30s\"\n");
    let wish = json!({"users": users, "groups": {"G": names}});
    let prepare = |account: &Account| drop(account.seed(wish.clone()));
    let Some(site) = Site::new(|_| config.clone(), prepare) else { return };
    let pause = Duration::from_secs(4);
    for _ in 0..8 {
        std::thread::sleep(pause);
        site.refresh(&[]).told(0, &[]);
    }
    let times: BTreeSet<_> =
        tests::left_listing().unwrap().accounts[0].users.iter().map(|user| user.confirmed).collect();
    assert!(times.len() > 10, "{times:?}");
    writes_less_than_a_page(&site, pause);
    writes_less_than_a_page(&site, pause);
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
    let before = inode();
    let (due, second) = calls(&[]);
    assert_eq!(due, read_between(&first, &second));
    assert_eq!(
        inode() == before,
        due == 0,
        "users who were read together get different times only in a new listing"
    );
    assert!(due < 5, "all periods would end in the same seconds");
    // After the second in which the keys were read.
    std::thread::sleep(Duration::from_secs(1));
    File::create("/run/nss-iam-refresh").unwrap();
    let before = inode();
    let (asked, third) = calls(&[]);
    assert_eq!((asked, read_between(&second, &third)), (5, 5));
    assert_eq!(inode(), before, "all times are later, and the listing stays");
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

/// With `account_details`, where tags are used and pages are short.
#[test]
fn one_call_for_each_page_of_an_account_reads_all_groups_and_tags_and_removals_are_confirmed_by_another() {
    let mut wish = five();
    wish["users"][1]["tags"] = json!({"nss-iam:name": "robert"});
    wish["page_size"] = json!(3);
    let Some(host) = Host::seeded(&wish) else { return };
    host.machine.config(&format!("{GROUPS}[aws]\naccount_details = true\n[tags]\nuse = [\"name\"]\n"));
    let details = "GetAccountAuthorizationDetails";
    let count = || {
        let actions = host.account.actions();
        [details, "GetGroup", "ListUserTags", "ListGroupsForUser"]
            .map(|of| actions.iter().filter(|action| *action == of).count())
    };
    for sparse in [false, true] {
        host.account.seed(json!({"sparse_pages": sparse}));
        host.account.forget_calls();
        let ended = host.refresh();
        ended.told(0, &[]);
        assert_eq!(ended.names(), ["ana", "bob", "eve", "joe", "zoe"]);
        assert_eq!(ended.user("bob").tags["nss-iam:name"], "robert");
        assert!(ended.user("ana").tags.is_empty() && ended.user("ana").keys.len() == 1);
        let groups = &ended.listing.as_ref().unwrap().accounts[0].groups;
        assert_eq!(groups.iter().map(|group| group.members.len()).collect::<Vec<_>>(), [5, 1]);
        assert_eq!(count(), [if sparse { 6 } else { 3 }, 0, 0, 0], "two groups and five users");
    }
    host.account.seed(json!({"sparse_pages": false}));
    host.account.change(json!({"do": "delete_user", "user": "zoe"}));
    host.account.forget_calls();
    let ended = host.refresh();
    ended.told(0, &[]);
    assert_eq!((ended.names().len(), count()), (4, [2, 0, 0, 1]));

    // An answer that lacks somebody removes nobody.
    let (ended, _proxy) = host.refresh_through(|call| match call.action.as_str() {
        "GetAccountAuthorizationDetails" if call.nth_of_action == 2 => {
            Fault::Edit(Box::new(|body| body.replace("<member>G</member>", "")))
        }
        _ => Fault::Pass,
    });
    ended.told(0, &[]);
    assert_eq!(ended.names().len(), 4);

    host.account.forget_calls();
    let (denied, _proxy) = host.refresh_through(|call| match call.action.as_str() {
        "GetAccountAuthorizationDetails" => Fault::access_denied("iam:GetAccountAuthorizationDetails"),
        _ => Fault::Pass,
    });
    denied.told(0, &[]);
    assert_eq!(denied.names().len(), 4);
    let warnings = &denied.listing.as_ref().unwrap().accounts[0].warnings;
    assert_eq!(warnings[0].code, Some(WarningCode::DetailsDenied), "{warnings:?}");
    assert_eq!(count()[1], 3, "two pages of G, and one of H");
}
