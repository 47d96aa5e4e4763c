//! keys-cmd as sshd runs it: the installed program, as its own user, on a private machine with a syslog daemon.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod host;
mod instance_connect;

use std::ffi::OsStr;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use cache::passwd::Passwd;
use cache::publish;
use cache::snapshot::{Cache, Group, User};
use host::{DIRECTORY, Host, KEYS, STORED, fingerprint, host, login, now, printed, stored, uid};
use policy::{Field, Name};
use tests::text;

#[test]
fn the_key_that_sshd_asks_for_is_printed_and_logged() {
    let Some(host) = host() else { return };
    let ran = host.run(&["ana", &host.uid_of_ana, fingerprint(1)]);
    assert_eq!((ran.status.code(), text(&ran.stdout), text(&ran.stderr)), (Some(0), &*printed(1), ""));
    let lines = host.logged();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0].0, 86);
    // The age may have grown since.
    let (before, after) = lines[0].1.split_once(" s ago ").unwrap();
    let (before, seconds) = before.rsplit_once(' ').unwrap();
    assert!(seconds.parse::<u32>().is_ok(), "{seconds}");
    assert_eq!(before, format!("offered key {} of user 'ana' (ana), confirmed", fingerprint(1)));
    assert_eq!(after, "by 'iam:123456789012'");
}

#[test]
fn without_a_fingerprint_all_keys_are_printed() {
    let Some(host) = host() else { return };
    assert_eq!(host.ana(), printed(0) + &printed(1));
    host.logged_one(86, "offered 2 keys of user 'ana' (ana)");
}

#[test]
fn a_key_that_the_user_does_not_have_is_not_printed() {
    let Some(host) = host() else { return };
    let ran = host.run(&["ana", &host.uid_of_ana, fingerprint(2)]);
    assert_eq!((ran.status.code(), text(&ran.stdout)), (Some(0), ""));
    assert_eq!(host.logged(), []);
}

#[test]
fn a_local_account_of_the_same_name_gets_nothing() {
    let Some(host) = host() else { return };
    append("/etc/passwd", "ana:x:1000:1000::/home/ana:/bin/sh");
    for words in [&["ana", "1000"][..], &["ana", "1000", fingerprint(0)], &["ana"]] {
        let ran = host.run(words);
        assert_eq!((ran.status.code(), text(&ran.stdout)), (Some(0), ""), "{words:?}");
        host.logged_one(84, "offered no key of user 'ana': the user with this name has uid 1000");
    }
}

#[test]
fn without_a_uid_the_one_that_getpwnam_returns_decides() {
    let Some(host) = host() else { return };
    let ran = host.run(&["ana"]);
    assert_eq!((ran.status.code(), text(&ran.stdout)), (Some(0), ""));
    host.logged_one(84, "getpwnam finds no such user");
    let name = Name::new("ana").unwrap();
    let snapshot = Cache {
        users: vec![User {
            uid: uid("ana"),
            name: name.clone(),
            pinned: false,
            active: true,
            passwd: Passwd::new(Field::new("/home/ana").unwrap(), Field::new("/bin/bash").unwrap(), 20_000),
            groups: Vec::new(),
            local: Vec::new(),
        }],
        groups: vec![Group { gid: uid("ana"), name, pinned: false, members: Vec::new() }],
    };
    publish::cache(Path::new(DIRECTORY), &snapshot).unwrap();
    host.machine.nsswitch();
    let ran = host.run(&["ana"]);
    assert_eq!((ran.status.code(), &*ran.stdout), (Some(0), (printed(0) + &printed(1)).as_bytes()));
}

#[test]
fn the_uid_of_another_iam_user_gets_nothing() {
    let Some(host) = host() else { return };
    host.publish(vec![login("ana", &[0], now()), login("bob", &[1], now())]);
    let ran = host.run(&["ana", &uid("bob").to_string()]);
    assert_eq!((ran.status.code(), text(&ran.stdout)), (Some(0), ""));
    host.logged_one(84, &format!("has uid {}, the one in the cache has {}", uid("bob"), uid("ana")));
}

