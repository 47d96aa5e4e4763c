//! `listing validate`: whether a document is one that the refresher would read.

use std::io::Write;
use std::path::Path;

use listing::regular::{Links, Unread};
use listing::{Listing, signed};
use message::Message;
use status::exit::HELD;

use crate::cli;
use crate::say::error::Error;
use crate::say::finding::written;
use crate::say::show::count;

pub(crate) fn run(args: &cli::Listing, out: &mut dyn Write) -> Result<u8, Error> {
    let cli::ListingCommand::Validate { file } = &args.command;
    let document = read(file)?;
    let refused = |cause: String, hint: &str| {
        Message::new(format!("'{}' is refused: {cause}", file.display())).with_hint(hint)
    };
    // Who may have signed it, only a host knows.
    let listing =
        signed::split(&document).map_err(|cause| refused(cause.to_string(), cause.hint())).and_then(
            |parts| Listing::parse(parts.json).map_err(|cause| refused(cause.to_string(), listing::FORMAT)),
        );
    match listing {
        Ok(listing) => {
            written(writeln!(out, "{}", counts(&listing)))?;
            Ok(crate::say::error::OK)
        }
        Err(message) => {
            crate::say::say(message);
            Ok(HELD)
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    match listing::read(file, Links::Follow) {
        Ok(read) => Ok(read.bytes),
        Err(Unread::Open(cause) | Unread::Read(cause)) => Err(Error::io("read", file, &cause)),
        Err(unread) => Err(Error::other(format!("'{}' is {unread}", file.display()))),
    }
}

/// `412 users, 9 groups, 530 keys, 3 of them inactive, of 2 accounts`
fn counts(listing: &Listing) -> String {
    let users: Vec<_> = listing.accounts.iter().flat_map(|account| &account.users).collect();
    let keys: Vec<_> = users.iter().flat_map(|user| &user.keys).collect();
    let groups = listing.accounts.iter().map(|account| account.groups.len()).sum();
    let inactive = match keys.iter().filter(|key| !key.active).count() {
        0 => String::new(),
        inactive => format!(", {inactive} of them inactive"),
    };
    format!(
        "{}, {}, {}{inactive}, of {}",
        count(users.len(), "user"),
        count(groups, "group"),
        count(keys.len(), "key"),
        count(listing.accounts.len(), "account")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validated(json: &str) -> (u8, String) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("users.json");
        std::fs::write(&file, json).unwrap();
        let mut out = Vec::new();
        let command = cli::ListingCommand::Validate { file };
        let status = run(&cli::Listing { command }, &mut out).unwrap();
        (status, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_listing_is_counted() {
        let keys = r#"[{"body": "x"}, {"id": "APKA1", "active": false}]"#;
        let json = format!(
            r#"{{"version": 1, "accounts": [{{"groups": [{{"id": "g", "name": "G", "members": ["1"]}}],
                "users": [{{"id": "1", "name": "ana", "keys": {keys}}}, {{"id": "2", "name": "bob"}}]}}]}}"#
        );
        assert_eq!(
            validated(&json),
            (0, "2 users, 1 group, 2 keys, 1 of them inactive, of 1 account\n".to_owned())
        );
    }

    #[test]
    fn what_is_no_listing_is_refused_with_line_and_column() {
        assert_eq!(validated("{\n \"version\": 1,\n \"acounts\": []}"), (65, String::new()));
        crate::say::SAID.with_borrow(|said| {
            assert!(said.contains("unknown field `acounts`") && said.contains("line 3"), "{said}");
        });
        for (file, why) in [("/nonexistent/x", "cannot read"), ("/dev/zero", "is not a regular file")] {
            let command = cli::ListingCommand::Validate { file: file.into() };
            let failed = run(&cli::Listing { command }, &mut Vec::new()).unwrap_err().to_string();
            assert!(failed.contains(why), "{failed}");
        }
    }
}
