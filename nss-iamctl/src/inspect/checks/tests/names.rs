//! Findings about names that the host also uses.

use std::collections::BTreeSet;

use claims::{Kind, Unresolved, Use};
use status::{Part, Skip, SkipReason, Warning, What};

use super::{broken, finds, status};
use crate::fixtures::{answer, good, mosca, uses};
use crate::inspect::checks::judge;
use crate::inspect::facts::Facts;
use crate::say::finding::{Finding, Level};

fn notes(facts: &Facts) -> Vec<Finding> {
    judge(facts, &[])
        .into_iter()
        .filter(|finding| ["names", "service"].contains(&finding.code.check))
        .collect()
}

const ALLOW: &str = r#"if this is intended: printf '[names.allow]\nAIDAANA = "ana"\n' >/etc/nss-iam/config.d/60-name-AIDAANA.toml"#;

#[test]
fn a_unit_that_runs_as_a_published_user_is_named_unless_it_is_allowed() {
    let what = "IAM user 'ana' is the user of 'mosca.service' ('/usr/lib/systemd/system/mosca.service'): what runs there";
    finds(Level::Bad, what, ALLOW, |facts, _| mosca(facts));
    finds(Level::Bad, what, "use a dedicated user in '/usr/lib/systemd", |facts, _| mosca(facts));
    finds(Level::Bad, "and in 1 more places", ALLOW, |facts, _| {
        mosca(facts);
        uses(facts, "ana", Kind::Sysusers, "a system user", "/usr/lib/sysusers.d/mosca.conf");
    });
    let allowed = |facts: &mut Facts| {
        mosca(facts);
        let names = &mut facts.config.as_mut().unwrap().names;
        names.allow.insert("AIDAANA".to_owned(), "ana".to_owned());
    };
    assert_eq!(broken(|facts, _| allowed(facts)), []);
    finds(Level::Bad, "IAM user 'ana' is the user", "see [names.allow]", |facts, _| {
        mosca(facts);
        facts.names.holders.get_mut("ana").unwrap().iam_id = None;
    });
    let transient = "/run/systemd/transient/run-u1.service";
    let runs = |facts: &mut Facts| uses(facts, "ana", Kind::Unit, "the user of 'run-u1.service'", transient);
    assert_eq!(broken(|facts, _| runs(facts)), [], "systemd-run --uid ana");
    let mut facts = good();
    allowed(&mut facts);
    assert!(notes(&facts)[0].what.starts_with("'ana' is the user of"));
}

#[test]
fn what_the_last_refresh_said_of_a_unit_is_not_said_twice() {
    let warned = |facts: &mut Facts| {
        let [what, place] = ["the user of 'x.service'", "/usr/lib/x.service"].map(str::to_owned);
        let [called, name, iam_id] = ["IAM user", "ana", "AIDAANA"].map(str::to_owned);
        let used = Use { kind: Kind::Unit, what, place };
        status(facts).warnings.push(Warning::RunsAs { what: What::User, called, name, iam_id, used }.into());
    };
    assert_eq!(broken(|facts, _| warned(facts)), [], "it was removed, or is allowed");
    finds(Level::Warn, "IAM user 'ana' is the user of 'x.service'", "a different user", |facts, _| {
        facts.root = false;
        warned(facts);
    });
}

#[test]
fn of_many_units_some_are_told() {
    let findings = broken(|facts, _| {
        let holder = facts.names.holders["ana"].clone();
        for number in 0..25 {
            let name = format!("u{number}");
            facts.names.holders.insert(name.clone(), holder.clone());
            uses(facts, &name, Kind::Unit, "the user of 'x.service'", "/x");
        }
    });
    assert_eq!((findings.len(), findings[10].what.as_str()), (11, "and 15 more"));
}

