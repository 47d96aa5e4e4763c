//! Processes of users who may no longer log in. Process ids are the host's, so every test uses different users.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::json;
use tests::{Host, REFRESHER, listing, user};

use crate::{POWER, Running, stopped_at};

/// Runs a shell script under these ids, and returns when it has reported that it is ready.
fn start(host: &Host, uid: &str, gid: &str, script: &str) -> Running {
    let line = ["setpriv", "--reuid", uid, "--regid", gid, "--clear-groups", "sh", "-c", script];
    let mut command = host.machine.command(&line);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = [0];
    child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    Running(child)
}

fn local_user(line: &str) {
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    fs::write("/etc/passwd", format!("{passwd}{line}\n")).unwrap();
}

/// Pids of processes with this real uid, without zombies.
fn processes(uid: &str) -> BTreeSet<u32> {
    let pids =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let mut words =
            status.lines().filter_map(|line| line.strip_prefix("Uid:")?.split_whitespace().next());
        words.next() == Some(uid) && !status.contains("State:\tZ")
    })
    .collect()
}

const SLEEP: &str = "echo; exec sleep 1000";

#[test]
fn every_process_of_a_user_who_leaves_is_ended_and_no_other() {
    let Some(host) = Host::new() else { return };
    host.apply(&listing(&[user("se-11", "ana"), user("se-12", "bob")]));
    let (ana, bob) = (host.passwd("ana", 2), host.passwd("bob", 2));
    let scripts = [
        SLEEP,
        "trap '' TERM HUP; echo; while :; do sleep 1; done",
        // The parent exits, and init adopts the child.
        "setsid sh -c 'sleep 1000 & echo'",
        "echo; kill -STOP $$",
    ];
    let _anas = scripts.map(|script| start(&host, &ana, &ana, script));
    let others = [(&*bob, &*bob), (&bob, &ana), ("0", &ana)].map(|(uid, gid)| start(&host, uid, gid, SLEEP));
    let [bobs, in_her_group, roots] = others.each_ref().map(|other| other.0.id());
    assert!(processes(&ana).len() >= 4);

    let ran = host.apply(&listing(&[user("se-12", "bob")]));
    assert!(
        ran.err.contains(&format!("user 'ana' ({ana}) is disabled: ending sessions and processes")),
        "{}",
        ran.err
    );
    assert_eq!(processes(&ana), BTreeSet::new());
    assert_eq!(processes(&bob), [bobs, in_her_group].into());
    assert!(processes("0").contains(&roots));
    assert_eq!(host.status()["warnings"].as_array().unwrap().len(), 0);
}

/// kill(2): users may stop or kill processes with their real or saved uid, so the process that ends theirs must not
/// have it.
#[test]
fn a_user_cannot_prevent_that_their_processes_are_ended_and_no_other_process_can_be_ended() {
    let Some(host) = Host::new() else { return };
    host.apply(&listing(&[user("se-21", "ana")]));
    let ana = host.passwd("ana", 2);
    let _running = start(&host, &ana, &ana, SLEEP);
    host.list(&listing(&[]));
    // The first call checks whether the process still has privileges, the second signals all processes.
    let signals = ["-e", "trace=kill", "-e", "inject=kill:signal=SIGSTOP:when=2"];
    stopped_at(&host, &signals, &["apply"], |pid, value| {
        for set in POWER {
            assert_eq!(value(set), "0".repeat(16), "{set}");
        }
        let [real, effective, saved] = [0, 1, 2].map(|n| value("Uid").split(' ').nth(n).unwrap().to_owned());
        assert_eq!(effective, ana);
        assert!(
            real != ana && real == saved && processes(&real).len() == 1,
            "an id that nobody else has: {real}"
        );
        for signal in ["-STOP", "-KILL"] {
            let as_ana = ["setpriv", "--reuid", &ana, "--regid", &ana, "--clear-groups", "kill", signal, pid];
            let refused = host.run(&as_ana);
            assert!(refused.err.contains("Operation not permitted"), "{refused:?}");
        }
    });
    assert_eq!(processes(&ana), BTreeSet::new());
}

#[test]
fn a_user_who_is_hidden_at_once_has_no_process_left_either() {
    let Some(host) = Host::new() else { return };
    host.machine.config("[users]\nremoved = \"hide\"\n");
    host.apply(&listing(&[user("se-31", "ana")]));
    let ana = host.passwd("ana", 2);
    let _running = start(&host, &ana, &ana, SLEEP);
    host.apply(&listing(&[]));
    assert_eq!((host.getent("passwd", &ana), processes(&ana)), (None, BTreeSet::new()));
}

/// Once: a connection that they forward later is a process of theirs, too.
#[test]
fn processes_of_a_user_who_may_from_now_on_only_forward_are_ended_once() {
    let Some(host) = Host::new() else { return };
    let both = listing(&[user("se-35", "ana"), user("se-36", "bob")]);
    let admins = json!({"id": "g-adm", "name": "Admins", "members": ["se-36"]});
    let mut all = both.clone();
    all["accounts"][0]["groups"].as_array_mut().unwrap().push(admins);
    host.apply(&all);
    let (ana, bob) = (host.passwd("ana", 2), host.passwd("bob", 2));
    let _anas = start(&host, &ana, &ana, SLEEP);
    let bobs = start(&host, &bob, &bob, SLEEP);
    host.machine.config("shell_groups = [\"Admins\"]\n[users]\nforward_only = true\n");
    let ran = host.apply(&all);
    let said = format!("user 'ana' ({ana}) may only forward connections now: ending sessions and processes");
    assert!(ran.err.contains(&said) && !ran.err.contains("'bob'"), "{}", ran.err);
    assert_eq!((processes(&ana), processes(&bob)), (BTreeSet::new(), [bobs.0.id()].into()));
    let _forwards = start(&host, &ana, &ana, SLEEP);
    host.apply(&all);
    assert_eq!(processes(&ana).len(), 1);
}

