//! Settings that are valid, but hardly what anybody wants.

use std::time::Duration;

use config::Config;
use status::Warning;

use super::told::Told;

/// The longest time between two runs of nss-iam-refresh.timer: its interval, and its random delay before systemd 247.
const APART: Duration = Duration::from_secs(10 * 60);

pub(super) fn warn(config: &Config, told: &mut Told) {
    let empty =
        config.account.iter().filter(|account| account.groups.is_empty() && config.source.is_directory());
    told.warnings
        .extend(empty.map(|account| Warning::AccountWithoutGroups { account: account.name.clone() }));
    if let Some(max_age) = config.keys.max_age.filter(|max_age| *max_age < APART) {
        told.warnings.insert(Warning::MaxAgeShort { seconds: max_age.as_secs() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(text: &str) -> Vec<Warning> {
        let config = Config::parse(&[("config.toml".into(), text.to_owned())]).unwrap();
        let mut told = Told::default();
        warn(&config, &mut told);
        told.warnings.into_iter().collect()
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
