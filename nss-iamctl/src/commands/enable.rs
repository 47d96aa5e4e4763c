//! `enable`: plans all changes, shows them, makes them, checks sshd's settings, and undoes everything if they are not
//! correct.

mod directories;
mod groups;
mod instance_connect;
mod outcome;

use std::io::Write;

use config::{Config, NoEffect};
use message::Message;

use crate::cli::Enable;
use crate::edit::access;
use crate::edit::authselect;
use crate::edit::backup::Manifest;
use crate::edit::file::{Edit, Kind};
use crate::edit::nsswitch::{self, Order};
use crate::edit::pam::{self, Homes};
use crate::edit::settings;
use crate::edit::sshd::{self, Sshd, reload};
use crate::edit::step::{self, Step};
use crate::edit::sudo;
use crate::edit::transaction::{Transaction, carry_out};
use crate::edit::units;
use crate::host::paths::IMDS;
use crate::host::published::Published;
use crate::host::{Host, files, nscd, selinux, services, vendor};
use crate::inspect::checks::no_effect;
use crate::say::error::{self, Error};
use crate::say::say;

struct Plan {
    config: Config,
    steps: Vec<Step>,
    notes: Vec<Message>,
}

/// Sets the host up, or prints how.
///
/// # Errors
/// When that is impossible, or sshd's settings are not correct afterwards; all files are then restored.
pub(crate) fn run(host: &Host, args: &Enable, now: i64, out: &mut dyn Write) -> Result<u8, Error> {
    let unchanged = |failed: Error| failed.done("nothing was changed");
    let sshd = Sshd::find(host).map_err(unchanged)?;
    let plan = plan(host, sshd.as_ref(), args).map_err(unchanged)?;
    step::show(host, &plan.steps, out).map_err(unchanged)?;
    plan.notes.iter().cloned().for_each(say);
    if args.dry_run {
        say("dry run; nothing was changed");
        return Ok(error::OK);
    }
    let notes = carry_out(host, |transaction| change(transaction, sshd.as_ref(), &plan))?;
    notes.into_iter().for_each(say);
    match (&sshd, plan.steps.is_empty()) {
        (_, true) => say("everything is set up already"),
        (Some(sshd), false) => say(&reload::reload(sshd)?),
        (None, false) => {}
    }
    outcome::finish(host, !plan.steps.is_empty(), now);
    Ok(error::OK)
}

/// The order that the options ask for.
fn order(args: &Enable) -> Option<Order> {
    let before = args.before_directories.then_some(Order::Before);
    before.or(args.after_directories.then_some(Order::After))
}

fn plan(host: &Host, sshd: Option<&Sshd<'_>>, args: &Enable) -> Result<Plan, Error> {
    let settings = settings::plan(host, args)?;
    let config = &settings.config;
    groups::require_some(args, config)?;
    groups::require_local(host, args)?;
    require_effect(args, config)?;
    let mut plan = Plan {
        config: config.clone(),
        steps: settings.edits.into_iter().map(Step::Edit).collect(),
        notes: settings.notes,
    };
    plan.labels(host);
    plan.notes.extend(groups::unread(args, config));
    plan.notes.extend(groups::shells(config));
    plan.notes.extend(groups::unused(args, config));
    plan.notes.extend(groups::selection(&settings.before, config));
    plan.notes.extend(config.without_effect().map(|setting| no_effect::remark(config, setting)));
    plan.notes.extend(instance_connect::remark(host, config));
    plan.notes.extend(groups::left_without(&Published::read(host), &settings.before, config));
    let selected = plan.names(host, order(args))?;
    plan.homes(host, selected)?;
    match sshd {
        Some(sshd) => {
            let planned = sshd::plan(sshd, config)?;
            plan.steps.extend(planned.edits.into_iter().map(Step::Edit));
            plan.notes.extend(planned.notes);
            if access::other_way_in(host, sshd)?.is_none() {
                let what = "no local user has a key or a password that sshd takes: if nss-iam users cannot log in, nobody can";
                let hint = "keep this session open until an nss-iam user has logged in; have SSM or a serial console ready";
                plan.notes.push(Message::new(what).with_hint(hint));
            }
        }
        None => plan.notes.push("sshd is not installed, so only names are set up".into()),
    }
    match args.sudo {
        Some(how) => {
            let planned = sudo::plan(host, how, config)?;
            plan.steps.extend(planned.edits.into_iter().map(Step::Edit));
            plan.notes.extend(planned.notes);
        }
        None => plan.notes.extend(sudo::asks_for_a_password(host, config)?),
    }
    plan.units(host, args.imds)?;
    for step in &plan.steps {
        if let Step::Edit(edit) = step {
            vendor::may_change(host, &edit.path)?;
        }
    }
    Ok(plan)
}

/// # Errors
/// When an option was given whose setting has no effect on this host.
fn require_effect(args: &Enable, config: &Config) -> Result<(), Error> {
    for setting in config.without_effect() {
        let (option, hint) = match setting {
            NoEffect::InstanceConnect if args.instance_connect => {
                ("--instance-connect", "nss-iamctl enable --keys --instance-connect")
            }
            NoEffect::Tags if !args.use_tags.is_empty() => ("--use-tag", "leave it out"),
            _ => continue,
        };
        let what = no_effect::remark(config, setting);
        return Err(Error::configuration(format!("'{option}': {}", what.what())).hint(hint));
    }
    Ok(())
}

