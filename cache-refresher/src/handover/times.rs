//! The times in `listing.json`, and the record beside it: a source that only confirms what is there already changes the record,
//! and the listing stays as it is. Pure.

use std::io;

use jiff::Timestamp;
use listing::Listing;
use policy::confirmed::{self, ListingTimes, Moves};
use policy::offer;
use serde::Deserialize;

/// Parses `listing.json`, with the times that count now. A record that is damaged, or about another content, says nothing. `clock`
/// is for the half that did not write the record: to it, a time in the future says nothing. The other one must not forget what it
/// knows because of its clock.
///
/// # Errors
/// See [`Listing::parse`].
pub(super) fn parse(
    json: &[u8],
    record: Option<&[u8]>,
    clock: Option<Timestamp>,
) -> Result<Listing, listing::Error> {
    let mut listing = Listing::parse(json)?;
    let record = record.and_then(|text| ListingTimes::parse(str::from_utf8(text).ok()?));
    let Some(record) = record.filter(|record| record.digest == confirmed::digest(json)) else {
        return Ok(listing);
    };
    let later = |time: &mut Option<Timestamp>, moves: &Moves| {
        let now = time.and_then(seconds).map(|stored| match clock {
            Some(clock) => moves.later(stored, clock.as_second()),
            None => moves.now(stored).max(stored),
        });
        *time = now.and_then(|now| Timestamp::from_second(now).ok()).or(*time);
    };
    later(&mut listing.read, &record.accounts);
    for account in &mut listing.accounts {
        later(&mut account.as_of, &record.accounts);
        account.users.iter_mut().for_each(|user| later(&mut user.confirmed, &record.users));
    }
    Ok(listing)
}

/// Whole seconds; a record has no other times.
fn seconds(time: Timestamp) -> Option<i64> {
    (time.subsec_nanosecond() == 0).then(|| time.as_second())
}

/// The record by which `json` says the same as `listing`, if they differ in nothing but times, and these became later, but not later
/// than `clock`. The listing gets other times meanwhile.
pub(super) fn record(json: &[u8], listing: &mut Listing, clock: Timestamp) -> Option<ListingTimes> {
    // Only the times are read: of many users, a second listing would be large.
    let mut times: Times = serde_json::from_slice(json).ok()?;
    let is_same = times.swap(listing) && is_written_as(listing, json);
    times.swap(listing);
    let (accounts, users) = if is_same { times.moves(listing, clock)? } else { return None };
    Some(ListingTimes { digest: confirmed::digest(json), accounts, users })
}

/// The times in a listing, in its order.
#[derive(Debug, Deserialize)]
struct Times {
    read: Option<Timestamp>,
    accounts: Vec<OfAccount>,
}

#[derive(Debug, Deserialize)]
struct OfAccount {
    as_of: Option<Timestamp>,
    users: Vec<OfUser>,
}

#[derive(Debug, Deserialize)]
struct OfUser {
    confirmed: Option<Timestamp>,
}

impl Times {
    /// Exchanges the times of as many accounts and users as both have. Returns whether there are equally many.
    fn swap(&mut self, listing: &mut Listing) -> bool {
        std::mem::swap(&mut self.read, &mut listing.read);
        let mut are_as_many = self.accounts.len() == listing.accounts.len();
        for (times, account) in self.accounts.iter_mut().zip(&mut listing.accounts) {
            std::mem::swap(&mut times.as_of, &mut account.as_of);
            are_as_many &= times.users.len() == account.users.len();
            for (times, user) in times.users.iter_mut().zip(&mut account.users) {
                std::mem::swap(&mut times.confirmed, &mut user.confirmed);
            }
        }
        are_as_many
    }

    /// What has become of the times of accounts and of users.
    fn moves(&self, listing: &Listing, clock: Timestamp) -> Option<(Moves, Moves)> {
        let accounts = || self.accounts.iter().zip(&listing.accounts);
        let users = accounts().flat_map(|(times, account)| times.users.iter().zip(&account.users));
        let of_accounts = accounts().map(|(times, account)| (times.as_of, account.as_of));
        let of_accounts = moves(of_accounts.chain([(self.read, listing.read)]), clock)?;
        Some((of_accounts, moves(users.map(|(times, user)| (times.confirmed, user.confirmed)), clock)?))
    }
}

