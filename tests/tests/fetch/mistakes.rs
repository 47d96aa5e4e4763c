//! A mistake in the configuration disables nobody; users who really left are removed, and `--force` ends it. These
//! tests run the whole refresher on a host, and check what it publishes.

use std::fs;

use serde_json::{Value, json};
use tests::{LISTING, published};

use crate::site::{CONFIG, Site, State, Told, eve_leaves, holds, second};

#[test]
fn a_typo_next_to_a_correct_name_holds_its_members() {
    let Some(site) = Site::start() else { return };
    site.groups("[\"Gg\", \"H\"]");
    let words = [
        "iam:GetGroup on 'Gg'",
        "NoSuchEntity",
        "configuration on 'G' failed: 'ana', 'bob', 'eve' would leave the group, which `groups` no longer names; they stay",
    ];
    let state =
        State { status: 78, words: &words, joined: &[], leaver: eve_leaves(), forced: (&["ana", "zoe"], 78) };
    holds(&site, &state);
    assert!(published()["ana"].local.is_empty() && !site.before["ana"].local.is_empty());
}

#[test]
fn when_every_name_is_wrong_everybody_stays() {
    let Some(site) = Site::start() else { return };
    site.groups("[\"Gg\", \"Hh\"]");
    let words =
        ["'Gg'", "'Hh'", "'ana', 'bob', 'eve' would leave the group", "'ana', 'zoe' would leave the group"];
    let left = Some(("eve", json!({"do": "remove_member", "group": "G", "user": "eve"})));
    holds(&site, &State { status: 78, words: &words, joined: &[], leaver: left, forced: (&[], 78) });
}

#[test]
fn no_group_at_all_holds_everybody() {
    let Some(site) = Site::start() else { return };
    site.groups("[]");
    let words = ["which `groups` no longer names", "'ana', 'bob', 'eve'", "'ana', 'zoe'", "--force"];
    holds(&site, &State { status: 65, words: &words, joined: &[], leaver: eve_leaves(), forced: (&[], 0) });
}

#[test]
fn replacing_a_group_holds_its_members_and_adds_those_of_the_new_group() {
    let Some(site) = Site::start() else { return };
    site.groups("[\"Z\"]");
    let words = ["which `groups` no longer names", "'ana', 'bob', 'eve'"];
    let state =
        State { status: 65, words: &words, joined: &["max"], leaver: eve_leaves(), forced: (&["max"], 0) };
    holds(&site, &state);
}

#[test]
fn dropping_one_of_two_groups_removes_only_what_disables_nobody_and_restoring_it_restores_everything() {
    let Some(site) = Site::start() else { return };
    site.groups("[\"H\"]");
    let ran = site.refresh(&[]);
    ran.told(65, &["'bob', 'eve' would leave the group"]);
    let now = published();
    assert_eq!(
        (now["bob"].clone(), now["zoe"].clone()),
        (site.before["bob"].clone(), site.before["zoe"].clone())
    );
    assert!(now["ana"].local.is_empty(), "ana is in H, and is not disabled by it");
    // If it is corrected before anybody was removed by force, everything is as before.
    site.groups("[\"G\", \"H\"]");
    let ran = site.refresh(&[]);
    ran.told(0, &[]);
    assert_eq!(published(), site.before);
}

#[test]
fn an_account_that_is_no_longer_configured_holds_its_users() {
    let Some(site) = Site::of_two() else { return };
    site.config(CONFIG);
    let words = [
        "configuration on 'second' failed: the account is no longer configured; 'max', 'moe' would leave, and stay",
    ];
    // Nobody there can be queried any more.
    let forced: (&[&str], i32) = (&["ana", "bob", "eve", "zoe"], 0);
    holds(&site, &State { status: 65, words: &words, joined: &[], leaver: None, forced });
}

#[test]
fn an_account_with_a_new_name_is_the_same_account() {
    let Some(site) = Site::of_two() else { return };
    site.config(&format!("{CONFIG}{}", second(&site.other, "jump")));
    let left = Some(("moe", json!({"do": "delete_user", "user": "moe"})));
    let forced: (&[&str], i32) = (&["ana", "bob", "eve", "max", "zoe"], 0);
    holds(&site, &State { status: 0, words: &[], joined: &[], leaver: left, forced });
}

