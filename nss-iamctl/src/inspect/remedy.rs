//! Remedies that several commands name, for the configuration of this host.

use config::{Config, TagUse};

use crate::edit::settings::{self, longer_list};
use crate::say::show::printable;

/// How to give a user another login name.
pub(crate) fn another_name(config: &Config) -> String {
    format!("give the user another login name ({})", tag(config, TagUse::Name))
}

/// The tag for a use, and the setting without which it is not read.
pub(crate) fn tag(config: &Config, usage: TagUse) -> String {
    let config::Tags { uses, prefix } = &config.tags;
    let tag = format!("tag '{prefix}{}'", usage.word());
    if uses.contains(&usage) { tag } else { format!("{tag} with {}", use_tag(config, usage)) }
}

/// The setting that lets one more kind of tags be read.
pub(crate) fn use_tag(config: &Config, usage: TagUse) -> String {
    let uses = config.tags.uses.iter().map(|usage| usage.word());
    format!("[tags] use = {}", longer_list(uses, usage.word()))
}

/// A command that allows a UserId or GroupId to have this name. Each name has a separate file, because a section can
/// only be in a TOML file once.
pub(crate) fn allow_command(iam_id: &str, name: &str) -> String {
    let (iam_id, name) = (printable(iam_id), printable(name));
    format!(
        "printf '[names.allow]\\n{iam_id} = \"{name}\"\\n' >/etc/nss-iam/config.d/60-name-{name}.toml && nss-iamctl refresh"
    )
}

/// The setting that excludes one more part of the host.
pub(crate) fn exclude(config: &Config, part: &str) -> String {
    let excluded = config.names.exclude.iter().map(String::as_str);
    format!("names.exclude = {} in {}; then nss-iamctl refresh", longer_list(excluded, part), settings::PATH)
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
            r#"printf '[names.allow]\nAIDAANA = "ana"\n' >/etc/nss-iam/config.d/60-name-ana.toml && nss-iamctl refresh"#
        );
    }

    #[test]
    fn a_setting_that_replaces_a_list_has_what_is_configured_now() {
        let bare = Config::default();
        let full =
            config("[names]\nexclude = [\"ldap\"]\n[tags]\nuse = [\"uid\", \"shell\"]\nprefix = \"x:\"\n");
        for (remedy, wanted) in [
            (exclude(&bare, "sss"), r#"names.exclude = ["sss"] in "#),
            (exclude(&full, "sss"), r#"names.exclude = ["ldap", "sss"] in "#),
            (exclude(&full, "ldap"), r#"names.exclude = ["ldap"] in "#),
            (use_tag(&bare, TagUse::SshKey), r#"[tags] use = ["ssh-key"]"#),
            (use_tag(&full, TagUse::SshKey), r#"[tags] use = ["uid", "shell", "ssh-key"]"#),
            (another_name(&bare), r#"(tag 'nss-iam:name' with [tags] use = ["name"])"#),
            (another_name(&full), r#"(tag 'x:name' with [tags] use = ["uid", "shell", "name"])"#),
            (tag(&full, TagUse::Uid), "tag 'x:uid'"),
        ] {
            assert!(remedy.contains(wanted), "'{wanted}' is not in: {remedy}");
        }
        assert_eq!(
            another_name(&config("tags.use = [\"name\"]")),
            "give the user another login name (tag 'nss-iam:name')"
        );
    }
}
