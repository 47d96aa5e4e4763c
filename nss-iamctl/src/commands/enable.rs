//! `enable`: plans every change first, shows it, makes it, looks whether sshd now shows what it should, and takes
//! everything back if not.

use std::io::Write;

use similar::TextDiff;

use crate::cli::Enable;
use crate::edit::access;
use crate::edit::authselect;
use crate::edit::backup::{self, Edit, Kind, Manifest};
use crate::edit::nsswitch;
use crate::edit::pam::{self, Homes};
use crate::edit::settings;
use crate::edit::sshd::{self, Sshd, reload};
use crate::edit::sudo;
use crate::edit::transaction::{Transaction, Undo};
use crate::host::paths::{IMDS, TIMER};
use crate::host::{Host, files, nscd};
use crate::say::error::{self, Error};
use crate::say::say;

const UNITS: [&str; 3] = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// One change.
enum Step {
    Edit(Edit),
    Authselect(authselect::Change),
    PamAuthUpdate,
    Unit(&'static str),
}

struct Plan {
    group: String,
    steps: Vec<Step>,
    notes: Vec<String>,
}

/// Sets the host up, or prints how.
///
/// # Errors
/// When it cannot be, or what came out is not as it should be; every file then is as it was.
pub(crate) fn run(host: &Host, args: &Enable, out: &mut dyn Write) -> Result<u8, Error> {
    let unchanged = |failed: Error| failed.done("nothing was changed");
    let sshd = Sshd::find(host).map_err(unchanged)?;
    let plan = plan(host, sshd.as_ref(), args).map_err(unchanged)?;
    for step in &plan.steps {
        show(host, step, out)?;
    }
    plan.notes.iter().for_each(|note| say(note));
    if args.dry_run {
        say("nothing was changed, as asked");
        return Ok(error::OK);
    }
    let mut transaction = Transaction::on(host);
    match change(host, sshd.as_ref(), &plan, &mut transaction) {
        Ok(notes) => notes.iter().for_each(|note| say(note)),
        Err(failed) => {
            let failed = transaction.roll_back(failed);
            nscd::invalidate(host);
            return Err(failed);
        }
    }
    match (&sshd, plan.steps.is_empty()) {
        (_, true) => say("everything was set up already"),
        (Some(sshd), false) => say(&reload::reload(sshd)?),
        (None, false) => {}
    }
    Ok(error::OK)
}

fn plan(host: &Host, sshd: Option<&Sshd<'_>>, args: &Enable) -> Result<Plan, Error> {
    let settings = settings::plan(host, &args.groups, args.role.as_deref())?;
    let mut plan =
        Plan { group: settings.config.users.common_group.clone(), steps: Vec::new(), notes: Vec::new() };
    let config = &settings.config;
    if config.groups.is_empty() && config.groups_from_instance_tag.is_none() && config.source.url() == "iam:"
    {
        plan.notes.push(
            "no IAM group is set, so nobody becomes a user\nhint: nss-iamctl enable --group GROUP".to_owned(),
        );
    }
    plan.edit(
        settings::PATH,
        Kind::Theirs,
        settings.before.map(String::into_bytes),
        Some(settings.after.into_bytes()),
    );
    let selected = plan.names(host)?;
    plan.homes(host, selected)?;
    match sshd {
        Some(sshd) => {
            let planned = sshd::plan(sshd, &plan.group)?;
            plan.steps.extend(planned.edits.into_iter().map(Step::Edit));
            plan.notes.extend(planned.notes);
            if access::other_way_in(host, sshd)?.is_none() {
                plan.notes.push(
                    "no local user has a key or a password that sshd takes: if IAM users cannot log in, nobody can\n\
                     hint: keep this session open until an IAM user has logged in; have SSM or a serial console ready"
                        .to_owned(),
                );
            }
        }
        None => plan.notes.push("there is no sshd here: only names are set up".to_owned()),
    }
    if let Some(how) = args.sudo {
        let planned = sudo::plan(host, how, config)?;
        plan.steps.extend(planned.edits.into_iter().map(Step::Edit));
        plan.notes.extend(planned.notes);
    }
    plan.units(host, args.imds)?;
    Ok(plan)
}

impl Plan {
    fn edit(&mut self, path: &str, kind: Kind, before: Option<Vec<u8>>, after: Option<Vec<u8>>) {
        if before != after {
            self.steps.push(Step::Edit(Edit { path: path.to_owned(), kind, before, after, mode: 0o644 }));
        }
    }

