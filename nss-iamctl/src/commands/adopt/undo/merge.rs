//! Puts lines of the original passwd(5), shadow(5), group(5) and gshadow(5) back into files that others have changed since.
//! No line of theirs is changed, except that members are added to groups. Pure.

/// The line of `name`, without its end.
pub(super) fn line<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    lines(text).find(|line| name_of(line) == name.as_bytes())
}

/// Adds the line of `name` at the end, unless there is one.
pub(super) fn add_line(text: &mut Vec<u8>, original: &[u8], name: &str) {
    let Some(missing) = line(original, name).filter(|_| line(text, name).is_none()) else { return };
    if text.last().is_some_and(|last| *last != b'\n') {
        text.push(b'\n');
    }
    text.extend(missing);
    text.push(b'\n');
}

/// The names of the groups with `member` in the list with this index.
pub(super) fn lists_of<'a>(text: &'a [u8], member: &str, index: usize) -> Vec<&'a [u8]> {
    let has = |line: &&[u8]| {
        let list = line.split(|byte| *byte == b':').nth(index).unwrap_or_default();
        list.split(|byte| *byte == b',').any(|name| name.trim_ascii_start() == member.as_bytes())
    };
    lines(text).filter(has).map(name_of).collect()
}

/// Adds `member` to a list of a group, unless it is there.
pub(super) fn add_member(text: &[u8], group: &[u8], member: &str, index: usize) -> Vec<u8> {
    let mut new = Vec::with_capacity(text.len() + member.len() + 1);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let (body, end) = line.split_at(line.len() - usize::from(line.ends_with(b"\n")));
        let wanted = name_of(body) == group;
        for (at, field) in body.split(|byte| *byte == b':').enumerate() {
            if at > 0 {
                new.push(b':');
            }
            new.extend(field);
            let there =
                || field.split(|byte| *byte == b',').any(|name| name.trim_ascii_start() == member.as_bytes());
            if wanted && at == index && !there() {
                if !field.is_empty() {
                    new.push(b',');
                }
                new.extend(member.as_bytes());
            }
        }
        new.extend(end);
    }
    new
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
}

fn name_of(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_line_comes_back_and_a_present_one_stays() {
        let original = b"root:x:0\nana:x:1\xe9\n";
        for (text, after) in [
            (&b"root:x:0\nnew:x:9"[..], &b"root:x:0\nnew:x:9\nana:x:1\xe9\n"[..]),
            (b"ana:x:7\n", b"ana:x:7\n"),
            (b"", b"ana:x:1\xe9\n"),
        ] {
            let mut text = text.to_vec();
            add_line(&mut text, original, "ana");
            assert_eq!(text, after);
        }
        let mut text = b"x\n".to_vec();
        add_line(&mut text, original, "an");
        assert_eq!(text, b"x\n");
    }

    #[test]
    fn members_join_the_named_group_only_and_once() {
        for (before, after) in [
            ("sudo:x:27:\nadm:x:4:\n", "sudo:x:27:ana\nadm:x:4:\n"),
            ("sudo:x:27:bob", "sudo:x:27:bob,ana"),
            ("sudo:x:27:bob, ana\n", "sudo:x:27:bob, ana\n"),
            ("sudo:x\n", "sudo:x\n"),
        ] {
            assert_eq!(add_member(before.as_bytes(), b"sudo", "ana", 3), after.as_bytes());
        }
        let gshadow = b"sudo:*:ana:bob\nadm:*::ana\n";
        assert_eq!(lists_of(gshadow, "ana", 2), [b"sudo"]);
        assert_eq!(lists_of(gshadow, "ana", 3), [b"adm"]);
    }
}