#[test]
fn a_user_who_is_not_in_the_cache_gets_nothing_and_no_log_line() {
    let Some(host) = host() else { return };
    for words in [&["root", "0"][..], &["ubuntu"], &["carol", "1879048192", fingerprint(0)]] {
        let ran = host.run(words);
        assert_eq!((ran.status.code(), text(&ran.stdout), text(&ran.stderr)), (Some(0), "", ""), "{words:?}");
    }
    assert_eq!(host.logged(), []);
}

#[test]
fn a_host_with_a_different_machine_id_offers_nothing() {
    let Some(host) = host() else { return };
    for id in ["fedcba9876543210fedcba9876543210\n", "uninitialized\n", "\n", ""] {
        fs::write("/etc/machine-id", id).unwrap();
        assert_eq!(host.ana(), "", "{id:?}");
        host.logged_one(84, "different machine-id");
    }
    fs::remove_file("/etc/machine-id").unwrap();
    assert_eq!(host.ana(), "");
    host.logged_one(84, "cannot read '/etc/machine-id': No such file");
    // A cache that was made without a machine-id belongs to no host, not even to one without a machine-id.
    fs::write("/etc/machine-id", "").unwrap();
    host.by_hand("UPDATE about SET machine_id = ?", "");
    assert_eq!(host.ana(), "");
    host.logged_one(84, "different machine-id");
}

/// Asserts that a key that was confirmed at this time is not offered, and that the log gives this reason.
fn offers_nothing(host: &Host, confirmed: i64, why: &str) {
    host.publish(vec![login("ana", &[0], confirmed)]);
    assert_eq!(host.ana(), "", "{why}");
    host.logged_one(84, why);
}

#[test]
fn keys_that_were_not_confirmed_for_too_long_are_not_offered() {
    let Some(host) = host() else { return };
    offers_nothing(&host, now() - 4 * 86400, "max_age is 259200 s");
}

#[test]
fn keys_that_were_confirmed_in_the_future_or_never_are_not_offered() {
    let Some(host) = host() else { return };
    offers_nothing(&host, now() + 86400, "s in the future: the clock is or was wrong");
    offers_nothing(&host, 0, "no source has confirmed a key");
}

#[test]
fn keys_that_were_confirmed_more_than_an_hour_ago_are_offered_with_a_warning() {
    let Some(host) = host() else { return };
    host.publish(vec![login("ana", &[0], now() - 2 * 3600)]);
    assert_eq!(host.ana(), printed(0));
    host.logged_one(84, "to find out why no refresh succeeds");
}

#[test]
fn only_public_keys_are_printed_whatever_is_stored() {
    let Some(host) = host() else { return };
    let (good, line) = (stored(0), stored(1).split_once(' ').unwrap().1);
    let (print, (kind, body)) = (fingerprint(1), line.split_once(' ').unwrap());
    for hostile in [
        format!("{print} command=\"sh\" {line}"),
        format!("{print} command=\"sh\",{line}"),
        format!("command=\"sh\" {line}"),
        format!("{print} {line} command=\"sh\""),
        format!("{print} {kind}\ncommand=\"sh\" {line}"),
        format!("{print}\n{line}"),
        format!("{print} {kind} {}", "A".repeat(1 << 20)),
        format!("{print} {kind} {body}{}", "A".repeat(1 << 20)),
        format!("{print} {kind} aGVsbG8="),
        format!("{print} ssh-dss {body}"),
        format!("{} {line}", fingerprint(2)),
        "\n\n\n".to_owned(),
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----"
            .to_owned(),
        format!("{print} {kind} b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAA="),
    ] {
        host.by_hand("UPDATE login SET keys = ?", &format!("{hostile}\n{good}"));
        let about = hostile.chars().take(120).collect::<String>();
        assert_eq!(host.ana(), printed(0), "{about}");
        let lines = host.logged();
        assert_eq!(lines.len(), 2, "{about}: {lines:?}");
        assert!(lines[0].1.starts_with("skipped ") && lines[1].1.starts_with("offered 1 keys "), "{lines:?}");
        assert!(
            lines.iter().all(|(_, line)| !line.contains("command") && !line.contains("AAAA")),
            "{lines:?}"
        );
    }
}

