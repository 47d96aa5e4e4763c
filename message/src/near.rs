//! What was probably meant by a name that does not exist.

/// The known names that are like the typed one: with the same beginning up to an `@`, in any case, or a letter or two apart.
/// Spaces and quotes around the typed one do not count.
#[must_use]
pub fn meant<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let head = |name: &str| name.split('@').next().unwrap_or_default().to_lowercase();
    let typed = head(typed.trim_matches(|c: char| c.is_whitespace() || "'\"`‘’“”".contains(c)));
    let is_like = |name: &&str| {
        let name = head(name);
        let most = if typed.len() < 6 { 1 } else { 2 };
        typed.len() > 1
            && (name.starts_with(&typed) || typed.starts_with(&name) || distance(&typed, &name) <= most)
    };
    known.into_iter().filter(is_like).collect()
}

/// How many bytes must be changed, inserted or removed to turn `a` into `b`.
#[must_use]
pub fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut last = i + 1;
        let mut next = vec![last];
        for (y, above) in b.bytes().zip(row.windows(2)) {
            let &[before, up] = above else { continue };
            last = (before + usize::from(x != y)).min(up + 1).min(last + 1);
            next.push(last);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_leads_to_the_name() {
        let known = ["ana", "jane.doe@example.com", "eve"];
        for (typed, wanted) in [
            ("anna", &["ana"][..]),
            ("an", &["ana"]),
            ("ANA", &["ana"]),
            ("ana ", &["ana"]),
            ("'ana'", &["ana"]),
            ("“ana”", &["ana"]),
            ("ana@example.com", &["ana"]),
            ("jane.do", &["jane.doe@example.com"]),
            ("Jane.Deo", &["jane.doe@example.com"]),
            ("evi", &["eve"]),
            ("bob", &[]),
            ("x", &[]),
            ("", &[]),
        ] {
            assert_eq!(meant(typed, known), wanted, "{typed}");
        }
    }

    #[test]
    fn the_distance_counts_changes() {
        for (a, b, changes) in
            [("", "", 0), ("", "ab", 2), ("shel", "shell", 1), ("abc", "acb", 2), ("a", "b", 1)]
        {
            assert_eq!((distance(a, b), distance(b, a)), (changes, changes), "{a} {b}");
        }
    }
}
