//! What a source can be, and by whom a listing must be signed.

use std::os::unix::ffi::OsStrExt as _;

use super::{assert_refused, assert_values, parse};
use crate::{Config, Source};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINVgib+1IFE7gfaOcIKvZCB2gpfaIIBmuHp4bcE/W4oF";

#[test]
fn a_source_is_iam_or_an_absolute_file() {
    let wrong = [
        "''",
        "'iam'",
        "'IAM:'",
        "'file:'",
        "'file://'",
        "'file://localhost'",
        "'file:srv/a'",
        "'file:%2Fsrv/a'",
        "'/srv/a'",
        "'https://a'",
        r#""file:///a\u0000""#,
        r#""file:///a\n""#,
    ];
    assert_values("[source]", "url", &["'iam:'", "'file:///srv/a b.json'"], &wrong);
}

/// RFC 3986, 2.1: "A percent-encoding mechanism is used to represent a data octet in a component".
#[test]
fn a_file_url_is_decoded_to_a_path_and_shown_as_written() {
    let cases: [(&str, &[u8]); 15] = [
        ("file:///srv/users.json", b"/srv/users.json"),
        ("file:///srv/a%20b.json", b"/srv/a b.json"),
        ("file:///srv/a b.json", b"/srv/a b.json"),
        ("file:///srv/100%25.json", b"/srv/100%.json"),
        ("file:///srv/%2541", b"/srv/%41"),
        ("file:///srv/what%3F%23", b"/srv/what?#"),
        ("file:///srv/%c3%A9", "/srv/é".as_bytes()),
        ("file:///srv/é", "/srv/é".as_bytes()),
        ("file:///srv/%E9", b"/srv/\xe9"),
        ("file:///%73rv/a+b", b"/srv/a+b"),
        ("file:///srv/..a/b..", b"/srv/..a/b.."),
        ("file://localhost/srv/a", b"/srv/a"),
        ("file://LocalHost/srv/a", b"/srv/a"),
        ("file:/srv/a", b"/srv/a"),
        ("FILE:///srv/a", b"/srv/a"),
    ];
    for (url, path) in cases {
        let source = parse(&[&format!("[source]\nurl = '{url}'")]).unwrap().source;
        assert_eq!(source.url(), url);
        let Source::File { path: named, .. } = source else { panic!("{url} is not a file") };
        assert_eq!(named.as_os_str().as_bytes(), path, "{url}");
    }
    assert_eq!(parse(&["[source]\nurl = 'iam:'"]).unwrap().source, Source::Iam);
}

#[test]
fn an_object_in_s3_has_a_bucket_and_a_key() {
    let long = "k".repeat(1024);
    for (url, bucket, key) in [
        ("s3://abc/users.signed", "abc", "users.signed"),
        ("s3://my.bucket-1/nss iam/é", "my.bucket-1", "nss iam/é"),
        ("s3://abc//x", "abc", "/x"),
        (&format!("s3://abc/{long}"), "abc", &long),
    ] {
        let source = parse(&[&format!("[source]\nurl = '{url}'\nunsigned = true")]).unwrap().source;
        assert_eq!(
            source,
            Source::S3 { url: url.to_owned(), bucket: bucket.to_owned(), key: key.to_owned() }
        );
    }
    let long = format!("s3://abc/{}", "k".repeat(1025));
    for url in [
        "s3://",
        "s3://abc",
        "s3://abc/",
        "s3://ab/x",
        "s3://ABC/x",
        "s3://-abc/x",
        "s3://abc./x",
        "s3://a..c/x",
        "s3://a_c/x",
        "s3://abc/../x",
        "s3://abc/./x",
        "S3://abc/x",
        &long,
    ] {
        assert_refused(&format!("[source]\nunsigned = true\nurl = '{url}'"), 3, "not ");
    }
}

