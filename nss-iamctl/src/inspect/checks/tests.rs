//! Breaks one thing at a time on a host, and checks what is reported.

mod names;

use config::Config;
use listing::{Failure, FailureCode, FailureKind};
use message::Message;
use status::{Kind, Locked, Part, Skip, SkipReason, Status, Stop, Told};

use super::judge;
use crate::edit::sshd::effective::Effective;
use crate::fixtures::{IN_FORCE, NOW, assert_finds, good, probe};
use crate::host::published::Trouble;
use crate::inspect::facts::log::Denial;
use crate::inspect::facts::probe::Probe;
use crate::inspect::facts::sshd::SshdFacts;
use crate::inspect::facts::{Facts, NoConfig};
use crate::say::finding::{Finding, Level};

/// The problems that are found after `break_it`.
fn broken(break_it: impl Fn(&mut Facts, &mut [Probe])) -> Vec<Finding> {
    let (mut facts, mut probes) = (good(), vec![probe(true), probe(false)]);
    break_it(&mut facts, &mut probes);
    judge(&facts, &probes).into_iter().filter(|finding| finding.level != Level::Ok).collect()
}

/// Asserts that there is a finding with these words, this level and this remedy.
fn finds(level: Level, what: &str, remedy: &str, break_it: impl Fn(&mut Facts, &mut [Probe])) {
    let findings = broken(break_it);
    assert_finds(&findings, level, what, remedy);
}

fn status(facts: &mut Facts) -> &mut Status {
    facts.published.status.as_mut().unwrap()
}

fn failed(facts: &mut Facts, call: &str, cause: &str, kind: FailureKind, hint: &str) {
    let [call, on, cause, hint] = [call, "Ops", cause, hint].map(str::to_owned);
    facts.published.listing.as_mut().unwrap().accounts[0].errors.push(Failure {
        call,
        on,
        cause,
        hint,
        kind,
        code: None,
        users: Vec::new(),
    });
}

fn sshd(facts: &mut Facts) -> &mut SshdFacts {
    facts.sshd.as_mut().unwrap()
}

fn settings(probe: &mut Probe, from: &str, to: &str) {
    assert!(IN_FORCE.contains(from), "{from}");
    probe.sshd = Some(Ok(Effective::parse(&IN_FORCE.replace(from, to))));
}

#[test]
fn on_a_host_where_all_is_well_nothing_is_found() {
    assert_eq!(broken(|_, _| ()), []);
    let unknown_account = |facts: &mut Facts, _: &mut [Probe]| {
        let state = facts.published.state.as_mut().unwrap();
        state.users.values_mut().for_each(|user| user.source = "iam:".to_owned());
    };
    assert_eq!(broken(unknown_account), []);
}

#[test]
fn what_an_installation_brings_is_missed() {
    use Level::Bad;
    finds(Bad, "config.toml' is missing", "enable --group", |facts, _| {
        facts.config = Err(NoConfig::Missing);
    });
    finds(Bad, "line 3: unknown key", "delete", |facts, _| {
        let refused = Message::new("'config.toml' line 3: unknown key 'x'").with_hint("delete it");
        facts.config = Err(NoConfig::Refused(refused));
    });
    finds(Bad, "no group is configured", "enable --group", |facts, _| facts.config = Ok(Config::default()));
    finds(Bad, "system user 'nss-iam' is missing", "systemd-sysusers", |facts, _| {
        facts.passwd.remove("nss-iam");
    });
    finds(Bad, "'/var/lib/nss-iam' is missing", "systemd-tmpfiles", |facts, _| facts.directory = None);
    finds(Bad, "mode 0750", "chmod 0755", |facts, _| facts.directory.as_mut().unwrap().mode = 0o750);
    finds(Bad, "libnss_iam.so.2 is in none", "install", |facts, _| facts.module = false);
    finds(Bad, "cache-refresher' is missing", "install", |facts, _| facts.refresher = false);
    finds(Bad, "keys-cmd' is missing", "install", |facts, _| drop(facts.keys_cmd.pop()));
    finds(Bad, "refuses to run", "chmod go-w /usr/libexec", |facts, _| facts.keys_cmd[2].mode = 0o777);
    finds(Level::Warn, "'/usr/libexec' has mode 0775", "chmod go-w", |facts, _| {
        facts.keys_cmd[2].mode = 0o775
    });
    finds(Bad, "'/usr' has mode 0755 and owner 1000", "chown root /usr", |facts, _| {
        facts.keys_cmd[1].uid = 1000
    });
    finds(Bad, "'nss-iam' cannot run it", "chmod 0755", |facts, _| facts.keys_cmd[4].mode = 0o750);
}

