//! `state.db`: what is stored, and recovery after a loss.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use cache::state::{Identity, State, StateFile};
use policy::{IamId, Id};

fn identity(id: u32) -> Identity {
    Identity { id: Id::pinned(id).unwrap(), pinned: false }
}

#[test]
fn a_lost_user_who_is_found_again_has_the_same_id() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = StateFile::open(directory.path()).unwrap();
    let lost = IamId::of_lost(Id::pinned(1001).unwrap());
    let mut state = State::default();
    state.identities.insert(lost.clone(), identity(1001));
    state.homes.insert("/home/ana".into(), lost.clone());
    file.save(&state).unwrap();
    assert_eq!(file.load().unwrap(), state);
    let mut known = State::default();
    known.identities.insert(IamId::new("U1"), identity(1001));
    known.homes.insert("/home/ana".into(), IamId::new("U1"));
    file.save(&known).unwrap();
    assert_eq!(file.load().unwrap(), known);
}

#[test]
fn an_assigned_id_is_neither_changed_nor_shared() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = StateFile::open(directory.path()).unwrap();
    let mut state = State::default();
    state.identities.insert(IamId::new("U1"), identity(1001));
    file.save(&state).unwrap();
    state.identities.insert(IamId::new("U1"), identity(1002));
    assert!(file.save(&state).is_err());
    let mut other = State::default();
    other.identities.insert(IamId::new("U2"), identity(1001));
    assert!(file.save(&other).is_err());
    assert_eq!(file.load().unwrap().identities[&IamId::new("U1")], identity(1001));
}
