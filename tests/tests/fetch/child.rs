//! The fetch half that root starts: which of root's resources it has, and that it ends with its parent.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tests::{Fault, FaultProxy, Machine, text};

use crate::host::{GROUPS, Host, five};

const REFRESHER: &str = "/usr/libexec/nss-iam/cache-refresher";

fn within<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "not within 60 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The fetch half, found by its parent: a fetch half on another machine has a different parent.
fn half_of(parent: u32) -> Option<PathBuf> {
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    processes.filter(|path| path.join("fd").is_dir()).find(|path| {
        let status = fs::read_to_string(path.join("status")).unwrap_or_default();
        let sessions = fs::read_to_string(path.join("stat")).unwrap_or_default();
        // Field 6 of proc_pid_stat(5) is the session; the process is the session leader once it has given up
        // everything.
        let session = sessions.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(3));
        status.lines().any(|line| line == format!("PPid:\t{parent}"))
            && path.file_name().and_then(|pid| pid.to_str()) == session
    })
}

/// A refresh, run by `line`, that waits for an AWS that never answers, with a variable and an open file of root.
fn waiting(machine: &Machine, line: &str) -> (Child, TcpListener) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    machine.config(&format!("{GROUPS}[aws]\nendpoint_url = \"http://{}\"\n", silent.local_addr().unwrap()));
    let script = format!("exec 9</etc/shadow; {line}");
    // A shell that started the tests in the background ignores the signal.
    let mut command = machine.command(&["env", "--default-signal=INT", "bash", "-c", &script]);
    command.env("SECRET", "root's").env("LD_LIBRARY_PATH", "/root/lib").env("JOURNAL_STREAM", "1:1");
    command.envs([("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y"), ("AWS_REGION", "eu-west-1")]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    (command.spawn().unwrap(), silent)
}

fn has_ended(half: &Path) -> Option<()> {
    let status = fs::read_to_string(half.join("status")).unwrap_or_default();
    (status.is_empty() || status.contains("State:\tZ")).then_some(())
}

#[test]
fn the_fetch_half_that_root_starts_has_none_of_roots_resources() {
    let Some(machine) = Machine::enter() else { return };
    machine.install();
    // script(1) gives it a controlling terminal.
    let line = format!("exec setsid -w script -qec 'exec {REFRESHER} fetch' /dev/null");
    let (mut script, silent) = waiting(&machine, &line);
    let parent = within("the parent", || {
        let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        let is_ours = |path: &PathBuf| {
            let words = fs::read(path.join("cmdline")).unwrap_or_default();
            let root = fs::metadata(path.join("root")).is_ok_and(|root| {
                let here = fs::metadata("/").unwrap();
                (root.dev(), root.ino()) == (here.dev(), here.ino())
            });
            root && words == format!("{REFRESHER}\0fetch\0").as_bytes()
        };
        processes.filter(is_ours).find_map(|path| path.file_name()?.to_str()?.parse::<u32>().ok())
    });
    let stat = fs::read_to_string(format!("/proc/{parent}/stat")).unwrap();
    let terminal =
        |stat: &str| stat.rsplit(')').next().unwrap().split_whitespace().nth(4).unwrap().to_owned();
    assert_ne!(terminal(&stat), "0", "this test has no terminal: {stat}");
    let half = within("the fetch half", || half_of(parent));
    silent.set_nonblocking(true).unwrap();
    let _call = within("its first call", || silent.accept().ok());

    assert_eq!(terminal(&fs::read_to_string(half.join("stat")).unwrap()), "0");
    let environment = fs::read(half.join("environ")).unwrap();
    let mut environment: Vec<_> =
        environment.split(|byte| *byte == 0).map(text).filter(|variable| !variable.is_empty()).collect();
    environment.sort_unstable();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let expected = ["AWS_ACCESS_KEY_ID=x", "AWS_REGION=eu-west-1", "AWS_SECRET_ACCESS_KEY=y", "HOME=/", path];
    assert_eq!(environment, expected);
    for entry in fs::read_dir(half.join("fd")).unwrap().flatten() {
        let file = fs::read_link(entry.path()).unwrap();
        let file = file.to_str().unwrap();
        let own = file == "/dev/null"
            || ["pipe:", "socket:", "anon_inode:"].iter().any(|kind| file.starts_with(kind));
        assert!(own || file.starts_with("/var/lib/nss-iam-fetch"), "{file}");
    }
    assert_eq!(fs::read_link(half.join("cwd")).unwrap(), fs::read_link("/proc/self/root").unwrap());
    let status = fs::read_to_string(half.join("status")).unwrap();
    for line in ["Umask:\t0077", "Groups:\t", "NoNewPrivs:\t1", "CapEff:\t0000000000000000"] {
        assert!(status.lines().any(|found| found.trim_end() == line.trim_end()), "{line} in {status}");
    }
    let limits = fs::read_to_string(half.join("limits")).unwrap();
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(cores.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{cores}");

    kill(Pid::from_raw(parent.try_into().unwrap()), Signal::SIGINT).unwrap();
    within("its end", || has_ended(&half));
    script.wait().unwrap();
}

/// Ctrl-C reaches the foreground process group of the terminal, and so only the parent; SIGKILL gives it no chance
/// to act.
#[test]
fn the_fetch_half_ends_with_its_parent_in_every_case() {
    let Some(machine) = Machine::enter() else { return };
    machine.install();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        let (mut parent, _silent) = waiting(&machine, &format!("exec {REFRESHER}"));
        let half = within("the fetch half", || half_of(parent.id()));
        kill(Pid::from_raw(parent.id().try_into().unwrap()), signal).unwrap();
        within("its end", || has_ended(&half));
        parent.wait().unwrap();
    }
}