#[test]
fn what_the_last_refresh_could_not_do_is_named() {
    use FailureKind::{Configuration, Denied, Held, Unavailable};
    use Level::{Bad, Warn};
    finds(Bad, "there was no refresh yet", "nss-iamctl refresh", |facts, _| {
        facts.published.status = Err(Trouble::Missing);
    });
    finds(Warn, "failed: listing refused", listing::FORMAT, |facts, _| {
        let message = Message::new("listing refused; nothing was changed").with_hint(listing::FORMAT);
        status(facts).error = Some(Told::new(Stop::ListingForm, message));
    });
    finds(Warn, "would be disabled", "--force", |facts, _| {
        let users = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        status(facts).held = vec![status::Held::TooMany { users, of: 9, percent: 50 }.into()];
    });
    finds(Warn, "AccessDenied", "aws iam put-role-policy", |facts, _| {
        failed(facts, "iam:GetGroup", "AccessDenied: no", Denied, "aws iam put-role-policy --role-name R");
    });
    finds(Warn, "no credentials", "instance profile", |facts, _| {
        failed(
            facts,
            "sts:GetCallerIdentity",
            "no credentials",
            Denied,
            "attach an instance profile to the instance",
        );
    });
    finds(Warn, "AccessDenied", "nss-iamctl policy", |facts, _| {
        failed(facts, "iam:X", "AccessDenied", Denied, "")
    });
    finds(Warn, "account 123456789012", "ARN of a role there", |facts, _| {
        failed(facts, "iam:GetGroup", "no such group", Configuration, "");
        let errors = &mut facts.published.listing.as_mut().unwrap().accounts[0].errors;
        errors[0].code = Some(FailureCode::NoSuchGroup);
    });
    finds(Warn, "RequestTimeTooSkewed", "clock", |facts, _| {
        failed(facts, "sts:AssumeRole", "RequestTimeTooSkewed: x", Denied, "");
        let errors = &mut facts.published.listing.as_mut().unwrap().accounts[0].errors;
        errors[0].code = Some(FailureCode::Clock);
    });
    finds(Warn, "Throttling", "next refresh", |facts, _| {
        failed(facts, "iam:X", "Throttling", Unavailable, "")
    });
    finds(Warn, "not confirmed", "--force", |facts, _| failed(facts, "iam:X", "not confirmed", Held, ""));
}

#[test]
fn keys_that_get_old_and_refreshes_that_do_not_run_are_named() {
    use Level::{Bad, Warn};
    finds(Warn, "confirmed 2 h ago; logins stop in 2 d", "refresh", |facts, _| facts.now += 7200 - 60);
    finds(Bad, "longer ago than max_age", "refresh", |facts, _| facts.now += 260_000);
    finds(Bad, "in the future", "set the clock", |facts, _| facts.now -= 4000);
    finds(Warn, "the clock is not synchronized", "timedatectl", |facts, _| facts.synchronised = Some(false));
    finds(
        Warn,
        "came from AWS account 123456789012, but account 999999999999 is queried",
        "[aws] role",
        |facts, _| {
            status(facts).accounts[0].id = "999999999999".to_owned();
        },
    );
    finds(Warn, "is inactive", "systemctl enable --now", |facts, _| {
        facts.timer.as_mut().unwrap().active = "inactive".to_owned();
    });
    finds(Warn, "status 77 (denied", "journalctl -u nss-iam-fetch.service", |facts, _| {
        facts.services[0].result = "exit-code".to_owned();
        facts.services[0].status = "77".to_owned();
    });
    finds(Bad, "everyone is locked", "unlock --all", |facts, _| {
        facts.published.locked = Ok(Locked::parse("*"))
    });
    finds(Warn, "locked here: 'ana'", "unlock", |facts, _| facts.published.locked = Ok(Locked::parse("ana")));
}

