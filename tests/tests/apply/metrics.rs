//! `metrics.prom`, and what it takes from the report of a separate fetch.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use nix::sys::stat::Mode;
use serde_json::{Value, json};
use tests::{CACHE, Host, listing, user};

const REPORT: &str = "/var/lib/nss-iam-fetch/report.json";

/// The values in the file, by name and labels.
fn metrics() -> BTreeMap<String, f64> {
    let text = fs::read_to_string(format!("{CACHE}/metrics.prom")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let values = lines.map(|line| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series.to_owned(), value.parse().unwrap())
    });
    values.collect()
}

#[test]
fn each_refresh_writes_metrics_that_everyone_can_read_and_status_shows_the_same() {
    let Some(host) = Host::new() else { return };
    let mut read = listing(&[user("mt-1", "ana"), user("mt-2", "bob"), user("mt-3", "root")]);
    read["accounts"][0]["as_of"] = json!("2026-11-22T18:00:00Z");
    host.apply(&read);
    let mode = fs::metadata(format!("{CACHE}/metrics.prom")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o644);
    let first = metrics();
    for (series, value) in [
        ("nss_iam_users{state=\"active\"}", 2.0),
        ("nss_iam_keys", 2.0),
        ("nss_iam_refresh_exit_status", 0.0),
        ("nss_iam_skipped{what=\"user\",code=\"name-of-host-user\"}", 1.0),
        ("nss_iam_account_complete{account=\"\"}", 1.0),
        ("nss_iam_info{version=\"0.1.0\",source=\"iam\"}", 1.0),
        ("nss_iam_fetch_timestamp_seconds", 0.0),
    ] {
        assert_eq!(first.get(series), Some(&value), "{series} in {first:?}");
    }
    assert_eq!(
        first["nss_iam_refresh_timestamp_seconds"],
        first["nss_iam_refresh_success_timestamp_seconds"]
    );
    let ages =
        ["nss_iam_keys_confirmed_oldest_timestamp_seconds", "nss_iam_users_confirmed_timestamp_seconds"];
    assert!(ages.iter().all(|age| first[*age] > 0.0), "{first:?}");
    let shown: Value = serde_json::from_str(&host.run(&["nss-iamctl", "status", "--json"]).out).unwrap();
    let shown: BTreeMap<String, f64> = serde_json::from_value(shown["metrics"].clone()).unwrap();
    assert_eq!(shown, first);

    // A refresh that fails counts what is still published, and keeps the times of the last success.
    host.machine.config("grups = []\n");
    assert_eq!(host.refresher(&["apply"]).status, Some(78));
    let failed = metrics();
    assert_eq!(failed["nss_iam_refresh_error{code=\"config-wrong\"}"], 1.0, "{failed:?}");
    for same in [&ages[..], &["nss_iam_refresh_success_timestamp_seconds", "nss_iam_keys"]].concat() {
        assert_eq!(failed[same], first[same], "{same}");
    }
    // Neither is a refresh.
    for words in [&["apply", "--removals-only"][..], &["apply", "--dry-run"]] {
        let _ = host.refresher(words);
        assert_eq!(metrics(), failed, "{words:?}");
    }
}

