//! `cache-refresher publish`: the real program without root, and an emulator of S3, with a proxy between them that breaks things.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use listing::Listing;
use listing::signed;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{Account, Call, Fault, FaultProxy, Ran, artefact};

use crate::host::Host;

const BUCKET: &str = "fleet";
const KEY: &str = "jump/users";

/// A publisher with a bucket and a key.
struct Publisher {
    directory: TempDir,
    account: Account,
    bucket: String,
}

impl Publisher {
    /// With this source, which is IAM unless the configuration names another.
    fn new(wish: Value, config: impl FnOnce(&TempDir) -> String) -> Self {
        let account = Account::new();
        let bucket = format!("{BUCKET}-{}", account.id());
        account.seed(wish);
        account.seed(json!({"buckets": [{"name": bucket}]}));
        let publisher = Self { directory: tempfile::tempdir().unwrap(), account, bucket };
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(publisher.path("key"))
            .status();
        assert!(made.unwrap().success());
        let publish = format!(
            "[publish]\nurl = \"s3://{}/{KEY}\"\nfleet = \"jump\"\nkey = \"{}\"\n",
            publisher.bucket,
            publisher.path("key").display()
        );
        let text = config(&publisher.directory) + &publish;
        fs::write(publisher.path("config.toml"), text).unwrap();
        publisher
    }

    /// With a file as the source, which [`Self::people`] writes.
    fn of_file() -> Self {
        let publisher = Self::new(json!({}), |directory| {
            let url = format!("file://{}", directory.path().join("users.json").display());
            format!("[source]\nurl = \"{url}\"\n[aws]\ntimeout = \"5s\"\n")
        });
        publisher.people(1);
        publisher
    }

