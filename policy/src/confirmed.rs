//! The record `confirmed`: at which times a source confirmed again what `keys.db` and `state.db` contain, so that a refresh
//! without news need not write these files. Each entry names the content that it is about, so it says nothing about any
//! other file, such as an older one that was restored. The fetch half has one of its own, about `listing.json`.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};

use crate::offer;

/// The name of the file, in the directory of the cache and in that of the fetch half.
pub const NAME: &str = "confirmed";

/// The largest record that is read, in bytes.
pub const MAX_SIZE: u64 = 16 << 10;

/// How many ranges of times an entry can have. If there are more, the file is written again.
const MOST: usize = 64;

const FIRST: &str = "nss-iam confirmed 1";
const LAST: &str = "end";

/// What identifies the content of a file: SHA-256 over its values, in hexadecimal digits.
#[derive(Debug, Default)]
pub struct Content {
    hash: Sha256,
    waiting: Vec<u8>,
}

impl Content {
    /// Adds a text. Its length comes first, so no two sequences of texts are the same bytes.
    pub fn text(&mut self, text: &str) {
        self.count(text.len());
        self.waiting.extend_from_slice(text.as_bytes());
        if self.waiting.len() > 16 << 10 {
            self.hash.update(&self.waiting);
            self.waiting.clear();
        }
    }

    /// Adds texts and their number.
    pub fn texts<'a>(&mut self, texts: impl ExactSizeIterator<Item = &'a str>) {
        self.count(texts.len());
        texts.for_each(|text| self.text(text));
    }

    /// Adds a number.
    pub fn number(&mut self, number: i64) {
        self.waiting.extend_from_slice(&number.to_be_bytes());
    }

    /// Adds how many values follow.
    pub fn count(&mut self, count: usize) {
        self.number(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Adds a number that may be missing.
    pub fn optional(&mut self, number: Option<i64>) {
        self.number(i64::from(number.is_some()));
        self.number(number.unwrap_or_default());
    }

    /// The digest.
    #[must_use]
    pub fn digest(mut self) -> String {
        self.hash.update(&self.waiting);
        hexadecimal(self.hash)
    }
}

/// SHA-256 of bytes, in hexadecimal digits: it identifies a file that is compared as a whole.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    hexadecimal(Sha256::new_with_prefix(bytes))
}

fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Ranges of stored times, in seconds since 1970, and how much later each time in them is now. Other stored times count as they are.
///
/// With `keys_every`, a file has many times, and those that were confirmed in the same period all became later by this period: each
/// such range is one line, however many times are in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moves(BTreeMap<i64, Range>);

/// Of stored times, from the one that it is filed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    /// The last time in it.
    last: i64,
    /// How many seconds later all of them are.
    later: i64,
}

impl Moves {
    /// From pairs of a stored time and the time that counts now. None if one stored time would have to become two, or if
    /// there are too many.
    #[must_use]
    pub fn between(pairs: impl IntoIterator<Item = (i64, i64)>) -> Option<Self> {
        let mut times = BTreeMap::new();
        for (stored, now) in pairs {
            if *times.entry(stored).or_insert(now) != now {
                return None;
            }
        }
        let mut ranges: Vec<(i64, Range)> = Vec::new();
        for (stored, now) in times {
            let later = now.checked_sub(stored)?;
            match ranges.last_mut() {
                Some((_, range)) if range.later == later => range.last = stored,
                _ => ranges.push((stored, Range { last: stored, later })),
            }
        }
        ranges.retain(|(_, range)| range.later != 0);
        (ranges.len() <= MOST).then(|| Self(ranges.into_iter().collect()))
    }

    /// How many ranges there are.
    #[must_use]
    pub fn ranges(&self) -> usize {
        self.0.len()
    }

    /// The time that counts for what is stored with the time `stored`.
    #[must_use]
    pub fn now(&self, stored: i64) -> i64 {
        let range = self.0.range(..=stored).next_back().filter(|(_, range)| stored <= range.last);
        range.map_or(stored, |(_, range)| stored.saturating_add(range.later))
    }

    /// The same at the time `clock`, for a record that another user writes: only a later time counts, and none in the future.
    #[must_use]
    pub fn later(&self, stored: i64, clock: i64) -> i64 {
        let now = self.now(stored);
        if now < stored || offer::is_in_future(now, clock) { stored } else { now }
    }
}

/// What is known about one content of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// See [`Content`].
    pub digest: String,
    /// Of `state.db`: until when assigned names were checked again on the host, seconds since 1970. Of `keys.db`: 0.
    pub asked: i64,
    /// The times of confirmation.
    pub moves: Moves,
}

/// The whole record. A default one says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// About `keys.db`.
    pub keys: Option<Entry>,
    /// About `state.db`: before it is saved, both the present and the next content.
    pub state: Vec<Entry>,
}

