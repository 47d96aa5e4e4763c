//! `cache-refresher publish`: the real program without root, and an emulator of S3, with a proxy between them that breaks things.

mod again;
mod hosts;

use std::cell::Cell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use listing::{Listing, Origin, signed};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{Account, Call, Fault, FaultProxy, Ran, artefact};

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

    /// The configuration of a host that reads the object.
    fn of_hosts(&self) -> String {
        let public = fs::read_to_string(self.path("key.pub")).unwrap();
        format!(
            "[source]\nurl = \"s3://{}/{KEY}\"\nfleet = \"jump\"\ntrusted_keys = [\"{}\"]\n",
            self.bucket,
            public.trim_end()
        )
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
        self.start_as(&artefact("cache-refresher"), environment, words)
    }

    fn start_as(&self, program: &Path, environment: Vec<(&'static str, String)>, words: &[&str]) -> Child {
        let mut command = Command::new(program);
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
    let mode_of = |name: &str, mode| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(publisher.path(name), permissions).unwrap();
    };
    let mode = |mode| mode_of("key", mode);
    mode(0o640);
    told(&publisher.publish(), 77, &["others can read it (mode 0640)", "chmod 600"]);
    // As on a file system with ACLs: systemd.exec(5), CREDENTIALS.
    fs::create_dir(publisher.path("passed")).unwrap();
    fs::copy(publisher.path("key"), publisher.path("passed/key")).unwrap();
    mode_of("passed/key", 0o640);
    let credentials = ("CREDENTIALS_DIRECTORY", publisher.path("passed").display().to_string());
    let environment = [publisher.account.direct(), vec![credentials]].concat();
    let by_credential = || publisher.start(environment.clone(), &[]).wait_with_output().unwrap().into();
    told(&by_credential(), 77, &["others can read it (mode 0640)"]);
    mode(0o600);
    told(&by_credential(), 0, &["published"]);
    publisher.bucket(json!({"what": "delete"}));
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

/// Without the key, replacing the file brings nobody back.
#[test]
fn a_publisher_whose_source_is_signed_reads_none_that_is_older_than_the_one_before() {
    let publisher = Publisher::new(json!({}), |directory| {
        let path = |name: &str| directory.path().join(name);
        let public = fs::read_to_string(path("key.pub")).unwrap();
        format!(
            "[source]\nurl = \"file://{}\"\nfleet = \"export\"\ntrusted_keys = [\"{}\"]\nunsigned = true\n",
            path("users.json").display(),
            public.trim_end()
        )
    });
    let signer = signed::Signer::read(&fs::read(publisher.path("key")).unwrap()).unwrap();
    let fleet = Cell::new("export");
    let document = |generation: u64, users: usize| {
        publisher.people(users);
        let mut listing = Listing::parse(&fs::read(publisher.path("users.json")).unwrap()).unwrap();
        listing.fleet = Some(fleet.get().to_owned());
        listing.generation = Some(generation);
        listing.issued = Some(jiff::Timestamp::now());
        listing.expires = Some("2100-01-01T00:00:00Z".parse().unwrap());
        signer.sign(&serde_json::to_vec(&listing).unwrap()).unwrap()
    };
    let publish = |document: &[u8]| {
        fs::write(publisher.path("users.json"), document).unwrap();
        publisher.publish()
    };
    let before = document(7, 2);
    told(&publish(&before), 0, &["2 users"]);
    told(&publish(&document(8, 1)), 0, &["1 users"]);
    assert_eq!(publisher.listing().origin, Some(Origin { fleet: "export".to_owned(), generation: 8 }));
    told(&publish(&before), 65, &["its generation 7 is older than 8"]);
    publisher.people(2);
    told(&publisher.publish(), 65, &["it is not signed"]);
    assert_eq!(publisher.listing().accounts[0].users.len(), 1);
    told(&publish(&document(9, 2)), 0, &["2 users"]);
    // Generations of another fleet do not count.
    let config = fs::read_to_string(publisher.path("config.toml")).unwrap().replace("export", "other");
    fs::write(publisher.path("config.toml"), config).unwrap();
    fleet.set("other");
    told(&publish(&document(1, 1)), 0, &["1 users"]);
}