    fn people(&self, count: usize) {
        let users =
            (0..count).map(|number| json!({"id": format!("u-{number}"), "name": format!("u{number}")}));
        let listing = json!({"version": 1, "accounts": [{"users": users.collect::<Vec<_>>()}]});
        fs::write(self.path("users.new"), listing.to_string()).unwrap();
        fs::rename(self.path("users.new"), self.path("users.json")).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn start(&self, environment: Vec<(&'static str, String)>, words: &[&str]) -> Child {
        let mut command = Command::new(artefact("cache-refresher"));
        command.arg("publish").arg("--config").arg(self.path("config.toml")).args(words).env_clear();
        command
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn publish(&self) -> Ran {
        self.start(self.account.direct(), &[]).wait_with_output().unwrap().into()
    }

    fn publish_through(&self, decide: impl Fn(&Call) -> Fault + Send + Sync + 'static) -> Ran {
        let proxy = FaultProxy::start(&self.account, decide);
        self.start(self.account.env(&proxy.url()), &[]).wait_with_output().unwrap().into()
    }

    fn bucket(&self, mut change: Value) -> Value {
        change["do"] = json!("bucket");
        change["bucket"] = json!(self.bucket);
        change["key"] = json!(KEY);
        self.account.change(change)[0].clone()
    }

    /// The object.
    fn object(&self) -> Option<String> {
        self.bucket(json!({"what": "read"}))["content"].as_str().map(str::to_owned)
    }

    /// The listing in the object, which is verified.
    fn listing(&self) -> Listing {
        let public = fs::read_to_string(self.path("key.pub")).unwrap();
        signed::authentic(self.object().unwrap().as_bytes(), &[public]).unwrap()
    }
}

#[track_caller]
fn told(ran: &Ran, status: i32, words: &[&str]) {
    assert_eq!(ran.status, Some(status), "{}{}", ran.out, ran.err);
    for word in words {
        assert!(ran.err.contains(word) || ran.out.contains(word), "no '{word}' in: {}{}", ran.out, ran.err);
    }
}

#[test]
fn what_iam_has_is_published_once_with_ids_and_ssh_keygen_verifies_it() {
    let users = json!([{"name": "ana", "keys": 1}, {"name": "bob", "keys": 1}]);
    let wish = json!({"users": users, "groups": {"G": ["ana", "bob"]}});
    let publisher = Publisher::new(wish, |_| "groups = [\"G\"]\n".to_owned());
    let shown = publisher.start(publisher.account.direct(), &["--dry-run"]).wait_with_output().unwrap();
    assert!(Listing::parse(&shown.stdout).unwrap().ids.len() == 3 && publisher.object().is_none());

    told(&publisher.publish(), 0, &["published 's3://", "2 users, 1 groups"]);
    let first = publisher.listing();
    let ids: Vec<&String> = first.ids.keys().collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| id.starts_with("AIDA") || id.starts_with("AGPA")));
    publisher.account.forget_calls();
    told(&publisher.publish(), 0, &["unchanged 's3://"]);
    let asked = publisher.account.actions();
    assert_eq!(
        asked.iter().filter(|action| ["GET", "PUT"].contains(&action.as_str())).count(),
        1,
        "{asked:?}"
    );

    publisher.account.change(json!({"do": "remove_member", "group": "G", "user": "bob"}));
    told(&publisher.publish(), 0, &["published 's3://", "1 users"]);
    let second = publisher.listing();
    assert!(second.generation > first.generation && second.ids == first.ids);
    verified_by_hand(&publisher);
}

/// The commands of docs/reference/listing.md.
fn verified_by_hand(publisher: &Publisher) {
    let object = publisher.object().unwrap();
    let (signature, json) = object.split_once("-----END SSH SIGNATURE-----\n").unwrap();
    fs::write(publisher.path("sig"), format!("{signature}-----END SSH SIGNATURE-----\n")).unwrap();
    fs::write(publisher.path("json"), json).unwrap();
    let public = fs::read_to_string(publisher.path("key.pub")).unwrap();
    fs::write(publisher.path("allowed"), format!("publisher {public}")).unwrap();
    let mut verify = Command::new("ssh-keygen");
    verify
        .args(["-Y", "verify", "-n", "nss-iam-listing", "-I", "publisher", "-f"])
        .arg(publisher.path("allowed"));
    verify.arg("-s").arg(publisher.path("sig")).stdin(File::open(publisher.path("json")).unwrap());
    let done = verify.output().unwrap();
    assert!(
        String::from_utf8_lossy(&done.stdout).starts_with("Good \"nss-iam-listing\" signature"),
        "{done:?}"
    );
}

#[test]
fn what_cannot_be_published_is_said_with_a_remedy_and_leaves_the_object() {
    let publisher = Publisher::of_file();
    told(&publisher.publish(), 0, &[]);
    let before = publisher.object();
    publisher.people(2);
    let error = |status, code: &'static str, message: &str| {
        let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
        move |call: &Call| match call.service.as_str() {
            "s3" => Fault::Answer { status, headers: Vec::new(), body: body.clone() },
            _ => Fault::Pass,
        }
    };
    let denied = publisher.publish_through(error(403, "AccessDenied", "Access Denied"));
    told(&denied, 77, &["s3:GetObject on '", "hint: allow s3:GetObject on 'arn:aws:s3:::fleet-"]);
    let kms = publisher.publish_through(error(403, "AccessDenied", "not authorized to perform: kms:Decrypt"));
    told(&kms, 77, &["hint: the bucket is encrypted: allow kms:Decrypt"]);
    let gone = publisher.publish_through(error(404, "NoSuchBucket", "gone"));
    told(&gone, 78, &["NoSuchBucket", "head-bucket"]);
    let slow = publisher.publish_through(error(503, "SlowDown", "Please reduce your request rate"));
    told(&slow, 75, &["SlowDown", "limits the rate"]);
    let of = |action: &'static str, fault: fn() -> Fault| {
        move |call: &Call| if call.action.starts_with(action) { fault() } else { Fault::Pass }
    };
    told(&publisher.publish_through(of("GET /fleet", || Fault::CutOff(20))), 75, &["s3:GetObject on '"]);
    told(&publisher.publish_through(of("GET /fleet", || Fault::Hang)), 75, &["no time left"]);
    told(
        &publisher.publish_through(of("PUT /fleet", || Fault::Hang)),
        75,
        &["s3:PutObject on '", "no time left"],
    );
    fs::remove_file(publisher.path("users.json")).unwrap();
    assert_eq!(publisher.object(), before);
    // That the source cannot be read is published, too: the users stay.
    told(&publisher.publish(), 78, &["open on '", "kept the listing of"]);
    assert_eq!(publisher.listing().accounts[0].users.len(), 1);
}