impl Record {
    /// Reads a record; none if it has any other form, so that the times in the files count.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut record = Self::default();
        for (file, entry) in entries(text)? {
            match file {
                "keys" => record.keys = Some(entry),
                "state" => record.state.push(entry),
                _ => return None,
            }
        }
        Some(record)
    }

    /// The times for a `keys.db` with this digest.
    #[must_use]
    pub fn of_keys(&self, digest: &str) -> Option<&Entry> {
        self.keys.as_ref().filter(|entry| entry.digest == digest)
    }

    /// The times for a `state.db` with this digest.
    #[must_use]
    pub fn of_state(&self, digest: &str) -> Option<&Entry> {
        self.state.iter().find(|entry| entry.digest == digest)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys.iter().map(|entry| ("keys", entry));
        write(f, keys.chain(self.state.iter().map(|entry| ("state", entry))))
    }
}

/// The record about a `listing.json`. Who writes it can also write that file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingTimes {
    /// See [`digest`].
    pub digest: String,
    /// The times of the document and of its accounts: `read` and `as_of`.
    pub accounts: Moves,
    /// The times of its users: `confirmed`.
    pub users: Moves,
}

impl ListingTimes {
    /// Reads a record; none if it has any other form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match <[_; 2]>::try_from(entries(text)?).ok()? {
            [("accounts", accounts), ("users", users)] if accounts.digest == users.digest => {
                Some(Self { digest: users.digest, accounts: accounts.moves, users: users.moves })
            }
            _ => None,
        }
    }
}

impl fmt::Display for ListingTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { digest, accounts, users } = self.clone();
        let [accounts, users] =
            [accounts, users].map(|moves| Entry { digest: digest.clone(), asked: 0, moves });
        write(f, [("accounts", &accounts), ("users", &users)].into_iter())
    }
}

/// What each entry is about, and the entry.
fn entries(text: &str) -> Option<Vec<(&str, Entry)>> {
    let mut lines = text.strip_suffix('\n')?.split('\n');
    if lines.next() != Some(FIRST) || lines.next_back() != Some(LAST) {
        return None;
    }
    let mut entries: Vec<(&str, Entry)> = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            [about, digest, asked] if is_digest(digest) => {
                let (digest, asked) = ((*digest).to_owned(), asked.parse().ok()?);
                entries.push((about, Entry { digest, asked, moves: Moves::default() }));
            }
            [first, last, later] => {
                let (_, entry) = entries.last_mut()?;
                let range = Range { last: last.parse().ok()?, later: later.parse().ok()? };
                entry.moves.0.insert(first.parse().ok()?, range);
            }
            _ => return None,
        }
    }
    Some(entries)
}

fn write<'a>(f: &mut fmt::Formatter<'_>, entries: impl Iterator<Item = (&'a str, &'a Entry)>) -> fmt::Result {
    writeln!(f, "{FIRST}")?;
    for (about, Entry { digest, asked, moves }) in entries {
        writeln!(f, "{about} {digest} {asked}")?;
        for (first, Range { last, later }) in &moves.0 {
            writeln!(f, "{first} {last} {later}")?;
        }
    }
    writeln!(f, "{LAST}")
}

