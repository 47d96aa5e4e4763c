//! Settings that have no effect because of others.

use crate::Config;

/// A setting that is set, and why it has no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoEffect {
    /// `[keys] instance_connect`: sshd does not ask nss-iam for keys.
    InstanceConnect,
    /// `[keys] options`: sshd asks nss-iam neither for keys nor about certificates.
    KeyOptions,
    /// `[tags] use`: the source has no tags.
    Tags,
    /// `shell_groups`: all users may run commands.
    ShellGroups,
}

impl Config {
    /// The settings that have no effect because of others.
    pub fn without_effect(&self) -> impl Iterator<Item = NoEffect> {
        let has_shell_groups = || {
            let others = self.account.iter().map(|account| &account.shell_groups);
            std::iter::once(&self.shell_groups).chain(others).any(|groups| !groups.is_empty())
        };
        [
            (NoEffect::InstanceConnect, self.keys.instance_connect && !self.keys.takes_pushed()),
            (NoEffect::KeyOptions, !self.keys.options.is_empty() && !self.keys.asks_keys_cmd()),
            (NoEffect::Tags, !self.tags.uses.is_empty() && self.source.stored().is_none()),
            (NoEffect::ShellGroups, !self.users.forward_only && has_shell_groups()),
        ]
        .into_iter()
        .filter_map(|(setting, has_none)| has_none.then_some(setting))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_others_leave_without_effect_is_found_and_no_other() {
        use NoEffect as N;
        let store = "[source]\nurl = 'identity-center:'\nidentity_store = 'd-1234567890'\n";
        for (text, expected) in [
            ("", &[][..]),
            ("[keys]\ninstance_connect = true\noptions = 'restrict'\n", &[]),
            ("[keys]\ninstance_connect = true\nsshd = false\n", &[N::InstanceConnect]),
            ("[keys]\noptions = 'restrict'\nsshd = false\n", &[N::KeyOptions]),
            ("[keys]\noptions = 'restrict'\nsshd = false\nuser_ca = '/etc/ssh/ca.pub'\n", &[]),
            ("[tags]\nuse = ['name']\n", &[]),
            (&format!("{store}[tags]\nuse = ['name']\n"), &[N::Tags]),
            ("groups = ['A']\nshell_groups = ['A']\n", &[N::ShellGroups]),
            ("groups = ['A']\nshell_groups = ['A']\n[users]\nforward_only = true\n", &[]),
        ] {
            let config = Config::parse(&[("config.toml".into(), text.to_owned())]).unwrap();
            assert_eq!(config.without_effect().collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