#[test]
fn the_role_of_another_aws_account_holds_the_users_of_this_one() {
    let Some(site) = Site::start() else { return };
    site.config(&format!("{CONFIG}[aws]\nrole = \"{}\"\n", site.other.role_arn("Look")));
    let (here, there) = (site.account.id(), site.other.id());
    let why = format!("the source is 'iam:{there}' now and was 'iam:{here}', which would disable");
    let words = [why.as_str(), "'ana'", "'bob'", "'eve'", "'zoe'", "--force"];
    // Nobody here can be queried any more.
    let state = State { status: 65, words: &words, joined: &["max"], leaver: None, forced: (&["max"], 0) };
    holds(&site, &state);
}

#[test]
fn restoring_the_role_restores_everything() {
    let Some(site) = Site::start() else { return };
    site.config(&format!("{CONFIG}[aws]\nrole = \"{}\"\n", site.other.role_arn("Look")));
    site.refresh(&[]).told(65, &[]);
    site.config(CONFIG);
    site.account.change(json!({"do": "delete_user", "user": "eve"}));
    let ran = site.refresh(&[]);
    // Now max of the other account cannot be queried.
    ran.told(65, &["which would disable 'max'"]);
    assert_eq!(site.all_stay_but(&["eve"], &ran), ["max"]);
    site.refresh(&["--force"]).told(0, &[]);
    assert_eq!(published().into_keys().collect::<Vec<_>>(), ["ana", "bob", "zoe"]);
}

const FILE: &str = "/etc/nss-iam/users.json";

fn export(people: &Value) {
    fs::write(FILE, people.to_string()).unwrap();
}

#[test]
fn a_different_source_holds_the_users_of_the_first_and_restoring_it_restores_everything() {
    let Some(site) = Site::start() else { return };
    export(&json!({"version": 1, "accounts": [{
        "users": [{"id": "1", "name": "nik", "keys": []}], "groups": [{"id": "g", "name": "G", "members": ["1"]}],
    }]}));
    site.config(&format!("[source]\nurl = \"file://{FILE}\"\n[local_groups]\nG = [\"users\"]\n"));
    let words = [
        "the source is 'file:///etc/nss-iam/users.json' now and was 'iam:",
        "'ana', 'bob', 'eve', 'zoe'",
        "--force",
    ];
    for lost in [false, true] {
        if lost {
            fs::remove_file(LISTING).unwrap();
        }
        let ran = site.refresh(&[]);
        ran.told(65, &words);
        assert_eq!(site.all_stay_but(&[], &ran), ["nik"]);
    }
    site.config(CONFIG);
    site.account.change(json!({"do": "delete_user", "user": "eve"}));
    let ran = site.refresh(&[]);
    ran.told(65, &["which would disable 'nik'"]);
    assert_eq!(site.all_stay_but(&["eve"], &ran), ["nik"]);
    site.refresh(&["--force"]).told(0, &[]);
    assert_eq!(published().into_keys().collect::<Vec<_>>(), ["ana", "bob", "zoe"]);
}

#[test]
fn an_export_that_suddenly_lists_nobody_is_refused_until_forced() {
    let Some(site) = Site::start() else { return };
    let users = json!([{"id": "1", "name": "nik"}, {"id": "2", "name": "ola"}]);
    let groups = json!([{"id": "g", "name": "G", "members": ["1", "2"]}]);
    let listing = |users: &Value, groups: &Value| json!({"version": 1, "accounts": [{"users": users, "groups": groups}]});
    export(&listing(&users, &groups));
    site.config(&format!("[source]\nurl = \"file://{FILE}\"\n"));
    site.refresh(&["--force"]).told(0, &[]);
    let names = || published().into_keys().collect::<Vec<_>>();
    assert_eq!(names(), ["nik", "ola"]);
    let before = published();
    for empty in [json!({"version": 1, "accounts": []}), listing(&json!([]), &json!([]))] {
        for lost in [false, true] {
            export(&empty);
            if lost {
                fs::remove_file(LISTING).unwrap();
            }
            let ran = site.refresh(&[]);
            ran.told(65, &["it lists no user, and had 2; they stay", "hint: ", "--force"]);
            assert_eq!(published(), before);
        }
    }
    let one = |id: &str| json!([{"id": id, "name": "ola"}]);
    export(&listing(&one("2"), &json!([{"id": "g", "name": "G", "members": ["2"]}])));
    site.refresh(&[]).told(0, &[]);
    assert_eq!(names(), ["ola"], "one who left goes");
    export(&json!({"version": 1, "accounts": []}));
    site.refresh(&["--force"]).told(0, &[]);
    assert!(names().is_empty());
}