fn is_digest(word: &str) -> bool {
    word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digest(text: &str) -> String {
        let mut content = Content::default();
        content.text(text);
        content.digest()
    }

    fn moves() -> impl Strategy<Value = Moves> {
        let range = (any::<i64>(), any::<i64>()).prop_map(|(last, later)| Range { last, later });
        prop::collection::btree_map(any::<i64>(), range, 0..4).prop_map(Moves)
    }

    prop_compose! {
        fn entry()(moves in moves(), asked: i64, digest in "[0-9a-f]{64}") -> Entry {
            Entry { digest, asked, moves }
        }
    }

    proptest! {
        #[test]
        fn a_record_is_read_back_and_a_cut_one_says_nothing(
            keys in prop::option::of(entry()), state in prop::collection::vec(entry(), 0..3), cut in 0..200_usize,
            of_accounts in moves(), of_users in entry(),
        ) {
            let listing = ListingTimes { digest: of_users.digest, accounts: of_accounts, users: of_users.moves };
            let record = Record { keys, state };
            let (text, of_listing) = (record.to_string(), listing.to_string());
            prop_assert_eq!(ListingTimes::parse(&text), None);
            prop_assert_eq!(Record::parse(&of_listing), None);
            prop_assert_eq!(Record::parse(&text), Some(record));
            prop_assert_eq!(ListingTimes::parse(&of_listing), Some(listing));
            let short = |text: &str| text.len().checked_sub(cut + 1).map(|end| text[..end].to_owned());
            prop_assert_eq!(short(&text).and_then(|text| Record::parse(&text)), None);
            prop_assert_eq!(short(&of_listing).and_then(|text| ListingTimes::parse(&text)), None);
        }

        #[test]
        fn a_record_of_another_user_only_makes_times_later_and_none_later_than_now(
            stored in -9..9_i64, now in -9..9_i64, ahead in -400..400_i64,
        ) {
            let later = Moves::between([(stored, now)]).unwrap().later(stored, now - ahead);
            prop_assert_eq!(later, if now > stored && ahead <= 300 { now } else { stored });
        }

        #[test]
        fn moves_give_each_stored_time_the_one_that_counts_or_there_are_none(
            pairs in prop::collection::vec((0..5_i64, 0..5_i64), 0..6),
        ) {
            match Moves::between(pairs.clone()) {
                Some(moves) => prop_assert!(pairs.iter().all(|&(stored, now)| moves.now(stored) == now)),
                None => prop_assert!(pairs.iter().any(|one| pairs.iter().any(|two| one.0 == two.0 && one.1 != two.1))),
            }
        }
    }

    #[test]
    fn times_that_became_later_by_the_same_time_are_one_range() {
        let moves =
            Moves::between([(10, 910), (40, 40), (20, 920), (30, 930), (50, 950), (60, 961)]).unwrap();
        let range = |first, last, later| (first, Range { last, later });
        assert_eq!(moves.0, [range(10, 30, 900), range(50, 50, 900), range(60, 60, 901)].into());
        let of = |stored| moves.now(stored) - stored;
        let all = [9, 10, 15, 30, 31, 40, 50, 51, 60].map(of);
        assert_eq!(all, [0, 900, 900, 900, 0, 0, 900, 0, 901]);
        assert_eq!(Moves::between([(i64::MIN, i64::MAX)]), None);
        assert_eq!(Moves([range(0, i64::MAX, i64::MAX)].into()).now(1), i64::MAX);
    }

    #[test]
    fn too_many_ranges_are_no_moves() {
        let most = i64::try_from(MOST).unwrap();
        let times = |count| (0..count).map(|time| (1_795_000_000 + time, 1_795_001_000 + 2 * time));
        let record = Record {
            keys: None,
            state: vec![Entry { moves: Moves::between(times(most)).unwrap(), ..Entry::default() }],
        };
        assert!(record.to_string().len() * 3 < usize::try_from(MAX_SIZE).unwrap());
        assert_eq!(Moves::between(times(most + 1)), None);
        let same = (10_000..11_000).map(|time| (time, time));
        assert_eq!(Moves::between(times(most).chain(same)), Moves::between(times(most)));
    }

    #[test]
    fn an_entry_is_about_one_content_only() {
        let entry = Entry { digest: digest("a"), asked: 0, moves: Moves::between([(1, 2)]).unwrap() };
        let record = Record { keys: Some(entry.clone()), state: vec![entry.clone()] };
        assert_eq!(record.of_keys(&digest("a")), Some(&entry));
        assert_eq!((record.of_keys(&digest("b")), record.of_state(&digest("b"))), (None, None));
        assert_eq!(record.of_keys(""), None);
    }

    #[test]
    fn the_digest_of_a_file_is_that_of_sha256sum() {
        let expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!((super::digest(b"").as_str(), super::digest(b"a") == expected), (expected, false));
    }

    #[test]
    fn a_record_of_a_listing_is_about_one_content_and_nothing_else() {
        let entry = |about, digit: &str| format!("{about} {} 0\n1 2 3\n", digit.repeat(64));
        let (accounts, users) = (entry("accounts", "0"), entry("users", "0"));
        let parsed = |body: &str| ListingTimes::parse(&format!("{FIRST}\n{body}{LAST}\n"));
        assert!(parsed(&format!("{accounts}{users}")).is_some());
        for body in ["", &accounts, &users] {
            assert_eq!(parsed(body), None, "{body}");
        }
        for body in [[&users, &accounts], [&accounts, &accounts], [&accounts, &entry("users", "1")]] {
            assert_eq!(parsed(&body.map(String::as_str).concat()), None, "{body:?}");
        }
        assert_eq!(parsed(&[&accounts, &users, &users].map(String::as_str).concat()), None);
    }

    #[test]
    fn a_digest_tells_where_a_text_ends() {
        let of = |texts: &[&str]| {
            let mut content = Content::default();
            texts.iter().for_each(|text| content.text(text));
            content.digest()
        };
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        let long = "x".repeat(40_000);
        assert_ne!(of(&[&long, "a"]), of(&[&long, "b"]));
    }

    #[test]
    fn anything_else_is_no_record() {
        let entry = format!("keys {} 0\n", "0".repeat(64));
        let text = |body: &str| format!("{FIRST}\n{body}{LAST}\n");
        assert_eq!(Record::parse(&text("")), Some(Record::default()));
        assert!(Record::parse(&text(&format!("{entry}1 2 3\n"))).is_some());
        for body in [
            "1 2 3\n",
            "keys 00 0\n",
            "x\n",
            "\n",
            &format!("{entry}1\n"),
            &format!("{entry}1 2\n"),
            &format!("{entry}1 2 x\n"),
            &format!("{entry}1 2 3 4\n"),
        ] {
            assert_eq!(Record::parse(&text(body)), None, "{body}");
        }
        assert_eq!(Record::parse(&format!("nss-iam confirmed 2\n{LAST}\n")), None);
    }
}