#[test]
fn with_terminate_sessions_false_processes_stay() {
    let Some(host) = Host::new() else { return };
    host.machine.config("[users]\nterminate_sessions = false\n");
    host.apply(&listing(&[user("se-41", "ana")]));
    let ana = host.passwd("ana", 2);
    let running = start(&host, &ana, &ana, SLEEP);
    host.apply(&listing(&[]));
    assert!(host.is_disabled("ana", &ana));
    assert_eq!(processes(&ana), [running.0.id()].into());
}

#[test]
fn a_local_user_who_now_has_the_id_keeps_their_processes() {
    let Some(host) = Host::new() else { return };
    host.apply(&listing(&[user("se-51", "ana")]));
    let ana = host.passwd("ana", 2);
    local_user(&format!("local:x:{ana}:{ana}::/home/local:/bin/sh"));
    let running = start(&host, &ana, &ana, SLEEP);
    host.apply(&listing(&[]));
    assert_eq!(processes(&ana), [running.0.id()].into());
}

#[test]
fn a_local_user_who_now_has_the_name_keeps_lingering() {
    let Some(host) = Host::new() else { return };
    let ana = listing(&[user("se-55", "ana")]);
    host.apply(&ana);
    local_user("ana:x:1234:1234::/home/ana:/bin/sh");
    let file = "/var/lib/systemd/linger/ana";
    fs::create_dir_all("/var/lib/systemd/linger").unwrap();
    fs::write(file, "").unwrap();
    host.apply(&ana);
    assert_eq!(host.status()["disabled"], 1);
    assert!(fs::metadata(file).is_ok());
}

#[test]
fn lingering_ends_with_the_user() {
    let Some(host) = Host::new() else { return };
    host.apply(&listing(&[user("se-61", "ana"), user("se-62", "bob")]));
    fs::create_dir_all("/var/lib/systemd/linger").unwrap();
    for name in ["ana", "bob"] {
        fs::write(format!("/var/lib/systemd/linger/{name}"), "").unwrap();
    }
    host.apply(&listing(&[user("se-62", "bob")]));
    let left: Vec<String> = tests::files("/var/lib/systemd/linger").into_keys().collect();
    assert_eq!(left, ["bob"]);
}

/// nscd(8): `-i TABLE` drops cached entries. A script replaces it, and records how it was called.
#[test]
fn nscd_is_flushed_only_when_an_answer_changed() {
    let Some(host) = Host::new() else { return };
    let nscd = "/usr/sbin/nscd";
    fs::write(nscd, "#!/bin/sh\necho \"$*\" >> /tmp/called\n").unwrap();
    fs::set_permissions(nscd, Permissions::from_mode(0o755)).unwrap();
    let called = || fs::read_to_string("/tmp/called").unwrap_or_default();
    let (one, two) =
        (listing(&[user("se-71", "ana")]), listing(&[user("se-71", "ana"), user("se-72", "bob")]));
    host.apply(&one);
    assert_eq!(called(), "", "it does not run here");

    fs::create_dir("/run/nscd").unwrap();
    fs::write("/run/nscd/socket", "").unwrap();
    host.apply(&two);
    assert_eq!(called(), "-i passwd\n-i group\n");
    let mut keys_only = two;
    keys_only["accounts"][0]["users"][0]["keys"][0]["active"] = serde_json::json!(false);
    assert!(host.apply(&keys_only).out.starts_with("published "));
    assert_eq!(called(), "-i passwd\n-i group\n", "nscd caches no keys");
}

/// An administrator's PATH may begin with a directory that others can write to.
#[test]
fn a_program_is_run_from_its_system_path_without_the_callers_environment() {
    let Some(host) = Host::new() else { return };
    fs::create_dir_all("/run/nscd").unwrap();
    fs::write("/run/nscd/socket", "").unwrap();
    fs::create_dir("/tmp/bin").unwrap();
    for (nscd, file) in [("/usr/sbin/nscd", "/tmp/called"), ("/tmp/bin/nscd", "/tmp/another")] {
        fs::write(nscd, format!("#!/bin/sh\necho \"$* ${{SECRET-none}}\" >> {file}\n")).unwrap();
        fs::set_permissions(nscd, Permissions::from_mode(0o755)).unwrap();
    }
    host.apply(&listing(&[user("se-81", "ana")]));
    fs::remove_file("/tmp/called").unwrap();
    host.list(&listing(&[user("se-82", "bob")]));
    let mut command = host.machine.command(&[REFRESHER, "apply"]);
    let ran = command.env("PATH", "/tmp/bin:/usr/bin").env("SECRET", "root's").output().unwrap();
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    // Once for users who leave, once for the rest.
    assert_eq!(fs::read_to_string("/tmp/called").unwrap(), "-i passwd none\n-i group none\n".repeat(2));
    assert!(!fs::exists("/tmp/another").unwrap());
}
