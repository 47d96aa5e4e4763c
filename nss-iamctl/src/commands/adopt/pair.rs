//! Finds the user of the source that a local account belongs to: by name, in each spelling that a script may have used.

use std::collections::BTreeSet;

use config::{Config, TagUse};
use listing::{Account, User};
use policy::Name;
use policy::login::{Mapping, NameStyle};

/// A user in the listing.
#[derive(Debug, Clone, Copy)]
pub(super) struct IamUser<'a> {
    pub user: &'a User,
    /// The account's name in the configuration.
    pub account: &'a str,
}

/// The user that an account belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pair<'a> {
    None,
    One(IamUser<'a>),
    /// Two users fit.
    Two(IamUser<'a>, IamUser<'a>),
}

pub(super) fn users(accounts: &[Account]) -> Vec<IamUser<'_>> {
    let of = |account| move |user| IamUser { user, account };
    accounts.iter().flat_map(|account| account.users.iter().map(of(account.name.as_str()))).collect()
}

/// The user whose login name, from `login`, is that of the account, or else the user whose name a script could have turned
/// into it.
pub(super) fn find<'a>(
    local: &str,
    users: &[IamUser<'a>],
    config: &Config,
    login: impl Fn(&IamUser<'a>) -> Option<Name>,
) -> Pair<'a> {
    let local = local.to_ascii_lowercase();
    let could_be = |iam: &&IamUser<'_>| {
        let tag = config.tags.value(TagUse::Name, &iam.user.tags);
        tag == Some(&local) || config.users.mapping().spelling(&iam.user.name) == local
    };
    let by_login =
        users.iter().filter(could_be).filter(|iam| login(iam).is_some_and(|name| name.as_str() == local));
    match one(by_login.copied()) {
        Pair::None => {
            one(users.iter().filter(|iam| spellings(&iam.user.name, config).contains(&local)).copied())
        }
        found => found,
    }
}

fn one<'a>(mut users: impl Iterator<Item = IamUser<'a>>) -> Pair<'a> {
    match (users.next(), users.next()) {
        (None, _) => Pair::None,
        (Some(one), None) => Pair::One(one),
        (Some(one), Some(two)) => Pair::Two(one, two),
    }
}

/// Each local name, in lower case, that a script could have created.
fn spellings(iam_name: &str, config: &Config) -> BTreeSet<String> {
    let styles = [NameStyle::Plain, NameStyle::AwsEc2Ssh];
    let domains = [&[], config.users.strip_domains.as_slice()];
    let mappings =
        styles.iter().flat_map(|&style| domains.map(|strip_domains| Mapping { style, strip_domains }));
    mappings.map(|mapping| mapping.spelling(iam_name)).chain([iam_name.to_ascii_lowercase()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(names: &[&str]) -> Vec<Account> {
        let user = |(index, name): (usize, &&str)| User {
            id: format!("AIDA{index}"),
            name: (*name).to_owned(),
            ..User::default()
        };
        vec![Account { users: names.iter().enumerate().map(user).collect(), ..Account::default() }]
    }

    fn found<'a>(local: &str, listing: &'a [Account], config: &Config) -> Pair<'a> {
        find(local, &users(listing), config, |iam| {
            config.login(&iam.user.name, &iam.user.tags, |name| name).name.ok()
        })
    }

    fn paired(local: &str, names: &[&str], config: &Config) -> String {
        let listing = listing(names);
        match found(local, &listing, config) {
            Pair::None => "none".to_owned(),
            Pair::One(iam) => iam.user.name.clone(),
            Pair::Two(one, two) => format!("{} or {}", one.user.name, two.user.name),
        }
    }

    #[test]
    fn accounts_are_found_by_every_name_that_a_script_gave() {
        let plain = Config::default();
        for (local, names, found) in [
            ("ana", &["Ana", "bob"][..], "Ana"),
            ("Ana", &["ana"], "ana"),
            ("jane.at.example.com", &["Jane@Example.com"], "Jane@Example.com"),
            ("jane@example.com", &["Jane@Example.com"], "Jane@Example.com"),
            ("a.plus.b.equal.c.comma.d", &["a+b=c,d"], "a+b=c,d"),
            ("a_b", &["a+b"], "a+b"),
            ("ana", &["bob", "ana.maria"], "none"),
            ("", &[], "none"),
        ] {
            assert_eq!(paired(local, names, &plain), found, "{local}");
        }
    }

    #[test]
    fn two_who_would_fit_are_not_guessed_at() {
        let plain = Config::default();
        assert_eq!(paired("a_b", &["a+b", "a=b"], &plain), "a+b or a=b");
        assert_eq!(paired("a_b", &["A_b", "a+b"], &plain), "A_b or a+b");
        // A user who will have the name comes before one whose name could be spelled like it.
        assert_eq!(paired("a.at.b", &["a@b", "a.at.b"], &plain), "a.at.b");
    }

    #[test]
    fn domains_and_tags_count_as_the_configuration_says() {
        let mut config = Config::default();
        config.users.strip_domains = vec!["example.com".to_owned()];
        assert_eq!(paired("jane", &["Jane@Example.com"], &config), "Jane@Example.com");
        assert_eq!(paired("jane.at.example.com", &["Jane@Example.com"], &config), "Jane@Example.com");
        let mut listing = listing(&["x1"]);
        listing[0].users[0].tags = [("nss-iam:name".to_owned(), "carl".to_owned())].into();
        assert!(matches!(found("carl", &listing, &config), Pair::None), "tags are not obeyed by default");
        config.tags.uses = vec![TagUse::Name];
        assert!(matches!(found("carl", &listing, &config), Pair::One(_)));
    }
}
