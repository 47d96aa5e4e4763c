//! Home directories: which path the template yields, and which spellings mean the same path. Who owns what is there is
//! checked elsewhere.

use std::borrow::Cow;

use crate::{Id, Name};

/// The values of the placeholders `{name}`, `{uid}`, `{iam_name}` and `{account}` of `[users] home`.
#[derive(Debug, Clone, Copy)]
pub struct Placeholders<'a> {
    /// The login name.
    pub name: &'a Name,
    /// The uid.
    pub id: Id,
    /// As the source spells it.
    pub iam_name: &'a str,
    /// The account's name in the configuration.
    pub account: &'a str,
}

/// Whether every brace belongs to a known placeholder.
#[must_use]
pub fn is_template(mut rest: &str) -> bool {
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, tail)) = after.split_once('}') else {
            return false;
        };
        if before.contains('}') || !["name", "uid", "iam_name", "account"].contains(&name) {
            return false;
        }
        rest = tail;
    }
    !rest.contains('}')
}

/// Whether the template yields the same path for all users, so that each gets [`with_id`] of it.
#[must_use]
pub fn is_shared(template: &str) -> bool {
    !template.contains('{')
}

/// The path that the template yields; none if a value contains a path of its own.
#[must_use]
pub fn of_template(template: &str, user: Placeholders<'_>) -> Option<String> {
    let plain = |text: &str| !text.contains('/') && text != ".." && text != ".";
    if user.iam_name.is_empty() || !plain(user.iam_name) || !plain(user.account) {
        return None;
    }
    let home = template
        .replace("{name}", user.name.as_str())
        .replace("{uid}", &user.id.to_string())
        .replace("{iam_name}", user.iam_name)
        .replace("{account}", user.account);
    Some(normal(&home).into_owned())
}

/// The home of a new user, if nobody else has it: the template's, or [`with_id`] of it if that is shared.
#[must_use]
pub fn of_newcomer(template: &str, user: Placeholders<'_>) -> Option<String> {
    let home = of_template(template, user)?;
    Some(if is_shared(template) { with_id(&home, user.id) } else { home })
}

/// The home of a user who cannot have `home`: `<home>-<uid>`.
#[must_use]
pub fn with_id(home: &str, id: Id) -> String {
    format!("{home}-{id}")
}

/// One spelling for each path: `//`, `/./` and a `/` at the end change nothing.
#[must_use]
pub fn normal(home: &str) -> Cow<'_, str> {
    if home.strip_prefix('/').is_some_and(|rest| rest.split('/').all(|part| !part.is_empty() && part != "."))
    {
        return home.into();
    }
    let parts = home.split('/').filter(|part| !part.is_empty() && *part != ".");
    let path = parts.fold(String::new(), |path, part| path + "/" + part);
    if path.is_empty() { "/".into() } else { path.into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn home(template: &str, iam_name: &str, account: &str) -> Option<String> {
        let (name, id) = (Name::new("ana").unwrap(), Id::pinned(1003).unwrap());
        of_newcomer(template, Placeholders { name: &name, id, iam_name, account })
    }

    #[test]
    fn placeholders_are_replaced_and_paths_are_normalized() {
        for (template, path) in [
            ("/home/{name}", "/home/ana"),
            ("/home/{account}/{iam_name}/{uid}/", "/home/b/Ana/1003"),
            ("//srv/./{name}{name}", "/srv/anaana"),
            ("/srv/all", "/srv/all-1003"),
        ] {
            assert_eq!(home(template, "Ana", "b").as_deref(), Some(path), "{template}");
            assert!(is_template(template));
        }
        // The first account has no name.
        assert_eq!(home("/home/{account}/{name}", "Ana", "").as_deref(), Some("/home/ana"));
        for template in
            ["/home/{nam}", "/home/{name", "/home/name}", "/home/{{name}}", "/home/{}", "/{ name}"]
        {
            assert!(!is_template(template), "{template}");
        }
    }

    #[test]
    fn a_name_that_would_lead_elsewhere_gives_no_home() {
        for (iam_name, account) in [("", "b"), ("..", "b"), (".", "b"), ("a/b", "b"), ("/", "b"), ("a", "..")]
        {
            assert_eq!(home("/home/{account}/{iam_name}", iam_name, account), None, "{iam_name} {account}");
        }
    }

    proptest! {
        #[test]
        fn a_home_is_inside_the_directory_that_the_template_names(iam_name in "\\PC{0,20}", account in "\\PC{0,20}") {
            if let Some(path) = home("/srv/{account}x/{iam_name}", &iam_name, &account) {
                prop_assert!(path.starts_with("/srv/") && path.split('/').count() == 4, "{path}");
                prop_assert!(path.split('/').skip(1).all(|part| !["", ".", ".."].contains(&part)), "{path}");
                prop_assert_eq!(&*normal(&path), &path);
            }
        }

        #[test]
        fn a_path_has_one_spelling(path in "[/.a]{0,12}") {
            let one = normal(&path);
            prop_assert_eq!(&normal(&one), &one);
            prop_assert!(one.starts_with('/') && (one == "/" || !one.ends_with('/')) && !one.contains("//"));
        }
    }
}
