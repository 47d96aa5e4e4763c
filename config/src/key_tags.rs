//! Which tags of a user hold public keys. A value has at most 256 characters in IAM, so a longer key is in several tags.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::{TagUse, Tags};

/// A public key in the tags of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedKey<'a> {
    /// The tag; of a key in parts, the first one.
    pub tag: &'a str,
    /// All tags of a key in parts, by number; empty for a key in one tag.
    pub parts: Vec<&'a str>,
    /// The value of the tag, or those of the parts with nothing between.
    pub body: Result<Cow<'a, str>, BadParts>,
}

/// Why parts are no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadParts {
    /// The tag that is missing: the numbers are 1, 2, 3 and so on, without gaps and leading zeros.
    Missing(String),
    /// The tag that has the same name without a number, and holds a key of its own.
    Whole(String),
}

/// The name of the key whose part this tag is, and the number: `nss-iam:ssh-key-1` and `2` for `nss-iam:ssh-key-1.2`.
#[must_use]
pub fn part(tag: &str) -> Option<(&str, &str)> {
    let (name, number) = tag.rsplit_once('.')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some((name, number))
}

impl Tags {
    /// The keys in the tags of one user, if keys in tags are used: those in one tag, then those in parts.
    #[must_use]
    pub fn keys<'a>(&self, tags: &'a BTreeMap<String, String>) -> Vec<TaggedKey<'a>> {
        let mut keys = Vec::new();
        let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (tag, value) in tags.iter().filter(|(tag, _)| self.usage(tag) == Some(TagUse::SshKey)) {
            match part(tag) {
                Some((name, _)) => names.entry(name).or_default().push(tag),
                None => keys.push(TaggedKey { tag, parts: Vec::new(), body: Ok(Cow::Borrowed(value)) }),
            }
        }
        keys.extend(names.into_iter().filter_map(|(name, mut parts)| {
            parts.sort_by_key(|tag| (tag.len(), *tag));
            Some(TaggedKey { tag: parts.first()?, body: joined(name, parts.len(), tags), parts })
        }));
        keys
    }
}

