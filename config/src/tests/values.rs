//! Each key accepts valid values and refuses others.

use super::{assert_refused, assert_values, parse, refusal};
use crate::{TagUse, Tags};

#[test]
fn group_names_follow_the_rule_of_iam() {
    let longest = format!("['{}']", "g".repeat(128));
    let too_long = format!("['{}']", "g".repeat(129));
    let wrong =
        ["['']", "['a b']", "['a:b']", "['a/b']", "['é']", r#"["a\n"]"#, "['A', 'a']", too_long.as_str()];
    assert_values("", "groups", &["[]", "['a.b@c']", &longest], &wrong);
    assert_values("", "shell_groups", &["[]", "['A', 'B']"], &["['a b']", "['A', 'a']", "'A'"]);
    assert_refused("[local_groups]\n\"a b\" = ['adm']", 2, "'local_groups.a b'");
    let wrong = ["['']", "['root']", "['a:b']", "['a,b']", "['-a']", "['adm', 'adm']"];
    assert_values("[local_groups]", "A", &["['adm', 'sudo']"], &wrong);
    let wrong = ["''", "'a b'", "'a/b'", "'_index'", "'.'", "'..'"];
    assert_refused("groups = ['a b']", 1, "not a valid name for an IAM group");
    let of_file = "local_groups = { 'a b' = ['adm'] }\n[source]\nurl = 'file:///a'";
    assert_refused(of_file, 1, "its key is not a valid name for a group");
    assert_values("", "groups_from_instance_tag", &["'nss-iam:groups'"], &wrong);
}

#[test]
fn a_role_is_a_name_or_an_arn() {
    let right = [
        "'Role'",
        "'ops/Role'",
        "'arn:aws:iam::123456789012:role/R'",
        "'arn:aws-us-gov:iam::123456789012:role/a/R'",
    ];
    let wrong = [
        "''",
        "'a b'",
        "'/Role'",
        "'a//b'",
        "'arn:aws:iam::12345:role/R'",
        "'arn:aws:iam::123456789012:user/R'",
        "'arn:aws:iam::123456789012:role/'",
        "'arn:aws:sts::123456789012:role/R'",
        "'arn:aws:iam::123456789012:role/R:x'",
        "'arn:other:iam::123456789012:role/R'",
    ];
    assert_values("[aws]", "role", &right, &wrong);
    assert_refused("[[account]]\nname = 'b'\nrole = 'a b'", 3, "'account.role'");
}

#[test]
fn aws_settings_are_checked() {
    assert_values("[aws]", "external_id", &["'ab'"], &["''", "'a'", "'a b'"]);
    assert_values("[aws]", "session_name", &["'ab'", "'nss-iam@<instance-id>'"], &["'a'", "'x<y>'"]);
    assert_eq!(parse(&["[aws]\nsession_name = 'nss-iam@<instance-id>'"]).unwrap().aws.session_name, None);
    assert_values("[aws]", "region", &["'eu-west-1'"], &["''", "'EU-WEST-1'", "'eu west'"]);
    assert_values("[aws]", "concurrency", &["1", "64"], &["0", "65", "-1"]);
    let wrong = ["''", "'ftp://a'", "'https://'", "'https:///a'", "'http://a b'", "'a.example'"];
    for key in ["endpoint_url", "endpoint_url_iam", "endpoint_url_sts", "https_proxy"] {
        assert_values("[aws]", key, &["'https://a'", "'http://[::1]:1/b'"], &wrong);
    }
    assert_values("[aws]", "no_proxy", &["'a, b'"], &["''", "'é'"]);
    assert_values("[aws]", "ca_bundle", &["'/a b'"], &["''", "'a.pem'", r#""/a\n""#]);
}

#[test]
fn durations_have_a_unit_and_are_above_zero() {
    let right = ["'1s'", "'5m'", "'36h'", "'36500d'"];
    let wrong = [
        "''",
        "'0'",
        "'0s'",
        "'5'",
        "'s'",
        "'+5s'",
        "'-5s'",
        "'5 m'",
        "'1.5h'",
        "'1h30m'",
        "'3D'",
        "'36501d'",
        "'99999999999999999999d'",
        "'9999999999999999999d'",
    ];
    assert_values("[aws]", "timeout", &right, &wrong);
    assert_values("[users]", "removed_keep", &right, &wrong);
    let not_zero: Vec<_> = wrong.into_iter().filter(|value| *value != "'0'").collect();
    assert_values("[keys]", "max_age", &right, &not_zero);
    assert_eq!(parse(&["[keys]\nmax_age = '0'"]).unwrap().keys.max_age, None);
}

#[test]
fn keys_are_read_again_long_before_they_are_too_old() {
    assert_values("[refresh]", "every", &["'0'", "'1s'", "'30m'"], &["''", "'31m'", "10"]);
    assert_values("[refresh]", "members_every", &["'0'", "'1m'", "'30m'"], &["''", "'31m'", "1"]);
    assert_values("[refresh]", "keys_every", &["'0'", "'1s'", "'30m'"], &["''", "'31m'", "'1d'", "15"]);
    assert_values(
        "[refresh]",
        "max_calls_per_minute",
        &["0", "10", "1000000"],
        &["9", "-1", "'60'", "1000001"],
    );
    let with =
        |age: &str, every: &str| format!("[refresh]\nkeys_every = '{every}'\n[keys]\nmax_age = '{age}'");
    assert_refused(&with("29m", "15m"), 2, "before they are read again");
    for (age, every) in [("30m", "15m"), ("0", "30m"), ("1m", "0")] {
        assert!(parse(&[&with(age, every)]).is_ok(), "{age} {every}");
    }
}

#[test]
fn an_account_has_a_unique_name() {
    assert_refused("\n[[account]]\nrole = 'R'", 2, "without a name");
    assert_values("[[account]]", "name", &["'b.c-1'"], &["''", "'.'", "'..'", "'a/b'", "'a b'", "'a:b'"]);
}

#[test]
fn passwd_fields_refuse_colons_control_and_non_ascii_characters() {
    let hostile = ["'/a:b'", r#""/a\nb""#, r#""/a\u0000""#, r#""/a\u007f""#, "'/é'"];
    for key in ["shell", "home", "gecos"] {
        assert_values("[users]", key, &["'/a'"], &hostile);
    }
    assert_values("[users]", "shell", &[], &["''", "'bash'", "'/bin/{name}'"]);
    assert_values("[users]", "gecos", &["''"], &["'{name}'", "'a}'"]);
    let right = ["'/home'", "'/{name}{uid}'", "'/home/a..b'"];
    let wrong = [
        "''",
        "'home/{name}'",
        "'~'",
        "'/a/../{name}'",
        "'/{user}'",
        "'/{name'",
        "'/name}'",
        "'/{{name}}'",
        "'/{}'",
        "'/{Name}'",
    ];
    assert_values("[users]", "home", &right, &wrong);
}

#[test]
fn the_common_group_has_a_valid_group_name() {
    let longest = format!("'{}'", "g".repeat(32));
    let too_long = format!("'{}'", "g".repeat(33));
    let wrong = [
        "''",
        "'Users'",
        "'a b'",
        "'-a'",
        "'.a'",
        "'123'",
        "'a:b'",
        "'é'",
        "'iam-disabled'",
        "'0x10'",
        too_long.as_str(),
    ];
    assert_values("[users]", "common_group", &["'_a.b@c-1'", "'1a'", &longest], &wrong);
}

#[test]
fn a_choice_accepts_only_the_listed_values() {
    assert_values("[users]", "name_style", &["'plain'", "'aws-ec2-ssh'"], &["''", "'Plain'"]);
    assert_values("[users]", "create_homes", &["'login'", "'refresh'"], &["'always'", "true"]);
    assert_values("[users]", "removed", &["'disable'", "'hide'"], &["'delete'"]);
    assert_values("[users]", "strip_domains", &["['a.b']"], &["['@a.b']", "['']", "['a.b', 'A.B']"]);
    assert_values("[tags]", "use", &["[]"], &["['home']", "['uid', 'uid']"]);
    assert_values("[tags]", "prefix", &["'a b/'"], &["''", "'aws:x'", "'AWS:x'", "'é'", "'a*'"]);
    assert!(refusal(&["[users]\nremoved = 'delete'"]).ends_with(r#"hint: choose from "disable", "hide""#));
    assert_values("[safety]", "max_removed_percent", &["0", "100"], &["101", "-1", "256"]);
}

#[test]
fn reserved_excluded_and_allowed_names_are_valid_names() {
    let wrong = ["['']", "['*']", "['-a']", "['A']", "['a*b']", "['1000']", "['a b']"];
    assert_values("[names]", "reserved", &["['a', 'a-*', '_x@b.c', '0x1']"], &wrong);
    assert_values("[names]", "exclude", &["['ldap', 'sudo', 'nis_plus']"], &["['files']", "['a b']", "['']"]);
    assert_refused("[names.allow]\nA = 'ana'\nB = 'ana'", 3, "another entry");
    assert_refused("[names.allow]\n'a b' = 'ana'", 2, "UserId");
    assert_refused("[names.allow]\nA = 'Ana'", 2, "not a valid name");
    assert_refused("[names.allow]\nA = '0x1f'", 2, "not a valid name");
}

#[test]
fn ids_of_the_system_and_duplicate_ids_are_refused() {
    let right = ["1000", "65533", "65536", "2147352575"];
    assert_values(
        "[ids]",
        "AIDA1",
        &right,
        &["999", "0", "-1", "65534", "65535", "2147352576", "4294967295"],
    );
    assert_refused("[ids]\nA = 1000\nB = 1001\nC = 1000", 4, "'1000' is not valid for 'ids.C': another");
    assert_refused("[ids]\n\"\" = 1000", 2, "UserId");
    assert_refused("[ids]\n\"a b\" = 1000", 2, "UserId");
}

#[test]
fn an_id_means_the_same_user_in_upper_and_in_lower_case_where_the_source_has_only_one() {
    let guid = "90677d7f1c-f9f8fa1c-1234-4c4b-9c4a-0123456789ab";
    let center = "[source]\nurl = 'identity-center:'\n";
    let file = "[source]\nurl = 'file:///srv/users.json'\n";
    for (source, written, listed) in [
        (center, guid.to_ascii_uppercase(), guid),
        (center, guid[11..].to_ascii_uppercase(), &guid[11..]),
        ("", "aidacdr5fo5sxjt2w7irc".to_owned(), "AIDACDR5FO5SXJT2W7IRC"),
        ("", "group:iam-users".to_owned(), "group:iam-users"),
        (file, "U-Ana".to_owned(), "U-Ana"),
    ] {
        let config = parse(&[&format!("{source}[ids]\n\"{written}\" = 1000")]).unwrap();
        assert_eq!(config.ids.keys().collect::<Vec<_>>(), [listed]);
        if !written.contains(':') {
            let config = parse(&[&format!("{source}[names.allow]\n{written} = 'ana'")]).unwrap();
            assert_eq!(config.names.allow.keys().collect::<Vec<_>>(), [listed]);
        }
    }
    let twice = format!("{center}[ids]\n{guid} = 1000\n{} = 1001", guid.to_ascii_uppercase());
    assert!(refusal(&[&twice]).contains("another entry is for the same UserId"), "{}", refusal(&[&twice]));
}

/// sshd(8): "The options (if present) consist of comma-separated option specifications. No spaces are
/// permitted, except within double quotes."
#[test]
fn key_options_cannot_reach_into_the_key_or_the_next_line() {
    let right = [
        "''",
        "'restrict'",
        "'restrict,pty'",
        "'NO-x11-Forwarding,verify-required'",
        r#"'from="a b",pty'"#,
        r#"'command="say \"hi\""'"#,
        r#"'from=""'"#,
    ];
    let wrong = [
        "' '",
        "'restrict '",
        "'bogus'",
        "'restrict,permit-open'",
        "'cert-authority'",
        r#"'principals="ana"'"#,
        "'restrict, pty'",
        "',restrict'",
        "'restrict,'",
        "'a,,b'",
        "'#restrict'",
        "'from=a'",
        r#"'from="a'"#,
        r#"'from="a\"'"#,
        r#"'from="a"b'"#,
        r#"'from="a" ssh-rsa'"#,
        r#"'"a"'"#,
        r#""restrict\nssh-rsa""#,
        r#""from=\"a\nb\"""#,
        r#""a\u0000""#,
        "'é'",
    ];
    assert_values("[keys]", "options", &right, &wrong);
}

#[test]
fn a_tag_decides_only_if_it_is_used_and_only_keys_are_in_several() {
    let all =
        parse(&["[tags]\nuse = ['ssh-key', 'name', 'uid', 'shell', 'gecos']\nprefix = 'x/'"]).unwrap().tags;
    for usage in TagUse::ALL {
        assert_eq!(all.usage(&format!("x/{}", usage.word())), Some(usage));
        let several = (usage == TagUse::SshKey).then_some(usage);
        assert_eq!(all.usage(&format!("x/{}-2", usage.word())), several);
        assert_eq!(all.usage(&format!("x/{}-2.1", usage.word())), several);
        assert_eq!(all.usage(&format!("x/{}.12", usage.word())), several);
        assert_eq!(Tags { uses: Vec::new(), ..all.clone() }.usage(&format!("x/{}", usage.word())), None);
    }
    for tag in [
        "name",
        "x/",
        "x/names",
        "x/ssh-key-",
        "x/ssh-key-old",
        "x/ssh-key-2.a",
        "x/ssh-key-2.1.1",
        "x/ssh-keys",
        "X/name",
        "x/Name",
        "",
    ] {
        assert_eq!(all.usage(tag), None, "{tag}");
    }
    let tags = [("x/name".to_owned(), "ana".to_owned())].into();
    assert_eq!((all.value(TagUse::Name, &tags), all.value(TagUse::Uid, &tags)), (Some("ana"), None));
    assert_eq!(Tags { uses: vec![TagUse::Uid], ..all }.value(TagUse::Name, &tags), None);
}

#[test]
fn what_is_published_has_an_object_a_fleet_and_a_key_and_outlives_the_next_time() {
    let base = "[publish]\nurl = 's3://abc/x'\nfleet = 'f'\nkey = '/k'\n";
    let published = parse(&[base]).unwrap().publish.unwrap();
    assert_eq!((published.bucket.as_str(), published.object.as_str()), ("abc", "x"));
    assert_eq!((published.valid.as_secs(), published.again.as_secs()), (86_400, 3600));
    assert_eq!(parse(&["[publish]"]).unwrap().publish, None);
    for key in ["url", "fleet", "key"] {
        let without: String =
            base.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect();
        assert_refused(&without, 2, &format!("also needs '{key}'"));
    }
    assert_refused(&base.replace("s3://abc/x", "file:///x"), 2, "not an object in S3");
    assert_refused(&base.replace("'/k'", "'k'"), 4, "not an absolute path");
    assert_refused(&base.replace("'f'", "'a b'"), 3, "not the name of a fleet");
    assert_refused(&format!("{base}valid = '1h'\n"), 5, "would expire");
    assert_refused(&format!("{base}trusted_keys = ['ssh-rsa AAAA']\n"), 5, "key");
    let same = format!("[source]\nurl = 's3://abc/x'\nunsigned = true\n{base}");
    assert_refused(&same, 5, "also [source] url");
}
