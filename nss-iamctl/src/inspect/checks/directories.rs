//! What it costs nss-iam users that another directory is asked before `iam`.

use crate::edit::nsswitch;
use crate::inspect::facts::Facts;
use crate::say::code::Link;
use crate::say::finding::Finding;
use crate::say::show::some;

/// The service of sssd.
const SSS: &str = "sss";

pub(crate) fn judge(facts: &Facts) -> Option<Finding> {
    let (before, _) = nsswitch::directories(facts.nsswitch.as_deref()?.as_bytes());
    if before.is_empty() {
        return None;
    }
    let first = asked_first(&before);
    if before == [SSS] && facts.unlimited.as_ref().is_some_and(Vec::is_empty) {
        let what = format!("{first}, but does not ask its server about ids of nss-iam, because of max_id");
        return Some(Finding::ok(Link::DirectoryLimited, what));
    }
    Some(Finding::warn(Link::DirectoryFirst, format!("{first}: {COST}"), remedy(&before)))
}

/// What changes the order.
pub(crate) const FIX: &str = "nss-iamctl enable --before-directories";
/// What the order costs.
pub(crate) const COST: &str = "it is asked about each nss-iam user and id first, and a login waits for it";

/// `'sss' is asked before 'iam' in nsswitch.conf`
pub(crate) fn asked_first(before: &[String]) -> String {
    let are = if before.len() == 1 { "is" } else { "are" };
    format!("{} {are} asked before 'iam' in nsswitch.conf", some(before))
}

/// What the administrator can do about it.
pub(crate) fn remedy(before: &[String]) -> String {
    let limit = format!(
        "; or, for lookups of ids only, max_id = {} in each [domain/...] of sssd.conf",
        policy::id::FIRST - 1
    );
    let limit = if before.iter().any(|name| name == SSS) { limit } else { String::new() };
    format!("{FIX}{limit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::good;
    use crate::say::finding::Level;

    #[test]
    fn a_directory_before_iam_is_told_with_its_cost_unless_it_is_limited() {
        let mut facts = good();
        assert_eq!(judge(&facts), None);
        let lines = |services: &str| {
            Some(format!("passwd: files {services}\ngroup: files {services}\nshadow: files iam\n"))
        };
        for (services, unlimited, level, remedy) in [
            ("sss iam", None, Level::Warn, "or, for lookups of ids only, max_id = 1879048191"),
            ("sss iam", Some(vec!["example".to_owned()]), Level::Warn, "max_id"),
            ("sss iam", Some(Vec::new()), Level::Ok, ""),
            ("sss ldap iam", Some(Vec::new()), Level::Warn, "nss-iamctl enable --before-directories"),
        ] {
            (facts.nsswitch, facts.unlimited) = (lines(services), unlimited);
            let found = judge(&facts).unwrap();
            assert_eq!(found.level, level, "{services}");
            assert!(found.remedy.unwrap_or_default().contains(remedy), "{services}");
        }
        facts.nsswitch = lines("iam systemd sss");
        assert_eq!(judge(&facts), None);
    }
}
