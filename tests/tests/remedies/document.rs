//! The same for users who come from a JSON file: what its remedies say is done to the file, as a person would.

use std::fs;

use serde_json::{Value, json};
use tests::login::JumpHost;

use crate::{DOCTOR, Row, WHY_BOB, follow_row, mode, offered, refresh, row};

const SOURCE: &str = "/srv/users.json";

/// How sentences about the file begin.
const BEGINNINGS: [&str; 6] =
    ["add the user ", "add the line of ", "set the tag ", "set key ", "remove the tag ", "remove key "];

/// The sentence in a clause that says what to do to the file.
pub(crate) fn sentence(clause: &str) -> Option<String> {
    let start = BEGINNINGS.iter().filter_map(|beginning| clause.find(beginning)).min()?;
    let end = clause.rfind(&format!("'{SOURCE}'"))?;
    Some(format!("{}'{SOURCE}'", clause.get(start..end)?))
}

/// Does what the sentence says. Other text is a command.
pub(crate) fn carried_out(sentence: &str, another: &str) -> bool {
    if self::sentence(sentence).as_deref() != Some(sentence) {
        return false;
    }
    let words: Vec<&str> = sentence.split(' ').collect();
    let public = fs::read_to_string("/root/KEY.pub").unwrap();
    let after = |word: &str| words.iter().position(|other| *other == word).map(|at| words[at + 1]);
    let name = after("user").unwrap();
    change(|users| match words[..2] {
        ["add", "the"] if words[2] == "user" => add(users, name, json!([])),
        ["add", "the"] => user(users, name)["keys"].as_array_mut().unwrap().push(json!({ "body": public })),
        ["set", "the"] => {
            let value = match after("to").unwrap() {
                "NAME" => another,
                "UID" => "1234",
                other => unreachable!("what is {other}? {sentence}"),
            };
            user(users, name)["tags"][words[3]] = json!(value);
        }
        ["remove", "the"] => drop(user(users, name)["tags"].as_object_mut().unwrap().remove(words[3])),
        ["set", "key"] => key(users, name, words[2])["active"] = json!(sentence.contains("\"active\": true")),
        ["remove", "key"] => {
            user(users, name)["keys"].as_array_mut().unwrap().retain(|key| key["id"] != words[2])
        }
        _ => unreachable!("{sentence}"),
    });
    true
}

/// Changes the users of the file. All are members of its group.
fn change(with: impl FnOnce(&mut Vec<Value>)) {
    let mut listing: Value = fs::read(SOURCE).map_or_else(
        |_| json!({"version": 1, "accounts": [{"groups": [{"id": "ops", "name": "Ops", "members": []}], "users": []}]}),
        |text| serde_json::from_slice(&text).unwrap(),
    );
    let account = &mut listing["accounts"][0];
    with(account["users"].as_array_mut().unwrap());
    let ids: Vec<Value> =
        account["users"].as_array().unwrap().iter().map(|user| user["id"].clone()).collect();
    account["groups"][0]["members"] = ids.into();
    fs::write(SOURCE, listing.to_string()).unwrap();
}

fn add(users: &mut Vec<Value>, name: &str, keys: Value) {
    users.push(json!({"id": format!("id-{name}"), "name": name, "keys": keys, "tags": {}}));
}

fn user<'a>(users: &'a mut [Value], name: &str) -> &'a mut Value {
    users.iter_mut().find(|user| user["name"] == name).unwrap()
}

fn key<'a>(users: &'a mut [Value], name: &str, id: &str) -> &'a mut Value {
    let keys = user(users, name)["keys"].as_array_mut().unwrap();
    keys.iter_mut().find(|key| key["id"] == id).unwrap()
}

fn with(host: &JumpHost, name: &str, keys: Value) {
    change(|users| add(users, name, keys));
    refresh(host);
}

fn tagged(host: &JumpHost, key: &str, value: &str) {
    change(|users| user(users, "bob")["tags"][key] = json!(value));
    refresh(host);
}

fn of_bob(host: &JumpHost, key: Value) {
    change(|users| user(users, "bob")["keys"].as_array_mut().unwrap().push(key));
    refresh(host);
}

const OF_A_FILE: &[Row] = &[
    row(DOCTOR, "name-reserved", |host| with(host, "admin", json!([])), &[0]),
    row(DOCTOR, "name-reserved", |host| with(host, "docker", json!([])), &[1]),
    row(DOCTOR, "name-too-long", |host| with(host, &"x".repeat(40), json!([])), &[0]),
    row(DOCTOR, "tag-not-a-number", |host| tagged(host, "nss-iam:uid", "many"), &[0, 1]),
    row(WHY_BOB, "tag-not-used", |host| tagged(host, "nss-iam:shell", "/bin/sh"), &[1, 0]),
    row(DOCTOR, "tag-unused", |host| tagged(host, "nss-iam:gecos", "Bob"), &[0]),
    row(WHY_BOB, "key-form", |host| of_bob(host, json!({"id": "k2", "body": "broken"})), &[0]),
    row(
        WHY_BOB,
        "key-private",
        |host| of_bob(host, json!({"id": "k3", "body": "-----BEGIN OPENSSH PRIVATE KEY-----"})),
        &[0],
    ),
    row(&["why", "eve"], "no-key", |host| with(host, "eve", json!([])), &[0]),
    row(
        &["why", "eve"],
        "disabled",
        |host| {
            change(|users| users.retain(|user| user["name"] != "eve"));
            refresh(host);
        },
        &[0],
    ),
    row(
        &["why", "ida"],
        "key-inactive",
        |host| {
            let public = fs::read_to_string("/root/KEY.pub").unwrap();
            with(host, "ida", json!([{"id": "k4", "body": public, "active": false}]));
        },
        &[0],
    ),
];

#[test]
fn what_is_wrong_with_a_user_of_a_file_is_gone_after_the_remedy_and_nobody_else_loses_anything() {
    let Some(host) = JumpHost::bare() else { return };
    fs::create_dir_all("/etc/nss-iam/config.d").unwrap();
    fs::create_dir_all("/srv").unwrap();
    host.machine.config(&format!("[source]\nurl = \"file://{SOURCE}\"\n[tags]\nuse = [\"uid\"]\n"));
    host.done(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/KEY"]);
    let public = fs::read_to_string("/root/KEY.pub").unwrap();
    for name in ["ana", "bob"] {
        change(|users| add(users, name, json!([{"id": format!("k-{name}"), "body": public}])));
    }
    mode(SOURCE, 0o644);
    host.enable(&[]);
    host.restart_sshd(&[]);
    refresh(&host);
    for row in OF_A_FILE {
        follow_row(&host, row);
        assert!(offered(&host, "ana") && offered(&host, "bob"), "{}", row.code);
    }
}
