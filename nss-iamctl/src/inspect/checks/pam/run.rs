//! How PAM's account stage ends for an nss-iam user while the service of one module does not answer. Pure.

use crate::inspect::facts::pam::{Entry, Line};

/// Modules that ask nobody outside of this host. All others may ask a directory: pam_sss, pam_ldap, pam_winbind, pam_krb5, and
/// any that is not known here.
const LOCAL: [&str; 44] = [
    "pam_access",
    "pam_cap",
    "pam_cgroup",
    "pam_chroot",
    "pam_debug",
    "pam_deny",
    "pam_echo",
    "pam_env",
    "pam_exec",
    "pam_faildelay",
    "pam_faillock",
    "pam_filter",
    "pam_group",
    "pam_issue",
    "pam_keyinit",
    "pam_lastlog",
    "pam_lastlog2",
    "pam_limits",
    "pam_listfile",
    "pam_localuser",
    "pam_loginuid",
    "pam_mkhomedir",
    "pam_motd",
    "pam_namespace",
    "pam_nologin",
    "pam_permit",
    "pam_rhosts",
    "pam_rootok",
    "pam_securetty",
    "pam_selinux",
    "pam_sepermit",
    "pam_shells",
    "pam_stress",
    "pam_succeed_if",
    "pam_systemd",
    "pam_systemd_home",
    "pam_tally2",
    "pam_time",
    "pam_unix",
    "pam_unix2",
    "pam_userdb",
    "pam_usertype",
    "pam_warn",
    "pam_wheel",
];
/// A module that cannot ask its service returns this (`PAM_AUTHINFO_UNAVAIL`).
pub(super) const UNAVAILABLE: &str = "authinfo_unavail";

/// Whether a module may ask a directory.
pub(super) fn is_directory(line: &Line) -> bool {
    !LOCAL.contains(&line.module.as_str())
}

/// The line that refuses an nss-iam user while the service of the module `down` does not answer. `common` is the group of all
/// nss-iam users.
pub(super) fn refused<'a>(stack: &'a [Entry], down: &'a str, common: &'a str) -> Option<&'a Line> {
    let mut run = Run { down, common, refused: None, positive: false };
    run.stack(stack);
    run.refused
}

/// A run of the account stage for an nss-iam user while the service of one module is down, as pam_dispatch.c does it.
struct Run<'a> {
    down: &'a str,
    common: &'a str,
    /// The line whose answer counts, once it is not success.
    refused: Option<&'a Line>,
    positive: bool,
}

impl<'a> Run<'a> {
    fn stack(&mut self, stack: &'a [Entry]) {
        let mut rest = stack.iter();
        while let Some(entry) = rest.next() {
            let line = match entry {
                Entry::Substack(stack) => {
                    self.stack(stack);
                    continue;
                }
                Entry::Line(line) => line,
            };
            let Some(answer) = self.answer(line) else { continue };
            match action(&line.control, answer).as_str() {
                "ignore" => {}
                "reset" => (self.refused, self.positive) = (None, false),
                action @ ("ok" | "done") if answer == "success" => {
                    self.positive = true;
                    if action == "done" && self.refused.is_none() {
                        return;
                    }
                }
                // Another answer than success becomes that of the stack, even with 'ok'.
                action => match action.parse::<usize>() {
                    Ok(skipped) => rest.by_ref().take(skipped).for_each(drop),
                    Err(_) => {
                        self.refused.get_or_insert(line);
                        if action == "die" {
                            return;
                        }
                    }
                },
            }
        }
    }

    /// What a module says of an nss-iam user; `None` if that depends on the host.
    fn answer(&self, line: &Line) -> Option<&'static str> {
        let has = |word: &str| line.arguments.iter().any(|argument| argument == word);
        match line.module.as_str() {
            module if module == self.down => Some(UNAVAILABLE),
            "pam_deny" => Some("auth_err"),
            "pam_localuser" => Some("perm_denied"),
            "pam_usertype" => Some(if has("issystem") { "auth_err" } else { "success" }),
            "pam_succeed_if" => {
                self.condition(&line.arguments).map(|holds| if holds { "success" } else { "auth_err" })
            }
            module if LOCAL.contains(&module) => Some("success"),
            _ => Some("user_unknown"),
        }
    }

    /// pam_succeed_if(8): all conditions, as far as they are the same for all nss-iam users.
    fn condition(&self, arguments: &[String]) -> Option<bool> {
        const FLAGS: [&str; 6] = ["debug", "use_uid", "quiet", "quiet_fail", "quiet_success", "audit"];
        let words: Vec<&str> =
            arguments.iter().map(String::as_str).filter(|word| !FLAGS.contains(word)).collect();
        let all: Option<Vec<bool>> = words.chunks(3).map(|condition| self.holds(condition)).collect();
        all.map(|all| all.into_iter().all(|holds| holds))
    }

    fn holds(&self, condition: &[&str]) -> Option<bool> {
        let [field, operator, value] = condition else { return None };
        match (*field, *operator) {
            ("user", "ingroup") => (*value == self.common).then_some(true),
            ("user", "notingroup") => (*value == self.common).then_some(false),
            ("uid", operator) => {
                let value: u32 = value.parse().ok()?;
                // Of the lowest and the highest id, or else it depends on the user.
                let of = |id: u32| match operator {
                    "<" | "lt" => Some(id < value),
                    "<=" | "le" => Some(id <= value),
                    ">" | "gt" => Some(id > value),
                    ">=" | "ge" => Some(id >= value),
                    "=" | "eq" => Some(id == value),
                    "!=" | "ne" => Some(id != value),
                    _ => None,
                };
                let first = of(policy::id::PINNED_FIRST)?;
                (first == of(policy::id::LAST)?).then_some(first)
            }
            _ => None,
        }
    }
}

/// What a control field, pam.conf(5), does with an answer.
fn action(control: &str, answer: &str) -> String {
    let Some(pairs) = control.strip_prefix('[').and_then(|control| control.strip_suffix(']')) else {
        let word = match (control.to_ascii_lowercase().as_str(), answer) {
            ("sufficient", "success") => "done",
            (_, "success") => "ok",
            ("sufficient" | "optional", _) => "ignore",
            ("requisite", _) => "die",
            _ => "bad",
        };
        return word.to_owned();
    };
    let mut actions = pairs.split_whitespace().filter_map(|pair| pair.split_once('='));
    let chosen = |actions: &mut dyn Iterator<Item = (&str, &str)>, wanted: &str| {
        actions.filter(|(answer, _)| *answer == wanted).last().map(|(_, action)| action.to_owned())
    };
    chosen(&mut actions.clone(), answer)
        .or_else(|| chosen(&mut actions, "default"))
        .unwrap_or_else(|| "bad".to_owned())
}