#[test]
fn names_that_were_refused_are_told_with_a_way_out() {
    let skip = |part: Part<'_>, what: &str, reason: SkipReason, remedy: &str| {
        finds(Level::Warn, what, remedy, |facts, _| {
            status(facts).skips.push(Skip::new("", part, "Admin", "AIDAX", reason.clone()));
        });
    };
    let name = || "admin".to_owned();
    let reserved = || SkipReason::NameReserved { name: name() };
    let what = "IAM user 'Admin' skipped: 'admin' is reserved for the system";
    skip(Part::User, what, reserved(), "nss-iam:name");
    let local = SkipReason::NameOfUser { name: name(), id: 1001, service: "files".to_owned() };
    skip(Part::User, "'admin' is a user of /etc/passwd", local, "adopt");
    skip(Part::User, "name has 40 bytes", SkipReason::NameLong { bytes: 40 }, "strip_domains");
    let taken = SkipReason::IdTaken { id: 5, holder: "AIDAY".to_owned() };
    skip(Part::User, "its id 5 is that of 'AIDAY'; give one", taken, "[ids]");
    skip(Part::Group, "IAM group 'Admin' skipped: ", reserved(), "[local_groups]");
    let what = "IAM user 'Admin': key 'APKA1': it is a private key";
    skip(Part::Key("APKA1"), what, SkipReason::KeyPrivate, "create a new pair");
    let many = broken(|facts, _| {
        let skip = |n: usize| Skip::new("", Part::User, &n.to_string(), "AIDAX", SkipReason::NameDigits);
        status(facts).skips = (0..25).map(skip).collect();
    });
    assert_eq!(many.len(), 11, "{many:?}");
    assert_eq!(many[10].what, "and 15 more");
}

/// Written by the refresher of an earlier or later release.
#[test]
fn what_another_release_reports_is_shown_as_it_says_it() {
    let found = broken(|facts, _| {
        let skip = Skip::new("", Part::User, "Ana", "AIDAX", SkipReason::NameDigits);
        let (reason, text) = (Kind::Other(Some("name-of-a-star".to_owned())), "it is a star".to_owned());
        status(facts).skips.push(Skip { reason, text, ..skip });
        let message = Message::new("a comet").with_hint("look up");
        status(facts).warnings.push(Told { kind: Kind::Other(None), message: message.clone() });
        status(facts).held.push(Told { kind: Kind::Other(None), message: message.clone() });
    });
    let told: Vec<_> = found.iter().map(|f| (f.code.check, f.code.code, f.remedy.as_deref())).collect();
    let refresh = "the report is of another release of nss-iam: nss-iamctl refresh writes a new one";
    assert_eq!(
        told,
        [
            ("refresh", "refresh-held", Some("look up")),
            ("skipped", "skipped", Some(refresh)),
            ("warning", "warned", Some("look up")),
        ]
    );
    assert!(found[0].what.ends_with("was held: a comet"), "{found:?}");
    assert_eq!(found[1].what, "IAM user 'Ana' skipped: it is a star");
}