#[test]
fn a_report_of_the_fetch_half_is_only_numbers_and_one_that_others_can_have_written_is_none() {
    let Some(host) = Host::new() else { return };
    host.list(&listing(&[user("mt-11", "ana")]));
    let report = json!({
        "time": "2026-11-22T18:00:00Z", "exit": 75, "seconds": 1.5,
        "totals": {"calls": {"iam:GetGroup": 3, "x\" 1\nnss_iam_users{state=\"active\"} 7": 1}, "throttled": {"iam:GetGroup": 2}},
        "failures": [{"call": "c", "on": "o", "cause": "error: forged", "kind": "other"}],
    });
    let owner = fs::metadata("/var/lib/nss-iam-fetch").unwrap();
    let uid = std::os::unix::fs::MetadataExt::uid(&owner);
    let put = || {
        let _ = fs::remove_file(REPORT);
        fs::write(REPORT, report.to_string()).unwrap();
        fs::set_permissions(REPORT, Permissions::from_mode(0o600)).unwrap();
        chown(REPORT, Some(uid), None).unwrap();
    };
    let applied = || {
        let ran = host.run(&["timeout", "60", tests::REFRESHER, "apply"]);
        assert!(ran.status == Some(0) && !ran.err.contains("forged"), "{}", ran.err);
        assert!(!ran.out.contains("calls"), "of another process: {}", ran.out);
        metrics()
    };
    put();
    let found = applied();
    for (series, value) in [
        ("nss_iam_fetch_exit_status", 75.0),
        ("nss_iam_fetch_duration_seconds", 1.5),
        ("nss_iam_fetch_timestamp_seconds", 1_795_370_400.0),
        ("nss_iam_aws_requests_total{action=\"iam:GetGroup\"}", 3.0),
        ("nss_iam_aws_throttled_total{action=\"iam:GetGroup\"}", 2.0),
        ("nss_iam_users{state=\"active\"}", 1.0),
        ("nss_iam_refresh_exit_status", 0.0),
    ] {
        assert_eq!(found.get(series), Some(&value), "{series} in {found:?}");
    }
    assert_eq!(found.keys().filter(|series| series.starts_with("nss_iam_aws")).count(), 2, "{found:?}");

    let refused = |what: &str, change: &dyn Fn()| {
        put();
        change();
        let found = applied();
        assert_eq!(found["nss_iam_fetch_timestamp_seconds"], 0.0, "{what}");
        assert!(!found.keys().any(|series| series.starts_with("nss_iam_aws")), "{what}");
    };
    refused("missing", &|| fs::remove_file(REPORT).unwrap());
    refused("of another user", &|| chown(REPORT, Some(65_534), None).unwrap());
    refused("open to all", &|| fs::set_permissions(REPORT, Permissions::from_mode(0o622)).unwrap());
    refused("no report", &|| fs::write(REPORT, "[]").unwrap());
    refused("too large", &|| fs::write(REPORT, format!("{report}{}", " ".repeat(2 << 20))).unwrap());
    refused("a link", &|| {
        let elsewhere = format!("{REPORT}.elsewhere");
        fs::rename(REPORT, &elsewhere).unwrap();
        symlink(elsewhere, REPORT).unwrap();
    });
    refused("a pipe", &|| {
        fs::remove_file(REPORT).unwrap();
        nix::unistd::mkfifo(REPORT, Mode::S_IRWXU).unwrap();
    });
}

#[test]
fn a_fetch_as_a_process_of_its_own_leaves_its_times_and_counts() {
    let Some(host) = Host::new() else { return };
    host.machine.config("[source]\nurl = \"file:///srv/users.json\"\n");
    fs::create_dir_all("/srv").unwrap();
    fs::write("/srv/users.json", listing(&[user("mt-21", "ana")]).to_string()).unwrap();
    let fetch = || host.refresher(&["fetch"]).status;
    assert_eq!(fetch(), Some(0));
    assert_eq!(fs::metadata(REPORT).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(host.refresher(&["apply"]).status, Some(0));
    let first = metrics();
    let (time, success) = ("nss_iam_fetch_timestamp_seconds", "nss_iam_fetch_success_timestamp_seconds");
    assert!(first[time] > 0.0 && first[time] == first[success], "{first:?}");
    assert_eq!(first["nss_iam_info{version=\"0.1.0\",source=\"file\"}"], 1.0);

    std::thread::sleep(std::time::Duration::from_millis(1100));
    fs::remove_file("/srv/users.json").unwrap();
    assert_ne!(fetch(), Some(0));
    assert_eq!(host.refresher(&["apply"]).status, Some(0));
    let second = metrics();
    assert!(second[time] > first[time] && second[success] == first[success], "{second:?}");
    assert_ne!(second["nss_iam_fetch_exit_status"], 0.0);
    assert!(second.keys().any(|series| series.starts_with("nss_iam_source_errors{code=")), "{second:?}");
}
