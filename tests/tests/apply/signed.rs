//! Signed listings: users come only from a document that a trusted key has signed, for this fleet and this time, and never from
//! an older one. The fetch half may have been taken over, and files may have been put back from a backup.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use listing::signed::Signer;
use policy::confirmed::{ListingTimes, Moves};
use serde_json::{Value, json};
use tests::{CACHE, CONFIRMED, Host, LISTING, user};

const SOURCE: &str = "/srv/users.signed";
/// What the fetch half has read.
const DOCUMENT: &str = "/var/lib/nss-iam-fetch/listing.signed";

/// A host that trusts keys, and a key.
struct Fleet {
    host: Host,
    old: Signer,
    new: Signer,
}

fn signer() -> Signer {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    assert!(made.unwrap().success());
    Signer::read(&fs::read(key).unwrap()).unwrap()
}

/// A listing that expires in so many hours.
fn issued(fleet: &str, generation: u64, hours: i64, users: &[Value]) -> Value {
    let now = Timestamp::now();
    let (issued, expires) = (now - SignedDuration::from_hours(1), now + SignedDuration::from_hours(hours));
    issued_at(fleet, generation, issued, expires, users)
}

fn issued_at(fleet: &str, generation: u64, issued: Timestamp, expires: Timestamp, users: &[Value]) -> Value {
    json!({
        "version": 1, "fleet": fleet, "generation": generation, "issued": issued, "expires": expires,
        "accounts": [{"users": users}],
    })
}

fn people(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| user(&format!("di-{name}"), name)).collect()
}

impl Fleet {
    fn new() -> Option<Self> {
        let fleet = Self { host: Host::new()?, old: signer(), new: signer() };
        fs::create_dir_all("/srv").unwrap();
        fleet.trusts(&[&fleet.old], "");
        Some(fleet)
    }

    fn trusts(&self, signers: &[&Signer], more: &str) {
        let keys: Vec<String> = signers.iter().map(|signer| format!("'{}'", signer.public())).collect();
        let trust = match keys.as_slice() {
            [] => String::new(),
            keys => format!("fleet = 'jump'\ntrusted_keys = [{}]\n", keys.join(", ")),
        };
        self.host.machine.config(&format!("[source]\nurl = 'file://{SOURCE}'\n{trust}{more}"));
    }

    fn good(&self, generation: u64, names: &[&str]) -> Vec<u8> {
        self.old.sign(issued("jump", generation, 1, &people(names)).to_string().as_bytes()).unwrap()
    }

    /// The document at the source is fetched and applied; the exit status of both, and what they said.
    fn refresh(&self, document: &[u8]) -> (Option<i32>, String) {
        fs::write(SOURCE, document).unwrap();
        let ran = self.host.refresher(&[]);
        (ran.status, ran.err)
    }

    /// The document is there as if the fetch half had read it.
    fn apply(&self, document: &[u8]) -> (Option<i32>, String) {
        let owner = fs::metadata(LISTING).unwrap();
        fs::write(DOCUMENT, document).unwrap();
        chown(DOCUMENT, Some(owner.uid()), Some(owner.gid())).unwrap();
        let ran = self.host.refresher(&["apply"]);
        (ran.status, ran.err)
    }

    fn is_user(&self, name: &str) -> bool {
        self.host.getent("passwd", name).is_some()
    }

    fn accepts(&self, document: &[u8]) {
        let (status, said) = self.refresh(document);
        assert_eq!(status, Some(0), "{said}");
    }

    /// By the source as well as from a fetch half that was taken over.
    fn refuses(&self, document: &[u8], why: &str) {
        let good = fs::read(DOCUMENT).unwrap();
        for (status, said) in [self.refresh(document), self.apply(document)] {
            assert_eq!(status, Some(65), "{why}: {said}");
            assert!(said.contains(why), "{why}: {said}");
            assert!(self.is_user("ana") && !self.is_user("eve"), "{why}");
        }
        assert_eq!(self.host.status()["error"]["code"], "listing-refused", "{why}");
        let (status, said) = self.apply(&good);
        assert_eq!(status, Some(0), "{why}: {said}");
    }
}

