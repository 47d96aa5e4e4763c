//! The plan as text, and what the administrator has to do.

use std::fmt::Write;

use message::Message;

use super::facts::Facts;
use super::outcome::{Adoption, Plan};
use super::script::{self, Job};
use super::world::World;
use crate::edit::file::Edit;

/// The plan as it is shown.
pub(super) fn plan(plan: &Plan, edits: &[Edit]) -> String {
    let mut text = String::new();
    for adoption in &plan.adopt {
        adopted(adoption, &mut text);
    }
    for left in &plan.leave {
        line(&mut text, &format!("{}: stays as it is: {}", left.name.escape_default(), left.why.what()));
        if let Some(hint) = left.why.hint() {
            line(&mut text, &format!("    hint: {hint}"));
        }
    }
    for edit in edits {
        let verb = if edit.after.is_some() { "write" } else { "remove" };
        line(&mut text, &format!("{verb} '{}'", edit.path.display()));
    }
    text
}

fn adopted(adoption: &Adoption, text: &mut String) {
    let Adoption { name, uid, iam_name, iam_id, id, .. } = adoption;
    let becomes = format!("{name} (uid {uid}): becomes nss-iam user '{iam_name}' ({iam_id})");
    line(
        text,
        &if uid == id { format!("{becomes}, keeps its uid") } else { format!("{becomes}, gets uid {id}") },
    );
    if let Some(moves) = adoption.moves() {
        line(
            text,
            &format!("    files: {moves}, in '{}', mail and crontabs", adoption.home.escape_default()),
        );
    }
    for loss in &adoption.loses {
        line(text, &format!("    loses: {loss}"));
    }
    for note in &adoption.notes {
        line(text, &format!("    note: {note}"));
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

/// What remains for the administrator to do.
pub(super) fn remarks(world: &World<'_>, plan: &Plan) -> Vec<Message> {
    let facts = world.facts;
    let mut remarks = Vec::new();
    if plan.adopt.is_empty() {
        return remarks;
    }
    for (path, text) in facts.roots_jobs.iter().chain(&facts.cron) {
        let elsewhere = facts.roots_jobs.iter().any(|(other, _)| other == path);
        if script::job(text) == Job::Among || elsewhere && script::job(text) == Job::Whole {
            let what = format!(
                "'{}' is kept, because it does not only run the script that creates accounts",
                path.display()
            );
            let hint = "remove the script's line, or the script creates the accounts again";
            remarks.push(Message::new(what).with_hint(hint));
        }
    }
    if !plan.remaining.is_empty() {
        let names = plan.remaining.join(", ");
        remarks.push(Message::new(format!(
            "these accounts are no longer managed by a script, and stay until they are removed: {names}"
        )));
        if facts.sshd.iter().any(|(_, text)| script::without_keys_command(text).is_some()) {
            remarks.push(Message::new("sshd still asks the script for their keys"));
        }
    }
    if plan.adopt.iter().any(|adoption| adoption.moves().is_some()) {
        let find: Vec<String> = plan.adopt.iter().filter(|a| a.moves().is_some()).map(find_rest).collect();
        let hint = format!("find / -xdev \\( {} \\)", find.join(" -o "));
        remarks.push(Message::new("files in other places keep the old ids").with_hint(hint));
    }
    if !facts.script_conf.is_empty() {
        let hint = "remove its package, or /opt/import_users.sh, /opt/authorized_keys_command.sh, /etc/aws-ec2-ssh.conf";
        remarks.push(Message::new("aws-ec2-ssh itself stays installed").with_hint(hint));
    }
    remarks
}

fn find_rest(adoption: &Adoption) -> String {
    match adoption.private_gid.filter(|gid| *gid != adoption.id) {
        Some(gid) if adoption.uid != adoption.id => format!("-uid {} -o -gid {gid}", adoption.uid),
        Some(gid) => format!("-uid {} -gid {gid}", adoption.uid),
        None => format!("-uid {}", adoption.uid),
    }
}

/// `[ids]` for an image, with a comment about each account that cannot be pinned.
pub(super) fn config(plan: &Plan, pins: &str) -> String {
    let mut text = pins.to_owned();
    for left in &plan.leave {
        line(&mut text, &format!("# {}: {}", left.name.escape_default(), left.why.what()));
    }
    text
}

/// Why no account can be converted.
pub(super) fn obstacle(facts: &Facts, asks_sshd: bool) -> Option<&'static str> {
    if !crate::edit::nsswitch::asks_iam(&facts.nsswitch) {
        return Some("'/etc/nsswitch.conf' does not ask 'iam', so the users would not resolve");
    }
    asks_sshd.then_some("sshd does not ask for the keys of nss-iam users, so they could not log in")
}
