//! Homes: nobody gets the home of another user.

use std::os::unix::fs::{chown, symlink};

use super::*;

fn directory(path: &str, owner: u32) {
    fs::create_dir_all(path).unwrap();
    chown(path, Some(owner), Some(owner)).unwrap();
}

#[test]
fn a_renamed_user_keeps_the_home_and_the_next_user_of_the_old_name_gets_a_different_one() {
    let Some(host) = Host::in_tree("login") else { return };
    refresh(&host, &listing(&[user("U1", "alice")]));
    directory("/home/alice", host.passwd("alice", 2).parse().unwrap());
    refresh(&host, &listing(&[user("U1", "mallory")]));
    assert_eq!(host.passwd("mallory", 5), "/home/alice");
    refresh(&host, &listing(&[user("U1", "mallory"), user("U2", "alice")]));
    assert_eq!(host.passwd("alice", 5), format!("/home/alice-{}", host.passwd("alice", 2)));
    assert_eq!(host.passwd("mallory", 5), "/home/alice");
    // Also much later, and if the directory is gone.
    fs::remove_dir("/home/alice").unwrap();
    refresh(&host, &listing(&[user("U3", "alice")]));
    assert_eq!(host.passwd("alice", 5), format!("/home/alice-{}", host.passwd("alice", 2)));
}

#[test]
fn a_home_that_exists_must_be_the_users_own() {
    let Some(host) = Host::in_tree("login") else { return };
    directory("/home/carol", 1001);
    directory("/home/dora", 0);
    symlink("/home/carol", "/home/erik").unwrap();
    symlink("/nowhere", "/home/fred").unwrap();
    fs::write("/home/gus", "").unwrap();
    chown("/home/gus", Some(1001), None).unwrap();
    let names = ["carol", "dora", "erik", "fred", "gus", "hanna"];
    refresh(&host, &named(&names));
    for name in names {
        let home = host.passwd(name, 5);
        let own = format!("/home/{name}-{}", host.passwd(name, 2));
        assert_eq!(home, if name == "hanna" { "/home/hanna".to_owned() } else { own }, "{name}");
    }
}

#[test]
fn no_two_users_share_a_home() {
    let Some(host) = Host::in_tree("login") else { return };
    host.machine.config("[users]\nhome = \"/home/{iam_name}\"\n[tags]\nuse = [\"name\"]\n");
    let two = json!({"version": 1, "accounts": [
        {"name": "", "groups": [{"id": "G1", "name": "Jump", "members": ["U4"]}], "users": [{"id": "U4", "name": "jane"}]},
        {"name": "b", "groups": [{"id": "G2", "name": "Jump2", "members": ["U5"]}],
         "users": [{"id": "U5", "name": "jane", "tags": {"nss-iam:name": "jane2"}}]}]});
    refresh(&host, &two);
    assert_ne!(host.passwd("jane", 5), host.passwd("jane2", 5));
    host.machine.config("[users]\nhome = \"/srv/all\"\n");
    refresh(&host, &named(&["ana", "bob"]));
    assert_ne!(host.passwd("ana", 5), host.passwd("bob", 5));
}

#[test]
fn one_directory_with_two_paths_is_one_home() {
    let Some(host) = Host::in_tree("login") else { return };
    refresh(&host, &listing(&[user("U1", "alice")]));
    refresh(&host, &listing(&[user("U1", "al")]));
    symlink("/home", "/home2").unwrap();
    host.machine.config("[users]\nhome = \"/home2/{name}\"\n");
    refresh(&host, &listing(&[user("U1", "al"), user("U2", "alice"), user("U3", "bob")]));
    assert_eq!(host.passwd("al", 5), "/home/alice");
    assert_eq!(host.passwd("alice", 5), format!("/home2/alice-{}", host.passwd("alice", 2)));
    assert_eq!(host.passwd("bob", 5), "/home2/bob");
    // And in the other order.
    host.machine.config("");
    refresh(&host, &listing(&[user("U1", "al"), user("U3", "rob"), user("U4", "bob")]));
    assert_eq!(host.passwd("rob", 5), "/home2/bob");
    assert_eq!(host.passwd("bob", 5), format!("/home/bob-{}", host.passwd("bob", 2)));
}
