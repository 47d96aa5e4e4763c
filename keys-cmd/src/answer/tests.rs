//! Which keys are offered to which user, and what the log says.

use super::*;
use crate::request::{End, Flags};

const NOW: i64 = 1_800_000_000;
const UID: u32 = 1_879_048_192;
const STORED: &str = include_str!("../stored-keys.txt");

fn stored(number: usize) -> &'static str {
    STORED.lines().nth(number).unwrap()
}

fn printed(number: usize) -> String {
    format!("{}\n", stored(number).split_once(' ').unwrap().1)
}

fn fingerprint(number: usize) -> String {
    stored(number).split_once(' ').unwrap().0.to_owned()
}

struct Case {
    request: Request,
    host: Host,
    about: About,
    login: Login,
}

/// Ana has two keys, confirmed a minute ago.
fn ana() -> Case {
    Case {
        request: Request {
            user: "ana".to_owned(),
            uid: Some(UID),
            fingerprint: None,
            flags: Flags::default(),
            certificate: Certificate::default(),
            connection: None,
        },
        host: Host { machine_id: Ok("0123".to_owned()), uid: Ok(UID), now: NOW },
        about: About { machine_id: b"0123".to_vec(), max_age: 3 * 86400, options: String::new() },
        login: Login {
            uid: UID,
            iam_id: b"AIDA1".to_vec(),
            confirmed: NOW - 60,
            source: b"iam:123456789012".to_vec(),
            keys: format!("{}\n{}", stored(0), stored(1)),
            forward_only: false,
            principals: "Ana\nAIDA1".to_owned(),
        },
    }
}

impl Case {
    fn answer(&self) -> Answer {
        answer(&self.request, &self.host, &self.about, &self.login)
    }

    fn pushed(&self, printed: &str) -> Answer {
        pushed(&self.request, &self.host, &self.about, &self.login, printed)
    }

    /// The output, and the severity and text of the only log line.
    fn outcome(&self) -> (String, Severity, String) {
        let mut answer = self.answer();
        let line = answer.log.remove(0);
        assert_eq!(answer.log, []);
        (answer.lines, line.severity, line.text)
    }

    fn denied(&self, why: &str) {
        let (lines, severity, text) = self.outcome();
        assert_eq!((&*lines, severity), ("", Severity::Warning));
        assert!(text.starts_with("offered no key of user 'ana': ") && text.contains(why), "{text}");
    }
}

#[test]
fn without_a_fingerprint_all_keys_are_offered_and_counted() {
    let (lines, severity, text) = ana().outcome();
    assert_eq!(lines, printed(0) + &printed(1));
    assert_eq!(severity, Severity::Info);
    assert_eq!(text, "offered 2 keys of user 'ana' (AIDA1), confirmed 60 s ago by 'iam:123456789012'");
}

#[test]
fn with_a_fingerprint_only_its_key_is_offered_and_named() {
    let mut case = ana();
    case.request.fingerprint = Some(fingerprint(1));
    let (lines, _, text) = case.outcome();
    assert_eq!(lines, printed(1));
    assert!(text.starts_with(&format!("offered key {} of user 'ana' (AIDA1), ", fingerprint(1))), "{text}");
}

#[test]
fn a_fingerprint_that_no_key_has_gets_no_key_and_no_log_line() {
    let mut case = ana();
    case.request.fingerprint = Some(fingerprint(2));
    assert_eq!(case.answer(), Answer::default());
}

/// Whatever keeps the user's own keys back keeps pushed ones back.
#[test]
fn instance_connect_is_asked_only_for_users_whose_keys_are_offered_and_who_have_no_such_key() {
    let mut case = ana();
    assert!(!case.answer().asks_instance_connect, "without the flag");
    case.request.flags.instance_connect = true;
    assert!(case.answer().asks_instance_connect);
    case.request.fingerprint = Some(fingerprint(1));
    assert!(!case.answer().asks_instance_connect, "it is the user's own");
    case.request.fingerprint = Some(fingerprint(2));
    assert!(case.answer().asks_instance_connect);
    let changes: [fn(&mut Case); 6] = [
        |case| case.host.uid = Ok(1000),
        |case| case.host.machine_id = Ok("4567".to_owned()),
        |case| case.login.confirmed = 0,
        |case| case.login.confirmed = NOW + 301,
        |case| case.login.confirmed = NOW - case.about.max_age - 1,
        |case| case.login.forward_only = true,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut case = ana();
        case.request.flags.instance_connect = true;
        case.request.fingerprint = Some(fingerprint(2));
        change(&mut case);
        let Answer { lines, log, asks_instance_connect } = case.answer();
        assert_eq!((&*lines, log.len(), asks_instance_connect), ("", 1, false), "{number}");
        // It may have become so while the command ran.
        let Answer { lines, log, .. } = case.pushed(&printed(2));
        assert_eq!((&*lines, log.len()), ("", 1), "{number}: {log:?}");
    }
}