#[test]
fn a_name_that_somebody_else_has_is_named() {
    use Level::Bad;
    let name = || "ana".to_owned();
    finds(Bad, "also of a user of /etc/passwd (uid 1001)", "adopt", |facts, _| {
        facts.passwd.extend([(name(), 1001)])
    });
    finds(Bad, "also of a group of /etc/group (gid 7)", "groupdel ana", |facts, _| {
        facts.group.extend([(name(), 7)])
    });
    finds(Bad, "a user of service 'sss' of nsswitch.conf (uid 9)", "nss-iam:name", |facts, _| {
        answer(facts, "sss", |answer| answer.users.extend([(name(), 9)]));
    });
    finds(Bad, "a group of service 'sss' of nsswitch.conf (gid 9)", "remove the group there", |facts, _| {
        answer(facts, "sss", |answer| answer.groups.extend([(name(), 9)]));
    });
}

#[test]
fn what_cannot_be_asked_is_named_with_what_follows() {
    use Level::{Bad, Warn};
    let broken_service =
        |facts: &mut Facts| answer(facts, "ldap", |answer| answer.failed = Some("too short".to_owned()));
    let what = "service 'ldap' of nsswitch.conf cannot be asked: too short; new users get no names";
    finds(Bad, what, "nss-iamctl enable --exclude ldap && nss-iamctl refresh", |facts, _| {
        broken_service(facts)
    });
    finds(Bad, what, "--exclude ldap", |facts, _| {
        facts.config.as_mut().unwrap().names.exclude.push("nis".to_owned());
        broken_service(facts);
    });
    finds(Bad, "cannot read '/etc/nsswitch.conf'", "its mode", |facts, _| {
        facts.names.unread = Some("cannot read '/etc/nsswitch.conf': not a regular file".to_owned());
    });
    let unknown = |facts: &mut Facts, kind| {
        let [place, why] = ["/etc/sudoers", "line 7 includes '/x'"].map(str::to_owned);
        facts.names.unresolved = BTreeSet::from([Unresolved { kind, place, why }]);
    };
    let what = "what '/etc/sudoers' grants is not known: line 7 includes '/x'; new users get no names";
    finds(Warn, what, "--exclude sudo", |facts, _| unknown(facts, Kind::Sudo));
    finds(Bad, what, "correct '/etc/sudoers'", |facts, _| {
        unknown(facts, Kind::Sudo);
        let unresolved = facts.names.unresolved.first().unwrap().clone();
        let reason = SkipReason::NameUnresolved { name: "eve".to_owned(), unresolved };
        status(facts).skips.push(Skip::new("", Part::User, "eve", "AIDAEVE", reason));
    });
    assert_eq!(broken(|facts, _| unknown(facts, Kind::Grant)), []);
}

#[test]
fn what_the_host_gives_to_names_is_told_and_is_nothing_bad() {
    let mut facts = good();
    facts.names.members.insert("ana".to_owned(), vec!["adm".to_owned()]);
    answer(&mut facts, "sss", |answer| {
        answer.memberships.extend([("ana".to_owned(), vec!["ops".to_owned()])])
    });
    answer(&mut facts, "nis", |answer| answer.absent = true);
    uses(&mut facts, "ana", Kind::Sudo, "in a sudo rule", "/etc/sudoers");
    uses(&mut facts, "ana", Kind::Grant, "the owner of a crontab", "/var/spool/cron/crontabs/ana");
    let told: Vec<String> = notes(&facts).into_iter().map(|finding| finding.what).collect();
    assert_eq!(
        told,
        [
            "nsswitch.conf names the service 'nis', whose module is not installed, so it is ignored",
            "'ana' is a member of 'adm' in /etc/group",
            "'ana' is a member of 'ops' in service 'sss' of nsswitch.conf",
            "'ana' is in a sudo rule ('/etc/sudoers')",
            "'ana' is the owner of a crontab ('/var/spool/cron/crontabs/ana')",
        ]
    );
    assert!(notes(&facts).iter().all(|finding| finding.level == Level::Ok));
}