    /// nsswitch.conf; whether authselect looks after it, and homes.
    fn names(&mut self, host: &Host) -> Result<bool, Error> {
        if let Some(current) = authselect::current(host)? {
            let Some(change) = authselect::plan(host, &current)? else { return Ok(true) };
            if !change.homes {
                self.notes.push(
                    "authselect's profile has no feature with-mkhomedir: who makes the homes?".to_owned(),
                );
            } else if !host
                .run(&["systemctl", "is-active", "--quiet", "oddjobd.service"])
                .is_ok_and(|o| o.success())
            {
                self.notes.push(
                    "homes are made by oddjobd, which is not running\n\
                     hint: install oddjob-mkhomedir; systemctl enable --now oddjobd.service"
                        .to_owned(),
                );
            }
            self.steps.push(Step::Authselect(change));
            return Ok(true);
        }
        let before = files::read(&host.path(nsswitch::PATH))?;
        let after = nsswitch::enable(before.as_deref().unwrap_or_default()).map_err(|refusal| {
            Error::configuration(format!("'{}' {refusal}", nsswitch::PATH)).hint(refusal.hint)
        })?;
        let services = |text: &[u8]| nsswitch::DATABASES.map(|database| nsswitch::services(text, database));
        if before
            .as_deref()
            .is_some_and(|text| nsswitch::asks_iam(text) && services(text) != services(&after))
        {
            self.notes.push(format!("'iam' stood at another place in '{}' and is moved", nsswitch::PATH));
        }
        self.edit(nsswitch::PATH, Kind::Nsswitch, before, Some(after));
        Ok(false)
    }

    fn homes(&mut self, host: &Host, by_authselect: bool) -> Result<(), Error> {
        if by_authselect {
            return Ok(());
        }
        match pam::plan(host)? {
            Homes::Made(remark) => self.notes.extend(remark),
            Homes::Update(edit) => {
                self.steps.extend(edit.map(Step::Edit));
                self.steps.push(Step::PamAuthUpdate);
            }
            Homes::Line(edit) => self.steps.push(Step::Edit(edit)),
        }
        Ok(())
    }

    fn units(&mut self, host: &Host, imds: bool) -> Result<(), Error> {
        let installed = |unit: &str| UNITS.iter().any(|folder| host.exists(&format!("{folder}/{unit}")));
        let enabled =
            |unit: &str| host.run(&["systemctl", "is-enabled", "--quiet", unit]).is_ok_and(|o| o.success());
        match (imds, installed(IMDS)) {
            (true, false) => {
                let why = format!("'--imds' needs '{IMDS}', which is not installed");
                return Err(Error::configuration(why).hint("install the whole package"));
            }
            (true, true) if !enabled(IMDS) => self.steps.push(Step::Unit(IMDS)),
            (false, true) if !enabled(IMDS) => self.notes.push(
                "IAM users can reach the metadata service, and take the instance's role there\n\
                 hint: nss-iamctl enable --imds"
                    .to_owned(),
            ),
            _ => {}
        }
        // Without systemctl, 'cache-refresher --loop' does the timer's work.
        if installed(TIMER) && host.find("systemctl").is_some() && !enabled(TIMER) {
            self.steps.push(Step::Unit(TIMER));
        }
        Ok(())
    }
}

fn show(host: &Host, step: &Step, out: &mut dyn Write) -> Result<(), Error> {
    let shown = match step {
        Step::Edit(edit) => diff(&edit.path, edit.before.as_deref(), edit.after.as_deref()),
        Step::Authselect(change) => {
            let commands: String =
                change.commands().iter().map(|line| format!("run: {}\n", line.join(" "))).collect();
            let path = format!("{}/nsswitch.conf", authselect::FOLDER);
            [commands.into_bytes(), diff(&path, Some(&change.before), Some(&change.after))].concat()
        }
        Step::PamAuthUpdate => b"run: pam-auth-update --enable nss-iam-mkhomedir\n".to_vec(),
        Step::Unit(unit) => format!("run: {}\n", switch(host, "enable", unit).join(" ")).into_bytes(),
    };
    print(out, &shown)
}

/// A unified diff of one file, byte by byte what patch(1) takes.
pub(crate) fn diff(path: &str, before: Option<&[u8]>, after: Option<&[u8]>) -> Vec<u8> {
    let name = |bytes: Option<&[u8]>| if bytes.is_some() { path.to_owned() } else { "/dev/null".to_owned() };
    let diff = TextDiff::from_lines(before.unwrap_or_default(), after.unwrap_or_default());
    let mut shown = Vec::new();
    // Memory takes all that is written.
    let _ = diff.unified_diff().header(&name(before), &name(after)).to_writer(&mut shown);
    shown
}

/// Prints data.
///
/// # Errors
/// When it cannot be written, but for a reader who went away.
pub(crate) fn print(out: &mut dyn Write, bytes: &[u8]) -> Result<(), Error> {
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::other(format!("cannot print: {cause}")))
        }
        _ => Ok(()),
    }
}

