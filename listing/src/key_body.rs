//! The words of a key body: what sshd takes as type and base64 text in a line of authorized_keys without options.

/// The characters that sshd skips between words: `sshkey_read` in OpenSSH's sshkey.c, `skip_space` in
/// auth2-pubkeyfile.c. Any number of them is allowed, also before the type.
const BETWEEN: [char; 2] = [' ', '\t'];

/// Type and base64 text separated by one blank, the form that libraries read. The comment is removed. `None` if
/// there are fewer than two words or more than one line. The caller must check whether it is a key.
#[must_use]
pub fn type_and_base64(body: &str) -> Option<String> {
    // The line ends before and after belong to the file, not to the key.
    let line = body.trim_matches(['\r', '\n', ' ', '\t']);
    if line.contains(['\r', '\n']) {
        return None;
    }
    let mut words = line.split(BETWEEN).filter(|word| !word.is_empty());
    Some(format!("{} {}", words.next()?, words.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_separated_only_by_blanks_and_tabs() {
        for body in [
            "t b",
            "t  b",
            "t\tb",
            " \tt \t b\t ",
            "t b c d",
            "t\tb\tc",
            "t b\tfrom=\"*\"",
            "t b\r\n",
            "\nt b\n",
        ] {
            assert_eq!(type_and_base64(body).as_deref(), Some("t b"), "{body:?}");
        }
        for body in ["", " ", "t", "t ", "t b\nt b", "t\nb", "t b\rc"] {
            assert_eq!(type_and_base64(body), None, "{body:?}");
        }
        for (body, words) in
            [("t\u{a0}b c", "t\u{a0}b c"), ("t\u{b}b c", "t\u{b}b c"), ("\u{a0}t b", "\u{a0}t b")]
        {
            assert_eq!(type_and_base64(body).as_deref(), Some(words), "{body:?}");
        }
    }
}
