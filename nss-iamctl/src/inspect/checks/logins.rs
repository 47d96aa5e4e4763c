//! Whether a login succeeds once glibc answers: sshd, PAM, shells, and denials by SELinux or AppArmor.

use config::{Config, Source, TagUse};
use policy::FORWARD_ONLY_SHELL;

use crate::edit::sshd::authentication::Authentication;
use crate::edit::sshd::drop_in::{self, OutOfForce};
use crate::edit::sshd::effective::{self, Effective};
use crate::edit::sshd::obstacle::obstacle;
use crate::host::selinux::{self, WrongLabel};
use crate::inspect::checks::samples::of_samples;
use crate::inspect::checks::{certificates, homes, instance_connect, pam};
use crate::inspect::facts::denials::Denial;
use crate::inspect::facts::probe::Probe;
use crate::inspect::facts::sshd::SshdFacts;
use crate::inspect::facts::{Facts, Job};
use crate::inspect::remedy::use_tag;
use crate::say::code::Link;
use crate::say::finding::{Finding, Level};
use crate::say::show::{count, some, time, word};

pub(super) fn judge(facts: &Facts, samples: &[Probe]) -> Vec<Finding> {
    let mut findings = daemon(facts);
    findings.extend(of_samples(samples, |probe| {
        let certificates = certificates::judge(facts, probe);
        let found = settings(facts, probe).into_iter().chain(certificates);
        found.chain(shell(facts, probe)).chain(pam::now(facts, probe)).collect()
    }));
    findings.extend(nologin(facts));
    findings.extend(homes::judge(facts));
    findings.extend(without_keys(facts));
    findings.extend(instance_connect::judge(facts));
    findings.extend(facts.jobs.iter().map(job));
    findings.extend(
        facts
            .sudo_asks
            .iter()
            .map(|why| Finding::warn(Link::SudoAsks, why.what(), why.hint().unwrap_or_default())),
    );
    findings.extend(label(facts));
    findings.extend(facts.denials.iter().map(denial));
    findings
}

/// sshd itself, for all users.
pub(crate) fn daemon(facts: &Facts) -> Vec<Finding> {
    let Some(sshd) = &facts.sshd else {
        return vec![Finding::warn(
            Link::SshdMissing,
            "sshd is not installed",
            "install openssh-server, if logins are intended",
        )];
    };
    if let Some(why) = &sshd.refused {
        return vec![Finding::bad(
            Link::SshdRefused,
            why.what(),
            why.hint().unwrap_or("sshd -t shows the line"),
        )];
    }
    if sshd.hidden {
        return Vec::new();
    }
    if !sshd.ours {
        let what =
            format!("'{}' is missing, so sshd does not ask for the keys of nss-iam users", drop_in::PATH);
        return vec![Finding::bad(Link::DropInMissing, what, "nss-iamctl enable")];
    }
    let mut findings = Vec::new();
    if let Some(OutOfForce { why, for_all }) = &sshd.out_of_force {
        let what = format!("'{}' is not in effect: {why}", drop_in::PATH);
        let found = Finding::bad(Link::DropInOutOfForce, what, "nss-iamctl enable");
        // Root asks sshd for the users' settings.
        findings.push(if *for_all || !facts.root { found } else { found.at(Level::Warn) });
    }
    findings.extend(reloaded(sshd));
    if sshd.stopped {
        let remedy = "systemctl start ssh (sshd on Red Hat)";
        findings.push(Finding::bad(Link::SshdStopped, "sshd is not running", remedy));
    }
    // Only root can ask sshd whether it is.
    if findings.is_empty() && facts.root {
        findings.push(Finding::ok(Link::Sshd, "its configuration is valid, and includes nss-iam's"));
    }
    findings
}

fn reloaded(sshd: &SshdFacts) -> Option<Finding> {
    let (loaded, (file, changed)) = (sshd.loaded?, sshd.changed.as_ref()?);
    if *changed <= loaded {
        return None;
    }
    let what =
        format!("sshd last read its files {}, and '{file}' was changed {}", time(loaded), time(*changed));
    let remedy = "systemctl reload ssh (sshd on Red Hat), or kill -HUP $(cat /run/sshd.pid)";
    Some(if file == drop_in::PATH {
        Finding::bad(Link::DropInNotRead, what, remedy)
    } else {
        Finding::warn(Link::SshdConfigNotRead, what, remedy)
    })
}

