//! What a refresh without news leaves of the listing: the file as it is, and a record of later times. And that no file which is
//! put back looks fresher by it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use jiff::{SignedDuration, Timestamp};
use policy::confirmed::{ListingTimes, Moves};
use serde_json::{Value, json};
use tests::{CONFIRMED, Host, LISTING, files_of_both, left_listing, listing, user, written_since};

const SOURCE: &str = "/srv/users.json";
const FETCH: &str = "/var/lib/nss-iam-fetch";
const PAGE: usize = 4096;

fn people() -> Vec<Value> {
    (0..300).map(|number| user(&format!("co-{number}"), &format!("user{number}"))).collect()
}

/// An export that says nothing of its age.
fn export(users: &[Value]) {
    let mut document = listing(users);
    document.as_object_mut().unwrap().remove("read");
    fs::write(SOURCE, document.to_string()).unwrap();
    fs::set_permissions(SOURCE, Permissions::from_mode(0o644)).unwrap();
}

/// A host with these users, who were read five hours ago; keys are offered for three hours.
fn five_hours_later() -> Option<Host> {
    let host = Host::new()?;
    host.machine.config(&format!("[source]\nurl = \"file://{SOURCE}\"\n[keys]\nmax_age = \"3h\"\n"));
    fs::create_dir_all("/srv").unwrap();
    export(&people());
    refresh(&host);
    let read = left_listing().unwrap().read.unwrap();
    let earlier = (read - SignedDuration::from_hours(5)).to_string();
    // In place, so that it still belongs to the fetch half.
    fs::write(LISTING, fs::read_to_string(LISTING).unwrap().replace(&read.to_string(), &earlier)).unwrap();
    assert_eq!(offered(&host), "");
    Some(host)
}

