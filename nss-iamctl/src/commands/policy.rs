//! `policy`: the minimum permissions of each role that this host uses, from its configuration: as policy documents, or with
//! the role and its trust policy as a template.

mod cfn;
mod document;
mod terraform;
#[cfg(test)]
mod tests;
mod wanted;

use std::collections::BTreeMap;
use std::io::Write;

use message::Message;
use serde_json::Value;
use status::Status;

use crate::cli::{self, Format};
use crate::edit::settings;
use crate::host::Host;
use crate::host::paths::STATUS;
use crate::say::error::Error;
use crate::say::finding::written;
use wanted::{OF_HOST, Reader, Wanted};

pub(crate) fn run(host: &Host, args: &cli::Policy, out: &mut dyn Write) -> Result<u8, Error> {
    let wanted = Wanted::of(args, &settings::load(host)?, &known(host))?;
    written(writeln!(out, "{}", text(&wanted, args)?.trim_end()))?;
    if let Some(note) = note(&wanted, args) {
        crate::say::say(note);
    }
    Ok(crate::say::error::OK)
}

/// The ids of accounts by name, as the last refresh found them. Without a report they are not known.
fn known(host: &Host) -> BTreeMap<String, String> {
    let accounts = Status::read(&host.path(STATUS)).map(|status| status.accounts).unwrap_or_default();
    let known = accounts.into_iter().filter(|account| !account.id.is_empty());
    known.map(|account| (account.name, account.id)).collect()
}

/// What is printed.
fn text(wanted: &Wanted, args: &cli::Policy) -> Result<String, Error> {
    let named = args.role_of.as_deref().map(|name| wanted.named(name)).transpose()?;
    // Without a name, a template is for the first role to assume, or for the host's own.
    let one = || named.unwrap_or_else(|| wanted.roles.first());
    match (args.format, named) {
        (Format::Json, None) => pretty(&document::all(wanted)?),
        (Format::Json, Some(role)) => pretty(&one_document(wanted, role, args.trust)?),
        (Format::Cfn, _) => pretty(&cfn::template(wanted, one())?),
        (Format::Terraform, _) => Ok(terraform::text(wanted, one(), &document::actions()?)),
    }
}

fn one_document(wanted: &Wanted, role: Option<&Reader>, trust: bool) -> Result<Value, Error> {
    match (role, trust) {
        (Some(role), true) => Ok(document::of_trust(&wanted.host, role)),
        (Some(role), false) => document::of_reader(role, &role.prefix()),
        (None, true) => {
            let error = Error::configuration(
                "EC2 or the container service assumes the host's own role, and not nss-iam",
            );
            Err(error
                .hint("--trust is for a role that the host assumes: nss-iamctl policy --for NAME --trust"))
        }
        (None, false) => {
            document::of_host(wanted, &wanted.host.prefix(), wanted.host.reads.as_ref().map(Reader::prefix))
        }
    }
}

/// What a person has to do besides.
fn note(wanted: &Wanted, args: &cli::Policy) -> Option<Message> {
    if wanted.roles.is_empty() {
        return None;
    }
    let has_trust = args.format == Format::Json && (args.trust || args.role_of.is_none());
    if has_trust && wanted.host.principal().is_none() {
        let note = Message::new("the role and the account of this host are not known here");
        return Some(note.with_hint("--instance-role ARN puts its role into the trust policies"));
    }
    match (args.format, args.role_of.as_deref()) {
        (Format::Json, None) => {
            let names: Vec<&str> =
                std::iter::once(OF_HOST).chain(wanted.roles.iter().map(Reader::shown)).collect();
            let note = Message::new(format!(
                "these are the documents of several roles: {}",
                message::quoted(&names, 20)
            ));
            Some(note.with_hint(
                "nss-iamctl policy --for NAME prints one of them, and with --trust its trust policy",
            ))
        }
        (Format::Json, Some(_)) | (_, Some(OF_HOST)) => None,
        _ => {
            let note = Message::new("the host's own role must be allowed to assume this role");
            Some(note.with_hint("nss-iamctl policy --for host"))
        }
    }
}

fn pretty(value: &Value) -> Result<String, Error> {
    serde_json::to_string_pretty(value)
        .map_err(|cause| Error::other(format!("cannot print the policy: {cause}")))
}