#[test]
fn a_key_that_others_can_read_and_an_object_of_somebody_else_are_refused() {
    let publisher = Publisher::of_file();
    let mode = |mode| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(publisher.path("key"), permissions).unwrap();
    };
    mode(0o640);
    told(&publisher.publish(), 77, &["others can read it (mode 0640)", "chmod 600"]);
    // As on a file system with ACLs: systemd.exec(5), CREDENTIALS.
    let credentials = ("CREDENTIALS_DIRECTORY", publisher.directory.path().display().to_string());
    let environment = [publisher.account.direct(), vec![credentials]].concat();
    told(&publisher.start(environment, &[]).wait_with_output().unwrap().into(), 0, &["published"]);
    publisher.bucket(json!({"what": "delete"}));
    mode(0o600);
    let key = fs::read(publisher.path("key")).unwrap();
    fs::write(publisher.path("key"), "nothing").unwrap();
    told(&publisher.publish(), 78, &["cannot use the key"]);
    fs::remove_file(publisher.path("key")).unwrap();
    told(&publisher.publish(), 78, &["ssh-keygen -t ed25519"]);
    fs::write(publisher.path("key"), key).unwrap();
    mode(0o600);
    publisher.bucket(json!({"what": "write", "content": "{}"}));
    told(&publisher.publish(), 65, &["cannot be verified: it is not signed", "[publish] trusted_keys"]);
    assert_eq!(publisher.object().as_deref(), Some("{}"));
    publisher.bucket(json!({"what": "delete"}));
    publisher.bucket(json!({"what": "conflicts", "times": 2}));
    told(&publisher.publish(), 0, &["published"]);
    publisher.bucket(json!({"what": "remove_bucket"}));
    told(&publisher.publish(), 78, &["NoSuchBucket"]);
}

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
        calls.iter().filter(|call| call["action"] == "GET").map(|call| call["status"].clone()).collect()
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

