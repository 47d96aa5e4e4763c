//! `adopt`: converts accounts that a useradd script or aws-ec2-ssh created. The nss-iam user gets the id of the account,
//! so that files keep their owners; otherwise, the files are changed to the id of the user.
//!
//! Nothing is changed without `--apply`. Only accounts that have a user at the source are converted; home directories stay.

mod carry_out;
mod changes;
mod check;
mod facts;
mod impact;
mod interrupted;
mod keys;
mod outcome;
mod pair;
mod plan;
mod script;
mod tell;
#[cfg(test)]
mod tests;
mod undo;
mod world;

use std::io::Write;
use std::path::Path;

use message::Message;

use crate::cli::Adopt;
use crate::edit::block;
use crate::edit::sshd::{config::MAIN, drop_in};
use crate::host::{Host, files, vendor};
use crate::say::error::{self, Error};
use crate::say::finding::written;
use crate::say::say;
use facts::Facts;
use outcome::Plan;
use world::{Request, World};

/// Carries out the request; `now` is in seconds since 1970.
///
/// # Errors
/// When it cannot be planned, or fails; all files are then restored.
pub(crate) fn run(host: &Host, args: &Adopt, now: i64, out: &mut dyn Write) -> Result<u8, Error> {
    // While the lock is held, nobody else changes what the plan depends on.
    let _lock = args.apply.then(|| carry_out::lock(host)).transpose()?;
    interrupted::restore(host, args.apply)?;
    if args.undo {
        return undo::run(host, args, out);
    }
    if args.apply {
        interrupted::no_undo(host)?;
    }
    adopt(host, args, now, out)
}

/// Makes the plan, and with `--apply` carries it out.
fn adopt(host: &Host, args: &Adopt, now: i64, out: &mut dyn Write) -> Result<u8, Error> {
    let request =
        Request { names: args.names.clone(), renumber: args.renumber, elsewhere: args.print_config };
    let facts = Facts::read(host)?;
    let world = World::of(&facts);
    let plan = plan::plan(&world, &request)?;
    if args.print_config {
        let text = tell::config(&plan, &changes::pins("", &plan.adopt)?);
        print(out, &text)?;
        return Ok(error::OK);
    }
    let edits = changes::edits(&world, &plan, args.renumber)?;
    edits.iter().try_for_each(|edit| vendor::may_change(host, &edit.path))?;
    let shown = tell::plan(&plan, &edits);
    print(out, &shown)?;
    if plan.adopt.is_empty() {
        say(nobody(&world, &plan));
        return Ok(status(args, &plan));
    }
    let obstacle = tell::obstacle(&facts, !sshd_asks(host)?);
    if !args.apply {
        tell::remarks(&world, &plan).into_iter().for_each(say);
        if let Some(why) = obstacle {
            say(Message::new(why).with_hint("nss-iamctl enable"));
        }
        say("nothing was changed; with --apply it is");
        return Ok(error::OK);
    }
    if let Some(why) = obstacle {
        return Err(Error::configuration(format!("{why}; nothing was changed")).hint("nss-iamctl enable"));
    }
    let kept = carry_out::carry_out(host, &plan, &changes::groups(&world, &plan), edits, &shown, now)?;
    tell::remarks(&world, &plan).into_iter().for_each(say);
    done(&plan, &kept);
    Ok(status(args, &plan))
}

/// If a named account cannot be converted, that is a failure. Of the accounts that a script created, some usually stay.
fn status(args: &Adopt, plan: &Plan) -> u8 {
    if args.apply && !args.names.is_empty() && !plan.leave.is_empty() {
        error::CONFIGURATION
    } else {
        error::OK
    }
}

fn done(plan: &Plan, kept: &Path) {
    let count = plan.adopt.len();
    let accounts = if count == 1 { "account" } else { "accounts" };
    let what = format!("{count} {accounts} taken over; the original files are in '{}'", kept.display());
    say(Message::new(what).with_hint("to go back: nss-iamctl adopt --undo"));
}

fn nobody(world: &World<'_>, plan: &Plan) -> Message {
    if plan.leave.is_empty() {
        return Message::new(format!(
            "no account has the comment '{}' or is in group '{}'; nothing was done",
            script::COMMENT,
            world.marker
        ))
        .with_hint("name the accounts: nss-iamctl adopt NAME...");
    }
    Message::new("no account can be taken over; nothing was done")
}

/// Whether our part of sshd's configuration exists; `doctor` checks whether it is in effect.
fn sshd_asks(host: &Host) -> Result<bool, Error> {
    if host.find("sshd").is_none() || host.exists(drop_in::PATH) {
        return Ok(true);
    }
    Ok(files::read_lossy(&host.path(MAIN))?.is_some_and(|text| text.contains(block::BEGIN)))
}

fn print(out: &mut dyn Write, text: &str) -> Result<(), Error> {
    let printed = written(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
    printed.map_err(|failed| failed.done("nothing was done"))
}