/// None if one stored time has several new ones, an earlier one, one in the future, or one that a record cannot have.
fn moves(
    pairs: impl Iterator<Item = (Option<Timestamp>, Option<Timestamp>)>,
    clock: Timestamp,
) -> Option<Moves> {
    let is_later = |stored: Timestamp, now: Timestamp| {
        stored < now && !offer::is_in_future(now.as_second(), clock.as_second())
    };
    let pair = |(stored, now): (Option<Timestamp>, Option<Timestamp>)| match (stored, now) {
        (None, None) => Ok(None),
        (Some(stored), Some(now)) if stored == now && seconds(now).is_none() => Ok(None),
        (Some(stored), Some(now)) if stored == now || is_later(stored, now) => {
            Ok(Some((seconds(stored).ok_or(())?, seconds(now).ok_or(())?)))
        }
        _ => Err(()),
    };
    let pairs: Vec<(i64, i64)> =
        pairs.map(pair).filter_map(Result::transpose).collect::<Result<_, ()>>().ok()?;
    Moves::between(pairs)
}

/// Whether the listing is written in these bytes.
fn is_written_as(listing: &Listing, json: &[u8]) -> bool {
    let mut expected = Expected(json);
    serde_json::to_writer(&mut expected, listing).is_ok() && expected.0.is_empty()
}

/// Bytes that are expected to be written; others are refused.
struct Expected<'a>(&'a [u8]);

