//! What holds for every account and every failure.

use proptest::prelude::*;

use super::*;

/// The members of `G` and of `H`, and how calls on a user or group are refused.
fn any_table() -> impl Strategy<Value = Table> {
    let members = || proptest::collection::btree_set("[a-f]", 0..6);
    let refused = proptest::collection::btree_map(
        (
            prop::sample::select(vec![
                "GetGroup",
                "ListGroupsForUser",
                "ListSSHPublicKeys",
                "GetSSHPublicKey",
            ]),
            "[a-fGH]",
        ),
        prop::sample::select(vec![Reason::Denied, Reason::NoAnswer]),
        0..8,
    );
    (members(), members(), refused).prop_map(|(in_g, in_h, refused)| {
        let mut table = Table::default();
        for name in in_g.union(&in_h) {
            let groups: Vec<&str> = [("G", &in_g), ("H", &in_h)]
                .into_iter()
                .filter(|(_, members)| members.contains(name))
                .map(|(group, _)| group)
                .collect();
            table = table.user(name, &groups);
        }
        for group in ["G", "H"] {
            table.groups.entry(group.to_owned()).or_insert((format!("AGPA{group}"), BTreeSet::new()));
        }
        for ((call, on), reason) in refused {
            let on = if call == "GetSSHPublicKey" { format!("APKA{on}") } else { on };
            table.refuse.insert((call, on), reason);
        }
        table
    })
}

proptest! {
    /// A failure never empties anything: users who are members now and were known stay, with at least the known keys. If the
    /// memberships could not be read, nothing changes at all.
    #[test]
    fn no_failure_loses_a_member_or_a_key(before in any_table(), after in any_table()) {
        let honest = Table { refuse: BTreeMap::new(), ..before };
        let known = run(&honest, None, 0);
        let account = run(&after, Some(&known), 5);
        let refused = ["G", "H"].map(|group| after.refuse.get(&("GetGroup", group.to_owned())).cloned());
        let failed = refused.contains(&Some(Reason::NoAnswer)) || refused == [Some(Reason::Denied), Some(Reason::Denied)];
        if failed {
            prop_assert_eq!(&Account { errors: Vec::new(), ..account.clone() }, &known);
            prop_assert!(!account.errors.is_empty());
        }
        for old in &known.users {
            let still = after.users.contains_key(&old.name);
            let new = account.users.iter().find(|user| user.id == old.id);
            prop_assert!(new.is_some() || !still, "{} lost", old.name);
            if let Some(new) = new {
                prop_assert_eq!(&new.keys, &old.keys);
            }
        }
    }

    /// Once nothing fails, the listing is right, whatever happened before, and a second refresh changes nothing.
    #[test]
    fn the_first_refresh_without_a_failure_is_the_truth(before in any_table(), after in any_table()) {
        let known = run(&before, None, 0);
        let truth = Table { refuse: BTreeMap::new(), ..after };
        let account = run(&truth, Some(&known), 5);
        let fresh = run(&truth, None, 5);
        prop_assert_eq!(&account, &fresh);
        let again = run(&truth, Some(&account), 5);
        prop_assert_eq!(&again, &account);
    }

    /// A single answer removes nothing, whoever has which name now: a source that asks by name would answer for another user.
    #[test]
    fn one_wrong_answer_removes_nobody_however_users_are_renamed(
        before in any_table(),
        names in Just(["a", "b", "c", "d", "e", "f"].map(str::to_owned).to_vec()).prop_shuffle(),
        forgotten in ("[GH]", "[a-f]"),
    ) {
        let honest = Table { refuse: BTreeMap::new(), ..before };
        let known = run(&honest, None, 0);
        let sorted = { let mut sorted = names.clone(); sorted.sort(); sorted };
        for is_by_id in [false, true] {
            let mut now = honest.clone();
            let present: Vec<String> = sorted.iter().filter(|name| now.users.contains_key(*name)).cloned().collect();
            let renamed: Vec<String> = names.iter().filter(|name| now.users.contains_key(*name)).cloned().collect();
            now.rename(&present, &renamed);
            let now = now.forgetting(&forgotten.0, &forgotten.1, 1);
            let account = if is_by_id { by_id(&ById(&now), &known, 5) } else { run(&now, Some(&known), 5) };
            let members = |account: &Account| account.groups.iter().map(|group| group.members.clone()).collect::<Vec<_>>();
            prop_assert_eq!(members(&account), members(&known), "by id: {}", is_by_id);
        }
    }
}