#[test]
fn what_the_last_refresh_reports_has_the_codes_of_the_refresher() {
    let found = broken(|facts, _| {
        status(facts).skips.push(Skip::new("", Part::User, "1", "AIDAX", SkipReason::NameDigits));
        status(facts).warnings.push(status::Warning::NoMachineId.into());
        status(facts).held =
            [status::Held::StateOlder, status::Held::StateLost { unknown: 2 }].map(Told::from).to_vec();
        failed(facts, "iam:GetGroup", "AccessDenied", FailureKind::Denied, "");
    });
    let codes: Vec<_> = found.iter().map(|finding| (finding.code.check, finding.code.code)).collect();
    assert_eq!(
        codes,
        [
            ("refresh", "state-older"),
            ("refresh", "state-lost"),
            ("aws", "source-denied"),
            ("skipped", "name-of-digits"),
            ("warning", "no-machine-id"),
        ]
    );
}

#[test]
fn lines_of_nsswitch_conf_that_do_not_ask_iam_are_named() {
    use Level::Bad;
    let line = |from: &'static str, to: &'static str| {
        move |facts: &mut Facts, _: &mut [Probe]| {
            let text = facts.nsswitch.as_mut().unwrap();
            assert!(text.contains(from));
            *text = text.replace(from, to);
        }
    };
    finds(Bad, "for shadow, has no newline", "nss-iamctl enable", |facts, _| {
        let text = facts.nsswitch.as_mut().unwrap();
        *text = "passwd: files iam\ngroup: files [SUCCESS=merge] iam\nshadow: files iam".to_owned();
    });
    finds(Bad, "nsswitch.conf' is missing", "enable", |facts, _| facts.nsswitch = None);
    finds(
        Bad,
        "does not ask 'iam' for passwd: 'passwd: files'",
        "passwd: files iam",
        line("passwd: files iam", "passwd: files"),
    );
    finds(Bad, "'iam' for group: 'group: files'", "merge", line("files [SUCCESS=merge] iam", "files"));
    finds(
        Bad,
        "'iam' for shadow: 'shadow: files'; PAM finds no shadow entry",
        "shadow: files iam",
        line("shadow: files iam", "shadow: files"),
    );
    finds(Level::Warn, "no line for shadow", "enable adds one", line("shadow: files iam\n", ""));
    finds(
        Bad,
        "'iam' for initgroups: 'initgroups: files'",
        "initgroups:",
        line("shadow:", "initgroups: files\nshadow:"),
    );
    finds(
        Level::Warn,
        "in an unusual place",
        "enable moves it",
        line("passwd: files iam", "passwd: iam files"),
    );
}

#[test]
fn published_files_that_cannot_be_used_are_named() {
    use Level::Bad;
    finds(Bad, "'/var/lib/nss-iam/cache.db' does not exist", "refresh", |facts, _| {
        facts.published.cache = Err(Trouble::Missing);
    });
    finds(Bad, "refuse '/var/lib/nss-iam/cache.db': not owned by root", "refresh", |facts, _| {
        facts.published.cache = Err(Trouble::Unusable("not owned by root".to_owned()));
    });
    finds(Bad, "'/var/lib/nss-iam/keys.db' does not exist", "refresh", |facts, _| {
        facts.published.keys = Err(Trouble::Missing);
    });
    finds(Bad, "another machine-id", "nss-iamctl clean", |facts, _| facts.machine_id = "other".to_owned());
    finds(Bad, "'nss-iam' cannot read it", "refresh", |facts, _| facts.keys_db.as_mut().unwrap().gid = 0);
}

