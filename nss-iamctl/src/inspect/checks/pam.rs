//! Whether PAM's account stage lets nss-iam users in: what it says now, and what it says when a directory does not answer.

mod run;

use claims::pam::Account;

use self::run::{UNAVAILABLE, is_directory};
use crate::inspect::facts::Facts;
use crate::inspect::facts::pam::{Entry, Line, PamFacts};
use crate::inspect::facts::probe::Probe;
use crate::say::code::Link;
use crate::say::finding::{Finding, Level};

const SSHD: &str = "sshd";

pub(crate) fn judge(facts: &Facts) -> Vec<Finding> {
    let common = &facts.configured().users.common_group;
    let mut findings = Vec::new();
    for (line, services) in dependent(&facts.pam, common) {
        let what = format!(
            "{} refuses nss-iam users of {} while its service does not answer",
            shown(line),
            services.join(", ")
        );
        findings.push(Finding::warn(Link::PamMayRefuse, what, remedy(&facts.pam, line)));
    }
    findings
}

/// What PAM says of a user now.
pub(crate) fn now(facts: &Facts, probe: &Probe) -> Option<Finding> {
    // What it says then has its own finding.
    if facts.nologin.is_some() {
        return None;
    }
    let Probe { name, pam, .. } = probe;
    match pam.as_ref()? {
        Account::Allowed | Account::Unasked(_) => None,
        Account::Refused { unavailable: true, why } => Some(unavailable(facts, name, why)),
        Account::Refused { unavailable: false, why } => {
            let found = Finding::bad(Link::PamRefuses, format!("PAM refuses '{name}': {why}"), SEE);
            // Whom they refuse depends on where from, and when.
            let depends = |line: &&Line| ["pam_access", "pam_time"].contains(&line.module.as_str());
            Some(if lines(&facts.pam, SSHD).iter().any(depends) { found.at(Level::Warn) } else { found })
        }
        Account::Silent { seconds } => {
            let lines = lines(&facts.pam, SSHD);
            let (by, remedy) = match lines.iter().find(|line| is_directory(line)) {
                Some(line) => (format!(": {} may wait for its service", shown(line)), restart(line)),
                None => (String::new(), SEE.to_owned()),
            };
            let what = format!("PAM did not say within {seconds} s whether '{name}' may log in{by}");
            Some(Finding::bad(Link::PamSilent, what, remedy))
        }
    }
}

/// PAM refuses `name`, because a service does not answer.
fn unavailable(facts: &Facts, name: &str, why: &str) -> Finding {
    let common = &facts.configured().users.common_group;
    let dependent = dependent(&facts.pam, common);
    let (by, remedy) = match dependent.iter().find(|(_, services)| services.contains(&SSHD)) {
        Some((line, _)) => {
            let remedy = remedy(&facts.pam, line);
            (shown(line), format!("{}; or, so that nss-iam users do not need it: {remedy}", restart(line)))
        }
        None => ("a module".to_owned(), SEE.to_owned()),
    };
    let what = format!("PAM refuses '{name}', because the service of {by} does not answer: {why}");
    Finding::bad(Link::PamUnavailable, what, remedy)
}

/// `'pam_sss' in '/etc/pam.d/common-account'`
fn shown(line: &Line) -> String {
    format!("'{}' in '{}'", line.module, line.file)
}

fn restart(line: &Line) -> String {
    match line.module.as_str() {
        "pam_sss" => "systemctl restart sssd".to_owned(),
        module => format!("restart the service of '{module}'"),
    }
}

/// For a refusal by a module that is not known to this check.
const SEE: &str = "the lines 'account' of /etc/pam.d/sshd and of the files that it includes name the modules, and the log says which one refused";

/// The lines that refuse an nss-iam user while the service of their module does not answer, and for which services of PAM.
fn dependent<'a>(pam: &'a PamFacts, common: &'a str) -> Vec<(&'a Line, Vec<&'a str>)> {
    let mut found: Vec<(&Line, Vec<&str>)> = Vec::new();
    for (service, stack) in &pam.stacks {
        let mut directories: Vec<&str> = lines(pam, service)
            .into_iter()
            .filter(|line| is_directory(line))
            .map(|line| line.module.as_str())
            .collect();
        directories.sort_unstable();
        directories.dedup();
        for down in directories {
            let refused = run::refused(stack, down, common);
            let Some(line) = refused.filter(|line| line.module == down) else { continue };
            match found.iter_mut().find(|(other, _)| *other == line) {
                Some((_, services)) => services.push(service),
                None => found.push((line, vec![service])),
            }
        }
    }
    found
}

