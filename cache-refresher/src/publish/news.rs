//! Whether a listing says anything new. Pure.

use listing::{Account, Failure, Listing, User};

/// Whether users, groups, ids, completeness or kinds of errors differ. Times do not count.
pub(super) fn is_news(present: &Listing, next: &Listing) -> bool {
    essence(present) != essence(next)
}

fn essence(listing: &Listing) -> Listing {
    Listing {
        version: listing.version,
        source: listing.source.clone(),
        fleet: listing.fleet.clone(),
        ids: listing.ids.clone(),
        accounts: listing.accounts.iter().map(of_account).collect(),
        ..Listing::default()
    }
}

fn of_account(account: &Account) -> Account {
    let mut account = Account { as_of: None, warnings: Vec::new(), ..account.clone() };
    account.groups.sort_by(|one, other| one.id.cmp(&other.id));
    for group in &mut account.groups {
        group.members.sort();
    }
    account.users = account.users.into_iter().map(|user| User { confirmed: None, ..user }).collect();
    account.users.sort_by(|one, other| one.id.cmp(&other.id));
    account.errors = account.errors.into_iter().map(kind_of).collect();
    account.errors.sort_by_key(|failure| (failure.call.clone(), failure.code()));
    account.errors.dedup();
    account
}

/// Texts name requests and times.
fn kind_of(failure: Failure) -> Failure {
    let (on, cause, hint) = Default::default();
    Failure { on, cause, hint, users: Vec::new(), ..failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(text: &str) -> Listing {
        Listing::parse(text.as_bytes()).unwrap()
    }

    const BASE: &str = r#"{"version": 1, "source": "iam:", "read": "2026-11-27T12:00:00Z", "fleet": "f", "generation": 1,
        "issued": "2026-11-27T12:00:00Z", "expires": "2026-11-28T12:00:00Z", "ids": {"1": 2000}, "accounts": [
        {"as_of": "2026-11-27T12:00:00Z", "groups": [{"id": "g", "name": "G", "members": ["1", "2"]}],
        "users": [{"id": "1", "name": "ana", "confirmed": "2026-11-27T12:00:00Z"}, {"id": "2", "name": "bob"}],
        "errors": [{"call": "c", "on": "a", "cause": "at 12:00", "kind": "denied"}]}]}"#;

    #[test]
    fn times_and_orders_are_no_news_and_everything_else_is() {
        let base = listing(BASE);
        for (from, to, news) in [
            ("12:00:00Z", "13:00:00Z", false),
            ("\"generation\": 1", "\"generation\": 2", false),
            (r#"["1", "2"]"#, r#"["2", "1"]"#, false),
            ("at 12:00", "at 13:00", false),
            (r#""on": "a""#, r#""on": "b""#, false),
            (
                r#""kind": "denied"}"#,
                r#""kind": "denied"}, {"call": "c", "on": "b", "cause": "x", "kind": "denied"}"#,
                false,
            ),
            ("denied", "held", true),
            ("bob", "eve", true),
            (r#"["1", "2"]"#, r#"["1"]"#, true),
            (r#"{"1": 2000}"#, r#"{"1": 2001}"#, true),
            (r#"{"1": 2000}"#, r#"{"1": 2000, "2": 2001}"#, true),
            (r#"{"as_of""#, r#"{"complete": false, "as_of""#, true),
            (r#""name": "bob""#, r#""name": "bob", "keys": [{"body": "x"}]"#, true),
            (
                r#""name": "bob""#,
                r#""name": "bob", "missing": {"last": "2026-11-27T12:00:00Z", "times": 1}"#,
                true,
            ),
        ] {
            assert!(BASE.contains(from), "{from}");
            assert_eq!(is_news(&base, &listing(&BASE.replace(from, to))), news, "{from} -> {to}");
        }
    }
}
