//! What monitoring says while AWS cannot be reached, from OK to critical.

use std::fs;

use cache::snapshot::Keys;
use tests::boot::Booted;
use tests::login::GROUP;

use crate::day::{installed, types, types_as};
use crate::support::aws;

const DIRECTORY: &str = "/var/lib/nss-iam";

/// As if the last answer of IAM had come so many seconds earlier: in the listing, in the keys, and in the report of the
/// refresh that then fails.
fn earlier(host: &Booted, seconds: i64) {
    let directory = host.path(DIRECTORY);
    let mut keys = Keys::published(&directory).unwrap();
    keys.logins.iter_mut().for_each(|login| login.confirmed -= seconds);
    let gid = host.done("getent group nss-iam | cut -d: -f3").trim().parse().unwrap();
    cache::publish::keys(&directory, &keys, gid).unwrap();
    let report = directory.join("status.json");
    let mut status: serde_json::Value = serde_json::from_str(&fs::read_to_string(&report).unwrap()).unwrap();
    let account = &mut status["accounts"][0]["as_of"];
    let confirmed: jiff::Timestamp = account.as_str().unwrap().parse().unwrap();
    *account = (confirmed - jiff::SignedDuration::from_secs(seconds)).to_string().into();
    fs::write(&report, status.to_string()).unwrap();
}

#[test]
fn monitoring_goes_from_ok_to_stale_to_critical_and_back() {
    let Some(host) = installed() else { return };
    let ana = host.user("ana");
    let check = "/usr/sbin/nss-iamctl status --check";
    // A monitoring agent is no root.
    let agent =
        |status: i32, words: &[&str]| drop(types_as(&host, "nobody", check).exits(status).says(words));
    types(&host, check).exits(2).says(&["NSS_IAM CRITICAL - ", "not set up"]);
    agent(2, &["NSS_IAM CRITICAL - ", "not set up"]);
    types(&host, &format!("nss-iamctl enable --group {GROUP}")).exits(0);
    host.done("systemctl stop nss-iam-refresh.timer");
    types(&host, check).exits(1).says(&["NSS_IAM WARNING - ", "timer"]);
    host.done("systemctl start nss-iam-refresh.timer; systemctl stop nss-iam-fetch nss-iam-refresh");
    types(&host, "nss-iamctl refresh").exits(0);
    let numbers = "users=1;;1: able=1;;1: keys=1;;1: age=";
    let said =
        types(&host, check).exits(0).says(&["NSS_IAM OK - 1 user, 1 key", numbers, "s;3600;259200\n"]).said;
    assert_eq!(said.lines().count(), 1);
    agent(0, &["NSS_IAM OK - ", "visible only to root", ";3600;259200\n"]);

    aws(&host, Some("http://127.0.0.1:9"));
    host.write("/etc/nss-iam/config.d/20-site.toml", "[aws]\ntimeout = \"2s\"\n");
    types(&host, "nss-iamctl refresh").exits(75);
    types(&host, check).exits(1).says(&["NSS_IAM WARNING - "]);
    earlier(&host, 2 * 3600);
    types(&host, check).exits(1).says(&["NSS_IAM WARNING - ", "127.0.0.1:9", "age=72"]);
    agent(1, &["NSS_IAM WARNING - "]);
    assert!(host.logs_in("ana", &ana), "a warning");
    types(&host, "nss-iamctl doctor").says(&["verdict: logins work", "2 h ago"]);

    earlier(&host, 3 * 86_400);
    types(&host, check).exits(2).says(&["NSS_IAM CRITICAL - ", "able=0;;1:", ";3600;259200\n"]);
    agent(2, &["NSS_IAM CRITICAL - "]);
    assert!(!host.logs_in("ana", &ana), "critical");
    types(&host, "nss-iamctl doctor").exits(2).says(&["verdict: nobody can log in"]);

    aws(&host, None);
    types(&host, "nss-iamctl refresh").exits(0);
    types(&host, check).exits(0).says(&["NSS_IAM OK - "]);
    agent(0, &["NSS_IAM OK - "]);
    assert!(host.logs_in("ana", &ana));
    types(&host, "nss-iamctl disable && nss-iamctl status --check").exits(2).says(&["not set up"]);
}
