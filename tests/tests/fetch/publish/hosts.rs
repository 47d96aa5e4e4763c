//! Hosts that read what was published.

use std::fs;
use std::time::Duration;

use listing::Listing;
use serde_json::{Value, json};
use tests::{Fault, FaultProxy, REFRESHER, Ran, files_of_both, written_since};

use super::{KEY, Publisher, told};
use crate::host::{Ended, Host};

/// The requests to S3, with what they depend on.
fn asked(publisher: &Publisher) -> Vec<(String, bool)> {
    let calls = publisher.account.calls();
    let call = |call: &Value| {
        (call["action"].as_str().unwrap().to_owned(), call["params"]["If-None-Match"].is_string())
    };
    publisher.account.forget_calls();
    calls.iter().map(call).collect()
}

#[test]
fn a_host_reads_what_was_published_and_an_unchanged_object_costs_one_request() {
    const ETAG: &str = "/var/lib/nss-iam-fetch/listing.etag";
    let Some(host) = Host::seeded(&json!({})) else { return };
    let publisher = Publisher::of_file();
    told(&publisher.publish(), 0, &[]);
    host.machine.config(&publisher.of_hosts());
    let refresh = || host.refresh_with(&publisher.account.direct(), &[]);
    let get = |conditional| vec![("GET".to_owned(), conditional)];

    // A listing has whole seconds. One that is read in the second in which it was issued is written again when it is confirmed.
    let in_another_second = || std::thread::sleep(Duration::from_secs(1));
    let apply = || assert!(host.machine.run(&[REFRESHER, "apply"]).status.success());

    in_another_second();
    asked(&publisher);
    refresh().told(0, &[]);
    assert_eq!(asked(&publisher), get(false));
    apply();
    let before = files_of_both();
    in_another_second();
    let read = refresh();
    read.told(0, &[]);
    assert_eq!((asked(&publisher), read.names()), (get(true), vec!["u0".to_owned()]));
    apply();
    let written = written_since(&before);
    let names: Vec<&str> = written.keys().map(String::as_str).collect();
    assert_eq!(names, ["confirmed", "fetch/confirmed", "fetch/report.json", "metrics.prom", "status.json"]);
    assert!(written.values().sum::<usize>() < 4096, "{written:?}");
    // An ETag of another document says nothing about this one.
    let other = fs::read_to_string(ETAG).unwrap().replace("s3://", "s3://x");
    fs::write(ETAG, other).unwrap();
    refresh().told(0, &[]);
    assert_eq!(asked(&publisher), get(false));

    publisher.people(2);
    told(&publisher.publish(), 0, &[]);
    asked(&publisher);
    let read = refresh();
    assert_eq!((asked(&publisher), read.names()), (get(true), vec!["u0".to_owned(), "u1".to_owned()]));
    // The rest is in the document.
    let read = read.listing.unwrap();
    let before = Listing {
        version: read.version,
        source: read.source,
        read: read.read,
        accounts: read.accounts,
        ..Listing::default()
    };
    publisher.bucket(json!({"what": "delete"}));
    refresh().told(78, &["s3:GetObject on '", "was the object ever published?"]).kept(&before);
    publisher.bucket(json!({"what": "write", "content": "{}"}));
    refresh().told(65, &["verify on 's3://", "it is not signed"]).kept(&before);
    publisher.bucket(json!({"what": "remove_bucket"}));
    refresh().told(78, &["NoSuchBucket"]).kept(&before);
}

/// Each of these keeps the users; the fetch half says why, and what to do.
#[test]
fn a_host_that_cannot_read_the_object_or_is_shown_an_older_one_keeps_what_it_has() {
    let Some(host) = Host::seeded(&json!({})) else { return };
    let publisher = Publisher::of_file();
    told(&publisher.publish(), 0, &[]);
    let yesterday = publisher.object().unwrap();
    publisher.people(2);
    told(&publisher.publish(), 0, &[]);
    host.machine.config(&format!("{}[aws]\ntimeout = \"3s\"\n", publisher.of_hosts()));
    let read = host.refresh_with(&publisher.account.direct(), &[]);
    assert_eq!((read.status, read.names()), (Some(0), vec!["u0".to_owned(), "u1".to_owned()]), "{read:?}");
    publisher.people(1);
    told(&publisher.publish(), 0, &[]);

    let fault = |name: &str| match name {
        "cut off" => Fault::CutOff(20),
        "slow" => Fault::Hang,
        "reset" => Fault::Reset,
        code => {
            let status = if code == "SlowDown" { 503 } else { 403 };
            let body = format!("<Error><Code>{code}</Code><Message>test</Message></Error>");
            Fault::Answer { status, headers: Vec::new(), body }
        }
    };
    for (name, status, words) in [
        ("AccessDenied", 77, "hint: allow s3:GetObject on 'arn:aws:s3:::fleet-"),
        ("SlowDown", 75, "SlowDown"),
        ("cut off", 75, "s3:GetObject on '"),
        ("slow", 75, "no time left"),
        ("reset", 75, "s3:GetObject on '"),
    ] {
        let proxy = FaultProxy::start(&publisher.account, move |_| fault(name));
        let ended = host.refresh_with(&publisher.account.env(&proxy.url()), &[]);
        assert_eq!(ended.told(status, &[words]).names(), ["u0", "u1"], "{name}");
    }
    publisher.bucket(json!({"what": "write", "content": yesterday}));
    let ended = host.refresh_with(&publisher.account.direct(), &[]);
    assert_eq!(ended.told(65, &["its generation", "is older than"]).names(), ["u0", "u1"]);
}