#[test]
fn characters_that_no_publisher_writes_make_the_cache_unusable() {
    let Some(host) = host() else { return };
    for hostile in ["\0", "\r", "\x1b[2J", "\u{f1}"] {
        host.by_hand("UPDATE login SET keys = ?", &format!("{}\n{}{hostile}", stored(0), stored(1)));
        host.unusable("corrupt: impossible characters");
    }
}

/// Options restrict keys, so a key without them would allow too much.
#[test]
fn no_key_is_offered_without_the_options() {
    let Some(host) = host() else { return };
    for hostile in ["restrict\n", "restrict\0", "restrict\u{f1}"] {
        host.by_hand("UPDATE about SET options = ?", hostile);
        host.unusable("corrupt: impossible characters");
    }
    host.by_hand("DELETE FROM about WHERE id = ?", "1");
    host.unusable("no row in 'about'");
}

#[test]
fn options_stand_before_the_key() {
    let Some(host) = host() else { return };
    host.publish(vec![login("ana", &[0], now())]);
    host.by_hand("UPDATE about SET options = ?", "restrict,command=\"sh -i\"");
    assert_eq!(host.ana(), format!("restrict,command=\"sh -i\" {}", printed(0)));
}

#[test]
fn hostile_arguments_get_nothing_and_are_escaped_in_the_log() {
    let Some(host) = host() else { return };
    let long = [b'\n'; 4096];
    let uid = host.uid_of_ana.as_bytes();
    for (words, escaped) in [
        (&[&b"ana\n<86>sshd[1]: Accepted publickey for root"[..], uid][..], r"'ana\n<86>sshd[1]: "),
        (&[b"\x1b]0;owned\x07", uid], r"'\x1b]0;owned\x07'"),
        (&[b"\xff\xfeana", uid], r"'\xff\xfeana'"),
        (&[b"--help", uid], "'--help'"),
        (&[b"-", uid], "'-'"),
        (&[b"", uid], "''"),
        (&[b"ana'; '", uid], r"'ana\'; \''"),
        (&[&long, uid], r"\n\n... (4096 bytes)'"),
        (&[b"ana", b"0\n"], r"'0\n' is not a uid"),
        (&[b"ana", b"-1"], "'-1' is not a uid"),
        (&[b"ana", uid, b"SHA256:\n"], r"'SHA256:\n' is not a SHA256 fingerprint"),
        (&[b"ana", uid, b"MD5:16:27:ac"], "hint: 'FingerprintHash sha256' in sshd_config"),
        (&[b"ana", uid, &long], r"\n\n... (4096 bytes)' is not a SHA256 fingerprint"),
    ] {
        let words: Vec<&OsStr> = words.iter().map(|word| OsStr::from_bytes(word)).collect();
        let ran = host.run(&words);
        assert_eq!((ran.status.code(), text(&ran.stdout), text(&ran.stderr)), (Some(0), "", ""), "{words:?}");
        host.logged_one(84, escaped);
    }
}

#[test]
fn what_the_source_stores_is_escaped_in_the_log() {
    let Some(host) = host() else { return };
    host.by_hand("UPDATE login SET iam_id = ?", "AIDA1\n\x1b[2J");
    host.by_hand("UPDATE login SET source = ?", "file:///'\0");
    assert_eq!(host.ana(), printed(0) + &printed(1));
    host.logged_one(86, r"(AIDA1\n\x1b[2J), confirmed");
}

#[test]
fn a_reader_that_closes_its_end_is_not_an_error() {
    let Some(host) = host() else { return };
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ran = host.command("nss-iam", &["ana", &host.uid_of_ana]).stdout(writer).output().unwrap();
    assert_eq!((ran.status.code(), text(&ran.stderr)), (Some(0), ""));
}

#[test]
fn keys_that_cannot_be_written_are_an_error() {
    let Some(host) = host() else { return };
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran = host.command("nss-iam", &["ana", &host.uid_of_ana]).stdout(full).output().unwrap();
    assert_eq!(ran.status.code(), Some(1));
    assert!(text(&ran.stderr).contains("cannot write the keys: No space left"), "{}", text(&ran.stderr));
    host.logged_one(83, "cannot write the keys: No space left");
}

