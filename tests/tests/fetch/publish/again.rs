//! Several publishers, and one that stays, is killed, or is started again.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use listing::Listing;
use serde_json::{Value, json};
use tests::{Call, Fault, FaultProxy, Ran, artefact};

use super::{KEY, Publisher, told};

/// Each time, a user joins before both begin. In most rounds, one finds that the other was faster.
#[test]
fn two_publishers_at_once_lose_no_update() {
    const ROUNDS: usize = 200;
    let publisher = Publisher::of_file();
    let environment = [publisher.account.direct(), publisher.account.credentials()].concat();
    let mut last: Option<Listing> = None;
    for round in 1..=ROUNDS {
        publisher.people(round);
        let both = [0; 2].map(|_| publisher.start(environment.clone(), &[]));
        for ran in both {
            told(&ran.wait_with_output().unwrap().into(), 0, &[]);
        }
        let now = publisher.listing();
        assert_eq!((now.accounts[0].users.len(), now.ids.len()), (round, round));
        if let Some(last) = last {
            assert!(last.generation < now.generation);
            assert!(last.ids.iter().all(|(id, given)| now.ids.get(id) == Some(given)));
        }
        last = Some(now);
    }
    // Otherwise the two were never at once.
    let refused = publisher.account.calls().iter().filter(|call| call["status"] == 412).count();
    assert!(refused > 0);
}

