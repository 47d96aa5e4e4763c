//! The pages of a list.

/// The largest page size that GetGroup and GetAccountAuthorizationDetails accept. The default is 100.
pub(super) const PAGE: i32 = 1000;

/// IAM allows 5000 users in an account, and pages may be small. With more pages, the list probably has no end.
const MOST_PAGES: u32 = 5000;

/// Walks through the pages of one list, and stops even if the list has no end.
#[derive(Debug, Default)]
pub(super) struct Pages {
    state: State,
    turned: u32,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    First,
    Next(String),
    Done,
}

impl Pages {
    /// The Marker of the next request. The outer `None` means that there are no more pages.
    pub(super) fn next(&self) -> Option<Option<String>> {
        match &self.state {
            State::First => Some(None),
            State::Next(marker) => Some(Some(marker.clone())),
            State::Done => None,
        }
    }

    /// How many pages were read.
    pub(super) fn turned(&self) -> usize {
        self.turned as usize
    }

    /// The error is what is wrong with the answer.
    pub(super) fn turn(&mut self, truncated: bool, marker: Option<String>) -> Result<(), &'static str> {
        self.turned += 1;
        let next = match marker {
            _ if !truncated => State::Done,
            Some(marker) if !marker.is_empty() => State::Next(marker),
            _ => return Err("a page says that more follow, but not where"),
        };
        if next == self.state || self.turned >= MOST_PAGES && next != State::Done {
            return Err("its pages have no end");
        }
        self.state = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_walked_to_the_one_that_is_not_truncated() {
        let mut pages = Pages::default();
        assert_eq!(pages.next(), Some(None));
        pages.turn(true, Some("a".to_owned())).unwrap();
        assert_eq!(pages.next(), Some(Some("a".to_owned())));
        pages.turn(false, Some("ignored".to_owned())).unwrap();
        assert_eq!(pages.next(), None);
    }

    #[test]
    fn pages_that_never_end_are_a_contradiction_and_no_endless_loop() {
        let mut same = Pages::default();
        same.turn(true, Some("a".to_owned())).unwrap();
        assert_eq!(same.turn(true, Some("a".to_owned())).unwrap_err(), "its pages have no end");

        let mut circle = Pages::default();
        let turns = (0..).take_while(|turn| circle.turn(true, Some((turn % 2).to_string())).is_ok()).count();
        assert_eq!(turns, MOST_PAGES as usize - 1);

        let mut nowhere = Pages::default();
        assert_eq!(nowhere.turn(true, None).unwrap_err(), "a page says that more follow, but not where");
    }
}