#[test]
fn answers_of_glibc_that_are_not_those_of_the_cache_are_named() {
    use Level::Bad;
    finds(Bad, "nscd has a stale negative entry for 'ana'", "nscd -i passwd", |facts, probes| {
        facts.nscd = true;
        probes[0].passwd = None;
    });
    finds(Bad, "'ana' does not resolve, although the module has", "enable", |_, probes| {
        probes[0].passwd = None
    });
    finds(Bad, "the module does not answer for 'ana'", "SELinux", |_, probes| {
        probes[0].passwd = None;
        probes[0].module = None;
    });
    finds(Bad, "glibc did not answer for 'ana' within 15 s", "getent -s SERVICE passwd USER", |_, probes| {
        probes[0].waits = true;
    });
    for (services, told) in
        [("sss iam", "'sss' may hang, and is asked before 'iam'"), ("iam sss", "'sss' may hang")]
    {
        let lines = format!(
            "passwd: files {services}\ngroup: files [SUCCESS=merge] {services}\nshadow: files {services}\n"
        );
        finds(Bad, told, "systemctl restart sssd", |facts, probes| {
            facts.nsswitch = Some(lines.clone());
            probes[0].waits = true;
        });
    }
    finds(Bad, "'ana' resolves to uid 1234", "LDAP", |_, probes| {
        probes[0].passwd = Some("ana:x:1234:1234::/:/bin/sh".to_owned());
    });
    finds(Bad, "the module does not answer for uid 1895840709 ('bob')", "SELinux", |_, probes| {
        probes[1].passwd = None;
        probes[1].module = None;
    });
    let line = |uid: u32| Some(format!("bob:x:{uid}:{uid}::/:/bin/sh"));
    finds(Bad, "'bob' is disabled, but still resolves by name", "of another release", |_, probes| {
        probes[1].by_name = line(probes[1].uid);
    });
    finds(Bad, "'bob' is disabled, but still resolves by name", "nscd -i passwd", |facts, probes| {
        facts.nscd = true;
        probes[1].by_name = line(probes[1].uid);
    });
    assert_eq!(broken(|_, probes| probes[1].by_name = line(1234)), [], "somebody else of that name");
    finds(Bad, "'ana' has no shadow entry", "shadow line", |_, probes| probes[0].shadow = None);
    finds(Bad, "'ana' does not get the group 'iam-users'", "initgroups", |_, probes| {
        probes[0].groups.clear()
    });
}

#[test]
fn what_keeps_sshd_from_letting_in_is_named() {
    use Level::{Bad, Warn};
    finds(Warn, "sshd is not installed", "", |facts, _| {
        facts.sshd = None;
        facts.timer = None;
    });
    finds(Bad, "refuses its configuration: line 5", "sshd -t", |facts, _| {
        sshd(facts).refused = Some(Message::new("sshd refuses its configuration: line 5"));
    });
    finds(Bad, "00-nss-iam.conf' is missing", "enable", |facts, _| sshd(facts).ours = false);
    finds(Bad, "is not in effect", "enable", |facts, _| {
        sshd(facts).out_of_force = Some("no Include reads it".to_owned())
    });
    finds(Bad, "00-nss-iam.conf' was changed", "reload", |facts, _| sshd(facts).loaded = Some(NOW - 200));
    finds(Warn, "'/etc/ssh/sshd_config' was changed", "reload", |facts, _| {
        sshd(facts).changed = Some(("/etc/ssh/sshd_config".to_owned(), NOW));
    });
    finds(Bad, "AuthorizedKeysCommand is '/opt/other', not", "earlier Match", |_, probes| {
        settings(&mut probes[0], "/usr/libexec/nss-iam/keys-cmd %u %U %f", "/opt/other");
    });
    finds(Bad, "AllowUsers has 'ubuntu'", "enable", |_, probes| {
        settings(&mut probes[0], "usepam yes", "allowusers ubuntu");
    });
    finds(Bad, "PubkeyAuthentication no", "yes", |_, probes| {
        settings(&mut probes[0], "pubkeyauthentication yes", "pubkeyauthentication no");
    });
    finds(Bad, "DenyUsers a*", "DenyUsers", |_, probes| {
        settings(&mut probes[0], "usepam yes", "denyusers x\ndenyusers a*")
    });
    finds(Warn, "DenyUsers ana@10.0.0.1", "DenyUsers", |_, probes| {
        settings(&mut probes[0], "usepam yes", "denyusers ana@10.0.0.1")
    });
    finds(Bad, "'DenyGroups ops', which denies 'ops'", "DenyGroups", |_, probes| {
        settings(&mut probes[0], "usepam yes", "denygroups ops");
        probes[0].group_names.push("ops".to_owned());
    });
    finds(Warn, "only from certain addresses", "AllowUsers", |_, probes| {
        settings(&mut probes[0], "usepam yes", "allowusers *@10.0.0.0/8");
    });
    finds(Warn, "a key alone is not enough", "second factor", |_, probes| {
        settings(&mut probes[0], "methods any", "methods publickey,keyboard-interactive");
    });
    finds(Bad, "a key alone is not enough", "have no password", |_, probes| {
        settings(&mut probes[0], "methods any", "methods publickey,password");
    });
    finds(Warn, "UsePAM no", "home directories", |_, probes| {
        settings(&mut probes[0], "usepam yes", "usepam no")
    });
    finds(Warn, "accepts no RSA keys", "rsa-sha2-512", |_, probes| {
        settings(&mut probes[0], ",rsa-sha2-512", "")
    });
    finds(Bad, "cannot read sshd's settings", "sshd -T", |_, probes| {
        let untold = Message::new("cannot read sshd's settings for user 'ana': x").with_hint("sshd -T");
        probes[0].sshd = Some(Err(untold));
    });
}

