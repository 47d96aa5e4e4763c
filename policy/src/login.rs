//! Login and group names, made from those of the source. Whether a name is free is checked elsewhere.

use crate::{Invalid, Name};

/// How `+ = , @` in IAM names are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameStyle {
    /// `+ = ,` become `_`, `@` stays.
    Plain,
    /// `.plus.`, `.equal.`, `.comma.`, `.at.`, as in the program aws-ec2-ssh.
    AwsEc2Ssh,
}

/// The login name of a user of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login<E> {
    /// The name, or why neither the tag nor the IAM name gives one.
    pub name: Result<Name, E>,
    /// Why the tag was not used, if the user has one.
    pub refused_tag: Option<E>,
}

/// The settings for mapping names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping<'a> {
    /// `[users] name_style`.
    pub style: NameStyle,
    /// `[users] strip_domains`, in lower case.
    pub strip_domains: &'a [String],
}

impl Mapping<'_> {
    /// The login name of a user: the one in the tag if `give` accepts it, else the one that the IAM name becomes. `give` is
    /// called for each in turn, with the name or the reason why it is not a name.
    pub fn login<E>(
        &self,
        iam_name: &str,
        tag: Option<&str>,
        mut give: impl FnMut(Result<Name, Invalid>) -> Result<Name, E>,
    ) -> Login<E> {
        let refused_tag = match tag.map(|tag| give(Name::new(tag))) {
            Some(Ok(name)) => return Login { name: Ok(name), refused_tag: None },
            Some(Err(cause)) => Some(cause),
            None => None,
        };
        Login { name: give(self.user(iam_name)), refused_tag }
    }

    /// The name of a user of the source whose name no tag sets.
    ///
    /// # Errors
    /// Why it cannot be a login name.
    pub fn user(&self, iam_name: &str) -> Result<Name, Invalid> {
        Name::new(&self.spelling(iam_name))
    }

    /// The name of a group of the source.
    ///
    /// # Errors
    /// Why it cannot be a group name.
    pub fn group(&self, iam_name: &str) -> Result<Name, Invalid> {
        Self { strip_domains: &[], ..*self }.user(iam_name)
    }

    /// The mapped name of a user, whether it can be a login name or not.
    #[must_use]
    pub fn spelling(&self, iam_name: &str) -> String {
        let lower = iam_name.to_ascii_lowercase();
        let local = self
            .strip_domains
            .iter()
            .find_map(|domain| lower.strip_suffix(domain.as_str())?.strip_suffix('@'))
            .unwrap_or(&lower);
        let is_whole = local.len() == lower.len();
        if is_whole && !lower.contains(['+', '=', ',', '@']) { lower } else { replaced(local, self.style) }
    }
}

