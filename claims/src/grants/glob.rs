//! Patterns with `*` and `?` for file names, and for names in sshd_config(5).

use std::io;
use std::path::{Path, PathBuf};

use crate::tree::Tree;

/// Whether all of `text` matches.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut read) = (0, 0);
    // The position of the last `*`, and how much it matched.
    let mut star: Option<(usize, usize)> = None;
    while let Some(c) = text.get(read) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(expected) if expected == c || *expected == '?' => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((begin, taken)) = star else { return false };
                star = Some((begin, taken + 1));
                (at, read) = (begin + 1, taken + 1);
            }
        }
    }
    pattern.iter().skip(at).all(|c| *c == '*')
}

/// The files that match a path with patterns. A path without patterns is returned as it is, whether it exists or
/// not.
pub(super) fn expand(tree: Tree<'_>, pattern: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        if !part.contains(['*', '?']) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let mut next = Vec::new();
        for directory in &found {
            let entries = list(tree, directory)?;
            // As in glob(3), a hidden file only matches a pattern that begins with a dot.
            next.extend(
                entries
                    .into_iter()
                    .filter(|(name, _)| !name.starts_with('.') && matches(part, name))
                    .map(|(_, path)| path),
            );
        }
        found = next;
    }
    Ok(found)
}

fn list(tree: Tree<'_>, directory: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    Ok(tree.list(directory)?.into_iter().map(|entry| (entry.name, entry.path)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_all_of_a_text() {
        for (pattern, text, is_match) in [
            ("ana", "ana", true),
            ("ana", "ana2", false),
            ("a*", "ana", true),
            ("*a", "ana", true),
            ("*n*", "ana", true),
            ("a?a", "ana", true),
            ("a?", "ana", false),
            ("a*b*c", "axbxbxc", true),
            ("a*b", "a", false),
            ("*", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), is_match, "{pattern} {text}");
        }
    }
}
