//! For files that nobody ships.

use proptest::prelude::*;

use super::{disable, enable, enable_in};
use crate::edit::nsswitch::{self, Order};

fn service() -> impl Strategy<Value = String> {
    let name =
        prop::sample::select(vec!["files", "compat", "sss", "ldap", "winbind", "systemd", "altfiles", "db"]);
    let action = prop::sample::select(vec![
        "",
        "",
        "",
        " [NOTFOUND=return]",
        " [SUCCESS=merge]",
        " [!UNAVAIL=return]",
        "\t[SUCCESS=continue  UNAVAIL=return]",
    ]);
    (name, action).prop_map(|(name, action)| format!("{name}{action}"))
}

fn entry() -> impl Strategy<Value = String> {
    let database =
        prop::sample::select(vec!["passwd", "group", "shadow", "initgroups", "hosts", "#passwd", "sudoers"]);
    let blank = prop::sample::select(vec![" ", "\t", "   "]);
    let end = prop::sample::select(vec!["\n", " # note\n", "\t\n", "\r\n", ""]);
    (database, blank, prop::collection::vec(service(), 1..4), end).prop_map(
        |(database, blank, services, end)| format!("{database}:{blank}{}{end}", services.join(blank)),
    )
}

/// Bytes in any order and any encoding: a comment in Latin-1, a NUL, a byte order mark.
fn odd() -> impl Strategy<Value = Vec<u8>> {
    let foreign = prop::collection::vec(any::<u8>(), 0..12).prop_map(|bytes| [b"#", &bytes[..]].concat());
    prop_oneof![entry().prop_map(String::into_bytes), foreign, prop::collection::vec(any::<u8>(), 0..12)]
}

proptest! {
    #[test]
    fn bytes_of_any_encoding_come_back_as_they_were(lines in prop::collection::vec(odd(), 0..6)) {
        let text = lines.concat();
        if let Ok(enabled) = nsswitch::enable(&text, None) {
            prop_assert!(nsswitch::asks_iam(&enabled));
            prop_assert_eq!(nsswitch::disable(&enabled), text);
            prop_assert_eq!(nsswitch::enable(&enabled, None).unwrap(), enabled);
        }
    }

    #[test]
    fn disabling_gives_back_every_byte_of_any_file(lines in prop::collection::vec(entry(), 0..6)) {
        let text = lines.concat();
        for order in [Order::After, Order::Before] {
            if let Ok(enabled) = enable_in(&text, order) {
                prop_assert_eq!(disable(&enabled), text.as_str());
                prop_assert_eq!(enable_in(&enabled, order).unwrap(), enabled);
            }
        }
    }

    #[test]
    fn before_directories_local_accounts_still_win_and_the_order_stays(lines in prop::collection::vec(entry(), 0..6)) {
        let text = lines.concat();
        if let Ok(enabled) = enable_in(&text, Order::Before) {
            let (before, _) = nsswitch::directories(enabled.as_bytes());
            prop_assert_eq!(before, Vec::<String>::new());
            for line in ["passwd", "group"].into_iter().flat_map(|name| nsswitch::services(enabled.as_bytes(), name)) {
                let words: Vec<&str> = line.split(' ').collect();
                let iam = words.iter().position(|word| *word == "iam").unwrap();
                let local = words.iter().position(|word| ["files", "compat"].contains(word));
                prop_assert!(local.is_none_or(|local| local < iam), "{line}");
            }
            prop_assert_eq!(enable(&enabled).unwrap(), enabled);
        }
    }

    #[test]
    fn no_text_makes_it_fall_over(text in "(passwd|group|initgroups|shadow)?[: \\t]?[a-z\\[\\]{}=!# \\n\\t]{0,40}") {
        let _ = enable(&text);
        let _ = disable(&text);
    }
}