/// The values of the tags `<name>.1` to `<name>.<count>`.
fn joined<'a>(
    name: &str,
    count: usize,
    tags: &'a BTreeMap<String, String>,
) -> Result<Cow<'a, str>, BadParts> {
    if tags.contains_key(name) {
        return Err(BadParts::Whole(name.to_owned()));
    }
    let value = |number| {
        let tag = format!("{name}.{number}");
        tags.get(&tag).map(String::as_str).ok_or(BadParts::Missing(tag))
    };
    let values: Result<Vec<&str>, BadParts> = (1..=count).map(value).collect();
    Ok(Cow::Owned(values?.concat()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn used() -> Tags {
        Tags { uses: vec![TagUse::SshKey], prefix: "x.y:".to_owned() }
    }

    fn tags(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|(tag, value)| (format!("x.y:{tag}"), (*value).to_owned())).collect()
    }

    /// The tag, and the body or what is wrong.
    fn read(all: &[(&str, &str)]) -> Vec<(String, Result<String, BadParts>)> {
        let tags = tags(all);
        let keys = used().keys(&tags).into_iter();
        keys.map(|key| (key.tag.replace("x.y:", ""), key.body.map(Cow::into_owned))).collect()
    }

    #[test]
    fn a_key_is_in_one_tag_or_in_numbered_parts() {
        let key = |tag: &str, body: &str| (tag.to_owned(), Ok(body.to_owned()));
        let missing = |tag: &str, what: &str| (tag.to_owned(), Err(BadParts::Missing(format!("x.y:{what}"))));
        let whole = |tag: &str, what: &str| (tag.to_owned(), Err(BadParts::Whole(format!("x.y:{what}"))));
        for (all, wanted) in [
            (&[("ssh-key", "a"), ("ssh-key-2", "b")][..], vec![key("ssh-key", "a"), key("ssh-key-2", "b")]),
            (&[("ssh-key-1.1", "a "), ("ssh-key-1.2", " b")], vec![key("ssh-key-1.1", "a  b")]),
            (&[("ssh-key.2", "b"), ("ssh-key.1", "a")], vec![key("ssh-key.1", "ab")]),
            (&[("ssh-key-1.1", "a")], vec![key("ssh-key-1.1", "a")]),
            // The numbers of keys are names: parts of one are never parts of another.
            (
                &[("ssh-key-1.1", "a"), ("ssh-key-01.2", "b"), ("ssh-key-2.1", "c"), ("ssh-key-3", "d")],
                vec![
                    key("ssh-key-3", "d"),
                    missing("ssh-key-01.2", "ssh-key-01.1"),
                    key("ssh-key-1.1", "a"),
                    key("ssh-key-2.1", "c"),
                ],
            ),
            (&[("ssh-key-1.1", "a"), ("ssh-key-1.3", "c")], vec![missing("ssh-key-1.1", "ssh-key-1.2")]),
            (&[("ssh-key-1.2", "b")], vec![missing("ssh-key-1.2", "ssh-key-1.1")]),
            (&[("ssh-key-1.1", "a"), ("ssh-key-1.0", "z")], vec![missing("ssh-key-1.0", "ssh-key-1.2")]),
            (&[("ssh-key-1.1", "a"), ("ssh-key-1.01", "a")], vec![missing("ssh-key-1.1", "ssh-key-1.2")]),
            (
                &[("ssh-key-1", "w"), ("ssh-key-1.1", "a")],
                vec![key("ssh-key-1", "w"), whole("ssh-key-1.1", "ssh-key-1")],
            ),
            // They are no tags of keys.
            (
                &[("ssh-key-1.", "a"), ("ssh-key-1.a", "a"), ("ssh-key-1.1.1", "a"), ("ssh-key-1.-1", "a")],
                vec![],
            ),
            (&[("name.1", "a"), ("ssh-keys.1", "a")], vec![]),
        ] {
            assert_eq!(read(all), wanted, "{all:?}");
        }
        let parts: Vec<(String, String)> =
            (1..=12).map(|number| (format!("ssh-key-1.{number}"), format!("{number},"))).collect();
        let parts: Vec<(&str, &str)> =
            parts.iter().map(|(tag, value)| (tag.as_str(), value.as_str())).collect();
        assert_eq!(read(&parts), [key("ssh-key-1.1", "1,2,3,4,5,6,7,8,9,10,11,12,")], "by number");
        assert_eq!(Tags::default().keys(&tags(&[("ssh-key", "a")])), [], "keys in tags are not used");
    }

    proptest! {
        /// However a key is cut, and whatever other tags there are, it is read as it was; without one of its parts, it is not.
        #[test]
        fn a_key_in_parts_is_whole_or_none(
            body in "[ -~]{1,600}", size in 1..300_usize, lost in any::<prop::sample::Index>(), others in 0..3_usize,
        ) {
            let cut: Vec<&str> = body.as_bytes().chunks(size).map(|part| std::str::from_utf8(part).unwrap()).collect();
            let name = |key: usize, number: usize| format!("x.y:ssh-key-{key}.{}", number + 1);
            let mut all: BTreeMap<String, String> =
                cut.iter().enumerate().map(|(number, part)| (name(7, number), (*part).to_owned())).collect();
            for other in 0..others {
                all.extend((0..=cut.len()).map(|number| (name(other, number), format!("other {other}"))));
            }
            let of = |all: &BTreeMap<String, String>| {
                let keys = used().keys(all);
                prop_assert_eq!(keys.len(), others + usize::from(all.keys().any(|tag| tag.contains("ssh-key-7."))));
                let key = keys.into_iter().find(|key| key.tag.contains("ssh-key-7."));
                Ok(key.map(|key| key.body.map(Cow::into_owned)))
            };
            prop_assert_eq!(of(&all)?, Some(Ok(body.clone())));

            let lost = lost.index(cut.len());
            all.remove(&name(7, lost));
            let rest = of(&all)?;
            if lost + 1 == cut.len() {
                // Only the base64 text can tell that the end is missing.
                prop_assert!(rest.is_none_or(|rest| rest.unwrap() == cut[..lost].concat()));
            } else {
                prop_assert_eq!(rest, Some(Err(BadParts::Missing(name(7, lost)))));
            }
        }
    }
}
