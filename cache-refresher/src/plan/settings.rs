//! Settings that are valid, but hardly what anybody wants.

use std::collections::BTreeSet;
use std::time::Duration;

use config::{Config, TagUse, Tags};
use listing::{Listing, User};
use status::Warning;

use super::input::Input;
use super::told::Told;

/// The longest time between two runs of nss-iam-refresh.timer: its interval, and its random delay before systemd 247.
const APART: Duration = Duration::from_secs(10 * 60);

pub(super) fn warn(input: &Input<'_>, told: &mut Told) {
    told.warnings.extend(of_settings(input.config));
    told.warnings.extend(unused_tags(input.listing, &input.config.tags));
}

fn of_settings(config: &Config) -> Vec<Warning> {
    let empty =
        config.account.iter().filter(|account| account.groups.is_empty() && config.source.is_directory());
    let empty = empty.map(|account| Warning::AccountWithoutGroups { account: account.name.clone() });
    let max_age = config.keys.max_age.filter(|max_age| *max_age < APART);
    empty.chain(max_age.map(|max_age| Warning::MaxAgeShort { seconds: max_age.as_secs() })).collect()
}

/// Each kind of tag that users have and that is not used. Where no tag is used, tags are not read, and nothing is known.
fn unused_tags(listing: &Listing, tags: &Tags) -> Vec<Warning> {
    let warning = |usage: TagUse| {
        let has = |user: &&User| user.tags.keys().any(|key| tags.meant(key) == Some(usage));
        let users = listing.accounts.iter().flat_map(|account| &account.users).filter(has);
        let names: BTreeSet<&str> = users.map(|user| user.name.as_str()).collect();
        Some(Warning::TagUnused {
            tag: format!("{}{}", tags.prefix, usage.word()),
            users: u64::try_from(names.len()).unwrap_or(u64::MAX),
            example: message::printable(names.first()?),
            usage: usage.word().to_owned(),
        })
    };
    TagUse::ALL.into_iter().filter(|usage| !tags.uses.contains(usage)).filter_map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(text: &str) -> Vec<Warning> {
        of_settings(&Config::parse(&[("config.toml".into(), text.to_owned())]).unwrap())
    }

    #[test]
    fn each_kind_of_tag_that_is_not_used_is_reported_once() {
        let user = |name: &str, tags: &[&str]| User {
            id: name.to_owned(),
            name: name.to_owned(),
            tags: tags.iter().map(|tag| ((*tag).to_owned(), "x".to_owned())).collect(),
            ..User::default()
        };
        let users = vec![
            user("eve", &["nss-iam:ssh-key-2", "nss-iam:name"]),
            user("ana", &["nss-iam:ssh-key", "nss-iam:ssh-key-3", "nss-iam:uid"]),
            user("bob", &["ssh-key", "nss-iam:other", "nss-iam:ssh-keys"]),
        ];
        let accounts = vec![listing::Account { users, ..listing::Account::default() }];
        let listing = Listing { version: 1, source: "iam:".to_owned(), accounts, ..Listing::default() };
        let told = |uses: &[TagUse]| {
            let tags = Tags { uses: uses.to_vec(), ..Tags::default() };
            let warnings = unused_tags(&listing, &tags);
            warnings.iter().map(|warning| warning.message().in_one_line()).collect::<Vec<_>>()
        };
        let end = "anyone who may tag users at the source decides its value";
        assert_eq!(
            told(&[TagUse::Uid]),
            [
                format!(
                    "2 users have a tag 'nss-iam:ssh-key' that has no effect, because [tags] use does not list it: 'ana' \
                     and 1 more; hint: if it should have one: nss-iamctl enable --use-tag ssh-key; {end}"
                ),
                format!(
                    "1 user has a tag 'nss-iam:name' that has no effect, because [tags] use does not list it: 'eve'; \
                     hint: if it should have one: nss-iamctl enable --use-tag name; {end}"
                ),
            ]
        );
        assert_eq!(told(&TagUse::ALL), [""; 0]);
    }

    #[test]
    fn an_account_without_groups_and_keys_that_age_between_refreshes_are_reported() {
        assert_eq!(warnings("[keys]\nmax_age = \"10m\"\n[[account]]\nname = \"b\"\ngroups = [\"G\"]\n"), []);
        assert_eq!(
            warnings("[keys]\nmax_age = \"9m\"\n[[account]]\nname = \"b\"\n"),
            [
                Warning::AccountWithoutGroups { account: "b".to_owned() },
                Warning::MaxAgeShort { seconds: 540 }
            ]
        );
        assert_eq!(warnings("[keys]\nmax_age = \"0\"\n"), []);
        assert_eq!(warnings("[source]\nurl = \"file:///l\"\n[[account]]\nname = \"b\"\n"), []);
    }
}