#[test]
fn only_the_signed_document_says_who_is_a_user() {
    let Some(fleet) = Fleet::new() else { return };
    fleet.accepts(&fleet.good(1, &["ana"]));
    assert!(fleet.is_user("ana"));
    let listing: Value = serde_json::from_slice(&fs::read(LISTING).unwrap()).unwrap();
    for change in [
        json!([{"users": people(&["ana", "eve"])}]),
        json!([]),
        json!([{"users": [], "errors": [
            {"call": "open", "on": "x", "cause": "told by the fetch half", "kind": "other"}]}]),
    ] {
        let mut listing = listing.clone();
        listing["accounts"] = change;
        listing["generation"] = json!(u64::MAX);
        fleet.host.list(&listing);
        let ran = fleet.host.refresher(&["apply"]);
        assert_eq!(
            (ran.status, fleet.is_user("ana"), fleet.is_user("eve")),
            (Some(0), true, false),
            "{}",
            ran.err
        );
    }
    assert_eq!(fleet.host.status()["accounts"][0]["errors"][0]["cause"], "told by the fetch half");
    // A record beside what the fetch half says makes nothing fresher.
    fleet.host.list(&listing);
    let (json, now) = (fs::read(LISTING).unwrap(), Timestamp::now().as_second());
    let times =
        listing["accounts"][0]["users"][0]["confirmed"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let moves = Moves::between([(times.as_second(), now)]).unwrap();
    let digest = policy::confirmed::digest(&json);
    let record = ListingTimes { digest, accounts: moves.clone(), users: moves };
    let confirmed = fleet.host.status()["confirmed"].clone();
    fs::write(CONFIRMED, record.to_string()).unwrap();
    assert_eq!(fleet.host.refresher(&["apply"]).status, Some(0));
    assert_eq!(fleet.host.status()["confirmed"], confirmed);
    // One who is no longer in it is out.
    let two = fleet.good(2, &["ana", "bob"]);
    fleet.accepts(&two);
    assert!(fleet.is_user("bob"));
    fleet.accepts(&fleet.good(3, &["ana"]));
    assert!(!fleet.is_user("bob") && fleet.is_user("ana"));
    fleet.refuses(&two, "its generation 2 is older than 3");
    fs::remove_file(DOCUMENT).unwrap();
    let ran = fleet.host.refresher(&["apply"]);
    assert_eq!(ran.status, Some(70));
    assert!(ran.err.contains(&format!("there is no listing '{DOCUMENT}' yet")), "{}", ran.err);
    assert!(fleet.is_user("ana"));
}

#[test]
fn a_document_of_another_fleet_key_or_time_is_refused_and_the_last_good_one_stays() {
    let Some(fleet) = Fleet::new() else { return };
    let names = people(&["eve"]);
    let bytes = |json: Value| json.to_string().into_bytes();
    // Also on a host that has accepted nothing yet.
    let expired = fleet.old.sign(&bytes(issued("jump", 9, -1, &names))).unwrap();
    let (status, said) = fleet.refresh(&expired);
    assert_eq!(status, Some(65), "{said}");
    assert!(said.contains("it expired at"), "{said}");
    assert!(fleet.apply(&expired).0 == Some(65) && !fleet.is_user("eve"));
    fs::remove_file(DOCUMENT).unwrap();

    fleet.accepts(&fleet.good(5, &["ana"]));
    let eve = fleet.good(6, &["eve"]);
    let unsigned = bytes(issued("jump", 6, 1, &names));
    fleet.refuses(&expired, "it expired at");
    fleet.refuses(&fleet.good(4, &["eve"]), "its generation 4 is older than 5");
    fleet.refuses(
        &fleet.old.sign(&bytes(issued("build", 6, 1, &names))).unwrap(),
        "it is for the fleet 'build'",
    );
    fleet.refuses(
        &fleet.new.sign(&bytes(issued("jump", 6, 1, &names))).unwrap(),
        "not one of the trusted keys",
    );
    fleet.refuses(&unsigned, "it is not signed");
    fleet.refuses(&eve[..eve.len() - 2], "it was changed or cut off");
    fleet.refuses(&eve[..40], "its signature cannot be read");
    fleet.refuses(b"", "it is not signed");
    // Explicitly allowed, but too late.
    fleet.trusts(&[&fleet.old], "unsigned = true\n");
    fleet.refuses(&unsigned, "it is not signed");
    fleet.trusts(&[], "");
    for (status, said) in [fleet.refresh(&unsigned), fleet.apply(&unsigned)] {
        assert_eq!(status, Some(65), "{said}");
        assert!(said.contains("a signed listing of this source was accepted before"), "{said}");
        assert!(!fleet.is_user("eve"));
    }
    // A new key, first beside the old one.
    let next = |signer: &Signer, generation, name| {
        signer.sign(&bytes(issued("jump", generation, 1, &people(&["ana", name])))).unwrap()
    };
    fleet.trusts(&[&fleet.old, &fleet.new], "");
    fleet.accepts(&next(&fleet.old, 7, "bob"));
    fleet.accepts(&next(&fleet.new, 8, "cy"));
    fleet.trusts(&[&fleet.new], "");
    fleet.refuses(&next(&fleet.old, 9, "eve"), "not one of the trusted keys");
    assert!(fleet.is_user("cy") && !fleet.is_user("bob"));
}

/// Ten minutes are tolerated in both directions: nobody is lost, and a removal counts. Keys are never younger than the listing
/// says, nor than now.
#[test]
fn a_publisher_whose_clock_is_ten_minutes_ahead_or_behind_is_believed_and_its_keys_are_as_old_as_it_says() {
    let Some(fleet) = Fleet::new() else { return };
    let minutes = SignedDuration::from_mins;
    // At `at` by the host's clock, by a publisher whose clock is `ahead` of it.
    let signed = |generation: u64, at: Timestamp, ahead: SignedDuration, names: &[&str]| {
        let issued = at + ahead;
        let mut users = people(names);
        users.iter_mut().for_each(|user| user["confirmed"] = json!(issued - minutes(1)));
        let mut listing = issued_at("jump", generation, issued, issued + minutes(60), &users);
        listing["read"] = json!(issued);
        fleet.old.sign(listing.to_string().as_bytes()).unwrap()
    };
    let newest_keys = || {
        let time = fleet.host.status()["confirmed"]["newest_keys"].as_str().unwrap().to_owned();
        time.parse::<Timestamp>().unwrap()
    };
    for (generation, ahead) in [(10, minutes(10)), (20, minutes(-10))] {
        let start = Timestamp::now();
        let all = signed(generation, start, ahead, &["ana", "bob"]);
        // The second time, it is the same object, as after a 304.
        for _ in 0..2 {
            fleet.accepts(&all);
            assert!(fleet.is_user("ana") && fleet.is_user("bob"), "{ahead}");
            let (newest, said) = (newest_keys(), start + ahead - minutes(1));
            assert!(newest <= said.min(Timestamp::now()), "{ahead}: {newest}");
            assert!(newest >= said.min(start) - SignedDuration::from_secs(1), "{ahead}: {newest}");
        }
        let id = fleet.host.getent("passwd", "ana");
        let removal = signed(generation + 1, start, ahead, &["ana"]);
        fleet.accepts(&removal);
        assert!(!fleet.is_user("bob"), "{ahead}");
        assert_eq!(fleet.apply(&all).0, Some(65), "{ahead}: the one before");
        assert!(!fleet.is_user("bob"), "{ahead}");
        // Somebody sets the clock: generations grow all the same.
        fleet.accepts(&signed(generation + 2, Timestamp::now(), minutes(0), &["ana"]));
        assert_eq!(fleet.host.getent("passwd", "ana"), id, "{ahead}");
        assert!(!fleet.is_user("bob"), "{ahead}");
    }
    // More is not: what the host has stays, and a listing that has expired is not believed either.
    for (ahead, why) in [(minutes(17), "check the clocks"), (minutes(-61), "it expired at")] {
        let (status, said) = fleet.refresh(&signed(30, Timestamp::now(), ahead, &["eve"]));
        assert!(status == Some(65) && said.contains(why), "{ahead}: {said}");
        assert!(fleet.is_user("ana") && !fleet.is_user("eve"), "{ahead}");
    }
}

#[test]
fn no_file_that_is_put_back_lets_an_older_document_in() {
    let Some(fleet) = Fleet::new() else { return };
    let older = fleet.good(1, &["ana", "eve"]);
    fleet.accepts(&older);
    let copies = ["state.db", "keys.db"].map(|name| (name, fs::read(format!("{CACHE}/{name}")).unwrap()));
    let newer = fleet.good(2, &["ana"]);
    fleet.accepts(&newer);
    for (name, copy) in copies {
        let path = format!("{CACHE}/{name}");
        let attributes = fs::metadata(&path).unwrap();
        // Another file, as a backup program puts it back.
        fs::remove_file(&path).unwrap();
        fs::write(&path, copy).unwrap();
        fs::set_permissions(&path, attributes.permissions()).unwrap();
        chown(&path, Some(attributes.uid()), Some(attributes.gid())).unwrap();
        let (status, said) = fleet.apply(&older);
        assert_eq!(status, Some(65), "{name}: {said}");
        assert!(said.contains("its generation 1 is older than 2") && !fleet.is_user("eve"), "{name}: {said}");
        fleet.apply(&newer);
        assert!(fleet.is_user("ana") && !fleet.is_user("eve"), "{name}");
    }
    fs::remove_file(format!("{CACHE}/state.db")).unwrap();
    assert!(fleet.apply(&older).1.contains("is older than 2"));
}
