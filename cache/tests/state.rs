//! `state.db`: what is stored, and recovery after a loss.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use cache::passwd::Passwd;
use cache::state::{Group, Identity, Rows, Saving, State, StateFile, Stored, User};
use cache::{Texts, confirmed};
use policy::confirmed::Record;
use policy::{Field, IamId, Id, KeyLine, Name};

fn identity(id: u32) -> Identity {
    Identity { id: Id::pinned(id).unwrap(), pinned: false }
}

#[test]
fn users_and_groups_with_other_ids_are_known_by_these_everywhere_and_are_saved() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = StateFile::open(directory.path()).unwrap();
    let [ana, ops] = [1001, 1002].map(|id| IamId::of_lost(Id::pinned(id).unwrap()));
    let mut state = State::default();
    add(&mut state, "eve", 1003);
    add(&mut state, "ana", 1001);
    state.rename(&[(IamId::new("ana"), ana.clone())].into());
    user(&mut state, ana.as_str()).groups.push(ops.clone());
    state.identities.insert(ops.clone(), identity(1002));
    let group = Group { account: String::new(), name: Name::new("ops").unwrap() };
    state.groups.insert(ops.clone(), group);
    state.homes.insert("/home/ana".into(), ana.clone());
    for (name, id) in [("ana", &ana), ("ops", &ops)] {
        state.names.insert(Name::new(name).unwrap(), id.clone());
    }
    file.save(&Rows::of(&state)).unwrap();
    assert_eq!(State::read(directory.path()).unwrap(), state);
    let mut known = state.clone();
    known.rename(&[(ana, IamId::new("U1")), (ops, IamId::new("G9"))].into());
    assert!(
        !format!("{:?}", (&known.homes, &known.names, &known.groups, &known.identities)).contains("lost:")
    );
    assert_eq!(user(&mut known, "U1").groups, ["G1", "G9"].map(IamId::new));
    file.save(&Rows::of(&known)).unwrap();
    assert_eq!(State::read(directory.path()).unwrap(), known);
}

#[test]
fn an_assigned_id_is_neither_changed_nor_shared() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = StateFile::open(directory.path()).unwrap();
    let mut state = State::default();
    state.identities.insert(IamId::new("U1"), identity(1001));
    file.save(&Rows::of(&state)).unwrap();
    state.identities.insert(IamId::new("U1"), identity(1002));
    assert!(file.save(&Rows::of(&state)).is_err());
    let mut other = State::default();
    other.identities.insert(IamId::new("U2"), identity(1001));
    assert!(file.save(&Rows::of(&other)).is_err());
    assert_eq!(file.load().unwrap().identities[&IamId::new("U1")], identity(1001));
}

fn add(state: &mut State, name: &str, id: u32) {
    let user = User {
        account: "".into(),
        iam_name: name.into(),
        created: "".into(),
        name: Name::new(name).unwrap(),
        passwd: Passwd::new(Field::new("/home/x").unwrap(), Field::new("/bin/bash").unwrap(), 20_000),
        groups: vec![IamId::new("G1")],
        disabled: None,
        hidden: false,
        keys: vec![KeyLine::new("SHA256:abc ssh-ed25519 AAAA").unwrap()],
        confirmed: 100,
        source: "iam:123456789012".into(),
    };
    state.identities.insert(IamId::new(name), identity(id));
    state.users.insert(IamId::new(name), user);
}

fn user<'s>(state: &'s mut State, name: &str) -> &'s mut User {
    state.users.get_mut(&IamId::new(name)).unwrap()
}

/// The record has the times of rows that stay, unless one stored time became two.
#[test]
fn what_is_saved_is_read_again_whether_its_times_are_in_the_rows_or_in_the_record() {
    for (ana, bob, in_rows) in [(200, 200, [100, 100]), (200, 300, [200, 300])] {
        let directory = tempfile::tempdir().unwrap();
        let mut file = StateFile::open(directory.path()).unwrap();
        let mut state = State::default();
        for (name, id) in [("ana", 1001), ("bob", 1002), ("eve", 1003), ("zoe", 1004)] {
            add(&mut state, name, id);
        }
        file.save(&Rows::of(&state)).unwrap();

        let stored = Stored::read(directory.path(), &mut Texts::default()).unwrap();
        let mut next = stored.state.clone();
        user(&mut next, "ana").confirmed = ana;
        user(&mut next, "bob").confirmed = bob;
        // One has no key any more, one is gone, one is new.
        user(&mut next, "eve").keys.clear();
        user(&mut next, "eve").confirmed = 200;
        next.users.remove(&IamId::new("zoe"));
        add(&mut next, "max", 1005);
        user(&mut next, "max").confirmed = 200;
        let Saving::Rows(rows, entry) = stored.saving(&next) else { panic!("users have changed") };
        file.save(&rows).unwrap();
        let gid = fs::metadata(directory.path()).unwrap().gid();
        confirmed::write(directory.path(), &Record { keys: None, state: vec![entry] }, gid).unwrap();

        let written = file.load().unwrap();
        assert_eq!(["ana", "bob"].map(|name| written.users[&IamId::new(name)].confirmed), in_rows);
        assert_eq!(State::read(directory.path()).unwrap(), next);
    }
}
