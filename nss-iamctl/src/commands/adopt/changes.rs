//! Which files of the host are changed, in this order. Pure.

use std::collections::BTreeSet;
use std::path::Path;

use toml_edit::{DocumentMut, Item, Table, Value};

use super::facts::PINS;
use super::outcome::{Adoption, Plan};
use super::script;
use super::world::World;
use crate::edit::file::{Edit, Kind};
use crate::host::accounts::{self, GROUP, GSHADOW, PASSWD, SHADOW};
use crate::say::error::Error;

/// The pins come first, because a refresh in between must know them. The accounts are removed last, and from passwd(5)
/// last of all: lines left in the other files do no harm, but an account without its line in shadow(5) could.
///
/// # Errors
/// When the pins of an earlier run cannot be read.
pub(super) fn edits(world: &World<'_>, plan: &Plan, renumber: bool) -> Result<Vec<Edit>, Error> {
    let facts = world.facts;
    if plan.adopt.is_empty() {
        return Ok(Vec::new());
    }
    let names: BTreeSet<&str> = plan.adopt.iter().map(|adoption| adoption.name.as_str()).collect();
    let mut edits = Vec::new();
    let mut change = |path: &Path, before: Option<&[u8]>, after: Option<Vec<u8>>| {
        if after.as_deref() != before {
            let (path, before) = (path.to_owned(), before.map(<[u8]>::to_vec));
            edits.push(Edit { path, kind: Kind::Theirs, before, after, mode: 0o644 });
        }
    };
    if !renumber {
        let before = facts.pins.as_deref();
        let after = pins(before.unwrap_or_default(), &plan.adopt)?.into_bytes();
        change(Path::new(PINS), before.map(str::as_bytes), Some(after));
    }
    for (path, text) in &facts.sudoers {
        if script::sudoers_of(text).is_some_and(|user| names.contains(user.as_str())) {
            change(path, Some(text), None);
        }
    }
    for (path, text) in &facts.cron {
        if script::job(text) == script::Job::Whole {
            change(path, Some(text), None);
        }
    }
    if plan.remaining.is_empty() {
        for (path, text) in &facts.sshd {
            let after = script::without_keys_command(text);
            change(path, Some(text), Some(after.unwrap_or_else(|| text.clone())));
        }
    }
    let groups = groups(world, plan);
    let without_groups =
        |text: &[u8], lists| accounts::without_members(&accounts::without(text, &groups), lists, &names);
    if let Some(text) = &facts.gshadow {
        change(Path::new(GSHADOW), Some(text), Some(without_groups(text, &[2, 3])));
    }
    change(Path::new(GROUP), Some(&facts.group), Some(without_groups(&facts.group, &[3])));
    if let Some(text) = &facts.shadow {
        change(Path::new(SHADOW), Some(text), Some(accounts::without(text, &names)));
    }
    change(Path::new(PASSWD), Some(&facts.passwd), Some(accounts::without(&facts.passwd, &names)));
    Ok(edits)
}

/// The groups that are removed.
pub(super) fn groups<'a>(world: &'a World<'_>, plan: &'a Plan) -> BTreeSet<&'a str> {
    let private = plan.adopt.iter().filter_map(|adoption| adoption.private_group.as_deref());
    private.chain(plan.marker_goes.then_some(world.marker.as_str())).collect()
}

/// The drop-in with an entry in `[ids]` for each.
///
/// # Errors
/// When the existing file is not valid TOML, or its `ids` is not a table.
pub(super) fn pins(before: &str, adopt: &[Adoption]) -> Result<String, Error> {
    let refused =
        |why: &str| Error::configuration(format!("cannot add to '{PINS}': {why}; nothing was done"));
    let mut document: DocumentMut =
        before.parse().map_err(|cause: toml_edit::TomlError| refused(cause.message()))?;
    if before.is_empty() {
        document
            .decor_mut()
            .set_prefix("# Written by 'nss-iamctl adopt': ids that the users had on this host before.\n");
    }
    let ids = document.entry("ids").or_insert(Item::Table(Table::new()));
    let Some(ids) = ids.as_table_like_mut() else { return Err(refused("'ids' is not a table")) };
    for adoption in adopt {
        let mut value = Value::from(i64::from(adoption.id));
        value.decor_mut().set_suffix(format!(" # {}", adoption.name.escape_default()));
        ids.insert(&adoption.iam_id, Item::Value(value));
    }
    Ok(document.to_string())
}
