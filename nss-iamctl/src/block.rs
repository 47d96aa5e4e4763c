//! Lines of ours in a file of others, between two marks, so that they come out again exactly.

/// The first line of a block.
pub(crate) const BEGIN: &str = "# BEGIN nss-iam";
const END: &str = "# END nss-iam";

/// A block without its end: where ours stops and the file's own lines begin is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unclosed;

/// Puts `lines` in front of line `before`, counted from 0; beyond the last line: at the end.
pub(crate) fn insert(text: &str, before: usize, lines: &str) -> String {
    let at: usize = text.split_inclusive('\n').take(before).map(str::len).sum();
    let (head, tail) = text.split_at(at);
    let block = format!("{BEGIN}\n{}\n{END}", lines.trim_end_matches('\n'));
    if head.is_empty() || head.ends_with('\n') {
        format!("{head}{block}\n{tail}")
    } else {
        // The file's last line has no end; then ours has none either, which tells `remove` to take one away.
        format!("{head}\n{block}")
    }
}

/// Takes every block out: the inverse of [`insert`].
///
/// # Errors
/// When a block is not closed.
pub(crate) fn remove(text: &str) -> Result<String, Unclosed> {
    let mut kept = String::with_capacity(text.len());
    let mut within = false;
    for line in text.split_inclusive('\n') {
        match line.trim_end() {
            BEGIN if !within => within = true,
            END if within => {
                within = false;
                if !line.ends_with('\n') {
                    kept.pop();
                }
            }
            _ if within => {}
            _ => kept.push_str(line),
        }
    }
    if within { Err(Unclosed) } else { Ok(kept) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_comes_out_again_wherever_it_was_put() {
        for text in ["", "\n", "a", "a\n", "a\nb", "a\nb\n\n", "a\r\nb\r\n"] {
            for before in 0..4 {
                let with = insert(text, before, "x\ny\n");
                assert!(with.contains("# BEGIN nss-iam\nx\ny\n# END nss-iam"), "{with}");
                assert_eq!(remove(&with).unwrap(), text, "{with:?}");
            }
        }
        assert_eq!(insert("a\nb\n", 1, "x"), "a\n# BEGIN nss-iam\nx\n# END nss-iam\nb\n");
    }

    #[test]
    fn a_block_without_end_is_not_guessed_at() {
        assert_eq!(remove("a\n# BEGIN nss-iam\nx\nb\n"), Err(Unclosed));
        assert_eq!(remove("a\n# END nss-iam\n").unwrap(), "a\n# END nss-iam\n");
    }
}
