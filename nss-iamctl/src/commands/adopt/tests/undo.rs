//! `--undo` on the tree of the tests of `--apply`.

use std::fs;
use std::path::PathBuf;

use cache::snapshot::Cache;
use cache::state::{self, Identity, State};
use policy::{IamId, Id, Name};

use super::host::{NONE, Refresher, Tree, UID, apply, user};
use crate::cli::Adopt;
use crate::edit::backup::DIRECTORY;

/// With aws-ec2-ssh's line in sshd_config, which leaves with its last account.
#[test]
fn undo_restores_the_tree_and_whatever_fails_leaves_it_adopted() {
    for renumber in [false, true] {
        let Some(tree) = Tree::new() else { return };
        let before = tree.all();
        tree.adopt(Refresher::Publishes, Adopt { renumber, ..apply() }).unwrap();
        let adopted = tree.all();
        // The fake refresher goes on publishing her.
        let failed = tree.adopt(Refresher::Publishes, undo()).unwrap_err().to_string();
        assert!(
            failed.contains("'ana' is still published") && failed.contains("all files were restored"),
            "{failed}"
        );
        assert_eq!(tree.changed(&adopted), NONE);
        let failed = tree.adopt_with(Refresher::Skips, false, undo()).unwrap_err().to_string();
        assert!(failed.contains("all files were restored"), "{failed}");
        assert_eq!(tree.changed(&adopted), NONE);
        let plan = tree.adopt(Refresher::Fails, Adopt { undo: true, ..Adopt::default() }).unwrap();
        assert!(plan.contains("write '/etc/ssh/sshd_config'"), "{plan}");
        assert_eq!(tree.changed(&adopted), NONE);
        assert_eq!(tree.adopt(Refresher::Leaves, undo()).unwrap(), plan);
        assert_eq!(tree.adopt(Refresher::Fails, undo()).unwrap(), "", "once is enough");
        fs::remove_dir_all(tree.path(DIRECTORY)).unwrap();
        assert_eq!(tree.changed(&before), NONE);
    }
}

#[test]
fn undo_needs_to_know_who_left() {
    let Some(tree) = Tree::new() else { return };
    tree.adopt(Refresher::Publishes, apply()).unwrap();
    fs::remove_file(tree.path("/var/lib/nss-iam/cache.db")).unwrap();
    let adopted = tree.all();
    let undo = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        tree.adopt(Refresher::Skips, Adopt { undo: true, names, ..apply() })
    };
    let refused = undo(&[]).unwrap_err().to_string();
    assert!(refused.contains("not known who left") && refused.contains("--undo --apply ana"), "{refused}");
    let refused = undo(&["bob"]).unwrap_err().to_string();
    assert!(refused.contains("'bob': not an adopted account that is missing"), "{refused}");
    assert_eq!(tree.changed(&adopted), NONE);
    undo(&["ana"]).unwrap();
    assert!(fs::read_to_string(tree.path("/etc/shadow")).unwrap().contains("ana:$6$x$y"));
}

/// Her adoption, of which a power cut ended the undo before the last file, passwd(5), was written. The refresh after that
/// published her as disabled. Returns the directory of the adoption.
fn interrupted(tree: &Tree) -> PathBuf {
    tree.adopt(Refresher::Publishes, apply()).unwrap();
    let adopted = fs::read_dir(tree.path(DIRECTORY)).unwrap().next().unwrap().unwrap().path();
    fs::write(adopted.join("undoing"), "ana\n").unwrap();
    for file in ["etc/gshadow", "etc/group", "etc/shadow"] {
        fs::copy(adopted.join(file), tree.path(file)).unwrap();
    }
    tree.refresh(Refresher::Leaves);
    let id = IamId::new("AIDA1");
    let user = state::User {
        account: "".into(),
        iam_name: "Ana".into(),
        created: "".into(),
        name: Name::new("ana").unwrap(),
        passwd: user("ana", UID, "/home/ana", false).passwd,
        groups: Vec::new(),
        disabled: Some(1),
        hidden: false,
        keys: Vec::new(),
        confirmed: 0,
        source: "".into(),
    };
    let identity = Identity { id: Id::pinned(UID).unwrap(), pinned: true };
    let state =
        State { identities: [(id.clone(), identity)].into(), users: [(id, user)].into(), ..State::default() };
    let directory = tree.path("/var/lib/nss-iam");
    state::StateFile::open(&directory).unwrap().save(&state::Rows::of(&state)).unwrap();
    adopted
}

fn undo() -> Adopt {
    Adopt { undo: true, ..apply() }
}

