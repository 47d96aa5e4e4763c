//! Keys that were pushed with EC2 Instance Connect: keys-cmd with a script in place of its command.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use policy::instance_connect::{COMMANDS, FLAG};
use tests::text;

use crate::host::{Host, fingerprint, host, login, now, printed};

/// What the script leaves when it runs.
const RAN: &str = "/tmp/ran";
const KEYS: &str = "/tmp/pushed";

/// A machine whose command is this script.
fn with(script: &str) -> Option<Host> {
    let host = host()?;
    install(0, &format!("echo \"$@\" >{RAN}\n{script}\n"));
    Some(host)
}

fn install(number: usize, script: &str) {
    let path = std::path::Path::new(COMMANDS[number]);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{script}")).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

impl Host {
    /// As sshd asks, for a key that the user does not have at the source.
    fn pushed(&self) -> Output {
        self.run(&[FLAG, "ana", &self.uid_of_ana, fingerprint(2)])
    }

    /// Asserts that no key is printed, without an error.
    fn pushed_nothing(&self, why: &str) {
        let output = self.pushed();
        assert_eq!(
            (output.status.code(), text(&output.stdout), text(&output.stderr)),
            (Some(0), "", ""),
            "{why}"
        );
    }
}

/// Whether the script ran since the last call.
fn ran() -> bool {
    fs::remove_file(RAN).is_ok()
}

/// Whether the process still runs that the script started.
fn runs_sleep() -> bool {
    let pid = fs::read_to_string("/tmp/pid").unwrap();
    fs::read_to_string(format!("/proc/{}/comm", pid.trim())).is_ok_and(|name| name == "sleep\n")
}

#[test]
fn a_pushed_key_is_printed_and_logged_with_its_origin() {
    let Some(host) = with(&format!("cat {KEYS}")) else { return };
    fs::write(KEYS, format!("{} ana@laptop\n", printed(2).trim_end())).unwrap();
    let output = host.pushed();
    assert_eq!(
        (output.status.code(), text(&output.stdout), text(&output.stderr)),
        (Some(0), &*printed(2), "")
    );
    host.logged_one(86, "of user 'ana' (ana), pushed with EC2 Instance Connect; the user was confirmed");
    assert_eq!(fs::read_to_string(RAN).unwrap(), format!("ana {}\n", fingerprint(2)));
    // OpenSSH before 7.8 passes neither.
    let output = host.run(&[FLAG, "ana", &host.uid_of_ana]);
    assert_eq!(text(&output.stdout), printed(0) + &printed(1) + &printed(2));
    assert_eq!(fs::read_to_string(RAN).unwrap(), "ana\n");
    // Another path, only where the first does not exist.
    install(1, "echo other");
    assert_eq!(text(&host.pushed().stdout), printed(2));
    fs::remove_file(COMMANDS[0]).unwrap();
    install(1, &format!("cat {KEYS}"));
    assert_eq!(text(&host.pushed().stdout), printed(2));
}

#[test]
fn the_command_is_not_run_for_whoever_gets_no_key_of_the_source_nor_without_the_flag() {
    let Some(host) = with(&format!("cat {KEYS}")) else { return };
    fs::write(KEYS, printed(2)).unwrap();
    let ask = |words: &[&str]| {
        let output = host.run(words);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), ""), "{words:?}");
        assert!(!ran(), "{words:?}");
    };
    let (uid, key) = (&*host.uid_of_ana, fingerprint(2));
    ask(&["ana", uid, key]);
    // A local account, and one that does not exist, is disabled or is locked: neither is in the cache.
    ask(&[FLAG, "ana", "1000", key]);
    ask(&[FLAG, "ana", "0", key]);
    ask(&[FLAG, "bob", "1000", key]);
    ask(&[FLAG, "root", "0", key]);
    ask(&[FLAG, "../etc", "0", key]);
    // It is the user's own key.
    assert_eq!(text(&host.run(&[FLAG, "ana", uid, fingerprint(1)]).stdout), printed(1));
    assert!(!ran());
    for confirmed in [0, now() - 4 * 86400, now() + 3600] {
        host.publish(vec![login("ana", &[0], confirmed)]);
        ask(&[FLAG, "ana", uid, key]);
    }
    let mut only_forwards = login("ana", &[0], now());
    only_forwards.forward_only = true;
    host.publish(vec![only_forwards]);
    ask(&[FLAG, "ana", uid, key]);
    let output = host.run(&["--forward-only", FLAG, "ana", uid, key]);
    assert_eq!(text(&output.stdout), format!("restrict,port-forwarding {}", printed(2)));
    assert!(ran());
    host.publish(vec![login("ana", &[], now())]);
    fs::write("/etc/machine-id", "11111111111111111111111111111111\n").unwrap();
    ask(&[FLAG, "ana", uid, key]);
}

