//! What to do about a message is kept apart from it until both are printed, in one place: what is put together earlier has
//! to be cut again, and then a text from elsewhere can pass for a hint.

use tests::literals;

/// Of all that is shipped.
const SHIPPED: [&str; 12] = [
    "cache-refresher/src",
    "cache/src",
    "claims/src",
    "config/src",
    "keys-cmd/src",
    "listing/src",
    "message/src",
    "nss-iam/src",
    "nss-iamctl/src",
    "policy/src",
    "reader/src",
    "status/src",
];

/// Where the two are put together.
const PRINTED: &str = "message/src/lib.rs";

/// As it is written: an escaped new line, or one behind a backslash, may stand between the lines.
fn has_hint(literal: &str) -> bool {
    let mut lines = literal.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let text = lines.fold(first, |text, line| text + line.trim_start());
    ["\\nhint:", "\nhint:"].iter().any(|hint| text.contains(hint))
}

#[test]
fn no_message_is_put_together_with_its_hint_but_where_it_is_printed() {
    let files = literals::files(&SHIPPED, &[PRINTED]);
    assert!(files.len() > 150, "this test looks for files in the wrong place: {files:?}");
    assert_eq!(literals::found(&files, has_hint), [""; 0]);
    let printed = literals::found(&literals::files(&[PRINTED], &[]), has_hint);
    assert_eq!(printed.len(), 1, "{printed:?}");
}

#[test]
fn a_hint_is_found_however_it_is_written() {
    let code = r##"
        fn f() {
            g("one\nhint: x", "no hint: x", format!("two {x}\nhint: {y}"));
            h("three\n\
               hint: x", r#"four
hint: x"#, "/// a\n b");
        }
    "##;
    assert_eq!(literals::texts(code).into_iter().filter(|text| has_hint(text)).count(), 4);
}