impl Plan {
    fn edit(&mut self, path: &str, kind: Kind, before: Option<Vec<u8>>, after: Option<Vec<u8>>) {
        if before != after {
            self.steps.push(Step::Edit(Edit { path: path.into(), kind, before, after, mode: 0o644 }));
        }
    }

    /// nsswitch.conf. Returns whether authselect manages it, and home directories.
    fn names(&mut self, host: &Host, order: Option<Order>) -> Result<bool, Error> {
        if let Some(current) = authselect::current(host)? {
            let Some(change) = authselect::plan(host, &current, order)? else { return Ok(true) };
            self.notes.extend(directories::remark(&change.after, order));
            if !change.homes {
                self.notes
                    .push("authselect's profile has no feature with-mkhomedir, so home directories may not be created".into());
            } else if !host
                .run(&["systemctl", "is-active", "--quiet", "oddjobd.service"])
                .is_ok_and(|o| o.success())
            {
                let hint = "install oddjob-mkhomedir; systemctl enable --now oddjobd.service";
                self.notes.push(
                    Message::new("home directories are created by oddjobd, which is not running")
                        .with_hint(hint),
                );
            }
            self.steps.push(Step::Profile(change));
            return Ok(true);
        }
        let before = files::read(&host.path(nsswitch::PATH))?;
        let read = vendor::read(host, nsswitch::PATH)?;
        let after = nsswitch::enable(read.as_deref().unwrap_or_default(), order).map_err(|refusal| {
            let hint = refusal.hint().unwrap_or_default();
            Error::configuration(format!("'{}' {}", nsswitch::PATH, refusal.what())).hint(hint)
        })?;
        let services = |text: &[u8]| nsswitch::DATABASES.map(|database| nsswitch::services(text, database));
        if before.as_deref().is_some_and(|text| {
            order.is_none() && nsswitch::asks_iam(text) && services(text) != services(&after)
        }) {
            self.notes
                .push(format!("'iam' was in another place in '{}', and is moved", nsswitch::PATH).into());
        }
        self.notes.extend(directories::remark(&after, order));
        self.edit(nsswitch::PATH, Kind::Nsswitch, before, Some(after));
        Ok(false)
    }

    /// Of a host where SELinux was switched on after the package was installed. First: semodule looks up users.
    fn labels(&mut self, host: &Host) {
        if selinux::wrong_label(host).is_some() {
            // Not undone: it changes no login, and the package loads the same.
            self.steps
                .insert(0, Step::Run { line: selinux::LOAD.map(str::to_owned).to_vec(), back: Vec::new() });
        }
    }

    fn homes(&mut self, host: &Host, by_authselect: bool) -> Result<(), Error> {
        if by_authselect {
            return Ok(());
        }
        match pam::plan(host)? {
            Homes::Made(remark) => self.notes.extend(remark),
            Homes::Update(edit) => {
                self.steps.extend(edit.map(Step::Edit));
                self.steps.push(Step::Homes { on: true });
            }
            Homes::Line(edit) => self.steps.push(Step::Edit(edit)),
        }
        Ok(())
    }

    fn units(&mut self, host: &Host, imds: bool) -> Result<(), Error> {
        let on = |unit: &str| Step::Unit { unit: unit.to_owned(), on: true };
        let enabled = |unit: &str| units::is_enabled(host, unit);
        match (imds, services::is_installed(host, IMDS)) {
            (true, false) => {
                let why = format!("'--imds' needs '{IMDS}', which is not installed");
                return Err(Error::configuration(why).hint("install the whole package"));
            }
            (true, true) if host.find("nft").is_none() => {
                let why = "'--imds' needs 'nft', which is not installed";
                return Err(Error::configuration(why).hint("install the package nftables"));
            }
            (true, true) if !enabled(IMDS) => self.steps.push(on(IMDS)),
            (false, true) if !enabled(IMDS) => {
                let first =
                    if host.find("nft").is_none() { "install the package nftables, then: " } else { "" };
                let what = "nss-iam users can reach the metadata service, and take the instance role there";
                self.notes.push(Message::new(what).with_hint(format!("{first}nss-iamctl enable --imds")));
            }
            _ => {}
        }
        // Without systemctl, 'cache-refresher --loop' replaces them.
        let (wanted, other) = units::schedule(&self.config);
        if services::is_installed(host, wanted) && host.find("systemctl").is_some() {
            let is_other =
                services::is_installed(host, other) && (enabled(other) || units::is_active(host, other));
            if is_other {
                self.steps.push(Step::Unit { unit: other.to_owned(), on: false });
            }
            // Each stops the other. Somebody may have stopped this one, too.
            let is_stopped = || host.exists("/run/systemd/system") && !units::is_active(host, wanted);
            if is_other || !enabled(wanted) || is_stopped() {
                self.steps.push(on(wanted));
            }
        }
        Ok(())
    }
}

fn change(
    transaction: &mut Transaction<'_>,
    sshd: Option<&Sshd<'_>>,
    plan: &Plan,
) -> Result<Vec<Message>, Error> {
    let host = transaction.host();
    let baseline = sshd.map(sshd::baseline).transpose()?;
    transaction.keep(Manifest::load(host)?.unwrap_or_default());
    step::make(&plan.steps, transaction)?;
    nscd::invalidate(host);
    match (sshd, &baseline) {
        (Some(sshd), Some(baseline)) => sshd::check(sshd, baseline, &plan.config),
        _ => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests;
