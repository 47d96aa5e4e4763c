//! `keys USER`: each key with its fingerprint, whether keys-cmd offers it now, and why not.

use std::io::Write;

use cache::snapshot::Keys;
use message::Message;
use policy::KeyLine;
use serde::Serialize;
use status::What;

use crate::cli;
use crate::host::Host;
use crate::host::published::Trouble;
use crate::inspect::facts::Facts;
use crate::inspect::offer::{UNASKED, withheld};
use crate::inspect::subject::{self, Origin, Who};
use crate::say::code::{Code, Link};
use crate::say::error::{Error, needs_root};
use crate::say::finding::written;
use crate::say::show::{ago, as_json, command, printable, some, table, word};

pub(crate) fn run(host: &Host, args: &cli::Keys, now: i64, out: &mut dyn Write) -> Result<u8, Error> {
    let facts = Facts::gather(host, now);
    let keys = facts.published.keys.as_ref().map_err(|trouble| {
        let error = match trouble {
            Trouble::Denied => needs_root("only root may read keys", &command(["keys", &args.user])),
            other => Error::other(format!("cannot use '/var/lib/nss-iam/keys.db': {other}")),
        };
        if *trouble == Trouble::Missing { error.hint("nss-iamctl refresh") } else { error }
    })?;
    let who = Who::find(&args.user, &facts);
    let rows = rows(&facts, keys, &who);
    if !who.is_known() {
        let message = format!("no nss-iam user is called '{}' here", printable(&args.user));
        let hint = match subject::meant(&args.user, facts.published.cache.as_ref().ok()) {
            like if like.is_empty() => format!("nss-iamctl why {}", word(&args.user)),
            like => format!("did you mean {}?", some(&like)),
        };
        return Err(Error::configuration(message).hint(hint));
    }
    if rows.is_empty() {
        let message = format!("'{}' has no key on this host", printable(&args.user));
        return Err(Error::configuration(message).hint(format!("nss-iamctl why {}", word(&args.user))));
    }
    let text = if args.json {
        as_json(&rows)?
    } else {
        let cells: Vec<_> = rows.iter().map(|row| row.cells(facts.now)).collect();
        table(["FINGERPRINT", "TYPE", "KEY", "CONFIRMED", "OFFERED"], &cells)
    };
    written(write!(out, "{text}"))?;
    Ok(crate::say::error::OK)
}

/// A key. What is not known is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
struct Row {
    fingerprint: Option<String>,
    r#type: Option<String>,
    /// SSHPublicKeyId.
    id: Option<String>,
    /// The tag that has it.
    tag: Option<String>,
    /// Seconds since 1970; 0: never.
    confirmed: Option<i64>,
    offered: bool,
    /// Whether and why not, for programs.
    code: &'static str,
    /// Why it is not offered.
    because: Option<String>,
}

impl Row {
    fn cells(&self, now: i64) -> [String; 5] {
        let Self { fingerprint, r#type, id, tag, confirmed, because, .. } = self;
        let text =
            |text: &Option<String>, otherwise: &str| text.clone().unwrap_or_else(|| otherwise.to_owned());
        let confirmed = match confirmed {
            None => String::new(),
            Some(at) if *at > 0 => ago(*at, now),
            Some(_) => "never".to_owned(),
        };
        [
            text(fingerprint, ""),
            text(r#type, "?"),
            text(if id.is_some() { id } else { tag }, ""),
            confirmed,
            because.as_ref().map_or_else(|| "yes".to_owned(), |why| format!("no: {why}")),
        ]
    }
}

fn rows(facts: &Facts, keys: &Keys, who: &Who<'_>) -> Vec<Row> {
    let origins = who.origins(facts.configured());
    let row = |key: &KeyLine, confirmed: i64, because: Option<&str>| {
        let (id, tag) = match origins.get(key.fingerprint()) {
            Some(Origin::Key(id)) if !id.is_empty() => (Some(id.clone()), None),
            Some(Origin::Tag(tag)) => (None, Some(tag.clone())),
            Some(Origin::Key(_)) | None => (None, None),
        };
        Row {
            fingerprint: Some(key.fingerprint().to_owned()),
            r#type: Some(key.kind().to_owned()),
            id,
            tag,
            confirmed: Some(confirmed),
            offered: because.is_none(),
            code: code(if because.is_none() { Link::KeyOffered } else { Link::NoKeyOffered }),
            because: because.map(str::to_owned),
        }
    };
    let mut rows = Vec::new();
    if let Some(login) = who.login {
        let why = withheld(keys, login, &facts.machine_id, facts.now);
        let why = why.as_ref().map(Message::what);
        let why = if facts.configured().keys.sshd { why } else { Some(UNASKED) };
        rows.extend(login.keys.iter().map(|key| row(key, login.confirmed, why)));
    } else if let Some((_, user)) = who.remembered {
        let why = if user.disabled.is_some() { "the user is disabled" } else { "the user is not published" };
        rows.extend(user.keys.iter().map(|key| row(key, user.confirmed, Some(why))));
    }
    rows.extend(who.inactive().into_iter().map(|key| Row {
        code: code(Link::KeyInactive),
        because: Some(format!("it is inactive in {}", facts.source().noun())),
        fingerprint: key.fingerprint,
        id: Some(key.id),
        ..Row::default()
    }));
    let skipped = who.skips.iter().filter(|skip| skip.what == What::Key);
    rows.extend(skipped.map(|skip| Row {
        id: skip.key.clone(),
        tag: skip.tag.clone(),
        code: Code::of_skip(&skip.reason).code,
        because: Some(skip.text.clone()),
        ..Row::default()
    }));
    rows
}

fn code(link: Link) -> &'static str {
    Code::from(link).code
}

#[cfg(test)]
mod tests {
    use config::TagUse;
    use status::{Part, Skip, SkipReason};

