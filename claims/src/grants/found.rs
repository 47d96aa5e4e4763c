//! What is found in a file, and the comments that are not part of it.

/// What a file mentions.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Name(String),
    /// A pattern, and where it was found.
    Pattern(String, &'static str),
    /// Another file to read, with one name per line.
    List(String),
    /// Another file to read like this one.
    Include(String),
}

/// The line up to a `#` that begins a word.
pub(super) fn without_comment(line: &str) -> &str {
    let mut marks = line.match_indices('#').map(|(at, _)| at);
    let begin = marks
        .find(|at| line.get(..*at).is_some_and(|begun| begun.is_empty() || begun.ends_with([' ', '\t'])));
    begin.and_then(|at| line.get(..at)).unwrap_or(line)
}