#[test]
fn a_pushed_key_is_printed_in_the_same_form_with_the_options_and_logged_with_its_origin() {
    let mut case = ana();
    (case.about.options, case.request.fingerprint) = ("no-pty".to_owned(), Some(fingerprint(2)));
    let output = format!("\n{} ana@laptop\n{}\n", printed(2).trim_end(), printed(3));
    let Answer { lines, log, .. } = case.pushed(&output);
    assert_eq!(lines, format!("no-pty {}", printed(2)));
    let [line] = log.as_slice() else { panic!("{log:?}") };
    let wanted = format!(
        "offered key {} of user 'ana' (AIDA1), pushed with EC2 Instance Connect; the user was confirmed 60 s ago by \
         'iam:123456789012'",
        fingerprint(2)
    );
    assert_eq!((line.severity, &*line.text), (Severity::Info, &*wanted));
    case.request.fingerprint = None;
    assert_eq!(case.pushed(&output).lines.lines().count(), 2);
    (case.login.forward_only, case.request.flags.forward_only) = (true, true);
    assert!(
        case.pushed(&output).lines.starts_with(&format!("no-pty,restrict,port-forwarding {}", printed(2)))
    );
}

/// docs/reference/keys-cmd.md lists the fields.
fn fields(answer: &Answer) -> String {
    let fields = answer.log[0].fields.iter().map(|(name, value)| format!("{name}={value}"));
    fields.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_record_of_an_offered_key_says_everything_in_fields() {
    let mut case = ana();
    let all = format!(
        "MESSAGE_ID={} NSS_IAM_USER=ana NSS_IAM_USER_ID=AIDA1 NSS_IAM_UID={UID} NSS_IAM_KEY_SOURCE=iam:123456789012 NSS_IAM_AGE=60",
        record::OFFERED
    );
    let of_all = [0, 1].map(|key| format!(" NSS_IAM_FINGERPRINT={}", fingerprint(key))).concat();
    assert_eq!(fields(&case.answer()), all.clone() + &of_all);
    case.request.fingerprint = Some(fingerprint(1));
    let end = |address: &str, port| End { address: address.to_owned(), port };
    let (server, client) = (end("192.0.2.1", 22), end("203.0.113.7", 51234));
    case.request.connection = Some(Connection { server, client });
    let one = format!(" NSS_IAM_FINGERPRINT={}", fingerprint(1));
    let client = " NSS_IAM_CLIENT_ADDRESS=203.0.113.7 NSS_IAM_CLIENT_PORT=51234 NSS_IAM_SERVER_ADDRESS=192.0.2.1 NSS_IAM_SERVER_PORT=22";
    assert_eq!(fields(&case.answer()), format!("{all}{one}{client}"));
    assert!(case.outcome().2.contains("(AIDA1) from 203.0.113.7 port 51234, confirmed 60 s ago"));
    let pushed = case.pushed(&printed(1));
    assert_eq!(
        fields(&pushed),
        format!("{all}{one}{client}").replace("iam:123456789012", "ec2-instance-connect")
    );
}

/// What the CA wrote stays one value.
#[test]
fn the_record_of_a_certificate_says_which_one_it_is() {
    let mut case = ana();
    case.request.flags.principals = true;
    let all = format!(
        "MESSAGE_ID={} NSS_IAM_USER=ana NSS_IAM_USER_ID=AIDA1 NSS_IAM_UID={UID} NSS_IAM_KEY_SOURCE=certificate NSS_IAM_AGE=60",
        record::ALLOWED
    );
    assert_eq!(fields(&case.answer()), all);
    let id = "x', confirmed\nMESSAGE_ID=1\nNSS_IAM_USER=eve".to_owned() + &"\u{1}".repeat(300);
    case.request.certificate = Certificate {
        fingerprint: Some("SHA256:a".to_owned()),
        ca: Some("SHA256:b".to_owned()),
        serial: Some(7),
        id: Some(id.clone().into_bytes()),
    };
    let shown = fields(&case.answer());
    let wanted = format!(
        "{all} NSS_IAM_FINGERPRINT=SHA256:a NSS_IAM_CA_FINGERPRINT=SHA256:b NSS_IAM_CERTIFICATE_SERIAL=7 \
         NSS_IAM_CERTIFICATE_ID=x\\', confirmed\\nMESSAGE_ID=1\\nNSS_IAM_USER=eve\\x01"
    );
    assert!(shown.starts_with(&wanted) && shown.ends_with(&format!("... ({} bytes)", id.len())), "{shown}");
    let text = case.outcome().2;
    assert!(
        text.contains("of user 'ana' (AIDA1), with certificate 7 'x\\', confirmed\\nMESSAGE_ID=1"),
        "{text}"
    );
    assert!(text.ends_with("... (343 bytes)', confirmed 60 s ago by 'iam:123456789012'"), "{text}");
    assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && text.len() < 1000, "{text}");
}