#[test]
fn at_a_terminal_the_progress_bar_and_the_messages_of_the_fetch_half_are_shown() {
    let mut wish = five();
    wish["users"][0]["keys"] = json!(5);
    let Some(host) = Host::seeded(&wish) else { return };
    host.machine.config("groups = [\"G\", \"NoSuchGroup\"]\n");
    let line = ["script", "-qec", "/usr/libexec/nss-iam/cache-refresher fetch", "/dev/null"];
    let mut command = host.machine.command(&line);
    let ran = command.envs(host.account.direct()).env("TERM", "xterm").stdin(Stdio::null()).output().unwrap();
    let seen = String::from_utf8_lossy(&ran.stdout);
    assert!(seen.contains("reading groups and users"), "{seen}");
    assert_eq!(
        seen.matches("error: iam:GetGroup on 'NoSuchGroup' failed: NoSuchEntity").count(),
        1,
        "{seen}"
    );
    assert!(seen.contains("hint: create the group in IAM"), "{seen}");
    assert!(!seen.contains("{\""), "{seen}");
}

#[test]
fn at_a_terminal_each_retry_is_shown_with_host_cause_and_number() {
    let Some((host, _)) = Host::refreshed() else { return };
    let line = ["script", "-qec", "/usr/libexec/nss-iam/cache-refresher fetch", "/dev/null"];
    let shown = |url: &str, status: i32| {
        let mut command = host.machine.command(&line);
        command.envs(host.account.env(url)).env("TERM", "xterm").stdin(Stdio::null());
        let ran = command.output().unwrap();
        let seen = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert_eq!(ran.status.code(), Some(status), "{seen}");
        seen
    };
    let proxy = FaultProxy::start(&host.account, |call| match call.total {
        4..20 => Fault::throttling(),
        _ => Fault::Pass,
    });
    let endpoint = proxy.url().replace("http://", "");
    let seen = shown(&proxy.url(), 0);
    assert!(seen.contains(&format!("reading groups and users 2/7: {endpoint}: Throttling, try ")), "{seen}");
    drop(proxy);

    let seen = shown(&format!("http://{endpoint}"), 75);
    let text =
        |number| format!("reading groups and users: {endpoint}: Connection refused, try {number} of 10");
    // What lasts less than a tenth of a second may not be drawn.
    let drawn = (2..=10).filter(|number| seen.contains(&text(*number))).count();
    assert!(drawn >= 3, "{seen}");
    assert!(!seen.contains("try 11") && seen.contains("error: sts:GetCallerIdentity"), "{seen}");
}

/// systemd does not run on this machine.
#[test]
fn a_refresh_by_hand_ends_with_the_error_and_names_the_environment_that_is_not_used() {
    let Some((host, _)) = Host::refreshed() else { return };
    host.give("2s");
    let drop_in = "/etc/systemd/system/nss-iam-fetch.service.d/proxy.conf";
    fs::create_dir_all(Path::new(drop_in).parent().unwrap()).unwrap();
    fs::write(drop_in, "[Service]\nEnvironmentFile=-/etc/default/proxy\n").unwrap();
    fs::write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n").unwrap();
    let refresh = |url: &str| {
        let mut command = host.machine.command(&["sh", "-c", "nss-iamctl refresh 2>&1"]);
        let ran = command.envs(host.account.env(url)).stdin(Stdio::null()).output().unwrap();
        (ran.status.code(), text(&ran.stdout).to_owned())
    };
    let (status, said) = refresh(&format!("http://{}", host.account.address()));
    assert_eq!(status, Some(0), "{said}");
    let unused =
        format!("the environment that '{drop_in}' sets for 'nss-iam-fetch.service' is not used\nhint: ");
    assert!(said.contains(&unused) && said.contains("published 5 users"), "{said}");

    let (status, said) = refresh("http://127.0.0.1:9");
    assert_eq!(status, Some(75), "{said}");
    let (_, end) = said.split_once("unchanged 5 users").unwrap();
    let end: Vec<&str> = end.lines().skip(1).collect();
    assert!(end[0].starts_with("error: sts:GetCallerIdentity on 'this host' failed: "), "{said}");
    assert!(end[1].starts_with("hint: ") && end.len() == 2, "{said}");
}

/// syslog(3) gets each message once, from the parent.
#[test]
fn messages_of_the_fetch_half_are_logged_once() {
    let Some(host) = Host::seeded(&five()) else { return };
    let log = host.machine.syslog();
    log.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    host.machine.config("groups = [\"G\", \"NoSuchGroup\"]\n");
    host.refresh()
        .told(78, &["error: iam:GetGroup on 'NoSuchGroup' failed: ", "\nhint: create the group in IAM"]);
    let mut lines = Vec::new();
    let mut datagram = [0; 4096];
    while let Ok(length) = log.recv(&mut datagram) {
        lines.push(text(&datagram[..length]).to_owned());
    }
    let about = lines.iter().filter(|line| line.contains("NoSuchGroup")).count();
    assert_eq!(about, 1, "{lines:?}");
}