fn change(
    host: &Host,
    sshd: Option<&Sshd<'_>>,
    plan: &Plan,
    transaction: &mut Transaction<'_>,
) -> Result<Vec<String>, Error> {
    let baseline = sshd.map(sshd::baseline).transpose()?;
    let mut manifest = Manifest::load(host)?.unwrap_or_default();
    for step in &plan.steps {
        let Step::Edit(edit) = step else { continue };
        manifest.note(edit, files::mode(&host.path(&edit.path)).unwrap_or(edit.mode))?;
        let folder = edit.path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        if !host.exists(&folder) && !manifest.folders.contains(&folder) {
            manifest.folders.push(folder);
        }
    }
    save(transaction, &manifest)?;
    for step in &plan.steps {
        match step {
            Step::Edit(edit) => {
                if let Some((folder, _)) = edit.path.rsplit_once('/') {
                    transaction.folder(folder, 0o755)?;
                }
                transaction.write(&edit.path, edit.after.as_deref(), edit.mode)?;
            }
            Step::Authselect(change) => {
                manifest.authselect = Some(change.from.clone());
                save(transaction, &manifest)?;
                change.perform(host, transaction)?;
            }
            Step::PamAuthUpdate => pam_auth_update(host, &mut manifest, transaction)?,
            Step::Unit(unit) => {
                manifest.units.push((*unit).to_owned());
                save(transaction, &manifest)?;
                transaction.before(Undo::Run(switch(host, "disable", unit)));
                host.must(&words(&switch(host, "enable", unit)))?;
            }
        }
    }
    nscd::invalidate(host);
    match (sshd, &baseline) {
        (Some(sshd), Some(baseline)) => sshd::check(sshd, baseline, &plan.group),
        _ => Ok(Vec::new()),
    }
}

/// The line that enables or disables a unit: at once, where systemd runs (sd_booted(3)), and not in a container, nor while an
/// image is built.
pub(crate) fn switch(host: &Host, verb: &str, unit: &str) -> Vec<String> {
    let now = host.exists("/run/systemd/system").then_some("--now");
    // cloud-init runs us while the host boots, and the timer may wait for what comes later (time-sync.target).
    let wait = now.filter(|_| verb == "enable" && unit == TIMER).map(|_| "--no-block");
    let line = ["systemctl", verb].into_iter().chain(now).chain(wait).chain([unit]);
    line.map(str::to_owned).collect()
}

pub(crate) fn words(line: &[String]) -> Vec<&str> {
    line.iter().map(String::as_str).collect()
}

/// The backup comes before what it is a backup of: a crash in between leaves `disable` all that it needs.
fn save(transaction: &mut Transaction<'_>, manifest: &Manifest) -> Result<(), Error> {
    transaction.folder("/var/lib/nss-iam", 0o755)?;
    transaction.folder(backup::FOLDER, 0o700)?;
    transaction.write(backup::PATH, Some(manifest.text()?.as_bytes()), 0o600)
}

/// pam-auth-update writes nothing where it finds local modifications, and says so on standard error only.
fn pam_auth_update(
    host: &Host,
    manifest: &mut Manifest,
    transaction: &mut Transaction<'_>,
) -> Result<(), Error> {
    manifest.pam_auth_update = true;
    save(transaction, manifest)?;
    let read = |path: &str| files::read(&host.path(path));
    let before: Vec<_> = pam::WATCHED.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
    for (path, before) in pam::WATCHED.iter().zip(&before) {
        let mode = files::mode(&host.path(path)).unwrap_or(0o644);
        transaction.before(Undo::File { path: (*path).to_owned(), before: before.clone(), mode });
    }
    pam::update(host)?;
    for (path, before) in pam::WATCHED.iter().zip(before) {
        let after = read(path)?;
        if before != after {
            let edit = Edit { path: (*path).to_owned(), kind: Kind::Theirs, before, after, mode: 0o644 };
            manifest.note(&edit, files::mode(&host.path(path)).unwrap_or(edit.mode))?;
        }
    }
    if pam::existing(host)?.is_none() {
        let edit = pam::line(host)?;
        manifest.note(&edit, files::mode(&host.path(&edit.path)).unwrap_or(edit.mode))?;
        transaction.write(&edit.path, edit.after.as_deref(), edit.mode)?;
        say(&format!(
            "pam-auth-update left the files of /etc/pam.d as they are; '{}' got a line of ours",
            edit.path
        ));
    }
    save(transaction, manifest)
}

#[cfg(test)]
mod tests;
