//! The rows of the tables of `state.db`.

use std::collections::BTreeMap;

use policy::{IamId, Id, Name};
use rusqlite::{Connection, Row, Statement};
use smol_str::SmolStr;

use super::{Error, Group, Identity, User};
use crate::Texts;
use crate::passwd::{Passwd, text};
use crate::snapshot::{exactly, joined, key_lines};

/// Reads all rows of a table.
pub(super) fn rows<K: Ord, T>(
    db: &Connection,
    sql: &str,
    texts: &mut Texts,
    row: impl Fn(&Row<'_>, &mut Texts) -> Result<(K, T), Error>,
) -> Result<BTreeMap<K, T>, Error> {
    db.prepare(sql)?.query_and_then([], |found| row(found, texts))?.collect()
}

/// A row of [`super::IDENTITIES`].
pub(super) fn identity(row: &Row<'_>, texts: &mut Texts) -> Result<(IamId, Identity), Error> {
    let identity = Identity { id: Id::pinned(row.get(1)?)?, pinned: row.get(2)? };
    Ok((texts.share(text(row, 0)?).into(), identity))
}

/// A row of [`super::MEMBER_GROUP`].
pub(super) fn group(row: &Row<'_>, texts: &mut Texts) -> Result<(IamId, Group), Error> {
    let group = Group { account: row.get(1)?, name: Name::stored(texts.share(text(row, 2)?))? };
    Ok((texts.share(text(row, 0)?).into(), group))
}

/// A row of [`super::HOME`].
pub(super) fn home(row: &Row<'_>, texts: &mut Texts) -> Result<(SmolStr, IamId), Error> {
    Ok((texts.share(text(row, 0)?), texts.share(text(row, 1)?).into()))
}

/// A row of [`super::NAME`].
pub(super) fn name(row: &Row<'_>, texts: &mut Texts) -> Result<(Name, IamId), Error> {
    Ok((Name::stored(texts.share(text(row, 0)?))?, texts.share(text(row, 1)?).into()))
}

/// A row of [`super::USER`].
pub(super) fn user(row: &Row<'_>, texts: &mut Texts) -> Result<(IamId, User), Error> {
    let text = |at: usize| text(row, at);
    let mut shared = |at: usize| Ok::<_, Error>(texts.share(text(at)?));
    let (account, iam_name, created) = (shared(1)?, shared(2)?, shared(3)?);
    let (name, source) = (Name::stored(shared(4)?)?, shared(10)?);
    let user = User {
        account,
        iam_name,
        created,
        name,
        groups: exactly(text(5)?.split_ascii_whitespace().map(|id| Ok::<_, Error>(texts.share(id).into())))?,
        disabled: row.get(6)?,
        hidden: row.get(7)?,
        keys: key_lines(text(8)?, texts)?,
        confirmed: row.get(9)?,
        source,
        passwd: Passwd::read::<Error>(row, 11, texts)?,
    };
    Ok((texts.share(text(0)?).into(), user))
}

/// Writes a row of [`super::USER`], with this time.
pub(super) fn put_user(
    upsert: &mut Statement<'_>,
    iam_id: &IamId,
    user: &User,
    confirmed: i64,
) -> rusqlite::Result<usize> {
    let others = rusqlite::params![
        iam_id.as_str(),
        user.account.as_str(),
        user.iam_name.as_str(),
        user.created.as_str(),
        user.name.as_str(),
        joined(&user.groups, " "),
        user.disabled,
        user.hidden,
        joined(&user.keys, "\n"),
        confirmed,
        user.source.as_str(),
    ];
    user.passwd.insert(upsert, others)
}