#[test]
fn an_undo_that_was_interrupted_is_completed_by_the_next_one() {
    let Some(tree) = Tree::new() else { return };
    let before = tree.all();
    interrupted(&tree);
    let refused = tree.adopt(Refresher::Leaves, apply()).unwrap_err().to_string();
    assert!(refused.contains("before 'ana' was given back") && refused.contains("/undoing'; "), "{refused}");
    tree.adopt(Refresher::Leaves, Adopt::default()).unwrap();
    tree.adopt(Refresher::Leaves, undo()).unwrap();
    fs::remove_dir_all(tree.path(DIRECTORY)).unwrap();
    assert_eq!(tree.changed(&before), NONE);
}

#[test]
fn an_interrupted_undo_lets_nobody_in_who_left_or_was_locked_since_unless_named() {
    const LISTING: &str = "/var/lib/nss-iam-fetch/listing.json";
    const LOCKED: &str = "/var/lib/nss-iam/locked";
    const NOBODY: &str = r#"{"version": 1, "accounts": [{"users": []}]}"#;
    for (path, text) in [(LOCKED, "ana\n"), (LOCKED, "*\n"), (LISTING, NOBODY), (LISTING, "")] {
        let Some(tree) = Tree::new() else { return };
        interrupted(&tree);
        tree.file(path, text, 0o600);
        let cut = tree.all();
        assert_eq!(tree.adopt(Refresher::Leaves, undo()).unwrap(), "", "{path} {text}");
        assert_eq!(tree.changed(&cut), NONE, "{path} {text}");
        tree.adopt(Refresher::Leaves, Adopt { names: vec!["ana".to_owned()], ..undo() }).unwrap();
        assert!(String::from_utf8_lossy(&fs::read(tree.path("/etc/passwd")).unwrap()).contains("\nana:"));
    }
    let Some(tree) = Tree::new() else { return };
    interrupted(&tree);
    fs::remove_file(tree.path("/var/lib/nss-iam/cache.db")).unwrap();
    let refused = tree.adopt(Refresher::Leaves, undo()).unwrap_err().to_string();
    assert!(refused.contains("not known who left"), "{refused}");
}

/// Both were adopted, and only her undo was begun.
#[test]
fn an_undo_that_was_interrupted_is_completed_and_nobody_else_is_given_back() {
    let Some(tree) = Tree::new() else { return };
    let adopted = interrupted(&tree);
    let record = adopted.join("undo.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    let accounts = json["accounts"].as_array_mut().unwrap();
    let mut bob = accounts[0].clone();
    (bob["name"], bob["uid"], bob["id"], bob["group"]) =
        ("bob".into(), 61_007.into(), 61_007.into(), ().into());
    accounts.push(bob);
    fs::write(&record, json.to_string()).unwrap();
    let users = vec![user("ana", UID, "/home/ana", false), user("bob", 61_007, "/home/bob", true)];
    let published = Cache { users, groups: Vec::new() };
    cache::publish::cache(&tree.path("/var/lib/nss-iam"), &published).unwrap();
    let given = tree.adopt(Refresher::Leaves, undo()).unwrap();
    assert!(given.contains("ana (uid") && !given.contains("bob"), "{given}");
    assert!(adopted.exists() && !adopted.join("undoing").exists());
    let named = Adopt { names: vec!["bob".to_owned()], ..undo() };
    assert!(tree.adopt(Refresher::Leaves, named).unwrap().contains("bob (uid"));
    assert!(!adopted.exists());
}

#[test]
fn an_undo_that_failed_counts_as_interrupted_unless_everything_was_restored() {
    let Some(tree) = Tree::new() else { return };
    let before = tree.all();
    tree.adopt(Refresher::Publishes, apply()).unwrap();
    let mark = || fs::read_dir(tree.path(DIRECTORY)).unwrap().next().unwrap().unwrap().path().join("undoing");
    tree.adopt(Refresher::Publishes, undo()).unwrap_err();
    assert!(!mark().exists());
    let failed = tree.adopt(Refresher::Breaks, undo()).unwrap_err().to_string();
    assert!(failed.contains("not everything could be restored"), "{failed}");
    assert_eq!(fs::read_to_string(mark()).unwrap(), "ana\n");
    fs::remove_dir(tree.path("/etc/sudoers.d/ana")).unwrap();
    tree.adopt(Refresher::Leaves, undo()).unwrap();
    fs::remove_dir_all(tree.path(DIRECTORY)).unwrap();
    assert_eq!(tree.changed(&before), NONE);
}