    use super::*;
    use crate::fixtures::{NOW, good};

    #[test]
    fn programs_get_ids_tags_and_times() {
        let mut facts = good();
        facts.config.as_mut().unwrap().tags.uses = vec![TagUse::SshKey];
        let body = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
        let stored = KeyLine::read(body).unwrap();
        let fingerprint = stored.fingerprint().to_owned();
        facts.published.keys.as_mut().unwrap().logins[0].keys = vec![stored];
        let user = &mut facts.published.listing.as_mut().unwrap().accounts[0].users[0];
        user.tags = [("nss-iam:ssh-key".to_owned(), body.to_owned())].into();
        let skip = Skip::new("", Part::Key("APKA7"), "Ana", "AIDAANA", SkipReason::KeyDsa);
        facts.published.status.as_mut().unwrap().skips.push(skip);
        let who = Who::find("ana", &facts);
        let rows = rows(&facts, facts.published.keys.as_ref().unwrap(), &who);
        let json = serde_json::to_value(&rows).unwrap();
        let tagged = serde_json::json!({"fingerprint": fingerprint, "type": "ssh-ed25519", "id": null,
            "tag": "nss-iam:ssh-key", "confirmed": NOW - 60, "offered": true,
            "code": "key-offered", "because": null});
        assert_eq!(json[0], tagged);
        assert_eq!(
            (&json[1]["id"], &json[1]["offered"], &json[1]["code"]),
            (&"APKA7".into(), &false.into(), &"key-dsa".into())
        );
        assert_eq!(rows[0].cells(NOW)[2], "nss-iam:ssh-key");
    }

    #[test]
    fn every_key_is_listed_with_what_stands_against_it() {
        let mut facts = good();
        let key = |id: &str| listing::Key { id: id.to_owned(), active: false, body: String::new() };
        facts.published.listing.as_mut().unwrap().accounts[0].users[0].keys.push(key("APKA9"));
        let listed = |facts: &Facts, name: &str| -> Vec<String> {
            let who = Who::find(name, facts);
            rows(facts, facts.published.keys.as_ref().unwrap(), &who)
                .iter()
                .map(|row| row.cells(facts.now).join("|"))
                .collect()
        };
        let inactive = "|?|APKA9||no: it is inactive in IAM";
        assert_eq!(listed(&facts, "Ana"), ["SHA256:ABCD|ssh-rsa||60 s ago|yes", inactive]);
        assert_eq!(listed(&facts, "bob"), ["SHA256:ABCD|ssh-rsa||60 s ago|no: the user is disabled"]);
        assert!(listed(&facts, "eve").is_empty());
        facts.machine_id.clear();
        assert_eq!(
            listed(&facts, "ana")[0],
            "SHA256:ABCD|ssh-rsa||60 s ago|no: they were fetched for another machine-id"
        );
    }
}
