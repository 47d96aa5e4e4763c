//! The words of a key body: what sshd takes for type and base64 text of a line of authorized_keys without options.

/// What sshd skips between words: `sshkey_read` in OpenSSH's sshkey.c, `skip_space` in auth2-pubkeyfile.c. Any number
/// of them, before the type too.
const BETWEEN: [char; 2] = [' ', '\t'];

/// Type and base64 text with one blank between, which is the form that libraries read. The comment is left out. `None`
/// where there are not two words, or several lines. Whether it is a key is for the caller to find out.
#[must_use]
pub fn type_and_base64(body: &str) -> Option<String> {
    // The ends of the line before and after are the file's, not the key's.
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
    fn words_are_parted_by_any_number_of_blanks_and_tabs_and_nothing_else() {
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