fn refresh(host: &Host) {
    let ran = host.refresher(&[]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
}

/// The keys of a user after the apply half has run.
fn offered(host: &Host) -> String {
    let ran = host.refresher(&["apply"]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    host.keys("user8")
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

/// Content, inode and modification time.
fn found(path: &str) -> (Vec<u8>, u64, i64, i64) {
    let about = fs::metadata(path).unwrap();
    (fs::read(path).unwrap(), about.ino(), about.mtime(), about.mtime_nsec())
}

#[test]
fn a_refresh_without_news_leaves_the_listing_and_confirms_the_keys() {
    let Some(host) = five_hours_later() else { return };
    let (listing, before) = (found(LISTING), files_of_both());
    refresh(&host);
    assert!(found(LISTING) == listing, "not even another inode");
    let about = fs::metadata(CONFIRMED).unwrap();
    assert_eq!((about.uid(), about.mode() & 0o7777), (fs::metadata(FETCH).unwrap().uid(), 0o600));
    let written = written_since(&before);
    let names: Vec<&str> = written.keys().map(String::as_str).collect();
    assert_eq!(names, ["confirmed", "fetch/confirmed", "fetch/report.json", "metrics.prom", "status.json"]);
    assert!(written.values().sum::<usize>() < PAGE, "{written:?}");
    assert!(!host.keys("user8").is_empty());
    let status = host.status();
    for confirmed in ["/confirmed/users", "/confirmed/oldest_keys", "/accounts/0/as_of"] {
        let age = Timestamp::now().duration_since(time(status.pointer(confirmed).unwrap()));
        assert!(age < SignedDuration::from_hours(1), "{confirmed}: {status}");
    }
    // The other halves of the refresher see the same.
    assert!(!offered(&host).is_empty());
    assert_eq!(host.refresher(&["--dry-run"]).out, "nothing would change\n");
}

#[test]
fn news_replace_the_listing_and_what_is_put_back_looks_no_fresher_than_it_is() {
    let Some(host) = five_hours_later() else { return };
    refresh(&host);
    let old = [LISTING, CONFIRMED].map(|path| fs::read(path).unwrap());
    let mut users = people();
    users[8]["keys"] = json!([]);
    export(&users);
    refresh(&host);
    assert!(fs::read(LISTING).unwrap() != old[0] && !fs::exists(CONFIRMED).unwrap());
    assert_eq!(host.keys("user8"), "", "revoked");
    // Back to the key that was revoked, by an old listing; then with the record of the present one.
    let new = fs::read(LISTING).unwrap();
    fs::write(LISTING, &old[0]).unwrap();
    assert_eq!(offered(&host), "", "five hours old again");
    fs::write(LISTING, &new).unwrap();
    std::thread::sleep(std::time::Duration::from_secs(1));
    refresh(&host);
    let record = fs::read(CONFIRMED).unwrap();
    fs::write(LISTING, &old[0]).unwrap();
    assert_eq!(offered(&host), "", "the record is of another listing");
    // Only for itself does the old record speak.
    fs::write(CONFIRMED, &old[1]).unwrap();
    assert!(!offered(&host).is_empty());
    for damaged in [&record[..], &old[1][..old[1].len() - 1], &old[1][1..], b"", &vec![b'x'; 1 << 20]] {
        fs::write(CONFIRMED, damaged).unwrap();
        assert_eq!(offered(&host), "");
    }
}

#[test]
fn a_record_that_somebody_else_could_have_written_or_of_another_time_says_nothing() {
    let Some(host) = five_hours_later() else { return };
    refresh(&host);
    let (good, owner) = (fs::read(CONFIRMED).unwrap(), fs::metadata(FETCH).unwrap().uid());
    let put = |bytes: &[u8], mode: u32, owner: u32| {
        let _ = fs::remove_file(CONFIRMED);
        fs::write(CONFIRMED, bytes).unwrap();
        chown(CONFIRMED, Some(owner), None).unwrap();
        fs::set_permissions(CONFIRMED, Permissions::from_mode(mode)).unwrap();
    };
    for (mode, owner) in [(0o600, 1000), (0o620, owner), (0o602, owner)] {
        put(&good, mode, owner);
        assert_eq!(offered(&host), "", "{mode:o} {owner}");
    }
    put(&good, 0o600, 0);
    assert!(!offered(&host).is_empty(), "root's own");
    put(&good, 0o600, owner);
    assert!(!offered(&host).is_empty());
    let ListingTimes { digest, .. } = ListingTimes::parse(std::str::from_utf8(&good).unwrap()).unwrap();
    let stored = serde_json::from_slice::<Value>(&fs::read(LISTING).unwrap()).unwrap();
    let stored = time(&stored["read"]).as_second();
    for (hours, is_believed) in [(-1, true), (1, false), (-9, false)] {
        let moved = (Timestamp::now() + SignedDuration::from_hours(hours)).as_second();
        let moves = Moves::between([(stored, moved)]).unwrap();
        let times = ListingTimes { digest: digest.clone(), accounts: moves.clone(), users: moves };
        put(times.to_string().as_bytes(), 0o600, owner);
        assert_eq!(offered(&host).is_empty(), !is_believed, "{hours}");
    }
    let elsewhere = format!("{CONFIRMED}.elsewhere");
    fs::rename(CONFIRMED, &elsewhere).unwrap();
    fs::write(&elsewhere, &good).unwrap();
    symlink(&elsewhere, CONFIRMED).unwrap();
    assert_eq!(offered(&host), "");
    fs::remove_file(&elsewhere).unwrap();
    // Whatever is in its place: the listing is written instead, or the record once more.
    fs::remove_file(CONFIRMED).unwrap();
    fs::create_dir_all(format!("{CONFIRMED}/in-the-way")).unwrap();
    let listing = found(LISTING);
    refresh(&host);
    assert!(found(LISTING) != listing && !host.keys("user8").is_empty());
}

#[test]
fn a_listing_that_is_not_as_the_fetch_half_writes_it_is_replaced() {
    let Some(host) = five_hours_later() else { return };
    let owner = fs::metadata(FETCH).unwrap().uid();
    for (mode, uid) in [(0o666, owner), (0o644, 0)] {
        fs::set_permissions(LISTING, Permissions::from_mode(mode)).unwrap();
        chown(LISTING, Some(uid), None).unwrap();
        let before = fs::metadata(LISTING).unwrap().ino();
        refresh(&host);
        let about = fs::metadata(LISTING).unwrap();
        assert_eq!((about.uid(), about.mode() & 0o7777), (owner, 0o600));
        assert!(about.ino() != before && !fs::exists(CONFIRMED).unwrap());
    }
}