/// AWS throttles one that stays, which is killed in its pause.
#[test]
fn a_publisher_that_is_started_again_observes_the_pause_of_the_one_before_where_it_has_a_directory() {
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
    assert_eq!(fs::metadata(&calls).unwrap().mode() & 0o7777, 0o600);

    // The words, the environment, and whether it pauses.
    let again = |words: &[&str], unit: Option<&str>| {
        publisher.account.forget_calls();
        let variable = unit.map(|directory| ("STATE_DIRECTORY", directory.to_owned()));
        let environment = publisher.account.direct().into_iter().chain(variable).collect();
        let ran: Ran = publisher.start(environment, words).wait_with_output().unwrap().into();
        let is_asked = publisher.account.actions().iter().any(|action| action == "GetGroup");
        assert_eq!(ran.status, Some(if is_asked { 0 } else { 75 }), "{}{}", ran.out, ran.err);
        assert_eq!(ran.err.contains("not called before"), !is_asked, "{}", ran.err);
        (is_asked, ran.err)
    };
    let missing = publisher.path("missing").display().to_string();
    for (words, unit) in [
        (&["--state", &state][..], None),
        (&[], Some(&*state)),
        (&[], Some(&*format!("{state}:{missing}"))),
        (&["--state", &state, "--dry-run"], Some(&*missing)),
    ] {
        assert!(!again(words, unit).0, "{words:?} {unit:?}");
    }
    assert!(again(&["--state", &state, "--dry-run", "--force"], None).0);
    assert!(again(&[], None).0, "nothing remembers it");
    assert!(!again(&["--state", &state], None).0);
    // What cannot be used is said, and is no obstacle.
    let kept = fs::read(&calls).unwrap();
    fs::write(publisher.path("elsewhere"), &kept).unwrap();
    fs::remove_file(&calls).unwrap();
    std::os::unix::fs::symlink(publisher.path("elsewhere"), &calls).unwrap();
    for is_link in [true, false] {
        if !is_link {
            fs::remove_file(&calls).unwrap();
            fs::write(&calls, "damaged").unwrap();
        }
        let (is_asked, said) = again(&["--state", &state], None);
        assert!(is_asked && said.contains("no earlier calls and pauses are known"), "{said}");
    }
    assert!(again(&["--state", &missing], None).0);
    let throttled = publisher.start(publisher.account.env(&proxy.url()), &["--state", &missing]);
    let throttled: Ran = throttled.wait_with_output().unwrap().into();
    told(&throttled, 75, &["cannot lock '", "pauses after throttled calls end with this process"]);
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

/// The requests to S3, with what they depend on.
fn asked(publisher: &Publisher) -> Vec<(String, bool)> {
    let calls = publisher.account.calls();
    let call = |call: &Value| {
        (call["action"].as_str().unwrap().to_owned(), call["params"]["If-None-Match"].is_string())
    };
    publisher.account.forget_calls();
    calls.iter().map(call).collect()
}

#[test]
fn a_host_reads_what_was_published_and_an_unchanged_object_costs_one_request() {
    const ETAG: &str = "/var/lib/nss-iam-fetch/listing.etag";
    let Some(host) = Host::seeded(&json!({})) else { return };
    let publisher = Publisher::of_file();
    told(&publisher.publish(), 0, &[]);
    let public = fs::read_to_string(publisher.path("key.pub")).unwrap();
    let source = format!("[source]\nurl = \"s3://{}/{KEY}\"\nfleet = \"jump\"\n", publisher.bucket);
    host.machine.config(&format!("{source}trusted_keys = [\"{}\"]\n", public.trim_end()));
    let refresh = || host.refresh_with(&publisher.account.direct(), &[]);
    let get = |conditional| vec![("GET".to_owned(), conditional)];

    asked(&publisher);
    refresh().told(0, &[]);
    assert_eq!(asked(&publisher), get(false));
    let read = refresh();
    read.told(0, &[]);
    assert_eq!((asked(&publisher), read.names()), (get(true), vec!["u0".to_owned()]));
    // An ETag of another document says nothing about this one.
    let other = fs::read_to_string(ETAG).unwrap().replace("s3://", "s3://x");
    fs::write(ETAG, other).unwrap();
    refresh().told(0, &[]);
    assert_eq!(asked(&publisher), get(false));

    publisher.people(2);
    told(&publisher.publish(), 0, &[]);
    asked(&publisher);
    let read = refresh();
    assert_eq!((asked(&publisher), read.names()), (get(true), vec!["u0".to_owned(), "u1".to_owned()]));
    // The rest is in the document.
    let read = read.listing.unwrap();
    let before = Listing {
        version: read.version,
        source: read.source,
        read: read.read,
        accounts: read.accounts,
        ..Listing::default()
    };
    publisher.bucket(json!({"what": "delete"}));
    refresh().told(78, &["s3:GetObject on '", "was the object ever published?"]).kept(&before);
    publisher.bucket(json!({"what": "write", "content": "{}"}));
    refresh().told(65, &["verify on 's3://", "it is not signed"]).kept(&before);
    publisher.bucket(json!({"what": "remove_bucket"}));
    refresh().told(78, &["NoSuchBucket"]).kept(&before);
}

/// Each of these keeps the users; the fetch half says why, and what to do.
#[test]
fn a_host_that_cannot_read_the_object_or_is_shown_an_older_one_keeps_what_it_has() {
    let Some(host) = Host::seeded(&json!({})) else { return };
    let publisher = Publisher::of_file();
    told(&publisher.publish(), 0, &[]);
    let yesterday = publisher.object().unwrap();
    publisher.people(2);
    told(&publisher.publish(), 0, &[]);
    let public = fs::read_to_string(publisher.path("key.pub")).unwrap();
    let source = format!("[source]\nurl = \"s3://{}/{KEY}\"\nfleet = \"jump\"\n", publisher.bucket);
    let trust = format!("trusted_keys = [\"{}\"]\n", public.trim_end());
    host.machine.config(&format!("{source}{trust}[aws]\ntimeout = \"3s\"\n"));
    let read = host.refresh_with(&publisher.account.direct(), &[]);
    assert_eq!((read.status, read.names()), (Some(0), vec!["u0".to_owned(), "u1".to_owned()]), "{read:?}");
    publisher.people(1);
    told(&publisher.publish(), 0, &[]);

    let fault = |name: &str| match name {
        "cut off" => Fault::CutOff(20),
        "slow" => Fault::Hang,
        "reset" => Fault::Reset,
        code => {
            let status = if code == "SlowDown" { 503 } else { 403 };
            let body = format!("<Error><Code>{code}</Code><Message>test</Message></Error>");
            Fault::Answer { status, headers: Vec::new(), body }
        }
    };
    for (name, status, words) in [
        ("AccessDenied", 77, "hint: allow s3:GetObject on 'arn:aws:s3:::fleet-"),
        ("SlowDown", 75, "SlowDown"),
        ("cut off", 75, "s3:GetObject on '"),
        ("slow", 75, "no time left"),
        ("reset", 75, "s3:GetObject on '"),
    ] {
        let proxy = FaultProxy::start(&publisher.account, move |_| fault(name));
        let ended = host.refresh_with(&publisher.account.env(&proxy.url()), &[]);
        assert_eq!(ended.told(status, &[words]).names(), ["u0", "u1"], "{name}");
    }
    publisher.bucket(json!({"what": "write", "content": yesterday}));
    let ended = host.refresh_with(&publisher.account.direct(), &[]);
    assert_eq!(ended.told(65, &["its generation", "is older than"]).names(), ["u0", "u1"]);
}

/// What `nss-iamctl policy` prints with this configuration.
fn printed(host: &Host, config: &str) -> Value {
    host.machine.config(config);
    let printed = host.machine.run(&["nss-iamctl", "policy"]);
    serde_json::from_slice(&printed.stdout).unwrap()
}

/// Publishes for the first time, then reads it on a host, with the policies that are printed for each, without one action.
fn under_the_printed_policies(host: &Host, without: Option<&str>) -> (Ran, Ran, crate::host::Ended) {
    let publisher =
        Publisher::new(json!({"users": [{"name": "ana", "keys": 1}], "groups": {"G": ["ana"]}}), |_| {
            "groups = [\"G\"]\n[tags]\nuse = [\"uid\"]\n".to_owned()
        });
    let enforce = |config: &str| {
        let mut policy = printed(host, config);
        for statement in policy["Statement"].as_array_mut().unwrap() {
            let actions = match statement["Action"].take() {
                Value::Array(actions) => actions,
                one => vec![one],
            };
            let kept: Vec<_> = actions.into_iter().filter(|action| action.as_str() != without).collect();
            // IAM refuses a statement without actions.
            statement["Action"] = if kept.is_empty() { json!("ec2:DescribeTags") } else { json!(kept) };
        }
        publisher.account.enforce_policy(tests::INSTANCE_ROLE, &policy);
    };
    enforce(&fs::read_to_string(publisher.path("config.toml")).unwrap());
    let first = publisher.publish();
    let again = publisher.publish();
    let public = fs::read_to_string(publisher.path("key.pub")).unwrap();
    let url = format!("url = \"s3://{}/{KEY}\"\nfleet = \"jump\"", publisher.bucket);
    enforce(&format!("[source]\n{url}\ntrusted_keys = [\"{}\"]\n", public.trim_end()));
    let read = host.refresh_with(&publisher.account.direct(), &[]);
    // What the host may not do.
    publisher.account.change(json!({"do": "add_user", "name": "bob"}));
    told(&publisher.publish(), 77, &["AccessDenied"]);
    (first, again, read)
}

#[test]
fn the_printed_policies_of_publisher_and_host_are_enough_and_each_action_on_s3_is_needed() {
    let Some(host) = Host::seeded(&json!({})) else { return };
    let (first, again, read) = under_the_printed_policies(&host, None);
    told(&first, 0, &["published"]);
    told(&again, 0, &["unchanged"]);
    read.told(0, &[]);
    assert_eq!(read.names(), ["ana"]);
    for action in ["s3:GetObject", "s3:PutObject", "s3:ListBucket"] {
        let (first, ..) = under_the_printed_policies(&host, Some(action));
        let denied = if action == "s3:PutObject" { action } else { "s3:GetObject" };
        told(&first, 77, &[&format!("{denied} on '"), "AccessDenied", "hint: allow "]);
    }
}
