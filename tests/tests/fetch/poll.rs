//! `cache-refresher fetch --poll`: the real program as its own user, and an emulator that counts what it is asked.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tests::{Fault, FaultProxy, text};

use crate::host::{Host, five};

const FILES: [&str; 4] = ["listing.json", "report.json", "due", "calls.json"];
const LISTING: &str = "/var/lib/nss-iam-fetch/listing.json";
const PATIENCE: Duration = Duration::from_secs(60);

/// A fetch half that stays; it is ended with the test.
struct Poll {
    child: Child,
    log: std::path::PathBuf,
}

impl Poll {
    fn start(host: &Host, environment: &[(&'static str, String)]) -> Self {
        let log = std::path::PathBuf::from("/tmp/poll.log");
        let line = ["setpriv", "--reuid=nss-iam-fetch", "--regid=nss-iam-fetch", "--clear-groups"];
        let program = ["/usr/libexec/nss-iam/cache-refresher", "fetch", "--poll"];
        let mut command: Command = host.machine.command(&[&line[..], &program[..]].concat());
        command.envs(environment.iter().cloned()).stdin(Stdio::null()).stdout(Stdio::null());
        Self { child: command.stderr(fs::File::create(&log).unwrap()).spawn().unwrap(), log }
    }

    fn said(&self) -> String {
        text(&fs::read(&self.log).unwrap()).to_owned()
    }

    #[track_caller]
    fn until(&mut self, what: &str, mut condition: impl FnMut() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}: {}", self.said());
            assert_eq!(self.child.try_wait().unwrap(), None, "{what}: {}", self.said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Inode and time of what it writes.
fn written() -> Vec<Option<(u64, i64, i64)>> {
    let about = |name: &&str| {
        let about = fs::metadata(format!("/var/lib/nss-iam-fetch/{name}")).ok()?;
        Some((about.ino(), about.mtime(), about.mtime_nsec()))
    };
    FILES.iter().map(about).collect()
}

fn apply(host: &Host) {
    let ran = host.machine.run(&["/usr/libexec/nss-iam/cache-refresher", "apply"]);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
}

#[test]
fn over_one_connection_with_one_identity_it_reads_again_and_again_and_writes_what_is_new() {
    let mut wish = five();
    wish["roles"] = json!([{"name": "KeyLookup"}]);
    let Some(host) = Host::seeded(&wish) else { return };
    host.machine.config("groups = [\"G\", \"H\"]\n[aws]\nrole = \"KeyLookup\"\n[refresh]\nevery = \"1s\"\n");
    let mut poll = Poll::start(&host, &host.account.direct());
    let count = |action: &str| host.account.actions().iter().filter(|done| *done == action).count();
    poll.until("it has read once", || written()[2].is_some());
    // Otherwise it is reminded.
    apply(&host);
    let (before, reads) = (written(), count("GetGroup"));
    poll.until("it has read four times more", || count("GetGroup") >= reads + 8);
    assert_eq!(written(), before, "nothing has changed: {}", poll.said());
    assert_eq!((count("GetCallerIdentity"), count("AssumeRole")), (1, 1));
    host.account.change(json!({"do": "remove_member", "group": "G", "user": "bob"}));
    poll.until("who left is no longer in the listing", || !names().contains(&"bob".to_owned()));
    poll.until("and the apply half is called", || written()[2] != before[2]);
    let report = fs::read_to_string("/var/lib/nss-iam-fetch/report.json").unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let told = report["totals"]["calls"]["iam:GetGroup"].as_u64().unwrap();
    assert!(told >= reads as u64 + 8, "calls between two reports are not lost: {report}");
}

fn names() -> Vec<String> {
    let Ok(listing) = fs::read(LISTING) else { return Vec::new() };
    let listing = listing::Listing::parse(&listing).unwrap();
    listing.accounts.iter().flat_map(|account| &account.users).map(|user| user.name.clone()).collect()
}

#[test]
fn a_failure_that_lasts_is_told_once_and_ends_with_its_cause() {
    let Some(host) = Host::seeded(&five()) else { return };
    host.machine.config("groups = [\"G\", \"H\"]\n[aws]\ntimeout = \"3s\"\n[refresh]\nevery = \"1s\"\n");
    let broken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let state = std::sync::Arc::clone(&broken);
    let is_broken = move || state.load(std::sync::atomic::Ordering::Relaxed);
    let proxy =
        FaultProxy::start(&host.account, move |_| if is_broken() { Fault::Reset } else { Fault::Pass });
    let mut poll = Poll::start(&host, &host.account.env(&proxy.url()));
    poll.until("it has read once", || written()[2].is_some());
    apply(&host);
    let good = written();
    broken.store(true, std::sync::atomic::Ordering::Relaxed);
    poll.until("the failure is in the listing", || written()[0] != good[0]);
    // It opens a new connection, and then does not even know who it is.
    poll.until("and the one after it", || poll_said("sts:GetCallerIdentity"));
    assert_eq!(names().len(), 5, "nobody is lost");
    let (first, calls) = (written(), proxy.calls().len());
    poll.until("it has tried again", || proxy.calls().len() >= calls + 20);
    assert_eq!(written()[0], first[0], "{}", poll.said());
    let errors = poll.said().lines().filter(|line| line.starts_with("error: ")).count();
    assert_eq!(errors, 2, "one of each cause: {}", poll.said());
    broken.store(false, std::sync::atomic::Ordering::Relaxed);
    poll.until("the failure is gone from the listing", || {
        !fs::read_to_string(LISTING).unwrap().contains("\"errors\"")
    });
}

#[test]
fn a_document_is_looked_at_and_read_only_if_it_is_another() {
    let Some(host) = Host::seeded(&json!({})) else { return };
    let file = "/etc/nss-iam/users.json";
    host.machine.config(&format!("[source]\nurl = \"file://{file}\"\n[refresh]\nevery = \"1s\"\n"));
    let people = |name: &str| {
        let listing = json!({"version": 1, "accounts": [{"users": [{"id": "1", "name": name}]}]});
        fs::write("/etc/nss-iam/users.new", listing.to_string()).unwrap();
        fs::rename("/etc/nss-iam/users.new", file).unwrap();
    };
    people("ana");
    let mut poll = Poll::start(&host, &[]);
    poll.until("it has read once", || written()[2].is_some());
    apply(&host);
    let before = written();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(written(), before);
    people("bob");
    poll.until("another file is read", || names() == ["bob"]);
    apply(&host);
    fs::write(file, "{").unwrap();
    poll.until("a broken one changes nothing and is told", || poll_said("parse on"));
    assert_eq!(names(), ["bob"]);
    people("eve");
    poll.until("and the next one is read", || names() == ["eve"]);
    fs::remove_file(LISTING).unwrap();
    fs::create_dir_all(format!("{LISTING}/in-the-way")).unwrap();
    people("zoe");
    poll.until("what cannot be written is told", || {
        poll_said("cannot write '/var/lib/nss-iam-fetch/listing.json'")
    });
    fs::remove_dir_all(LISTING).unwrap();
    poll.until("and written as soon as possible", || names() == ["zoe"]);
}

fn poll_said(word: &str) -> bool {
    text(&fs::read("/tmp/poll.log").unwrap()).contains(word)
}

#[test]
fn it_does_not_run_as_root_and_without_the_key_it_reads_once() {
    let Some(host) = Host::seeded(&five()) else { return };
    let ran = host.machine.run(&["/usr/libexec/nss-iam/cache-refresher", "fetch", "--poll"]);
    assert_eq!(ran.status.code(), Some(78), "{}", text(&ran.stderr));
    assert!(text(&ran.stderr).contains("run it as the user 'nss-iam-fetch'"));
    host.machine.config("groups = [\"G\", \"H\"]\n");
    let mut poll = Poll::start(&host, &host.account.direct());
    assert!(poll.child.wait().unwrap().success(), "{}", poll.said());
    assert_eq!(names().len(), 5);
    assert_eq!(written()[2], None, "the timer's unit runs the other half");
}
