//! A message and its hint are joined only when they are printed, in one place. If they were joined earlier, they would have to
//! be split again, and text from elsewhere could pass for a hint.

use tests::literals;

/// The sources of everything that is shipped.
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

/// The file that joins the two; and the log line of keys-cmd, which has no messages, with its reader.
const PRINTED: &str = "message/src/lib.rs";
const LOGGED: &str = "policy/src/no_key.rs";

/// For a literal as it is in the source: between its lines there can be an escaped newline, or a newline after a backslash.
fn has_hint(literal: &str) -> bool {
    let mut lines = literal.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let text = lines.fold(first, |text, line| text + line.trim_start());
    ["\\nhint:", "\nhint:", "; hint:"].iter().any(|hint| text.contains(hint))
}

#[test]
fn no_message_is_put_together_with_its_hint_but_where_it_is_printed() {
    let files = literals::files(&SHIPPED, &[PRINTED, LOGGED]);
    assert!(files.len() > 150, "this test looks for files in the wrong place: {files:?}");
    assert_eq!(literals::found(&files, has_hint), [""; 0]);
    let printed = literals::found(&literals::files(&[PRINTED], &[]), has_hint);
    assert_eq!(printed.len(), 2, "{printed:?}");
}

#[test]
fn a_hint_is_found_however_it_is_written() {
    let code = r##"
        fn f() {
            g("one\nhint: x", "no hint: x", format!("two {x}\nhint: {y}"));
            h("three\n\
               hint: x", r#"four
hint: x"#, "/// a\n b", "five; hint: x");
        }
    "##;
    assert_eq!(literals::texts(code).into_iter().filter(|text| has_hint(text)).count(), 5);
}
