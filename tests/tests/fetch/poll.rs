//! `cache-refresher fetch --poll`: the real program as its own user, and an emulator that counts what it is asked.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use listing::signed::Signer;
use serde_json::{Value, json};
use tests::{Fault, FaultProxy, text};

use crate::host::{Host, five};

const FILES: [&str; 5] = ["listing.json", "report.json", "due", "calls.json", "confirmed"];
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

/// An object in S3, signed by a key that the host trusts.
struct Signed<'a> {
    host: &'a Host,
    bucket: String,
    signer: Signer,
}

impl<'a> Signed<'a> {
    fn new(host: &'a Host) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("key");
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
        assert!(made.unwrap().success());
        let signer = Signer::read(&fs::read(key).unwrap()).unwrap();
        let bucket = format!("poll-{}", host.account.id());
        host.account.seed(json!({"buckets": [{"name": bucket}]}));
        host.machine.config(&format!(
            "[source]\nurl = 's3://{bucket}/users'\nfleet = 'jump'\ntrusted_keys = ['{}']\n[refresh]\nevery = \"1s\"\n",
            signer.public()
        ));
        Self { host, bucket, signer }
    }

    fn put(&self, content: &str) {
        let write = json!({"do": "bucket", "what": "write", "bucket": self.bucket, "key": "users", "content": content});
        self.host.account.change(write);
    }

    fn publish(&self, generation: u64, name: &str, issued: Timestamp, expires: Timestamp) {
        let json = json!({
            "version": 1, "fleet": "jump", "generation": generation, "issued": issued, "expires": expires,
            "accounts": [{"users": [{"id": "1", "name": name}]}],
        });
        let document = self.signer.sign(json.to_string().as_bytes()).unwrap();
        self.put(std::str::from_utf8(&document).unwrap());
    }

    /// How often the object was asked for, and how often it was transferred.
    fn reads(&self) -> (usize, usize) {
        let calls = self.host.account.calls();
        let gets: Vec<&Value> = calls.iter().filter(|call| call["action"] == "GET").collect();
        (gets.len(), gets.iter().filter(|call| call["status"] == 200).count())
    }
}

#[test]
fn a_refused_document_is_transferred_once_and_judged_again_as_time_goes_by() {
    let Some(host) = Host::seeded(&json!({})) else { return };
    let (object, hour) = (Signed::new(&host), SignedDuration::from_hours(1));
    let now = Timestamp::now;
    object.publish(1, "ana", now(), now() + hour);
    let mut poll = Poll::start(&host, &host.account.direct());
    poll.until("it has read once", || names() == ["ana"]);
    apply(&host);
    object.put("{}");
    poll.until("what is not signed is refused", || poll_said("it is not signed"));
    let (asked, transferred) = object.reads();
    assert_eq!(transferred, 2);
    poll.until("it is asked for again", || object.reads().0 >= asked + 3);
    assert_eq!((object.reads().1, names()), (2, vec!["ana".to_owned()]), "{}", poll.said());
    // It was issued too far in the future, and after three seconds it was not.
    let early = SignedDuration::from_mins(15) + SignedDuration::from_secs(3);
    object.publish(2, "bob", now() + early, now() + hour);
    poll.until("it is transferred", || object.reads().1 == 3);
    assert_eq!(names(), ["ana"], "{}", poll.said());
    poll.until("its time has come", || names() == ["bob"]);
    assert_eq!(object.reads().1, 3, "{}", poll.said());
    object.publish(3, "eve", now(), now() + SignedDuration::from_secs(3));
    poll.until("it is read", || names() == ["eve"]);
    poll.until("and expires", || poll_said("it expired at"));
    let (asked, _) = object.reads();
    poll.until("it is asked for again", || object.reads().0 >= asked + 3);
    assert_eq!(object.reads().1, 4, "{}", poll.said());
    object.publish(4, "zoe", now(), now() + hour);
    poll.until("the next one is read", || names() == ["zoe"]);
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
