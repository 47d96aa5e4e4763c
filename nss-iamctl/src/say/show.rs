//! How values are shown: in a terminal, where text from elsewhere must not move the cursor, and in tables.

use serde::Serialize;

use crate::say::error::Error;

/// What `--json` prints, with a line end.
///
/// # Errors
/// When it cannot be written as JSON.
pub(crate) fn as_json<T: Serialize + ?Sized>(value: &T) -> Result<String, Error> {
    let json = serde_json::to_string_pretty(value);
    let json = json.map_err(|cause| Error::other(format!("cannot print this as JSON: {cause}")))?;
    Ok(json + "\n")
}

/// Text from elsewhere as printable ASCII: no second line, no control sequence of a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        match c {
            ' '..='~' => shown.push(c),
            _ => shown.extend(c.escape_unicode()),
        }
        shown
    })
}

/// A word of a command that will be copied into a shell.
pub(crate) fn word(text: &str) -> String {
    let text = printable(text);
    let plain = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-/:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A command line of this program that will be copied into a shell.
pub(crate) fn command(words: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    words.into_iter().fold("nss-iamctl".to_owned(), |line, next| format!("{line} {}", word(next.as_ref())))
}

/// A length of time in one unit: `90 s`, `5 min`, `3 h`, `4 d`.
pub(crate) fn length(seconds: i64) -> String {
    match seconds {
        ..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// How long ago that was, at `now`.
pub(crate) fn ago(then: i64, now: i64) -> String {
    if then > now {
        return format!("{} in the future", length(then.saturating_sub(now)));
    }
    format!("{} ago", length(now.saturating_sub(then)))
}

/// Seconds since 1970 as `2026-11-22T18:00:00Z`.
pub(crate) fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

/// `1 user`, `2 users`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// At most five names: `'a', 'b' and 3 more`.
pub(crate) fn some<T: AsRef<str>>(names: &[T]) -> String {
    message::quoted(names, 5)
}

/// Columns as wide as their widest cell, two spaces between them. The first row is the heading.
pub(crate) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let mut all = vec![heading.map(str::to_owned)];
    all.extend(rows.iter().map(|row| row.clone().map(|cell| printable(&cell))));
    let widths: [usize; N] = std::array::from_fn(|column| {
        all.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0)
    });
    let mut text = String::new();
    for row in &all {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_elsewhere_stays_on_its_line() {
        assert_eq!(printable("a'b\u{1b}[2J\nñ"), "a'b\\u{1b}[2J\\u{a}\\u{f1}");
        assert_eq!(word("Ana+x@example.com"), "Ana+x@example.com");
        assert_eq!(word("a; rm -rf '~'"), r"'a; rm -rf '\''~'\'''");
        assert_eq!(word(""), "''");
        assert_eq!(
            command(["lock", "ana", "--reason", "left now"]),
            "nss-iamctl lock ana --reason 'left now'"
        );
    }

    #[test]
    fn times_are_told_in_one_unit() {
        let told = [0, 119, 120, 7199, 7200, 172_799, 172_800].map(length);
        assert_eq!(told, ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d"]);
        assert_eq!((ago(10, 70), ago(70, 10)), ("60 s ago".to_owned(), "60 s in the future".to_owned()));
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn columns_line_up_and_lines_have_no_trailing_blanks() {
        let rows = [["a".to_owned(), "bb".to_owned()], ["ccc".to_owned(), String::new()]];
        assert_eq!(table(["X", "Y"], &rows), "X    Y\na    bb\nccc\n");
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(some(&["a", "b"]), "'a', 'b'");
        assert_eq!(some(&["1", "2", "3", "4", "5", "6", "7"]), "'1', '2', '3', '4', '5' and 2 more");
        assert_eq!((count(1, "key"), count(0, "key")), ("1 key".to_owned(), "0 keys".to_owned()));
    }
}
