//! Faults in IAM's answers. Calls fail in every way, any number of times: throttled, HTTP 500 and 503, reset,
//! truncated, late, never answered, denied. Answers are wrong only to the extent that the product claims to
//! tolerate: in one refresh, only one kind of call is wrong about a user, GetGroup is wrong only once about a group, and
//! ListGroupsForUser only once about a user. So ListGroupsForUser or the second GetGroup contradicts a wrong membership, and GetSSHPublicKey a wrong
//! key. GetSSHPublicKey is not denied where ListSSHPublicKeys is wrong: without that permission, the list is the
//! only source. While a group has a new name, ListGroupsForUser is correct: if GetGroup is denied on that name, it
//! is the only witness.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tests::{Call, Fault};

use crate::random::Random;

/// The number of kinds of faults that every run must have had, among those that are counted.
pub(crate) const KINDS: usize = 14;

/// Which call gives wrong answers about a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Liar {
    GetGroup,
    ListGroupsForUser,
    ListSshPublicKeys,
    GetSshPublicKey,
}

#[derive(Default)]
struct Round {
    /// Only GetGroup is wrong, about every user.
    of_all: bool,
    is_renamed: bool,
    liars: BTreeMap<String, Liar>,
    /// Groups and users about which GetGroup and ListGroupsForUser were wrong.
    wronged: BTreeSet<String>,
    done: Vec<String>,
}

struct State {
    random: Random,
    is_on: bool,
    round: Round,
    counts: BTreeMap<&'static str, usize>,
}

/// The true answers about each group so far.
type History = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

pub(crate) struct Faults {
    state: Mutex<State>,
    history: History,
}

impl Faults {
    /// None until the first round.
    pub(crate) fn new(seed: u64) -> Self {
        let state = State {
            random: Random::of(seed),
            is_on: false,
            round: Round::default(),
            counts: BTreeMap::new(),
        };
        Self { state: Mutex::new(state), history: Arc::default() }
    }

    pub(crate) fn next_round(&self, is_renamed: bool) {
        let mut state = self.state.lock().unwrap();
        let of_all = state.random.one_in(3);
        state.round = Round { of_all, is_renamed, ..Round::default() };
        state.is_on = true;
    }

    pub(crate) fn stop(&self) {
        self.state.lock().unwrap().is_on = false;
    }

    /// What was wrong since the round began.
    pub(crate) fn of_round(&self) -> Vec<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).round.done.clone()
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, usize> {
        self.state.lock().unwrap().counts.clone()
    }

    pub(crate) fn decide(&self, call: &Call) -> Fault {
        let mut state = self.state.lock().unwrap();
        if !state.is_on {
            return self.truth(call);
        }
        if let Some(fault) = state.failure(call) {
            return fault;
        }
        let late = state.random.one_in(25).then(|| Duration::from_millis(state.random.below(900)));
        if late.is_some() {
            state.note("late", call);
        }
        let fault = match call.action.as_str() {
            "GetGroup" => state.of_group(call, &self.history),
            _ => state.of_user(call),
        };
        drop(state);
        thread::sleep(late.unwrap_or_default());
        fault.unwrap_or_else(|| self.truth(call))
    }

    /// The true answer, which is stored.
    fn truth(&self, call: &Call) -> Fault {
        let Some(group) = call.params.get("GroupName").cloned() else { return Fault::Pass };
        let history = Arc::clone(&self.history);
        Fault::Edit(Box::new(move |body| {
            history.lock().unwrap().entry(group).or_default().push(body.clone());
            body
        }))
    }
}

fn name(call: &Call) -> &str {
    call.params.get("UserName").map_or("", String::as_str)
}

impl State {
    fn note(&mut self, what: &'static str, call: &Call) {
        *self.counts.entry(what).or_default() += 1;
        let on = call.params.get("GroupName").map_or_else(|| name(call), String::as_str);
        self.round.done.push(format!("{} {on}: {what}", call.action));
    }