#[test]
fn whatever_the_command_does_there_is_a_key_only_if_it_prints_one_and_succeeds() {
    let Some(host) = with(&format!("cat {KEYS}; exit $(cat /tmp/status)")) else { return };
    fs::write(KEYS, printed(2)).unwrap();
    for (status, why) in [("22", ""), ("255", ""), ("124", "timed out"), ("1", "failed with status 1")] {
        fs::write("/tmp/status", status).unwrap();
        host.pushed_nothing(status);
        match why {
            "" => assert_eq!(host.logged(), [], "{status}"),
            why => host.logged_one(84, why),
        }
    }
    fs::write("/tmp/status", "0").unwrap();
    // So the real command says that no key was pushed.
    fs::write(KEYS, "").unwrap();
    host.pushed_nothing("nothing");
    assert_eq!(host.logged(), []);
    let key = printed(2);
    for hostile in [
        format!("command=\"sh\" {key}"),
        format!("restrict {key}"),
        format!("environment=\"LD_PRELOAD=/tmp/x\",{key}"),
        format!("cert-authority {key}"),
        key.replace(' ', "\n"),
        key.replace(' ', "\0"),
        "ssh-ed25519 AAAA\n".repeat(3000),
        printed(0),
        "\x1b[2J' offered key".to_owned(),
        "x".repeat(1 << 20),
        key.repeat((1 << 20) / key.len()),
    ] {
        fs::write(KEYS, &hostile).unwrap();
        host.pushed_nothing(hostile.get(..60).unwrap_or(&hostile));
        let lines = host.logged();
        assert!(lines.len() <= 1 && lines.iter().all(|line| !line.1.contains("offered key")), "{lines:?}");
    }
    // A good key among others.
    fs::write(KEYS, format!("command=\"sh\" {key}\n{}{key}", printed(0))).unwrap();
    assert_eq!(text(&host.pushed().stdout), key);
}

#[test]
fn a_user_who_leaves_while_the_command_runs_gets_no_key() {
    let script = format!("touch /tmp/asked; until [ -e /tmp/left ]; do sleep 0.02; done; cat {KEYS}");
    let Some(host) = with(&script) else { return };
    fs::write(KEYS, printed(2)).unwrap();
    let words = [FLAG, "ana", &host.uid_of_ana, fingerprint(2)];
    let asked = host.command("nss-iam", &words).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    while !fs::exists("/tmp/asked").unwrap() {
        sleep(Duration::from_millis(5));
    }
    host.publish(vec![login("bob", &[0], now())]);
    fs::write("/tmp/left", "").unwrap();
    assert_eq!(text(&asked.wait_with_output().unwrap().stdout), "");
    // On a machine that stands still for seconds, it is the command that took too long.
    host.logged_one(84, "no key of ");
}

#[test]
fn nothing_that_the_command_started_remains_and_it_gets_nothing_of_keys_cmd() {
    let script = format!(
        "setsid sleep 1000 >/dev/null 2>&1 & echo $! >/tmp/pid\nls /proc/self/fd | tr '\\n' ' ' >/tmp/open\n\
         tr '\\0' '\\n' </proc/$$/environ >/tmp/environ\nid -un >/tmp/user\ncat {KEYS}"
    );
    let Some(host) = with(&script) else { return };
    fs::write(KEYS, printed(2)).unwrap();
    let line = format!(
        "exec 7</etc/shadow 9</dev/null; exec setpriv --clear-groups --reuid nss-iam --regid nss-iam \
         /usr/libexec/nss-iam/keys-cmd {FLAG} ana {} {}",
        host.uid_of_ana,
        fingerprint(2)
    );
    let mut command = host.machine.command(&["sh", "-c", &line]);
    let output = command.env("SECRET", "x").env("LD_LIBRARY_PATH", "/tmp").output().unwrap();
    assert_eq!(text(&output.stdout), printed(2));
    let read = |path: &str| fs::read_to_string(path).unwrap();
    // The last one is the directory that ls reads.
    assert_eq!(read("/tmp/open"), "0 1 2 3 ");
    assert_eq!(read("/tmp/environ"), "PATH=/usr/sbin:/usr/bin:/sbin:/bin\n");
    assert_eq!(read("/tmp/user"), "nss-iam\n");
    assert!(!runs_sleep());
}

#[test]
fn a_command_whose_output_does_not_end_is_ended() {
    let Some(host) = with(&format!("cat {KEYS}; setsid sleep 1000 & echo $! >/tmp/pid")) else { return };
    fs::write(KEYS, printed(2)).unwrap();
    host.pushed_nothing("sleep has the output open");
    host.logged_one(84, "its command took longer than 5500 ms");
    assert!(!runs_sleep());
}

#[test]
fn a_command_that_is_missing_or_not_roots_alone_is_not_run() {
    let Some(host) = with(&format!("cat {KEYS}")) else { return };
    fs::write(KEYS, printed(2)).unwrap();
    for (path, mode) in
        [(COMMANDS[0], 0o775), (COMMANDS[0], 0o757), ("/opt/aws/bin", 0o777), ("/opt", 0o1777)]
    {
        let before = fs::metadata(path).unwrap().permissions();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        host.pushed_nothing(path);
        host.logged_one(84, "not only root can write to");
        assert!(!ran());
        fs::set_permissions(path, before).unwrap();
    }
    fs::remove_file(COMMANDS[0]).unwrap();
    host.pushed_nothing("missing");
    host.logged_one(84, "its command is not installed");
}