/// sshd's effective settings for a user. They are not read for a disabled user, who does not resolve by name.
pub(crate) fn settings(facts: &Facts, probe: &Probe) -> Vec<Finding> {
    let (Some(sshd), Some(asked)) = (&facts.sshd, &probe.sshd) else { return Vec::new() };
    if !sshd.ours || sshd.refused.is_some() {
        return Vec::new();
    }
    let Probe { name, .. } = probe;
    let settings = match asked {
        Ok(settings) => settings,
        Err(cause) => {
            return vec![Finding::bad(Link::SshdUntold, cause.what(), cause.hint().unwrap_or_default())];
        }
    };
    let groups = groups(facts, probe);
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let config = facts.configured();
    let authentication = Authentication::of(config, &sshd.arguments);
    let mut findings = Vec::new();
    // Told on its own: the user's keys count either way.
    let mut found = authentication;
    found.instance_connect = instance_connect::is_asked(settings);
    if let Some(why) = effective::active_differs(settings, name, &groups, &found) {
        findings.push(Finding::bad(
            Link::SshdDiffers,
            format!("sshd does not treat '{name}' as an nss-iam user: {why}"),
            format!("an earlier Match overrides ours, or AllowUsers, AllowGroups: nss-iamctl enable; sshd -T -C user={name}"),
        ));
    }
    if let Some(why) = effective::permits_more(settings, &groups) {
        let what = format!("sshd lets '{name}' do more than forward connections: {why}");
        let remedy = format!(
            "nss-iamctl enable; if it is still there, an earlier Match says so: sshd -T -C user={name}"
        );
        findings.push(Finding::bad(Link::SshdPermits, what, remedy));
    }
    if let Some(obstacle) = obstacle(settings, &probe.key_files, &groups, &authentication) {
        let hint = format!("{}, in sshd's own configuration", obstacle.hint().unwrap_or_default());
        findings.push(Finding::bad(Link::SshdObstacle, obstacle.what(), hint));
    }
    findings.extend(instance_connect::differs(facts, settings));
    findings.extend(without_address(settings, &groups, &found));
    findings.extend(denied(settings, name));
    findings.extend(restrictions(config, settings));
    if findings.is_empty() {
        let asks = if authentication.keys { "it asks keys-cmd" } else { "it does not ask keys-cmd" };
        let what = format!("for '{name}', {asks}, and nothing denies the login");
        findings.push(Finding::ok(Link::SshdSettings, what));
    }
    findings
}

/// OpenSSH was updated after `enable`.
fn without_address(
    settings: &Effective,
    groups: &[&str],
    authentication: &Authentication<'_>,
) -> Option<Finding> {
    let commands = effective::without_address(settings, groups, authentication);
    if commands.is_empty() {
        return None;
    }
    let what = format!(
        "records of logins lack the client's address: {} without %C, which this OpenSSH supports",
        commands.join(", ")
    );
    Some(Finding::warn(Link::SshdWithoutAddress, what, "nss-iamctl enable"))
}

/// The names of the groups that the host gives to the user; without them, the one that every nss-iam user has.
fn groups(facts: &Facts, probe: &Probe) -> Vec<String> {
    if probe.group_names.is_empty() {
        return vec![facts.configured().users.common_group.clone()];
    }
    probe.group_names.clone()
}

/// DenyUsers, which names single users.
pub(crate) fn denied(settings: &Effective, name: &str) -> Option<Finding> {
    let pattern = effective::denied(settings, name)?;
    let what = format!("sshd has 'DenyUsers {pattern}', which denies '{name}'");
    let found = Finding::bad(
        Link::SshdDenies,
        what,
        "remove the user from DenyUsers (grep -rni denyusers /etc/ssh shows the file), and reload sshd",
    );
    Some(if effective::has_source(pattern) { found.at(Level::Warn) } else { found })
}

/// Settings that may be intended, but can prevent logins.
fn restrictions(config: &Config, settings: &Effective) -> Vec<Finding> {
    let mut findings = Vec::new();
    let users = settings.list("allowusers");
    if !users.is_empty() && users.iter().all(|pattern| effective::has_source(pattern)) {
        let what = format!("logins are allowed only from certain addresses: AllowUsers {}", users.join(" "));
        findings.push(Finding::warn(
            Link::SshdAddresses,
            what,
            "log in from one of them, or change AllowUsers",
        ));
    }
    let methods = settings.list("authenticationmethods");
    if config.keys.asks_keys_cmd()
        && !methods.is_empty()
        && methods != ["any"]
        && !methods.contains(&"publickey")
    {
        let what = format!("a key alone is not enough: AuthenticationMethods {}", methods.join(" "));
        let remedy = "nss-iam users have no password; the second factor must not ask for one";
        let needs_password = |chain: &&str| chain.split(',').any(|method| method == "password");
        let level = if methods.iter().all(needs_password) { Level::Bad } else { Level::Warn };
        findings.push(Finding::warn(Link::SshdMethods, what, remedy).at(level));
    }
    if settings.get("usepam") == "no" {
        let what = "sshd has 'UsePAM no', so no home directories are created at the first login";
        findings.push(Finding::warn(
            Link::SshdWithoutPam,
            what,
            "set UsePAM yes, or create the home directories in another way",
        ));
    }
    let algorithms = settings.get("pubkeyacceptedalgorithms");
    if config.keys.sshd && !algorithms.is_empty() && !algorithms.contains("rsa-sha2") {
        let no_rsa = "sshd accepts no RSA keys (PubkeyAcceptedAlgorithms)";
        let (what, other) = match &config.source {
            Source::Iam => (
                format!("{no_rsa}, but IAM's own upload accepts only those"),
                format!("store keys in tags: {}", use_tag(TagUse::SshKey)),
            ),
            Source::IdentityCenter | Source::File { .. } | Source::S3 { .. } => {
                (no_rsa.to_owned(), "use keys of other types".to_owned())
            }
        };
        findings.push(Finding::warn(Link::SshdWithoutRsa, what, format!("add rsa-sha2-512, or {other}")));
    }
    findings
}