    /// A call that fails.
    fn failure(&mut self, call: &Call) -> Option<Fault> {
        let denied = match call.action.as_str() {
            "ListGroupsForUser" => 120,
            "GetSSHPublicKey" if self.liar(name(call)) == Liar::ListSshPublicKeys => 0,
            _ => 12,
        };
        let (what, fault) = match self.random.below(1000) {
            0..=29 => ("throttled", Fault::throttling()),
            30..=44 => ("500", Fault::internal()),
            45..=59 => ("503", Fault::unavailable()),
            60..=74 => ("reset", Fault::Reset),
            75..=89 => ("cut off", Fault::CutOff(usize::try_from(self.random.below(200)).unwrap())),
            90..=91 => ("never answered", Fault::Hang),
            other if other >= 1000 - denied => {
                ("denied", Fault::access_denied(&format!("{}:{}", call.service, call.action)))
            }
            _ => return None,
        };
        self.note(what, call);
        Some(fault)
    }

    fn liar(&mut self, user: &str) -> Liar {
        if self.round.of_all {
            return Liar::GetGroup;
        }
        if let Some(liar) = self.round.liars.get(user) {
            return *liar;
        }
        let all = [Liar::GetGroup, Liar::ListSshPublicKeys, Liar::GetSshPublicKey, Liar::ListGroupsForUser];
        let count = if self.round.is_renamed { all.len() - 1 } else { all.len() };
        let liar = *self.random.pick(&all[..count]).unwrap();
        self.round.liars.insert(user.to_owned(), liar);
        liar
    }

    fn of_group(&mut self, call: &Call, history: &History) -> Option<Fault> {
        let group = call.params.get("GroupName")?;
        if self.random.one_in(2) || !self.round.wronged.insert(group.clone()) {
            return None;
        }
        if self.round.of_all {
            match self.random.below(3) {
                0 => {
                    self.note("no such group", call);
                    return Some(Fault::no_such_entity("The group"));
                }
                1 => {
                    self.note("group without members", call);
                    return Some(Fault::no_members());
                }
                _ => {}
            }
        }
        let old = history.lock().unwrap().get(group).and_then(|answers| self.random.pick(answers).cloned());
        if let Some(old) = old.filter(|_| self.random.one_in(2)) {
            self.note("old members", call);
            return Some(Fault::Edit(Box::new(|_| old)));
        }
        self.note("half the members", call);
        // Decided before the answer arrives, so for every name that it could contain.
        let names = ["ana", "bob", "eve", "joe", "kim", "zoe", "u0", "u1", "u2", "u3", "u4", "u5"];
        let mut out: Vec<String> = Vec::new();
        for name in names {
            if self.liar(name) == Liar::GetGroup && self.random.one_in(2) {
                out.push(format!("<UserName>{name}</UserName>"));
            }
        }
        Some(Fault::drop_members(move |member| out.iter().any(|name| member.contains(name))))
    }

    fn of_user(&mut self, call: &Call) -> Option<Fault> {
        let action = call.action.as_str();
        let liar = self.liar(name(call));
        if self.random.one_in(3) {
            return None;
        }
        let (what, gone) = match (action, liar) {
            ("ListGroupsForUser", Liar::ListGroupsForUser) => ("half the groups", "no such user for groups"),
            ("ListSSHPublicKeys", Liar::ListSshPublicKeys) => ("half the keys", "no such user for keys"),
            ("GetSSHPublicKey", Liar::GetSshPublicKey) => ("no such key", "no such key"),
            _ => return None,
        };
        if action == "ListGroupsForUser" && !self.round.wronged.insert(name(call).to_owned()) {
            return None;
        }
        if action == "GetSSHPublicKey" || self.random.one_in(3) {
            self.note(gone, call);
            return Some(Fault::no_such_entity("The user"));
        }
        self.note(what, call);
        let mut random = Random::of(self.random.next());
        let all = random.one_in(3);
        let random = Mutex::new(random);
        Some(Fault::drop_members(move |_| all || random.lock().unwrap().one_in(2)))
    }
}
