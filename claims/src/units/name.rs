//! Names of units, and the users that follow from them: systemd.unit(5), unit-name.c, unit-printf.c.

use std::hash::Hasher;
#[expect(
    deprecated,
    reason = "the standard library has no other SipHash-2-4 with a key, and systemd uses that one"
)]
use std::hash::SipHasher;

const TYPES: [&str; 11] = [
    "service",
    "socket",
    "timer",
    "path",
    "mount",
    "swap",
    "automount",
    "target",
    "slice",
    "scope",
    "device",
];

/// The parts of a unit's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name<'a> {
    pub full: &'a str,
    /// The part before `@`, or before the type.
    pub prefix: &'a str,
    /// The part between `@` and the type; empty for a template.
    pub instance: Option<&'a str>,
    pub kind: &'a str,
}

impl<'a> Name<'a> {
    pub(super) fn parse(full: &'a str) -> Option<Self> {
        let (stem, kind) = full.rsplit_once('.')?;
        if stem.is_empty() || !TYPES.contains(&kind) {
            return None;
        }
        let (prefix, instance) =
            stem.split_once('@').map_or((stem, None), |(prefix, rest)| (prefix, Some(rest)));
        Some(Self { full, prefix, instance, kind })
    }

    pub(super) fn is_template(self) -> bool {
        self.instance == Some("")
    }

    /// The names that settings of this unit can be stored under: its own, its template's, `foo-.service`,
    /// `service`.
    pub(super) fn layers(self) -> Vec<String> {
        let mut layers = vec![self.full.to_owned(), self.kind.to_owned()];
        if self.instance.is_some_and(|instance| !instance.is_empty()) {
            layers.push(format!("{}@.{}", self.prefix, self.kind));
        }
        for (at, _) in self.prefix.match_indices('-') {
            let begin = self.prefix.get(..=at).unwrap_or_default();
            layers.push(format!("{begin}.{}", self.kind));
            layers.extend(self.instance.map(|_| format!("{begin}@.{}", self.kind)));
        }
        layers
    }

    /// Users that systemd may use for `DynamicUser=` without `User=` (user_from_unit_name() of core/unit.c):
    /// the prefix, or a hash if the prefix is not a valid name.
    pub(super) fn dynamic_users(self) -> Vec<String> {
        let mut users = vec![self.prefix.to_owned()];
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let is_name = self.prefix.len() <= 31
            && self.prefix.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && self.prefix.bytes().all(is_inner);
        if !is_name {
            users.push(format!("_du{:016x}", hash(self.prefix)));
        }
        users
    }

    /// A value with its specifiers expanded, systemd.unit(5); the error is the first unknown specifier.
    pub(super) fn expand(self, value: &str) -> Result<String, char> {
        let mut text = String::new();
        let mut chars = value.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                text.push(c);
                continue;
            }
            let last = self.prefix.rsplit('-').next().unwrap_or_default();
            let stem = self.full.rsplit_once('.').map_or(self.full, |(stem, _)| stem);
            match chars.next() {
                Some('%') | None => text.push('%'),
                Some('i') => text.push_str(self.instance.unwrap_or_default()),
                Some('I') => text.push_str(&unescape(self.instance.unwrap_or_default())),
                Some('j') => text.push_str(last),
                Some('J') => text.push_str(&unescape(last)),
                Some('p') => text.push_str(self.prefix),
                Some('P') => text.push_str(&unescape(self.prefix)),
                Some('n') => text.push_str(self.full),
                Some('N') => text.push_str(stem),
                // The system manager runs as root.
                Some('u' | 'g') => text.push_str("root"),
                Some('U' | 'G') => text.push('0'),
                Some(other) => return Err(other),
            }
        }
        Ok(text)
    }
}

/// unit_name_unescape(): `-` is a slash, `\x2d` a byte.
fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let byte = rest.strip_prefix("\\x").and_then(|rest| rest.get(..2));
        match byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                plain.push(char::from(byte));
                rest = rest.get(4..).unwrap_or_default();
            }
            None => {
                plain.push(if c == '-' { '/' } else { c });
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
            }
        }
    }
    plain
}

/// siphash24() with the key of user_from_unit_name().
#[expect(deprecated, reason = "see the import")]
fn hash(prefix: &str) -> u64 {
    let key = (0x964e_5828_e6af_1a58, 0xec07_928c_3bf5_4eb4);
    let mut hasher = SipHasher::new_with_keys(key.0, key.1);
    hasher.write(prefix.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(full: &str) -> Name<'_> {
        Name::parse(full).unwrap()
    }

    #[test]
    fn names_have_parts() {
        let unit = name("foo-bar@a.b@c.service");
        assert_eq!((unit.prefix, unit.instance, unit.kind), ("foo-bar", Some("a.b@c"), "service"));
        assert_eq!(name("foo.bar.timer").prefix, "foo.bar");
        assert!(name("foo@.service").is_template());
        for none in ["service", ".service", "foo.conf", "foo.service.d"] {
            assert_eq!(Name::parse(none), None, "{none}");
        }
    }

    #[test]
    fn settings_are_stored_under_these_names() {
        let layers = name("a-b@x.service").layers();
        assert_eq!(layers, ["a-b@x.service", "service", "a-b@.service", "a-.service", "a-@.service"]);
    }

    #[test]
    fn specifiers_of_the_unit_are_known() {
        let unit = name("a-b@x-y\\x2dz.service");
        for (value, text) in [
            ("%i", "x-y\\x2dz"),
            ("c-%I", "c-x/y-z"),
            ("%j.%p%%", "b.a-b%"),
            ("%P", "a/b"),
            ("%N", "a-b@x-y\\x2dz"),
            ("%u%U", "root0"),
        ] {
            assert_eq!(unit.expand(value).unwrap(), text, "{value}");
        }
        assert_eq!(unit.expand("%H"), Err('H'));
    }
}