/// Otherwise such a host would look healthy.
#[test]
fn hosts_report_what_fails_at_the_publisher_and_keep_the_users() {
    let Some(host) = Host::seeded(&json!({})) else { return };
    let wish = json!({"users": [{"name": "ana", "keys": 1}], "groups": {"G": ["ana"]}});
    let publisher = Publisher::new(wish, |_| "groups = [\"G\"]\n".to_owned());
    told(&publisher.publish(), 0, &[]);
    host.machine.config(&publisher.of_hosts());
    let refresh = || host.refresh_with(&publisher.account.direct(), &[]);
    refresh().told(0, &[]);
    let denied = publisher.publish_through(|call| match call.action.as_str() {
        "ListSSHPublicKeys" => Fault::access_denied("iam:ListSSHPublicKeys"),
        _ => Fault::Pass,
    });
    told(&denied, 77, &["iam:ListSSHPublicKeys on 'ana' failed: AccessDenied"]);
    for _ in 0..2 {
        let read = refresh();
        read.told(
            77,
            &[
                "iam:ListSSHPublicKeys on 'ana' failed: at the publisher: AccessDenied",
                "hint: on the publisher: ",
            ],
        );
        assert_eq!(read.names(), ["ana"]);
        let applied = host.machine.run(&[REFRESHER, "apply"]);
        assert!(applied.status.success(), "{applied:?}");
        let status: Value =
            serde_json::from_slice(&fs::read("/var/lib/nss-iam/status.json").unwrap()).unwrap();
        let errors = status["accounts"][0]["errors"].as_array().unwrap();
        assert_eq!((errors.len(), &errors[0]["kind"]), (1, &json!("denied")), "{errors:?}");
    }
    told(&publisher.publish(), 0, &[]);
    refresh().told(0, &[]);
}

#[test]
fn a_removal_that_the_publisher_holds_is_held_there_and_not_on_the_hosts() {
    let Some(host) = Host::seeded(&json!({})) else { return };
    let publisher = Publisher::of_file();
    told(&publisher.publish(), 0, &[]);
    host.machine.config(&publisher.of_hosts());
    publisher.people(0);
    told(&publisher.publish(), 65, &["it lists no user", "cache-refresher publish --force"]);
    let read = host.refresh_with(&publisher.account.direct(), &[]);
    read.told(65, &["at the publisher: it lists no user", "hint: on the publisher: "]);
    assert_eq!(read.names(), ["u0"]);
    let errors = &read.listing.unwrap().accounts[0].errors;
    assert!(errors.len() == 1 && errors[0].users.is_empty(), "{errors:?}");
}

/// What `nss-iamctl policy` prints with this configuration.
fn printed(host: &Host, config: &str) -> Value {
    host.machine.config(config);
    let printed = host.machine.run(&["nss-iamctl", "policy"]);
    serde_json::from_slice(&printed.stdout).unwrap()
}

/// Publishes for the first time, then reads it on a host, with the policies that are printed for each, without one action.
fn under_the_printed_policies(host: &Host, without: Option<&str>) -> (Ran, Ran, Ended) {
    let publisher =
        Publisher::new(json!({"users": [{"name": "ana", "keys": 1}], "groups": {"G": ["ana"]}}), |_| {
            "groups = [\"G\"]\n[tags]\nuse = [\"uid\"]\n".to_owned()
        });
    let enforce = |config: &str| {
        let mut policy = printed(host, config);
        for statement in policy["Statement"].as_array_mut().unwrap() {
            let actions = match statement["Action"].take() {
                Value::Array(actions) => actions,
                one => vec![one],
            };
            let kept: Vec<_> = actions.into_iter().filter(|action| action.as_str() != without).collect();
            // IAM refuses a statement without actions.
            statement["Action"] = if kept.is_empty() { json!("ec2:DescribeTags") } else { json!(kept) };
        }
        publisher.account.enforce_policy(tests::INSTANCE_ROLE, &policy);
    };
    enforce(&fs::read_to_string(publisher.path("config.toml")).unwrap());
    let first = publisher.publish();
    let again = publisher.publish();
    let public = fs::read_to_string(publisher.path("key.pub")).unwrap();
    let url = format!("url = \"s3://{}/{KEY}\"\nfleet = \"jump\"", publisher.bucket);
    enforce(&format!("[source]\n{url}\ntrusted_keys = [\"{}\"]\n", public.trim_end()));
    let read = host.refresh_with(&publisher.account.direct(), &[]);
    // What the host may not do.
    publisher.account.change(json!({"do": "add_user", "name": "bob"}));
    told(&publisher.publish(), 77, &["AccessDenied"]);
    (first, again, read)
}

#[test]
fn the_printed_policies_of_publisher_and_host_are_enough_and_each_action_on_s3_is_needed() {
    let Some(host) = Host::seeded(&json!({})) else { return };
    let (first, again, read) = under_the_printed_policies(&host, None);
    told(&first, 0, &["published"]);
    told(&again, 0, &["unchanged"]);
    read.told(0, &[]);
    assert_eq!(read.names(), ["ana"]);
    for action in ["s3:GetObject", "s3:PutObject", "s3:ListBucket"] {
        let (first, ..) = under_the_printed_policies(&host, Some(action));
        let denied = if action == "s3:PutObject" { action } else { "s3:GetObject" };
        told(&first, 77, &[&format!("{denied} on '"), "AccessDenied", "hint: allow "]);
    }
}
