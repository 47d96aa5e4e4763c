//! Breaks one thing at a time on a host, and checks what is reported.

mod answers;
mod logins;
mod names;
mod refresh;

use config::Config;
use listing::{Failure, FailureCode, FailureKind};
use message::Message;
use status::{Kind, Locked, Part, Skip, SkipReason, Status, Stop, Told};

use super::judge;
use crate::edit::sshd::effective::Effective;
use crate::fixtures::{IN_FORCE, NOW, assert_finds, good, probe};
use crate::host::published::Trouble;
use crate::host::selinux::WrongLabel;
use crate::inspect::facts::denials::Denial;
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
        state.users.values_mut().for_each(|user| user.source = "iam:".into());
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
    finds(Bad, "the instance tag 'a' names none", "--instance-metadata-tags enabled", |facts, _| {
        facts.config = Ok(Config { groups_from_instance_tag: Some("a".to_owned()), ..Config::default() });
        facts.published.listing.as_mut().unwrap().accounts[0].groups.clear();
    });
    finds(Bad, "system user 'nss-iam' is missing", "systemd-sysusers", |facts, _| {
        facts.passwd.remove("nss-iam");
    });
    finds(Bad, "'/var/lib/nss-iam' is missing", "systemd-tmpfiles", |facts, _| facts.directory = None);
    finds(Bad, "mode 0750", "chmod 0755", |facts, _| facts.directory.as_mut().unwrap().mode = 0o750);
    finds(Bad, "libnss_iam.so.2 is in none", "install", |facts, _| facts.module.native = false);
    finds(Level::Warn, "32-bit programs can run here", "apt-get install libnss-iam:i386", |facts, _| {
        facts.module.programs_32 = Some(false);
    });
    finds(Level::Warn, "32-bit programs can run here", "dnf install libnss-iam.i686", |facts, _| {
        facts.module.programs_32 = Some(false);
        facts.module.install_32 = "dnf install libnss-iam.i686";
    });
    finds(Bad, "cache-refresher' is missing", "install", |facts, _| facts.refresher = false);
    finds(Bad, "keys-cmd' is missing", "install", |facts, _| drop(facts.keys_cmd.pop()));
    finds(Bad, "refuses to run", "chmod go-w /usr/libexec", |facts, _| facts.keys_cmd[2].mode = 0o777);
    finds(Level::Warn, "'/usr/libexec' has mode 0775", "chmod go-w", |facts, _| {
        facts.keys_cmd[2].mode = 0o775
    });
    finds(Bad, "'/usr' has mode 0755 and owner 1000", "chown root /usr", |facts, _| {
        facts.keys_cmd[1].uid = 1000
    });
    finds(Bad, "the user 'nss-iam' cannot run", "chmod o+rx", |facts, _| facts.keys_cmd[4].mode = 0o750);
}
