//! Only the code of a source names the source, its calls and its URLs: a message elsewhere that names IAM would be wrong for any
//! other source.

use tests::literals;

/// The crates that serve every source.
const CORE: [&str; 7] = [
    "cache-refresher/src",
    "config/src",
    "listing/src",
    "message/src",
    "nss-iamctl/src",
    "policy/src",
    "status/src",
];

/// What belongs to a source: the code that reads it, commands and advice that only exist for IAM, and test fixtures.
const OF_SOURCES: [&str; 7] = [
    "cache-refresher/src/fetch/aws",
    "config/src/source",
    "config/src/source.rs",
    "nss-iamctl/src/commands/policy",
    "nss-iamctl/src/commands/policy.rs",
    "nss-iamctl/src/fixtures",
    "nss-iamctl/src/inspect/checks/logins.rs",
];

/// Words of IAM, Identity Center and their APIs, and the prefix of file URLs.
const WORDS: [&str; 11] = [
    "IAM",
    "iam:",
    "GetGroup",
    "ListGroupsForUser",
    "SSHPublicKey",
    "NoSuchEntity",
    "Identity Center",
    "identity-center:",
    "identitystore:",
    "ResourceNotFoundException",
    "file:",
];

/// Names of nss-iam: the prefix of its tags and ids, and its monitoring check. Names of roles, which any AWS source uses.
const OTHERS: [&str; 4] = ["nss-iam:", "NSS_IAM", "arn:aws:iam:", "IAMKeyLookup"];

fn names_a_source(text: &str) -> bool {
    let text = OTHERS.iter().fold(text.to_owned(), |text, other| text.replace(other, ""));
    WORDS.iter().any(|word| text.contains(word))
}

#[test]
fn no_message_of_the_core_names_a_source_or_its_calls() {
    let files = literals::files(&CORE, &OF_SOURCES);
    assert!(files.len() > 50, "this test looks for files in the wrong place: {files:?}");
    assert_eq!(literals::found(&files, names_a_source), [""; 0]);
}

/// Crates that read the configuration, or data that came from a source.
const READERS: [&str; 2] = ["keys-cmd/src", "nss-iamctl/src"];

#[test]
fn nothing_but_the_source_knows_how_its_url_begins() {
    let files = literals::files(&READERS, &[]);
    assert!(files.len() > 50, "this test looks for files in the wrong place: {files:?}");
    let is_url =
        |text: &str| text == "\"iam:\"" || ["\"iam:{", "\"file:"].iter().any(|url| text.starts_with(url));
    assert_eq!(literals::found(&files, is_url), [""; 0]);
}

#[test]
fn messages_are_found_everywhere_and_comments_are_ignored() {
    let code = r##"
        //! IAM
        /// IAM
        #[error("one IAM user")]
        fn f<'a>() { /* "IAM" */ let quote = '"'; g!(r#"two "iam:GetGroup""#, "no\" thing", "nss-iam:uid"); }
        #[cfg(test)]
        mod other { const TEXT: &str = "three: NoSuchEntity"; }
    "##;
    let found: Vec<String> = literals::texts(code).into_iter().filter(|text| names_a_source(text)).collect();
    assert_eq!(found, ["\"one IAM user\"", "r#\"two \"iam:GetGroup\"\"#", "\"three: NoSuchEntity\""]);
}