/// Killed before each request, and after S3 has written the object and before it answers.
#[test]
fn a_publisher_that_is_killed_at_any_request_leaves_an_object_that_the_next_one_continues() {
    let publisher = Publisher::of_file();
    let steps = [("GET /fleet", false), ("PUT /fleet", false), ("PUT /fleet", true)];
    for (round, (killed_at, is_written)) in steps.into_iter().cycle().take(2 * steps.len()).enumerate() {
        publisher.people(round + 1);
        let before = publisher.object();
        let proxy = FaultProxy::start(&publisher.account, move |call: &Call| match is_written {
            _ if !call.action.starts_with(killed_at) => Fault::Pass,
            true => Fault::LoseAnswer,
            false => Fault::Hang,
        });
        let mut child = publisher.start(publisher.account.env(&proxy.url()), &[]);
        let is_asked = || proxy.calls().iter().any(|call| call.action.starts_with(killed_at));
        while !is_asked() || is_written && publisher.object() == before {
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(publisher.object() != before, is_written);
        told(&publisher.publish(), 0, &[if is_written { "unchanged" } else { "published" }]);
        assert_eq!(publisher.listing().ids.len(), round + 1);
    }
}

/// One that stays asks for its object in each round, and transfers it only if it is another one.
#[test]
fn a_publisher_that_stays_transfers_its_object_once() {
    let publisher = Publisher::of_file();
    let mut child = publisher.start(publisher.account.direct(), &["--loop", "1s"]);
    let statuses = || -> Vec<Value> {
        let calls = publisher.account.calls();
        let answered = calls.iter().filter(|call| call["action"] == "GET" && !call["status"].is_null());
        answered.map(|call| call["status"].clone()).collect()
    };
    let after_more = |rounds: usize| {
        let before = statuses().len();
        while statuses().len() < before + rounds {
            std::thread::sleep(Duration::from_millis(50));
        }
        statuses()
    };
    assert_eq!(after_more(4)[..4], [json!(404), json!(200), json!(304), json!(304)]);
    publisher.people(2);
    let all = after_more(4);
    assert_eq!(all.iter().filter(|status| **status == 200).count(), 2, "{all:?}");
    assert_eq!(publisher.listing().accounts[0].users.len(), 2);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_publisher_that_stays_follows_the_configuration_to_another_object_and_knows_each() {
    let publisher = Publisher::of_file();
    let mut child = publisher.start(publisher.account.direct(), &["--loop", "1s"]);
    let object = |what: &str, key: &str| {
        let change = json!({"do": "bucket", "what": what, "bucket": publisher.bucket, "key": key});
        publisher.account.change(change)[0].clone()
    };
    let switch = |key: &str| {
        let config = fs::read_to_string(publisher.path("config.toml")).unwrap();
        let line = config.lines().find(|line| line.starts_with("url = \"s3://")).unwrap();
        let next = format!("url = \"s3://{}/{key}\"", publisher.bucket);
        fs::write(publisher.path("config.new"), config.replace(line, &next)).unwrap();
        fs::rename(publisher.path("config.new"), publisher.path("config.toml")).unwrap();
    };
    let until = |done: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !done() {
            assert!(begun.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let other = format!("{KEY}-2");
    until(&|| !object("read", KEY).is_null());
    switch(&other);
    until(&|| !object("read", &other).is_null());
    object("delete", KEY);
    switch(KEY);
    publisher.account.forget_calls();
    let is_asked = |call: &Value| call["params"]["path"].as_str().is_some_and(|path| path.ends_with(KEY));
    until(&|| publisher.account.calls().iter().filter(|call| is_asked(call)).count() >= 2);
    child.kill().unwrap();
    let ran: Ran = child.wait_with_output().unwrap().into();
    assert!(ran.err.contains("was deleted") && object("read", KEY).is_null(), "{}{}", ran.out, ran.err);
}

/// As when a package is upgraded, which does not stop it.
#[test]
fn a_publisher_that_stays_becomes_the_program_that_replaces_it() {
    let publisher = Publisher::of_file();
    let program = publisher.path("program");
    // Not by this process: another thread's fork could keep the file open for writing, and it could not be run then.
    let copy =
        |from: &Path, to: &Path| assert!(Command::new("cp").args([from, to]).status().unwrap().success());
    copy(&artefact("cache-refresher"), &program);
    let mut child = publisher.start_as(&program, publisher.account.direct(), &["--loop", "1s"]);
    let runs = || fs::metadata(format!("/proc/{}/exe", child.id())).map(|found| found.ino()).ok();
    let until_it_runs = || {
        let (begun, wanted) = (Instant::now(), fs::metadata(&program).unwrap().ino());
        while runs() != Some(wanted) {
            assert!(begun.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    until_it_runs();
    copy(&program, &publisher.path("next"));
    fs::rename(publisher.path("next"), &program).unwrap();
    until_it_runs();
    child.kill().unwrap();
    child.wait().unwrap();
}

/// One that stayed was throttled, and was killed in its pause. It had this directory.
struct Paused {
    publisher: Publisher,
    proxy: FaultProxy,
    state: String,
    calls: PathBuf,
}

impl Paused {
    fn new() -> Self {
        let users = json!({"users": [{"name": "ana", "keys": 1}], "groups": {"G": ["ana"]}});
        let publisher = Publisher::new(users, |_| "groups = [\"G\"]\n[aws]\ntimeout = \"2s\"\n".to_owned());
        told(&publisher.publish(), 0, &["published"]);
        let state = publisher.path("state");
        fs::create_dir(&state).unwrap();
        let (calls, state) = (state.join("calls.json"), state.display().to_string());
        let proxy = FaultProxy::start(&publisher.account, |call: &Call| match call.action.as_str() {
            "GetGroup" => Fault::throttling(),
            _ => Fault::Pass,
        });
        let stays = ["--loop", "1h", "--state", &state];
        let mut child = publisher.start(publisher.account.env(&proxy.url()), &stays);
        while !calls.exists() {
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        Self { publisher, proxy, state, calls }
    }

    /// Starts one with these words, and `STATE_DIRECTORY`. Returns whether it asks IAM, and what it says.
    fn again(&self, words: &[&str], unit: Option<&str>) -> (bool, String) {
        let account = &self.publisher.account;
        account.forget_calls();
        let variable = unit.map(|directory| ("STATE_DIRECTORY", directory.to_owned()));
        let environment = account.direct().into_iter().chain(variable).collect();
        let ran: Ran = self.publisher.start(environment, words).wait_with_output().unwrap().into();
        let is_asked = account.actions().iter().any(|action| action == "GetGroup");
        assert_eq!(ran.status, Some(if is_asked { 0 } else { 75 }), "{}{}", ran.out, ran.err);
        assert_eq!(ran.err.contains("not called before"), !is_asked, "{}", ran.err);
        (is_asked, ran.err)
    }
}

#[test]
fn a_publisher_that_is_started_again_observes_the_pause_of_the_one_before_where_it_has_a_directory() {
    let paused = Paused::new();
    assert_eq!(fs::metadata(&paused.calls).unwrap().mode() & 0o7777, 0o600);
    let state = &*paused.state;
    let missing = paused.publisher.path("missing").display().to_string();
    for (words, unit) in [
        (&["--state", state][..], None),
        (&[], Some(state)),
        (&[], Some(&*format!("{state}:{missing}"))),
        (&["--state", state, "--dry-run"], Some(&*missing)),
    ] {
        assert!(!paused.again(words, unit).0, "{words:?} {unit:?}");
    }
    assert!(paused.again(&["--state", state, "--dry-run", "--force"], None).0);
    assert!(paused.again(&[], None).0, "nothing remembers it");
    assert!(!paused.again(&["--state", state], None).0);
}

/// On a schedule, with `keys_every`: the object is as old as its last news, and so are its times.
#[test]
fn a_publisher_on_a_schedule_reads_keys_once_in_their_period_where_it_has_a_directory() {
    let names: Vec<String> = (0..60).map(|number| format!("u{number}")).collect();
    let users: Vec<Value> = names.iter().map(|name| json!({"name": name, "keys": 1})).collect();
    let wish = json!({"users": users, "groups": {"G": names}});
    let config = "groups = [\"G\"]\n[refresh]\nkeys_every = \"30s\"\n";
    let publisher = Publisher::new(wish, |_| config.to_owned());
    let state = publisher.path("state");
    fs::create_dir(&state).unwrap();
    let asks = |words: &[&str]| {
        publisher.account.forget_calls();
        let ran = publisher.start(publisher.account.direct(), words).wait_with_output().unwrap();
        told(&ran.into(), 0, &[]);
        publisher.account.actions().iter().filter(|action| *action == "ListSSHPublicKeys").count()
    };
    let with = ["--state", &state.display().to_string()];
    assert_eq!(asks(&with), 60);
    std::thread::sleep(Duration::from_secs(31));
    assert_eq!(asks(&with), 60);
    let again = asks(&with);
    assert!(again < 30, "{again}");
    assert_eq!(fs::metadata(state.join("read.json")).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(asks(&[]), 60, "by what is published, all are due");
}

#[test]
fn what_a_publisher_cannot_use_of_its_directory_is_said_and_is_no_obstacle() {
    let paused = Paused::new();
    let Paused { publisher, proxy, state, calls } = &paused;
    let again = |directory: &str| paused.again(&["--state", directory], None);
    let kept = fs::read(calls).unwrap();
    fs::write(publisher.path("elsewhere"), &kept).unwrap();
    fs::remove_file(calls).unwrap();
    std::os::unix::fs::symlink(publisher.path("elsewhere"), calls).unwrap();
    for is_link in [true, false] {
        if !is_link {
            fs::remove_file(calls).unwrap();
            fs::write(calls, "damaged").unwrap();
        }
        let (is_asked, said) = again(state);
        assert!(is_asked && said.contains("no earlier calls and pauses are known"), "{said}");
    }
    let missing = publisher.path("missing").display().to_string();
    assert!(again(&missing).0);
    let throttled = publisher.start(publisher.account.env(&proxy.url()), &["--state", &missing]);
    let throttled: Ran = throttled.wait_with_output().unwrap().into();
    let said = ["cannot lock '", "does not know when AWS throttled this one", "hint: give"];
    told(&throttled, 75, &said);
    assert_eq!(fs::read(publisher.path("elsewhere")).unwrap(), kept);
}

/// The client repeats the request, S3 answers that the object is another one now, and it is the publisher's own.
#[test]
fn a_publisher_whose_answer_is_lost_recognizes_what_it_has_written() {
    let publisher = Publisher::of_file();
    for users in 1..3 {
        publisher.people(users);
        let ran = publisher.publish_through(|call| match (&*call.action, call.nth_of_action) {
            (action, 1) if action.starts_with("PUT /fleet") => Fault::ResetAnswer,
            _ => Fault::Pass,
        });
        told(&ran, 0, &["unchanged 's3://", "generation"]);
        assert_eq!(publisher.listing().ids.len(), users);
    }
}