/// sshd refuses a user whose shell cannot be run.
pub(crate) fn shell(facts: &Facts, probe: &Probe) -> Option<Finding> {
    if !probe.active {
        return None;
    }
    let Probe { name, shell, .. } = probe;
    if !probe.shell_node.as_ref().is_some_and(|node| !node.directory && node.mode & 0o111 != 0) {
        let what = format!(
            "the shell '{shell}' of '{name}' is missing or not executable, so sshd refuses the login"
        );
        let remedy = if shell == FORWARD_ONLY_SHELL {
            "reinstall the package nss-iam"
        } else {
            "install it, or set [users] shell to another shell in /etc/shells"
        };
        return Some(Finding::bad(Link::ShellMissing, what, remedy));
    }
    // Nobody chooses this shell, so it needs no entry, unless PAM looks for it.
    let listed = facts.shells.as_ref().is_some_and(|shells| shells.contains(shell))
        || shell == FORWARD_ONLY_SHELL && !facts.checks_shells;
    if !listed {
        let refused = if facts.checks_shells { ", so PAM refuses the login (pam_shells)" } else { "" };
        let what = format!("the shell '{shell}' of '{name}' is not in /etc/shells{refused}");
        let level = if facts.checks_shells { Level::Bad } else { Level::Warn };
        let remedy = format!("echo {shell} >> /etc/shells");
        return Some(Finding::bad(Link::ShellUnlisted, what, remedy).at(level));
    }
    None
}

pub(crate) fn nologin(facts: &Facts) -> Option<Finding> {
    let (path, text) = facts.nologin.as_ref()?;
    let what = format!("'{path}' exists, so PAM lets only root log in: '{text}'");
    Some(Finding::bad(Link::Nologin, what, format!("wait for the end of the boot or shutdown, or rm {path}")))
}

/// Unless keys can come from elsewhere.
fn without_keys(facts: &Facts) -> Option<Finding> {
    let keys = &facts.configured().keys;
    if !keys.sshd || keys.instance_connect || keys.user_ca.is_some() {
        return None;
    }
    let logins = &facts.published.keys.as_ref().ok()?.logins;
    let names: Vec<&str> =
        logins.iter().filter(|login| login.keys.is_empty()).map(|login| login.name.as_str()).collect();
    if names.is_empty() {
        return None;
    }
    let what = format!("{} without an active key: {}", count(names.len(), "user"), some(&names));
    Some(Finding::warn(Link::UsersWithoutKey, what, "nss-iamctl why USER"))
}

/// Of a user who may only forward connections.
pub(crate) fn job(job: &Job) -> Finding {
    let Job { user, file } = job;
    let what =
        format!("'{user}' may only forward connections, but the commands in '{file}' are still run for them");
    Finding::warn(Link::JobRuns, what, format!("rm {}", word(file)))
}

/// The label of the cache, on a host with SELinux.
pub(crate) fn label(facts: &Facts) -> Option<Finding> {
    let WrongLabel { path, label, enforcing } = facts.wrong_label.as_ref()?;
    let what =
        format!("the SELinux label of '{path}' is '{label}', which sshd and other programs may not read");
    let (level, what) = match enforcing {
        true => (Level::Bad, what),
        false => (Level::Warn, format!("{what} once SELinux is enforcing")),
    };
    Some(Finding::bad(Link::SeLinuxLabel, what, selinux::LOAD.join(" ")).at(level))
}

fn denial(denial: &Denial) -> Finding {
    let Denial { by, program, path, only_logged, reader } = denial;
    if *by == "apparmor" {
        return Finding::bad(
            Link::AppArmor,
            format!("AppArmor denied '{program}' access to '{path}'"),
            "systemctl reload apparmor; if it is still denied: include <abstractions/nameservice> in that profile, or add \
             '/var/lib/nss-iam/cache.db r,' to its file in /etc/apparmor.d/local, and reload again",
        );
    }
    let remedy = reader.as_ref().map_or_else(
        || {
            format!(
                "{}; if it is still denied: ausearch --input-logs -m avc -ts recent",
                selinux::LOAD.join(" ")
            )
        },
        |domain| format!("{} {domain}", selinux::ALLOW),
    );
    let (level, what) = match only_logged {
        true => (Level::Warn, "would deny"),
        false => (Level::Bad, "denied"),
    };
    let permissive = if *only_logged { ", but is permissive" } else { "" };
    let what = format!("SELinux {what} '{program}' access to '{path}'{permissive}");
    Finding::bad(Link::SeLinux, what, remedy).at(level)
}
