//! Settings that are set and have no effect because of others.

use config::{Config, NoEffect};
use message::Message;

use crate::inspect::facts::Facts;
use crate::say::code::Link;
use crate::say::finding::Finding;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let config = facts.configured();
    let finding = |setting: NoEffect| {
        let told = remark(config, setting);
        match setting {
            // As after `enable --no-forward-only`, which undoes `enable --forward-only`.
            NoEffect::ShellGroups => Finding::ok(Link::SettingUnused, told.what()),
            _ => Finding::warn(Link::SettingUnused, told.what(), told.hint().unwrap_or_default()),
        }
    };
    config.without_effect().map(finding).collect()
}

/// What `enable` and `doctor` say about it.
pub(crate) fn remark(config: &Config, setting: NoEffect) -> Message {
    let (what, remedy) = match setting {
        NoEffect::InstanceConnect => (
            "'[keys] instance_connect' has no effect: sshd does not ask nss-iam for keys ('--no-keys')"
                .to_owned(),
            "nss-iamctl enable --keys; or without pushed keys: nss-iamctl enable --no-instance-connect",
        ),
        NoEffect::KeyOptions => (
            "'[keys] options' has no effect: sshd asks nss-iam neither for keys nor about certificates"
                .to_owned(),
            "nss-iamctl enable --keys; or remove 'options', and restrict logins where the users are authenticated",
        ),
        NoEffect::Tags => (
            format!("'[tags] use' has no effect: users of {} have no tags here", config.source.noun()),
            "remove 'use' below [tags] in /etc/nss-iam",
        ),
        NoEffect::ShellGroups => (
            "'shell_groups' has no effect: every user can run commands on this host".to_owned(),
            "nss-iamctl enable --forward-only",
        ),
    };
    Message::new(what).with_hint(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::good;
    use crate::say::finding::Level;

    #[test]
    fn a_setting_without_effect_is_a_warning_and_groups_for_shells_are_information() {
        assert_eq!(judge(&good()), []);
        let told = |set: fn(&mut Config)| {
            let mut facts = good();
            set(facts.config.as_mut().unwrap());
            judge(&facts).into_iter().map(|found| (found.level, found.what)).collect::<Vec<_>>()
        };
        let pushed = told(|config| (config.keys.sshd, config.keys.instance_connect) = (false, true));
        assert!(
            matches!(&pushed[..], [(Level::Warn, what)] if what.starts_with("'[keys] instance_connect' has no effect"))
        );
        let shells = told(|config| config.shell_groups.push("Ops".to_owned()));
        assert!(matches!(&shells[..], [(Level::Ok, what)] if what.contains("every user can run commands")));
    }
}