impl io::Write for Expected<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.strip_prefix(bytes).ok_or(io::ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use listing::{Account, Key, User};
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_795_000_000;

    fn at(seconds: i64) -> Option<Timestamp> {
        Timestamp::from_second(NOW + seconds).ok()
    }

    /// A listing that was read at a time, with users who were read at these times.
    fn listing(read: i64, confirmed: &[i64]) -> Listing {
        let users = confirmed.iter().zip(0..).map(|(&confirmed, number)| User {
            id: format!("AIDA{number}"),
            name: format!("user{number}"),
            confirmed: at(confirmed),
            keys: vec![Key { id: "APKA".to_owned(), active: true, body: "ssh-ed25519 AAAA".to_owned() }],
            ..User::default()
        });
        let account = Account { as_of: at(read), users: users.collect(), ..Account::default() };
        let source = "iam:".to_owned();
        Listing {
            version: listing::VERSION,
            source,
            read: at(read),
            accounts: vec![account],
            ..Listing::default()
        }
    }

    fn json(listing: &Listing) -> Vec<u8> {
        serde_json::to_vec(listing).unwrap()
    }

    /// The record by which the first becomes the second.
    fn record_of(stored: &Listing, next: &Listing) -> Option<String> {
        let mut same = next.clone();
        let record = record(&json(stored), &mut same, at(300).unwrap());
        assert_eq!(&same, next, "it has its own times again");
        record.map(|record| record.to_string())
    }

    fn read(stored: &Listing, record: &str, clock: i64) -> Listing {
        parse(&json(stored), Some(record.as_bytes()), at(clock)).unwrap()
    }

    #[test]
    fn what_was_only_confirmed_is_read_as_if_it_had_been_written() {
        let stored = listing(0, &[0, 0, -300, 0]);
        for next in [
            listing(300, &[300, 300, 300, 300]),
            listing(300, &[300, 300, -300, 300]),
            listing(300, &[0, 0, 300, 0]),
            listing(0, &[0, 0, -300, 0]),
        ] {
            let record = record_of(&stored, &next).unwrap();
            assert!(record.len() < 400, "{record}");
            assert_eq!(read(&stored, &record, 300), next);
        }
    }

    #[test]
    fn a_time_that_would_become_two_or_earlier_is_written() {
        let stored = listing(0, &[0, 0, -300]);
        for next in [
            listing(300, &[300, 0, 300]),
            listing(300, &[300, 200, 300]),
            listing(-1, &[0, 0, -300]),
            listing(300, &[300, 300, -301]),
        ] {
            assert_eq!(record_of(&stored, &next), None, "{next:?}");
        }
    }

    #[test]
    fn whatever_else_differs_is_written() {
        let (stored, next) = (listing(0, &[0, 0]), listing(300, &[300, 300]));
        let changes: [fn(&mut Listing); 12] = [
            |listing| listing.source = "file:///srv/users.json".to_owned(),
            |listing| listing.read = None,
            |listing| listing.accounts[0].as_of = None,
            |listing| listing.accounts[0].complete ^= true,
            |listing| listing.accounts.push(Account { name: "b".to_owned(), ..Account::default() }),
            |listing| listing.accounts.clear(),
            |listing| drop(listing.accounts[0].users.pop()),
            |listing| listing.accounts[0].users.push(User::default()),
            |listing| listing.accounts[0].users.swap(0, 1),
            |listing| listing.accounts[0].users[1].confirmed = None,
            |listing| listing.accounts[0].users[1].keys[0].active = false,
            |listing| listing.accounts[0].users[1].keys[0].body.push('A'),
        ];
        for (at, change) in changes.into_iter().enumerate() {
            let mut other = next.clone();
            change(&mut other);
            assert_eq!(record_of(&stored, &other), None, "{at}");
            assert_eq!(record_of(&other, &next), None, "{at}");
        }
        for damaged in [
            &b""[..],
            b"{}",
            b"{\"accounts\":[]}",
            &json(&stored)[1..],
            &[json(&stored), b" ".to_vec()].concat(),
        ] {
            assert_eq!(record(damaged, &mut next.clone(), at(300).unwrap()), None);
        }
    }

    #[test]
    fn times_with_fractions_of_a_second_stay_as_they_are_or_are_written() {
        let half = |seconds| at(seconds).unwrap().checked_add(jiff::SignedDuration::from_millis(500)).ok();
        let (mut stored, mut next) = (listing(0, &[0, 0]), listing(300, &[300, 0]));
        stored.accounts[0].users[1].confirmed = half(0);
        next.accounts[0].users[1].confirmed = half(0);
        let record = record_of(&stored, &next).unwrap();
        assert_eq!(read(&stored, &record, 300), next);
        next.accounts[0].users[1].confirmed = at(300);
        assert_eq!(record_of(&stored, &next), None);
        next.accounts[0].users[1].confirmed = half(300);
        assert_eq!(record_of(&stored, &next), None);
    }

    #[test]
    fn a_record_of_another_listing_or_a_damaged_one_says_nothing() {
        let (stored, next) = (listing(0, &[0]), listing(300, &[300]));
        let record = record_of(&stored, &next).unwrap();
        let mut revoked = stored.clone();
        revoked.accounts[0].users[0].keys.clear();
        assert_eq!(read(&revoked, &record, 300), revoked);
        let spaced = [json(&stored), b" ".to_vec()].concat();
        assert_eq!(parse(&spaced, Some(record.as_bytes()), at(300)).unwrap(), stored);
        for damaged in [&b""[..], &record.as_bytes()[1..], &record.as_bytes()[..record.len() - 1], b"\xff"] {
            assert_eq!(parse(&json(&stored), Some(damaged), at(300)).unwrap(), stored);
        }
        assert_eq!(parse(&json(&stored), None, at(300)).unwrap(), stored);
    }

    #[test]
    fn a_record_makes_nothing_older_and_nothing_newer_than_now() {
        let (stored, next) = (listing(0, &[-9]), listing(300, &[300]));
        let record = record_of(&stored, &next).unwrap();
        assert_eq!(read(&stored, &record, 0), next, "clocks may differ by as much");
        assert_eq!(read(&stored, &record, -1), stored);
        let back = record.replace(" 300\n", " -300\n").replace(" 309\n", " -309\n");
        assert!(back != record && ListingTimes::parse(&back).is_some());
        assert_eq!(read(&stored, &back, 300), stored);
        assert_eq!(parse(&json(&stored), Some(back.as_bytes()), None).unwrap(), stored);
    }

    /// The clock is set right after the host has read its source, or before. Whoever wrote a time must not lose it by that.
    #[test]
    fn the_half_that_wrote_a_time_does_not_forget_it_whatever_its_clock_says() {
        let (stored, next) = (listing(0, &[0]), listing(300, &[300]));
        let text = record_of(&stored, &next).unwrap();
        assert_eq!(parse(&json(&stored), Some(text.as_bytes()), None).unwrap(), next);
        // An hour ago, the source cannot be read, and the listing has the same times, which are then written.
        assert_eq!(record(&json(&stored), &mut next.clone(), at(-3600).unwrap()), None);
        assert_eq!(
            record(&json(&next), &mut next.clone(), at(-3600).unwrap()).map(|record| record.users),
            Some(Moves::default())
        );
    }

    #[test]
    fn a_time_in_the_future_is_written() {
        let stored = listing(0, &[0]);
        assert_eq!(record_of(&stored, &listing(300, &[601])), None);
        assert_eq!(record_of(&stored, &listing(601, &[300])), None);
        assert!(record_of(&stored, &listing(600, &[600])).is_some());
    }

    proptest! {
        #[test]
        fn a_listing_that_stays_is_read_as_the_one_that_was_not_written(
            stored in prop::collection::vec(-9..9_i64, 0..5), next in prop::collection::vec(-9..9_i64, 0..5), read_at in 0..9_i64,
        ) {
            let (stored, next) = (listing(0, &stored), listing(read_at, &next));
            if let Some(record) = record_of(&stored, &next) {
                prop_assert_eq!(read(&stored, &record, 9), next);
            }
        }
    }
}
