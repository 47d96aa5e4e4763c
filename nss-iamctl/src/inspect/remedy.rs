//! Remedies that several commands name, for the configuration of this host.

use config::{Config, TagUse};
use policy::reserved::is_reserved;

use crate::say::show::{printable, word};

/// How the local account of that name becomes the nss-iam user; `None` for one of the system, which stays.
pub(crate) fn adopt(name: &str) -> Option<String> {
    (!is_reserved(name, &[])).then(|| {
        let name = word(name);
        format!("convert the local account: nss-iamctl adopt --apply {name} (without --apply, it shows how)")
    })
}

/// How the local group of that name goes; `None` for one of the system.
pub(crate) fn delete_group(name: &str) -> Option<String> {
    (!is_reserved(name, &[])).then(|| format!("if nothing needs the local group: groupdel {}", word(name)))
}

/// The ways that there are.
pub(crate) fn one_of<const N: usize>(ways: [Option<String>; N]) -> String {
    ways.into_iter().flatten().collect::<Vec<_>>().join("; or ")
}

/// How to give a user another login name. `None`: the name or id at the source is not known here.
pub(crate) fn another_name(config: &Config, user: Option<&str>, id: Option<&str>) -> String {
    let user = user.map_or_else(|| "USER".to_owned(), word);
    let given = match config.source.stored() {
        Some(stored) => {
            used(config, TagUse::Name, &stored.to_set_tag(&user, &word(&tag(config, TagUse::Name)), "NAME"))
        }
        None => {
            let id = id.map_or_else(|| "USERID".to_owned(), word);
            format!("{}; then nss-iamctl refresh", config.source.to_rename_user(&user, &id))
        }
    };
    format!("give the user another login name: {given}")
}

/// How a user gets a key of a type that the source itself does not take.
pub(crate) fn add_other_key(config: &Config, user: &str) -> String {
    let tag = word(&tag(config, TagUse::SshKey));
    let add = config.source.to_add_other_key(&word(user), &tag);
    if config.source.has_keys() { used(config, TagUse::SshKey, &add) } else { add }
}

/// The key of the tag for a use.
fn tag(config: &Config, usage: TagUse) -> String {
    format!("{}{}", config.tags.prefix, usage.word())
}

/// What sets a tag, with the setting without which it is not read, and the refresh that reads it.
fn used(config: &Config, usage: TagUse, set: &str) -> String {
    if config.tags.uses.contains(&usage) {
        return format!("{set}; then nss-iamctl refresh");
    }
    format!("{set}; then {} && nss-iamctl refresh", use_tag(usage))
}

/// The command that lets one more kind of tags be read.
pub(crate) fn use_tag(usage: TagUse) -> String {
    format!("nss-iamctl enable --use-tag {}", usage.word())
}

/// The command after which tags of this kind have an effect that they do not have now.
pub(crate) fn use_unused(usage: TagUse) -> String {
    format!(
        "if they should have an effect (anyone who may tag users at the source decides their values): {} && nss-iamctl refresh",
        use_tag(usage)
    )
}

/// A command that allows a UserId or GroupId to have this name. Each id has a separate file: another id keeps its own name, and
/// this id has only one.
pub(crate) fn allow_command(iam_id: &str, name: &str) -> String {
    let (iam_id, name) = (printable(iam_id), printable(name));
    format!(
        "printf '[names.allow]\\n{iam_id} = \"{name}\"\\n' >/etc/nss-iam/config.d/60-name-{iam_id}.toml && nss-iamctl refresh"
    )
}

/// The command that excludes one more part of the host.
pub(crate) fn exclude(part: &str) -> String {
    format!("nss-iamctl enable --exclude {} && nss-iamctl refresh", word(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(&[("config.toml".into(), text.to_owned())]).unwrap()
    }

    #[test]
    fn a_name_is_allowed_by_a_command_to_copy() {
        assert_eq!(
            allow_command("AIDAANA", "ana"),
            r#"printf '[names.allow]\nAIDAANA = "ana"\n' >/etc/nss-iam/config.d/60-name-AIDAANA.toml && nss-iamctl refresh"#
        );
    }

    /// adopt refuses them, and a host without them is broken.
    #[test]
    fn accounts_and_groups_of_the_system_are_neither_converted_nor_deleted() {
        for name in ["root", "daemon", "sudo", "admin"] {
            assert_eq!((adopt(name), delete_group(name)), (None, None));
        }
        assert_eq!(
            one_of([adopt("ana"), None, delete_group("dev")]),
            "convert the local account: nss-iamctl adopt --apply ana (without --apply, it shows how); or if nothing needs the \
             local group: groupdel dev"
        );
    }

    #[test]
    fn a_tag_comes_with_the_setting_without_which_it_has_no_effect() {
        let bare = Config::default();
        let full = config("[tags]\nuse = [\"uid\", \"shell\"]\nprefix = \"x:\"\n");
        for (remedy, wanted) in [
            (
                another_name(&bare, Some("Ana"), None),
                "--user-name Ana --tags Key=nss-iam:name,Value=NAME; then nss-iamctl enable --use-tag name && nss-iamctl refresh",
            ),
            (
                another_name(&full, None, None),
                "--user-name USER --tags Key=x:name,Value=NAME; then nss-iamctl enable",
            ),
        ] {
            assert!(remedy.ends_with(wanted) || remedy.contains(wanted), "'{wanted}' is not in: {remedy}");
        }
        let named = another_name(&config("tags.use = [\"name\"]"), Some("$(id)"), None);
        assert_eq!(
            named,
            "give the user another login name: aws iam tag-user --user-name '$(id)' --tags Key=nss-iam:name,Value=NAME; then \
             nss-iamctl refresh"
        );
    }
}