fn replaced(name: &str, style: NameStyle) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        match (style, c) {
            (NameStyle::Plain, '+' | '=' | ',') => text.push('_'),
            (NameStyle::AwsEc2Ssh, '+') => text.push_str(".plus."),
            (NameStyle::AwsEc2Ssh, '=') => text.push_str(".equal."),
            (NameStyle::AwsEc2Ssh, ',') => text.push_str(".comma."),
            (NameStyle::AwsEc2Ssh, '@') => text.push_str(".at."),
            (_, other) => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn user(iam_name: &str, strip: &[&str], style: NameStyle) -> Result<String, Invalid> {
        let strip_domains: Vec<String> = strip.iter().map(ToString::to_string).collect();
        Mapping { style, strip_domains: &strip_domains }.user(iam_name).map(|name| name.to_string())
    }

    #[test]
    fn names_are_lower_cased_and_replaced_or_refused() {
        for (iam_name, name) in [
            ("Ana", "ana"),
            ("Jane.Doe@Example.com", "jane.doe@example.com"),
            ("Ana,Maria", "ana_maria"),
            ("a+b=c", "a_b_c"),
            ("0day", "0day"),
            ("_x", "_x"),
        ] {
            assert_eq!(user(iam_name, &[], NameStyle::Plain).as_deref(), Ok(name));
        }
        assert_eq!(user(&"A".repeat(33), &[], NameStyle::Plain), Err(Invalid::Long(33)));
        assert_eq!(user("2026", &[], NameStyle::Plain), Err(Invalid::Digits));
        assert_eq!(user("-rf", &[], NameStyle::Plain), Err(Invalid::First('-')));
        assert_eq!(user("a:b", &[], NameStyle::Plain), Err(Invalid::Character(':')));
        assert_eq!(user("k\u{212a}", &[], NameStyle::Plain), Err(Invalid::Character('\u{212a}')));
    }

    #[test]
    fn a_domain_is_stripped_only_whole() {
        let strip = |name| user(name, &["example.com"], NameStyle::Plain).unwrap();
        assert_eq!(strip("Jane@Example.com"), "jane");
        assert_eq!(strip("jane@sub.example.com"), "jane@sub.example.com");
        assert_eq!(strip("jane@badexample.com"), "jane@badexample.com");
        assert_eq!(user("@example.com", &["example.com"], NameStyle::Plain), Err(Invalid::Empty));
    }

    #[test]
    fn a_group_keeps_its_domain() {
        let strip_domains = ["example.com".to_owned()];
        let mapping = Mapping { style: NameStyle::Plain, strip_domains: &strip_domains };
        assert_eq!(mapping.group("Ops@example.com").unwrap().as_str(), "ops@example.com");
        assert_eq!(mapping.user("Ops@example.com").unwrap().as_str(), "ops");
    }

    #[test]
    fn aws_ec2_ssh_style_keeps_that_programs_names() {
        let name = user("a+b=c,d@e", &[], NameStyle::AwsEc2Ssh).unwrap();
        assert_eq!(name, "a.plus.b.equal.c.comma.d.at.e");
    }

    #[test]
    fn a_tag_decides_if_its_name_is_accepted() {
        let mapping = Mapping { style: NameStyle::Plain, strip_domains: &[] };
        let login = |iam_name: &str, tag| {
            let give = |name: Result<Name, Invalid>| match name {
                Ok(name) if name.as_str() == "taken" => Err("taken".to_owned()),
                name => name.map_err(|cause| cause.to_string()),
            };
            let login = mapping.login(iam_name, tag, give);
            (login.name.map(|name| name.to_string()), login.refused_tag)
        };
        let (ana, anna) = (Ok("ana".to_owned()), Ok("anna".to_owned()));
        assert_eq!(login("Ana", None), (ana.clone(), None));
        assert_eq!(login("Ana", Some("anna")), (anna.clone(), None));
        assert_eq!(login("A:n", Some("anna")), (anna, None), "an IAM name that cannot be one");
        assert_eq!(login("Ana", Some("taken")), (ana.clone(), Some("taken".to_owned())));
        let upper = Invalid::Character('A').to_string();
        assert_eq!(login("Ana", Some("Anna")), (ana, Some(upper)), "tags are not mapped");
        assert_eq!(login("Taken", Some("")), (Err("taken".to_owned()), Some(Invalid::Empty.to_string())));
    }

    fn style() -> impl Strategy<Value = NameStyle> {
        prop_oneof![Just(NameStyle::Plain), Just(NameStyle::AwsEc2Ssh)]
    }

    proptest! {
        /// IAM's own rule for names: API reference, CreateUser.
        #[test]
        fn case_does_not_matter_and_mapping_twice_changes_nothing(
            iam_name in "[A-Za-z0-9+=,.@_-]{1,40}", style in style(),
        ) {
            let mapping = Mapping { style, strip_domains: &[] };
            let name = mapping.user(&iam_name);
            prop_assert_eq!(&mapping.user(&iam_name.to_ascii_uppercase()), &name);
            if let Ok(name) = name
                && style == NameStyle::Plain
            {
                prop_assert_eq!(mapping.user(name.as_str()), Ok(name));
            }
        }
    }
}
