//! What a listing says, apart from when it was read.

use listing::{FailureKind, Listing, WarningCode};
use sha2::{Digest as _, Sha256};

use crate::fetch::Content;

pub(super) type Digest = [u8; 32];

/// Equal for listings that differ only in times and in the words of a failure. A document counts as a whole: a signed one has a new
/// time of expiry only if it is another.
pub(super) fn of(listing: &Listing, document: Option<&Content>) -> Digest {
    let mut digest = Sha256::new();
    // It cannot fail: there is no map whose keys are not text.
    digest.update(serde_json::to_vec(&without_times(listing.clone())).unwrap_or_default());
    digest.update(document.map_or(&[][..], |document| &document.bytes));
    digest.finalize().into()
}

fn without_times(mut listing: Listing) -> Listing {
    listing.read = None;
    for account in &mut listing.accounts {
        account.as_of = None;
        for user in &mut account.users {
            user.confirmed = None;
        }
        // How many keys are left, and until when, differs each time.
        account.warnings.retain(|warning| warning.code != Some(WarningCode::KeysLeft));
        for failure in &mut account.errors {
            failure.cause.clear();
            failure.hint.clear();
            // Of many calls that had no answer, another can be named each time.
            if matches!(failure.kind, FailureKind::Unavailable | FailureKind::Other) {
                failure.on.clear();
            }
        }
    }
    listing
}

#[cfg(test)]
mod tests {
    use listing::{Account, Failure, User};

    use super::*;

    fn listing(seconds: i64, cause: &str) -> Listing {
        let at = jiff::Timestamp::from_second(seconds).ok();
        let failure = Failure {
            call: "iam:GetGroup".to_owned(),
            on: "Ops".to_owned(),
            cause: cause.to_owned(),
            hint: cause.to_owned(),
            kind: FailureKind::Unavailable,
            code: None,
            users: Vec::new(),
        };
        let user = User { id: "AIDA1".to_owned(), name: "ana".to_owned(), confirmed: at, ..User::default() };
        let account = Account { as_of: at, users: vec![user], errors: vec![failure], ..Account::default() };
        Listing { read: at, accounts: vec![account], ..Listing::default() }
    }

    #[test]
    fn times_and_words_do_not_count_and_everything_else_does() {
        let one = listing(1, "no answer");
        let mut of_another = one.clone();
        of_another.accounts[0].errors[0].on = "Dev".to_owned();
        assert_eq!(of(&one, None), of(&of_another, None));
        assert_eq!(of(&one, None), of(&listing(2, "no answer within 3 s"), None));
        let changes: [fn(&mut Listing); 6] = [
            |listing| listing.accounts[0].users[0].name = "bob".to_owned(),
            |listing| {
                listing.accounts[0].users[0].missing =
                    Some(listing::Missing { last: jiff::Timestamp::UNIX_EPOCH, times: 1, groups: Vec::new() })
            },
            |listing| listing.accounts[0].users.clear(),
            |listing| listing.accounts[0].errors.clear(),
            |listing| listing.accounts[0].errors[0].kind = FailureKind::Denied,
            |listing| listing.accounts[0].complete = true,
        ];
        for (at, change) in changes.into_iter().enumerate() {
            let mut other = one.clone();
            change(&mut other);
            assert_ne!(of(&one, None), of(&other, None), "{at}");
        }
        let document = |bytes: &[u8]| Content { bytes: bytes.to_vec(), etag: None };
        assert_ne!(of(&one, Some(&document(b"1"))), of(&one, Some(&document(b"2"))));
    }
}