#[test]
fn what_two_samples_have_in_common_is_told_once() {
    let facts = good();
    let [ana, mut eve] = [probe(true), probe(true)];
    eve.name = "eve".to_owned();
    let codes =
        |probes: &[Probe]| judge(&facts, probes).into_iter().map(|found| found.code).collect::<Vec<_>>();
    assert_eq!(codes(&[ana.clone(), eve.clone()]), codes(std::slice::from_ref(&ana)));
    eve.shell_node = None;
    let mut both = ana.clone();
    both.shell_node = None;
    assert_eq!(codes(&[ana, eve.clone()]).len(), codes(&[both.clone()]).len(), "only eve's");
    assert_eq!(codes(&[both.clone(), eve]), codes(&[both]));
}

#[test]
fn what_else_stands_in_the_way_of_a_login_is_named() {
    use Level::{Bad, Warn};
    finds(Bad, "'/etc/nologin' exists", "rm /etc/nologin", |facts, _| {
        facts.nologin = Some(("/etc/nologin".to_owned(), "down".to_owned()));
    });
    finds(Bad, "the shell '/bin/bash' of 'ana' is missing", "[users] shell", |_, probes| {
        probes[0].shell_node = None
    });
    finds(Warn, "is not in /etc/shells", "/etc/shells", |facts, _| facts.shells = Some(Vec::new()));
    finds(Warn, "belongs to uid 1001, not to 1895840708", "chown -Rh --from=1001", |facts, _| {
        facts.homes[0].2.uid = 1001
    });
    finds(Warn, "is not a directory", "mv", |facts, _| facts.homes[0].2.directory = false);
    finds(Warn, "is writable by others", "chmod go-w", |facts, _| facts.homes[0].2.mode = 0o770);
    finds(Warn, "sshd's PAM configuration does not include pam_mkhomedir", "enable", |facts, _| {
        facts.makes_homes = Some(false)
    });
    finds(Warn, "1 user without an active key: 'ana'", "why", |facts, _| {
        facts.published.keys.as_mut().unwrap().logins[0].keys.clear();
    });
    let denied = |by| {
        move |facts: &mut Facts, _: &mut [Probe]| {
            let (program, path) = ("sshd".to_owned(), "/var/lib/nss-iam/cache.db".to_owned());
            facts.denials.push(Denial { by, program, path });
        }
    };
    finds(Bad, "SELinux denied 'sshd' access to", "restorecon", denied("selinux"));
    finds(Bad, "AppArmor denied 'sshd' access to", "/etc/apparmor.d/local", denied("apparmor"));
    finds(Warn, "not run as root", "sudo", |facts, _| facts.root = false);
}
