//! Which IAM user a local account belongs to: by name, in every spelling that a script may have made of it.

use std::collections::BTreeSet;

use config::{Config, TagUse};
use listing::{Account, User};
use policy::login::NameStyle;

/// An IAM user of the listing.
#[derive(Debug, Clone, Copy)]
pub(super) struct IamUser<'a> {
    pub user: &'a User,
    /// The account's name in the configuration.
    pub account: &'a str,
}

/// Whom an account was found to belong to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pair<'a> {
    None,
    One(IamUser<'a>),
    /// Two who are called like this.
    Two(IamUser<'a>, IamUser<'a>),
}

pub(super) fn users(accounts: &[Account]) -> Vec<IamUser<'_>> {
    let of = |account| move |user| IamUser { user, account };
    accounts.iter().flat_map(|account| account.users.iter().map(of(account.name.as_str()))).collect()
}

/// The IAM user who will be called as the account is; else one whose name the account is another spelling of.
pub(super) fn find<'a>(local: &str, users: &[IamUser<'a>], config: &Config) -> Pair<'a> {
    let local = local.to_ascii_lowercase();
    let by_login = users.iter().filter(|iam| login(iam, config) == local);
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

/// The name that the refresher would give, if nobody else has it. What it really gave is looked at afterwards.
pub(super) fn login(iam: &IamUser<'_>, config: &Config) -> String {
    let tagged = || iam.user.tags.get(&format!("{}name", config.tags.prefix)).cloned();
    if config.tags.uses.contains(&TagUse::Name)
        && let Some(name) = tagged()
    {
        return name;
    }
    let name = iam.user.name.to_ascii_lowercase();
    replaced(stripped(&name, config).unwrap_or(&name), config.users.name_style)
}

/// Every local name, in lower case, that a script may have made.
fn spellings(iam_name: &str, config: &Config) -> BTreeSet<String> {
    let name = iam_name.to_ascii_lowercase();
    let names = [Some(name.as_str()), stripped(&name, config)];
    let styles = [NameStyle::Plain, NameStyle::AwsEc2Ssh];
    let all = names.iter().flatten().flat_map(|name| styles.map(|style| replaced(name, style)));
    all.chain([name.clone()]).collect()
}

fn stripped<'a>(name: &'a str, config: &Config) -> Option<&'a str> {
    config.users.strip_domains.iter().find_map(|domain| name.strip_suffix(domain.as_str())?.strip_suffix('@'))
}

fn replaced(name: &str, style: NameStyle) -> String {
    match style {
        NameStyle::Plain => name.replace(['+', '=', ','], "_"),
        NameStyle::AwsEc2Ssh => {
            name.replace('+', ".plus.").replace('=', ".equal.").replace(',', ".comma.").replace('@', ".at.")
        }
    }
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

    fn paired(local: &str, names: &[&str], config: &Config) -> String {
        let listing = listing(names);
        match find(local, &users(&listing), config) {
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
        // Who will be called so comes before whose name could be spelt so.
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
        assert!(
            matches!(find("carl", &users(&listing), &config), Pair::None),
            "tags are not obeyed by default"
        );
        config.tags.uses = vec![TagUse::Name];
        assert!(matches!(find("carl", &users(&listing), &config), Pair::One(_)));
    }
}
