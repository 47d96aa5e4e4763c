//! What a refresh writes: what changed, and no more. And that a file which is put back looks no fresher than it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cache::snapshot::Keys;
use cache::state::State;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tests::{CACHE, Host, files, listing, user};

const PAGE: usize = 4096;

fn ago(hours: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(hours)
}

/// Of users who were read so many hours ago.
fn read_ago(users: &[Value], hours: i64) -> Value {
    let mut users = users.to_vec();
    let time = json!(ago(hours).to_string());
    users.iter_mut().for_each(|user| user["confirmed"] = time.clone());
    let mut listing = listing(&users);
    listing["read"] = time;
    listing
}

fn people() -> Vec<Value> {
    (0..300).map(|number| user(&format!("wr-{number}"), &format!("user{number}"))).collect()
}

/// How many bytes of each file differ from before, in whole pages; all of a file that was replaced.
fn written(host: &Host, listing: &Value) -> BTreeMap<String, usize> {
    let before = files(CACHE);
    host.apply(listing);
    let bytes = |(name, (inode, .., after)): (String, (u64, u32, u32, Vec<u8>))| {
        let bytes = match before.get(&name) {
            Some((present, .., before)) if *present == inode => {
                let pages = after.chunks(PAGE).zip(before.chunks(PAGE).chain(std::iter::repeat(&[][..])));
                pages.filter(|(after, before)| after != before).map(|(after, _)| after.len()).sum()
            }
            _ => after.len(),
        };
        (bytes > 0).then_some((name, bytes))
    };
    files(CACHE).into_iter().filter_map(bytes).collect()
}

fn names(written: &BTreeMap<String, usize>) -> Vec<&str> {
    written.keys().map(String::as_str).collect()
}

/// When the keys were confirmed, in seconds since 1970: as the published file and the state have it.
fn confirmed() -> Vec<i64> {
    let directory = Path::new(CACHE);
    let keys = Keys::published(directory).unwrap().logins.into_iter().map(|login| login.confirmed);
    let state = State::read(directory).unwrap().users.into_values().map(|user| user.confirmed);
    let mut all: Vec<i64> = keys.chain(state).collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[test]
fn a_refresh_writes_what_changed_and_no_more() {
    let Some(host) = Host::new() else { return };
    let mut users = people();
    host.apply(&read_ago(&users, 5));
    for hours in [4, 3] {
        let news = written(&host, &read_ago(&users, hours));
        assert_eq!(names(&news), ["confirmed", "metrics.prom", "status.json"]);
        assert!(news.values().sum::<usize>() < PAGE, "{news:?}");
        let confirmed = confirmed();
        assert_eq!(confirmed.len(), 1, "{confirmed:?}");
        assert!(ago(hours).as_second() - confirmed[0] < 60, "it is the time of this listing");
    }
    users[7]["keys"] = json!([]);
    let news = written(&host, &read_ago(&users, 2));
    assert_eq!(names(&news), ["confirmed", "keys.db", "known.db", "metrics.prom", "state.db", "status.json"]);
    for name in ["known.db", "state.db"] {
        let size = fs::metadata(format!("{CACHE}/{name}")).unwrap().len();
        assert!(news[name] <= 4 * PAGE && size > 10 * PAGE as u64, "{name}: {news:?} of {size}");
    }
    assert_eq!(confirmed().len(), 1, "whether or not the row was written");
    let news = written(&host, &read_ago(&users, 1));
    assert_eq!(names(&news), ["confirmed", "metrics.prom", "status.json"]);
}

#[test]
fn a_file_that_is_put_back_looks_no_fresher_than_it_is() {
    let Some(host) = Host::new() else { return };
    host.machine.config("[keys]\nmax_age = \"3h\"\n");
    let put = |name: &str, bytes: &[u8]| fs::write(format!("{CACHE}/{name}"), bytes).unwrap();
    let mut users = people();
    host.apply(&read_ago(&users, 5));
    assert_eq!(host.keys("user8"), "", "too old");
    host.apply(&read_ago(&users, 1));
    assert!(!host.keys("user7").is_empty() && !host.keys("user8").is_empty(), "confirmed since");
    let old = files(CACHE);

    // One user's key is revoked.
    users[7]["keys"] = json!([]);
    host.apply(&read_ago(&users, 0));
    assert!(host.keys("user7").is_empty() && !host.keys("user8").is_empty());
    for _ in 0..2 {
        // Both right after the change, and after a refresh without news.
        let new = files(CACHE);
        put("keys.db", &old["keys.db"].3);
        assert_eq!(
            (host.keys("user7"), host.keys("user8")),
            (String::new(), String::new()),
            "five hours old again"
        );
        put("keys.db", &new["keys.db"].3);
        host.apply(&read_ago(&users, 0));
    }
    let new = files(CACHE);
    assert!(!host.keys("user8").is_empty());
    // A record of another content, a damaged one, and none.
    for record in [&old["confirmed"].3[..], b"nss-iam confirmed 1\n", b""] {
        put("confirmed", record);
        assert!(host.keys("user7").is_empty());
    }
    put("confirmed", &new["confirmed"].3);
    put("state.db", &old["state.db"].3);
    host.list(&read_ago(&users, 0));
    let ran = host.refresher(&["apply"]);
    assert_eq!(ran.status, Some(65), "the state is older than the keys: {}", ran.err);
    assert!(host.keys("user7").is_empty() && !host.keys("user8").is_empty());
    host.apply(&read_ago(&users, 0));
}

/// As `nss-iamctl lock` and a broken configuration do, also if the state cannot be read.
#[test]
fn keys_that_are_put_back_after_a_removal_without_a_plan_look_no_fresher_than_they_are() {
    for is_state_lost in [false, true] {
        let Some(host) = Host::new() else { return };
        host.machine.config("[keys]\nmax_age = \"3h\"\n");
        host.apply(&read_ago(&people(), 5));
        host.apply(&read_ago(&people(), 1));
        assert!(!host.keys("user8").is_empty(), "confirmed since");
        let before = files(CACHE);
        fs::write(format!("{CACHE}/locked"), "user9\n").unwrap();
        if is_state_lost {
            fs::write(format!("{CACHE}/state.db"), "garbage").unwrap();
        }
        let ran = host.refresher(&["apply", "--removals-only"]);
        assert_eq!(ran.status, Some(if is_state_lost { 70 } else { 0 }), "{}", ran.err);
        assert!(host.keys("user9").is_empty(), "{}", ran.err);
        fs::write(format!("{CACHE}/keys.db"), &before["keys.db"].3).unwrap();
        let is_replaced = files(CACHE)["confirmed"] != before["confirmed"];
        assert_eq!((host.keys("user8").is_empty(), is_replaced), (true, true), "five hours old again");
    }
}