#[test]
fn a_listing_is_signed_for_one_fleet_by_keys_of_types_that_can_be_verified() {
    let (s3, file) = ("url = 's3://abc/x'", "url = 'file:///x'");
    let trusted = format!("fleet = 'a'\ntrusted_keys = ['{KEY}']");
    for source in [s3, file] {
        let trust = parse(&[&format!("[source]\n{source}\n{trusted}")]).unwrap().trust;
        assert!(trust.verifies() && !trust.unsigned);
    }
    assert!(!parse(&[&format!("[source]\n{file}")]).unwrap().trust.verifies());
    let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7";
    for (text, line, part) in [
        (s3.to_owned(), 2, "anybody who can write to the bucket"),
        (format!("{s3}\nunsigned = false"), 2, "anybody who can write to the bucket"),
        (format!("{s3}\nfleet = 'a'\nunsigned = true"), 3, "only a signed listing has a fleet"),
        (format!("{file}\ntrusted_keys = ['{KEY}']"), 3, "it needs the fleet"),
        (format!("{file}\nfleet = 'a b'\ntrusted_keys = ['{KEY}']"), 3, "not the name of a fleet"),
        (format!("{file}\nfleet = 'a'\ntrusted_keys = ['{rsa}']"), 4, "not a public key"),
        (format!("{file}\nfleet = 'a'\ntrusted_keys = ['cert-authority {KEY}']"), 4, "not a public key"),
        ("url = 'iam:'\nunsigned = true".to_owned(), 3, "only a listing in a file or in S3"),
        (trusted.clone(), 2, "only a listing in a file or in S3"),
    ] {
        assert_refused(&format!("[source]\n{text}"), line, part);
    }
    let with_tag = format!("groups_from_instance_tag = 'x'\n[source]\n{s3}\n{trusted}");
    assert_refused(&with_tag, 1, "instance tags are not read");
}

#[test]
fn a_file_url_without_one_definite_path_is_refused_with_the_reason() {
    for (url, why) in [
        ("file:///srv/100%", "hexadecimal"),
        ("file:///srv/100%.json", "hexadecimal"),
        ("file:///srv/%4", "hexadecimal"),
        ("file:///srv/%4/a", "hexadecimal"),
        ("file:///srv/%%20", "hexadecimal"),
        ("file:///srv/%é", "hexadecimal"),
        ("file:///srv/%00", "control character"),
        ("file:///srv/a%0Ab", "control character"),
        ("file:///srv/%C2%85", "control character"),
        ("file:///srv/a%2Fb", "'/'"),
        ("file:///srv/../a", "'..'"),
        ("file:///srv/%2e%2E/a", "'..'"),
        ("file:///srv/./a", "'.'"),
        ("file:///srv/a?b", "query"),
        ("file:///srv/a#b", "fragment"),
        ("file://srv/a", "another host"),
        ("file://localhost:80/srv/a", "another host"),
        ("file://127.0.0.1/srv/a", "another host"),
    ] {
        assert_refused(&format!("[source]\nurl = '{url}'"), 2, why);
    }
}

#[test]
fn an_identity_center_has_a_store_for_each_account_that_is_read_and_no_other_source_has_one() {
    const STORE: &str = "identity_store = 'd-1234567890'\nregion = 'eu-wset-1'";
    let source = |lines: &str, rest: &str| format!("{rest}\n[source]\nurl = 'identity-center:'\n{lines}");
    let config = parse(&[&source(STORE, "groups = ['AWS Admins', 'Büro']")]).unwrap();
    assert_eq!(config.source, Source::IdentityCenter);
    let store = config.store.unwrap();
    assert_eq!((store.id.as_str(), store.region.as_deref()), ("d-1234567890", Some("eu-wset-1")));

    let account = format!("[[account]]\nname = 'b'\ngroups = ['Ops']\n{STORE}");
    let config = parse(&[&source("", ""), &account]).unwrap();
    assert_eq!((config.store, config.account[0].store.is_some()), (None, true));
    assert!(Config::parse(&[("x".into(), "[source]\nurl = 'identity-center:'".to_owned())]).is_ok());

    for (text, line, part) in [
        (source("", "groups = ['Ops']"), 3, "needs an identity store"),
        (source("", "groups_from_instance_tag = 'Groups'"), 3, "needs an identity store"),
        (source("region = 'eu-wset-1'", ""), 4, "needs an identity store"),
        (source("", "[[account]]\nname = 'b'"), 2, "needs an identity store"),
        (source(STORE, r#"groups = ["a\tb"]"#), 1, "not a valid name for a group of Identity Center"),
        (source("identity_store = 'd-123456789X'", ""), 4, "not the id of an identity store"),
        (source("identity_store = 'D-1234567890'", ""), 4, "not the id of an identity store"),
        (source("identity_store = '../x'", ""), 4, "not the id of an identity store"),
        (source("identity_store = 'd-1234567890'\nregion = 'x/y'", ""), 5, "not a region"),
        ("[source]\nidentity_store = 'd-1234567890'".to_owned(), 2, "only the source"),
        ("[source]\nregion = 'eu-wset-1'".to_owned(), 2, "only the source"),
        (account.clone(), 4, "only the source"),
    ] {
        assert_refused(&text, line, part);
    }
    let uuid = "identity_store = '12345678-1234-1234-1234-123456789abc'";
    assert!(parse(&[&source(uuid, "")]).unwrap().store.is_some());
}
