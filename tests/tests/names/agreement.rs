//! `nss-iamctl why` and the refresher use the same rules: `why` explains exactly the user who is published under a name.

use std::collections::{BTreeMap, BTreeSet};

use policy::{IamId, Id};

use super::*;

/// Names as in IAM, unique in an account. Some collide once characters are replaced, some end with a domain that is removed,
/// and some are given to nobody.
const NAMES: [&str; 14] = [
    "Ana",
    "ana+",
    "ana=",
    "Bob@Example.com",
    "bob",
    "carl,x",
    "carl=x",
    "dora@other.org",
    "docker",
    "eve",
    "FAY",
    "gil@example.com",
    "hal",
    "1003",
];
/// Name tags: names of other users, names that nobody gets, invalid names, and the name of a local account.
const TAGS: [Option<&str>; 11] = [
    None,
    Some("zoe"),
    Some("ana"),
    Some("docker"),
    Some("bob"),
    None,
    Some("Zoe"),
    Some("fay"),
    Some(LOCAL),
    Some(""),
    Some("zo.e"),
];
const LOCAL: &str = "localhand";

const SETTINGS: [&str; 3] = [
    "",
    "[users]\nstrip_domains = [\"example.com\"]\n[tags]\nuse = [\"name\"]\n[names]\nreserved = [\"zo.*\"]\n",
    "[users]\nstrip_domains = [\"example.com\"]\nname_style = \"aws-ec2-ssh\"\n[tags]\nuse = [\"name\"]\n",
];

/// Two accounts; `turn` decides which user has which tag and date.
fn people(turn: usize) -> Value {
    let account = |name: &str, id: char, names: &[&str]| {
        let user = |(n, name): (usize, &&str)| {
            let mut user = user(&format!("U{id}{n}"), name);
            if let Some(tag) = TAGS[(n * 5 + turn) % TAGS.len()] {
                user["tags"] = json!({"nss-iam:name": tag});
            }
            if n % 4 != 3 {
                user["created"] = json!(format!("2026-01-{:02}T00:00:00Z", 1 + (n * 7 + turn) % 12));
            }
            user
        };
        let users: Vec<Value> = names.iter().enumerate().map(user).collect();
        let members: Vec<&Value> = users.iter().map(|user| &user["id"]).collect();
        let group = json!({"id": format!("G{id}"), "name": format!("Team{id}"), "members": members});
        json!({"name": name, "groups": [group], "users": users})
    };
    let read = jiff::Timestamp::now().to_string();
    let accounts = [account("", 'A', &NAMES), account("b", 'B', &["ana", "Zoe", "ivy"])];
    json!({"version": 1, "read": read, "accounts": accounts})
}

/// Login name -> UserId, as glibc returns them.
fn published(host: &Host, people: &Value) -> BTreeMap<String, String> {
    let users = people["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|account| account["users"].as_array().unwrap());
    let ids: BTreeMap<String, String> = users
        .map(|user| user["id"].as_str().unwrap().to_owned())
        .map(|id| (Id::computed(&IamId::new(&id)).to_string(), id))
        .collect();
    let passwd = host.run(&["getent", "-s", "iam", "passwd"]).out;
    let fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    fields.map(|fields| (fields[0].to_owned(), ids[fields[2]].clone())).collect()
}

fn explained(host: &Host, name: &str) -> Option<String> {
    let ran = host.run(&["nss-iamctl", "why", name, "--json"]);
    let report = serde_json::from_str::<Value>(&ran.out);
    assert!(report.is_ok(), "{ran:?}");
    report.unwrap()["iam_id"].as_str().map(str::to_owned)
}

/// Restores the state before the first refresh.
fn forget() {
    let _ = fs::remove_dir_all("/var/lib/nss-iam");
    fs::create_dir("/var/lib/nss-iam").unwrap();
}

#[test]
fn whoever_is_published_under_a_name_is_the_one_whom_why_explains() {
    let Some(host) = Host::in_tree("login") else { return };
    append("/etc/passwd", &format!("{LOCAL}:x:5000:5000::/:/bin/sh\n"));
    let mut different = BTreeSet::new();
    for settings in SETTINGS {
        host.machine.config(&format!("{settings}[[account]]\nname = \"b\"\ngroups = [\"TeamB\"]\n"));
        forget();
        // In the second turn, names are already assigned, and tags have changed.
        for turn in 0..2 {
            let people = people(turn);
            refresh(&host, &people);
            let published = published(&host, &people);
            assert!(published.len() > 4, "{published:?}");
            for (name, id) in &published {
                assert_eq!(explained(&host, name).as_ref(), Some(id), "'{name}', {settings}, {turn}");
            }
            // The name in a refused tag leads `why` to a user who is not published, or to none.
            let refused = explained(&host, LOCAL);
            assert!(!published.values().any(|id| Some(id) == refused.as_ref()), "{refused:?}, {settings}");
            different.insert(published);
        }
    }
    assert!(different.len() > SETTINGS.len(), "the tags change nothing: {different:?}");
}

#[test]
fn whom_the_first_refresh_would_give_a_name_is_the_one_whom_why_explains_before_it() {
    let Some(host) = Host::in_tree("login") else { return };
    let mut compared = 0;
    for settings in SETTINGS {
        host.machine.config(&format!("{settings}[[account]]\nname = \"b\"\ngroups = [\"TeamB\"]\n"));
        for turn in 2..4 {
            forget();
            let people = people(turn);
            refresh(&host, &people);
            let published = published(&host, &people);
            forget();
            for (name, id) in &published {
                assert_eq!(explained(&host, name).as_ref(), Some(id), "'{name}', {settings}, {turn}");
                compared += 1;
            }
        }
    }
    assert!(compared > 30, "{compared}");
}