#[test]
fn no_pushed_key_is_no_line_of_the_log_and_a_line_that_is_no_key_is_one() {
    let mut case = ana();
    for fingerprint in [None, Some(fingerprint(2))] {
        case.request.fingerprint = fingerprint;
        for printed in ["", "\n", " \n\n"] {
            assert_eq!(case.pushed(printed), Answer::default());
        }
        let Answer { lines, log, .. } = case.pushed(&format!("command=\"sh\" {}", printed(2)));
        assert_eq!((&*lines, log.len()), ("", 1));
        assert!(log[0].text.starts_with("skipped 1 of the lines that EC2 Instance Connect has"), "{log:?}");
    }
}

#[test]
fn options_precede_every_key() {
    let mut case = ana();
    case.about.options = "restrict,command=\"a b\"".to_owned();
    let wanted = format!("restrict,command=\"a b\" {}", printed(0));
    assert!(case.outcome().0.starts_with(&wanted));
    assert_eq!(case.outcome().0.matches("restrict,").count(), 2);
}

/// A drop-in of an earlier release does not pass the flag.
#[test]
fn keys_of_a_user_who_may_only_forward_are_offered_only_to_an_sshd_that_sees_to_it() {
    let mut case = ana();
    case.login.forward_only = true;
    case.denied("this user may only forward connections, and sshd's configuration does not see to it");
    case.request.flags.forward_only = true;
    for (options, before) in
        [("", ""), ("restrict,pty,from=\"10.0.0.0/8\"", "restrict,pty,from=\"10.0.0.0/8\",")]
    {
        case.about.options = options.to_owned();
        let line = format!("{before}restrict,port-forwarding {}", printed(0));
        assert!(case.outcome().0.starts_with(&line), "{}", case.outcome().0);
    }
    // sshd is stricter than need be: the two files of the cache are replaced one after the other.
    case.login.forward_only = false;
    assert!(!case.outcome().0.contains("port-forwarding"));
}

