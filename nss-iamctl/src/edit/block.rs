//! Blocks of lines that are added to a foreign file between two markers, so that they can be removed exactly.

/// The first line of a block.
pub(crate) const BEGIN: &str = "# BEGIN nss-iam";
const END: &str = "# END nss-iam";

/// A block without its end marker, so it is unknown where our lines end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unclosed;

/// Inserts `lines` before line `before`, counted from 0; at the end if there are fewer lines.
pub(crate) fn insert(text: &[u8], before: usize, lines: &str) -> Vec<u8> {
    let at: usize = text.split_inclusive(is_end).take(before).map(<[u8]>::len).sum();
    let (head, tail) = text.split_at_checked(at).unwrap_or((text, &[]));
    let block = format!("{BEGIN}\n{}\n{END}", lines.trim_end_matches('\n'));
    if head.is_empty() || head.ends_with(b"\n") {
        [head, block.as_bytes(), b"\n", tail].concat()
    } else {
        // The last line has no newline. Ours gets none either, which tells `remove` to delete the one that was added.
        [head, b"\n", block.as_bytes()].concat()
    }
}

/// Removes every block: the inverse of [`insert`].
///
/// # Errors
/// When a block is not closed.
pub(crate) fn remove(text: &[u8]) -> Result<Vec<u8>, Unclosed> {
    let (begin, end) = (BEGIN.as_bytes(), END.as_bytes());
    let mut kept = Vec::with_capacity(text.len());
    let mut within = false;
    for line in text.split_inclusive(is_end) {
        match line.trim_ascii_end() {
            mark if mark == begin && !within => within = true,
            mark if mark == end && within => {
                within = false;
                if !line.ends_with(b"\n") {
                    kept.pop();
                }
            }
            _ if within => {}
            _ => kept.extend_from_slice(line),
        }
    }
    if within { Err(Unclosed) } else { Ok(kept) }
}

fn is_end(byte: &u8) -> bool {
    *byte == b'\n'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_comes_out_again_wherever_it_was_put() {
        let texts = ["", "\n", "a", "a\n", "a\nb", "a\nb\n\n", "a\r\nb\r\n"].map(str::as_bytes);
        for text in texts.into_iter().chain([&b"\xfc\n\xff"[..], b"\xef\xbb\xbfa\0\n"]) {
            for before in 0..4 {
                let with = insert(text, before, "x\ny\n");
                let shown = String::from_utf8_lossy(&with);
                assert!(shown.contains("# BEGIN nss-iam\nx\ny\n# END nss-iam"), "{shown}");
                assert_eq!(remove(&with).unwrap(), text, "{shown:?}");
            }
        }
        assert_eq!(insert(b"a\nb\n", 1, "x"), b"a\n# BEGIN nss-iam\nx\n# END nss-iam\nb\n");
    }

    #[test]
    fn a_block_without_end_is_not_guessed_at() {
        assert_eq!(remove(b"a\n# BEGIN nss-iam\nx\nb\n"), Err(Unclosed));
        assert_eq!(remove(b"a\n# END nss-iam\n").unwrap(), b"a\n# END nss-iam\n");
    }
}