fn flatten<'a>(stack: &'a [Entry], lines: &mut Vec<&'a Line>) {
    for entry in stack {
        match entry {
            Entry::Line(line) => lines.push(line),
            Entry::Substack(stack) => flatten(stack, lines),
        }
    }
}

/// All lines of a service.
fn lines<'a>(pam: &'a PamFacts, service: &str) -> Vec<&'a Line> {
    let mut lines = Vec::new();
    pam.stacks.iter().filter(|(name, _)| name == service).for_each(|(_, stack)| flatten(stack, &mut lines));
    lines
}

/// How nss-iam users get in although the service of the line's module does not answer.
fn remedy(pam: &PamFacts, line: &Line) -> String {
    let Line { file, control, module, arguments } = line;
    let wanted = match control.strip_suffix(']') {
        Some(control) => format!("{control} {UNAVAILABLE}=ignore]"),
        None => {
            let bad = if control == "requisite" { "die" } else { "bad" };
            format!("[success=ok new_authtok_reqd=ok ignore=ignore {UNAVAILABLE}=ignore default={bad}]")
        }
    };
    match pam.profiles.get(module).filter(|_| file == "/etc/pam.d/common-account") {
        Some(profile) => {
            // The profile belongs to a package, and the file to pam-auth-update: a copy of the profile outlives both.
            let name = profile.rsplit('/').next().unwrap_or(profile);
            let escaped = control.replace('[', "\\[");
            let copy = format!(
                "sed '/^Name:/s/$/ (optional)/; /^Account:/,/^[A-Z]/s/{escaped}/{wanted}/' {profile} >{profile}-optional"
            );
            match pam.disables {
                true => format!("{copy} && pam-auth-update --disable {name} --enable {name}-optional"),
                false => {
                    format!("{copy}; then run pam-auth-update, and select the copy instead of the original")
                }
            }
        }
        None => {
            let words =
                [vec!["account".to_owned(), wanted, format!("{module}.so")], arguments.clone()].concat();
            format!("write there, or in authselect's profile, this line: {}", words.join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{good, probe};

    /// A stack of these lines, `CONTROL | MODULE ARGUMENTS`, in sshd's file.
    fn stack(lines: &[&str]) -> Vec<Entry> {
        let entry = |line: &&str| {
            let (control, rest) = line.split_once(" | ").unwrap();
            let mut words = rest.split(' ').map(str::to_owned);
            Entry::Line(Line {
                file: "/etc/pam.d/common-account".to_owned(),
                control: control.to_owned(),
                module: words.next().unwrap(),
                arguments: words.collect(),
            })
        };
        lines.iter().map(entry).collect()
    }

    fn facts_with(entries: Vec<Entry>) -> Facts {
        let mut facts = good();
        facts.pam.stacks = vec![("sshd".to_owned(), entries)];
        facts
    }

    const UNIX: [&str; 3] = [
        "[success=1 new_authtok_reqd=done default=ignore] | pam_unix",
        "requisite | pam_deny",
        "required | pam_permit",
    ];
    const SSS: &str = "[default=bad success=ok user_unknown=ignore] | pam_sss";

    #[test]
    fn a_module_whose_silence_refuses_our_users_is_found_in_any_stack() {
        for (more, by) in [
            (&[][..], ""),
            // Debian, and the remedy.
            (&["sufficient | pam_localuser", SSS], "pam_sss"),
            (&["[default=bad success=ok user_unknown=ignore authinfo_unavail=ignore] | pam_sss"], ""),
            (&["required | pam_ldap minimum_uid=1000"], "pam_ldap"),
            (&["requisite | pam_unknown"], "pam_unknown"),
            (&["[success=ok authinfo_unavail=ok default=ignore] | pam_winbind"], "pam_winbind"),
            (&["[success=ok] | pam_krb5"], "pam_krb5"),
            (&["optional | pam_krb5", "sufficient | pam_ldap"], ""),
            // It is never asked about our users.
            (&["[success=1 default=ignore] | pam_succeed_if quiet user ingroup iam-users", SSS], ""),
            (&["[success=1 default=ignore] | pam_succeed_if uid >= 1879048192 quiet", SSS], "pam_sss"),
            (&["sufficient | pam_succeed_if uid >= 1000 quiet", SSS], ""),
            (&["sufficient | pam_succeed_if uid < 1000 quiet", SSS], "pam_sss"),
            (&["[default=1 success=ignore] | pam_succeed_if user notingroup iam-users", SSS], ""),
            (&["sufficient | pam_succeed_if user = root", SSS], "pam_sss"),
            (&["sufficient | pam_usertype issystem", SSS], "pam_sss"),
            (&["sufficient | pam_permit", SSS], ""),
            // What is refused anyway is refused by another one.
            (&["requisite | pam_deny", SSS], ""),
            (&[SSS, "[default=reset] | pam_unix"], ""),
        ] {
            let facts = facts_with(stack(&[&UNIX, more].concat()));
            let found = judge(&facts);
            let named = found.first().map_or("", |found| found.what.split('\'').nth(1).unwrap());
            assert_eq!((named, found.len()), (by, usize::from(!by.is_empty())), "{more:?}");
        }
    }

    #[test]
    fn a_substack_that_is_done_ends_only_itself() {
        let inner = Entry::Substack(stack(&["sufficient | pam_permit", "required | pam_ldap"]));
        assert_eq!(judge(&facts_with(vec![inner.clone()])), []);
        let outer = [vec![inner], stack(&["required | pam_sss"])].concat();
        assert!(judge(&facts_with(outer))[0].what.contains("'pam_sss'"));
        let skipped =
            [stack(&["[success=1 default=ignore] | pam_unix"]), vec![Entry::Substack(stack(&[SSS]))]];
        assert_eq!(judge(&facts_with(skipped.concat())), [], "it counts as one entry");
    }

    #[test]
    fn the_remedy_is_a_profile_where_pam_auth_update_writes_the_file_and_otherwise_the_line() {
        let mut facts = facts_with(stack(&[SSS]));
        let remedy = |facts: &Facts| judge(facts)[0].remedy.clone().unwrap();
        assert_eq!(
            remedy(&facts),
            "write there, or in authselect's profile, this line: account [default=bad success=ok user_unknown=ignore \
             authinfo_unavail=ignore] pam_sss.so"
        );
        facts.pam.profiles.insert("pam_sss".to_owned(), "/usr/share/pam-configs/sss".to_owned());
        assert!(
            remedy(&facts)
                .ends_with("; then run pam-auth-update, and select the copy instead of the original")
        );
        facts.pam.disables = true;
        let remedy_of_debian = remedy(&facts);
        assert!(
            remedy_of_debian.ends_with("&& pam-auth-update --disable sss --enable sss-optional"),
            "{remedy_of_debian}"
        );
        let facts = facts_with(stack(&["requisite | pam_ldap minimum_uid=1000"]));
        assert!(remedy(&facts).ends_with(
            "account [success=ok new_authtok_reqd=ok ignore=ignore authinfo_unavail=ignore default=die] pam_ldap.so minimum_uid=1000"
        ));
    }

    #[test]
    fn what_pam_says_now_is_told_with_the_module_that_may_be_the_reason() {
        let mut facts = facts_with(stack(&[SSS]));
        let mut ana = probe(true);
        let refused = |unavailable| Account::Refused { unavailable, why: "No".to_owned() };
        assert_eq!(now(&facts, &ana), None);
        ana.pam = None;
        assert_eq!(now(&facts, &ana), None);
        for (pam, code, what) in [
            (refused(true), Link::PamUnavailable, "the service of 'pam_sss' in"),
            (
                Account::Silent { seconds: 15 },
                Link::PamSilent,
                "within 15 s whether 'ana' may log in: 'pam_sss' in",
            ),
            (refused(false), Link::PamRefuses, "PAM refuses 'ana': No"),
        ] {
            ana.pam = Some(pam);
            let found = now(&facts, &ana).unwrap();
            assert!(
                found.code == code.into() && found.level == Level::Bad && found.what.contains(what),
                "{found:?}"
            );
        }
        // It depends on where from.
        facts.pam.stacks[0].1.extend(stack(&["required | pam_access"]));
        assert_eq!(now(&facts, &ana).unwrap().level, Level::Warn);
        facts.nologin = Some(("/etc/nologin".to_owned(), String::new()));
        assert_eq!(now(&facts, &ana), None, "that is told already");
    }
}