#[test]
fn a_cache_that_cannot_be_used_is_an_error() {
    let Some(host) = host() else { return };
    for mode in [0o660, 0o642] {
        fs::set_permissions(KEYS, Permissions::from_mode(mode)).unwrap();
        host.unusable("writable by group or others");
    }
    fs::set_permissions(KEYS, Permissions::from_mode(0o640)).unwrap();
    assert_eq!(host.ana(), printed(0) + &printed(1));
    host.logged();
    fs::rename(KEYS, format!("{KEYS}.old")).unwrap();
    host.unusable("cannot use '/var/lib/nss-iam/keys.db': No such file or directory (os error 2)");
    symlink(format!("{KEYS}.old"), KEYS).unwrap();
    host.unusable("Too many levels of symbolic links");
    fs::remove_file(KEYS).unwrap();
    fs::write(KEYS, "not a database ".repeat(100)).unwrap();
    host.unusable("not an SQLite database");
    fs::copy(format!("{KEYS}.old"), KEYS).unwrap();
    fs::set_permissions(KEYS, Permissions::from_mode(0o644)).unwrap();
    fs::OpenOptions::new().write(true).open(KEYS).unwrap().set_len(4096).unwrap();
    host.unusable("truncated");
}

#[test]
fn keys_are_readable_only_by_the_programs_own_user() {
    let Some(host) = host() else { return };
    let published = fs::metadata(KEYS).unwrap();
    assert_eq!((published.mode() & 0o7777, published.uid(), published.gid()), (0o640, 0, host.gid));
    let mut other = host.command("nss-iam-fetch", &["ana", &host.uid_of_ana]);
    let ran = other.output().unwrap();
    assert_eq!((ran.status.code(), text(&ran.stdout)), (Some(1), ""));
    assert!(text(&ran.stderr).contains("Permission denied"), "{}", text(&ran.stderr));
}

#[test]
fn each_of_five_thousand_users_gets_their_own_key() {
    let Some(host) = host() else { return };
    let names: Vec<String> = (0..5000).map(|number| format!("user{number}")).collect();
    let kinds = STORED.lines().count();
    host.publish((0..5000).map(|number| login(&names[number], &[number % kinds], now())).collect());
    for number in (0..5000).step_by(97) {
        let name = &names[number];
        let ran = host.run(&[name, &uid(name).to_string(), fingerprint(number % kinds)]);
        assert_eq!((ran.status.code(), text(&ran.stdout)), (Some(0), &*printed(number % kinds)), "{name}");
        host.logged_one(86, &format!("of user '{name}' "));
    }
}

/// unix(7): a datagram socket's sender waits while the receiver's queue is full.
#[test]
fn a_syslog_daemon_that_hangs_does_not_delay_a_login() {
    let Some(host) = host() else { return };
    let filler = UnixDatagram::unbound().unwrap();
    filler.set_nonblocking(true).unwrap();
    while filler.send_to(b"x", "/dev/log").is_ok() {}
    assert_eq!(host.ana(), printed(0) + &printed(1));
}

#[test]
fn a_host_without_syslog_still_offers_keys() {
    let Some(host) = host() else { return };
    fs::remove_file("/dev/log").unwrap();
    assert_eq!(host.ana(), printed(0) + &printed(1));
}

#[test]
fn help_and_version_are_printed() {
    let Some(host) = host() else { return };
    let help = host.run(&["--help"]);
    assert_eq!((help.status.code(), text(&help.stderr)), (Some(0), ""));
    assert!(text(&help.stdout).starts_with(
        "usage: keys-cmd [--forward-only] [--instance-connect] USER [UID [FINGERPRINT [CONNECTION]]]\n"
    ));
    assert_eq!(text(&host.run(&["--version"]).stdout), format!("keys-cmd {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_wrong_number_of_arguments_is_a_usage_error() {
    let Some(host) = host() else { return };
    for words in [&[][..], &["ana", "1", "SHA256:a", "::1 1 ::1 1", "more"]] {
        let ran = host.run(words);
        assert_eq!((ran.status.code(), text(&ran.stdout)), (Some(64), ""));
        assert!(text(&ran.stderr).contains("usage: "), "{}", text(&ran.stderr));
    }
}

fn append(file: &str, line: &str) {
    let mut file = OpenOptions::new().append(true).open(file).unwrap();
    writeln!(file, "{line}").unwrap();
}
