//! Whether keys count that were pushed with EC2 Instance Connect, if the configuration says so.

use policy::instance_connect::FLAG;

use crate::edit::sshd::effective::Effective;
use crate::inspect::facts::Facts;
use crate::say::code::Link;
use crate::say::finding::Finding;
use crate::say::secure::for_root_only;

pub(crate) const MISSING: &str = "EC2 Instance Connect is not installed, so no pushed key counts";
/// The remedy.
pub(crate) const INSTALL: &str =
    "install the package ec2-instance-connect, or: nss-iamctl enable --no-instance-connect";

/// Its command, which keys-cmd runs only if nobody but root can replace it.
pub(crate) fn judge(facts: &Facts) -> Option<Finding> {
    if !facts.configured().keys.takes_pushed() {
        return None;
    }
    let Some(way) = &facts.instance_connect else {
        return Some(Finding::warn(Link::InstanceConnectMissing, MISSING, INSTALL));
    };
    if let Some(node) = way.iter().find(|node| !node.is_safe()) {
        let what = format!(
            "no pushed key counts: '{}' has mode {:04o} and owner {}, but only root may be able to write there",
            node.path, node.mode, node.uid
        );
        let asked = way.last().map_or("", |command| command.path.as_str());
        let remedy = for_root_only(asked, node.place()).unwrap_or_else(|| {
            "install the package ec2-instance-connect again, or: nss-iamctl enable --no-instance-connect"
                .to_owned()
        });
        return Some(Finding::warn(Link::InstanceConnectUnsafe, what, remedy));
    }
    Some(Finding::ok(Link::InstanceConnect, "keys that were pushed with EC2 Instance Connect count, too"))
}

/// Whether sshd's settings say the same as the configuration.
pub(super) fn differs(facts: &Facts, settings: &Effective) -> Option<Finding> {
    if !facts.configured().keys.sshd {
        return None;
    }
    let wanted = facts.configured().keys.takes_pushed();
    let (does, but) = match (is_asked(settings), wanted) {
        (true, false) => ("lets pushed keys count", "false"),
        (false, true) => ("does not let pushed keys count", "true"),
        _ => return None,
    };
    let what = format!("sshd's configuration {does}, but '[keys] instance_connect' is {but}");
    Some(Finding::warn(Link::InstanceConnectDiffers, what, "nss-iamctl enable"))
}

/// Whether sshd has keys-cmd ask for pushed keys.
pub(super) fn is_asked(settings: &Effective) -> bool {
    settings.list("authorizedkeyscommand").contains(&FLAG)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{IN_FORCE, good};
    use crate::inspect::facts::Node;
    use crate::say::finding::Level;

    fn told(wanted: bool, way: Option<&[(u32, u32)]>) -> Option<(Level, String)> {
        let mut facts = good();
        facts.config.as_mut().unwrap().keys.instance_connect = wanted;
        let node = |&(uid, mode)| Node {
            path: "/x".to_owned(),
            uid,
            gid: 0,
            mode,
            directory: false,
            file: true,
            link: false,
        };
        facts.instance_connect = way.map(|way| way.iter().map(node).collect());
        judge(&facts).map(|found| (found.level, found.what))
    }

    #[test]
    fn the_command_has_to_be_there_and_safe_only_if_it_is_used() {
        assert_eq!(told(false, None), None);
        assert_eq!(told(false, Some(&[(0, 0o777)])), None);
        assert_eq!(told(true, Some(&[(0, 0o755), (0, 0o755)])).unwrap().0, Level::Ok);
        let (level, what) = told(true, None).unwrap();
        assert!(level == Level::Warn && what.contains("not installed"), "{what}");
        for unsafe_way in [[(0, 0o755), (0, 0o775)], [(0, 0o757), (0, 0o755)], [(0, 0o755), (1, 0o755)]] {
            let (level, what) = told(true, Some(&unsafe_way)).unwrap();
            assert!(level == Level::Warn && what.contains("only root may"), "{what}");
        }
    }

    #[test]
    fn sshd_and_the_configuration_that_differ_are_told() {
        let with = IN_FORCE.replace("%u", &format!("{FLAG} %u"));
        for (settings, wanted, differ) in
            [(IN_FORCE, false, false), (IN_FORCE, true, true), (&*with, true, false), (&*with, false, true)]
        {
            let mut facts = good();
            facts.config.as_mut().unwrap().keys.instance_connect = wanted;
            let found = differs(&facts, &Effective::parse(settings));
            assert_eq!(found.is_some(), differ, "{wanted} {settings}");
        }
    }
}