/// A part of the reason, and the change.
type Break = (&'static str, fn(&mut Case));

#[test]
fn principals_are_the_name_and_what_was_stored_for_users_who_would_be_offered_keys() {
    let mut case = ana();
    case.request.flags = Flags { principals: true, instance_connect: true, ..Flags::default() };
    assert!(!case.answer().asks_instance_connect);
    let (lines, severity, text) = case.outcome();
    assert_eq!((lines.as_str(), severity), ("ana\nAna\nAIDA1\n", Severity::Info));
    let wanted = "allowed principals 'ana', 'Ana', 'AIDA1' of user 'ana' (AIDA1), confirmed 60 s ago by 'iam:123456789012'";
    assert_eq!(text, wanted);
    case.login.keys.clear();
    case.about.options = "from=\"10.0.0.0/8\"".to_owned();
    case.login.principals = "a b\n# c\n\nrestrict,x d\nAIDA1".to_owned();
    let from = "from=\"10.0.0.0/8\"";
    assert_eq!(case.outcome().0, format!("{from} ana\n{from} AIDA1\n"));
    case.login.forward_only = true;
    case.denied("this user may only forward connections");
    case.request.flags.forward_only = true;
    assert_eq!(case.outcome().0.lines().next().unwrap(), format!("{from},restrict,port-forwarding ana"));

    let breaks: [Break; 5] = [
        ("the one in the cache has", |case| case.host.uid = Ok(1000)),
        ("different machine-id", |case| case.host.machine_id = Ok("4567".to_owned())),
        ("no source has confirmed", |case| case.login.confirmed = 0),
        ("max_age is", |case| case.login.confirmed = NOW - 4 * 86400),
        ("in the future", |case| case.login.confirmed = NOW + 4 * 86400),
    ];
    for (why, change) in breaks {
        let mut case = ana();
        case.request.flags.principals = true;
        change(&mut case);
        case.denied(why);
    }
}

#[test]
fn a_stored_line_that_is_not_a_key_is_skipped_and_logged() {
    let mut case = ana();
    case.login.keys = format!("{}\ncommand=\"sh\" {}\n{}", stored(0), printed(1).trim_end(), stored(2));
    let answer = case.answer();
    assert_eq!(answer.lines, printed(0) + &printed(2));
    let texts: Vec<&str> = answer.log.iter().map(|line| &*line.text).collect();
    assert!(texts[0].starts_with("skipped 1 of the lines stored for user 'ana': "), "{texts:?}");
    assert!(texts[1].starts_with("offered 2 keys "), "{texts:?}");
}

#[test]
fn a_host_with_a_different_machine_id_offers_nothing() {
    let mut case = ana();
    case.about.machine_id = b"4567".to_vec();
    case.denied("different machine-id");
    case.about.machine_id = Vec::new();
    case.denied("different machine-id");
    case.host.machine_id = Ok(String::new());
    case.denied("different machine-id");
    case.host.machine_id = Err("cannot read 'x': y".to_owned());
    case.denied("cannot read 'x': y");
}

#[test]
fn a_uid_that_differs_from_the_cache_gets_nothing() {
    let mut case = ana();
    case.host.uid = Ok(1000);
    case.denied("has uid 1000, the one in the cache has 1879048192");
    case.host.uid = Err("getpwnam finds no such user".to_owned());
    case.denied("getpwnam finds no such user");
}

#[test]
fn keys_are_offered_up_to_max_age_and_not_a_second_longer() {
    let mut case = ana();
    case.login.confirmed = NOW - case.about.max_age;
    assert_eq!(case.outcome().0, printed(0) + &printed(1));
    case.login.confirmed -= 1;
    case.denied("259201 s ago, max_age is 259200 s");
    case.about.max_age = 0;
    assert_eq!(case.outcome().0, printed(0) + &printed(1));
}

#[test]
fn keys_older_than_an_hour_are_offered_with_a_warning() {
    let mut case = ana();
    case.login.confirmed = NOW - 3600;
    assert_eq!(case.outcome().1, Severity::Info);
    case.login.confirmed -= 1;
    let (lines, severity, text) = case.outcome();
    assert_eq!((lines, severity), (printed(0) + &printed(1), Severity::Warning));
    assert!(text.contains("confirmed 3601 s ago") && text.contains("hint: "), "{text}");
}

#[test]
fn keys_that_no_source_has_confirmed_are_never_offered() {
    for (confirmed, max_age) in [(0, 3600), (0, 0), (-1, 0), (i64::MIN, 0)] {
        let mut case = ana();
        (case.login.confirmed, case.about.max_age) = (confirmed, max_age);
        case.denied("no source has confirmed");
    }
}

#[test]
fn keys_confirmed_in_the_future_are_not_offered_unless_age_is_unlimited() {
    let mut case = ana();
    case.login.confirmed = NOW + 300;
    assert!(case.outcome().2.contains("confirmed 0 s ago"));
    case.login.confirmed = NOW + 301;
    case.denied("301 s in the future");
    case.login.confirmed = i64::MAX;
    case.denied("in the future");
    case.about.max_age = 0;
    assert_eq!(case.outcome().0, printed(0) + &printed(1));
}

#[test]
fn a_user_without_keys_is_logged_with_a_count_of_zero() {
    let mut case = ana();
    case.login.keys = String::new();
    let (lines, severity, text) = case.outcome();
    assert_eq!((&*lines, severity), ("", Severity::Info));
    assert!(text.starts_with("offered 0 keys of user 'ana' "), "{text}");
}

#[test]
fn values_from_the_source_are_escaped_in_the_log() {
    let mut case = ana();
    case.login.iam_id = b"AIDA\n1".to_vec();
    case.login.source = b"file:///\x1b[2J'\n".to_vec();
    for (name, value) in &case.answer().log[0].fields {
        assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{name}: {value}");
    }
    let text = case.outcome().2;
    assert!(text.contains(r"(AIDA\n1)") && text.contains(r"'file:///\x1b[2J\'\n'"), "{text}");
}

#[test]
fn a_request_without_keys_logs_one_printable_line() {
    for user in [&b"ana\nb"[..], b"\xff\xfe", &[b'a'; 300], b""] {
        let Answer { lines, log, .. } =
            Answer::nothing(user, &"not a login name that nss-iam assigns".to_owned().into());
        assert_eq!((&*lines, log.len()), ("", 1));
        assert!(log[0].text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}", log[0].text);
        assert!(log[0].text.len() < 1000, "{}", log[0].text);
    }
}
