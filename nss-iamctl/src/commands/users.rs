//! `users`: lists the users of this host; `uid`: shows who has, or had, a uid or gid.

use std::collections::BTreeMap;
use std::io::Write;

use cache::snapshot::Cache;
use cache::state::State;
use policy::{IamId, Id, Name};
use serde::Serialize;

use crate::cli;
use crate::host::Host;
use crate::host::accounts::{self, GROUP, PASSWD};
use crate::host::paths::CACHE;
use crate::host::published::{Published, Trouble};
use crate::say::error::Error;
use crate::say::finding::written;
use crate::say::show::{as_json, printable, table, time};

/// `uid` found no user or group.
const NOBODY: u8 = 1;

/// One row. Without root, only what the cache has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Row {
    name: String,
    uid: Option<u32>,
    /// `active`, `locked`, `disabled` or `hidden`.
    state: &'static str,
    #[serde(flatten)]
    known: Option<Known>,
    groups: Vec<String>,
}

/// What only root can read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Known {
    iam_id: String,
    iam_name: String,
    /// The account's name in the configuration.
    account: String,
    keys: usize,
    /// When the user left or was locked.
    disabled: Option<String>,
}

pub(crate) fn run(host: &Host, args: &cli::Users, out: &mut dyn Write) -> Result<u8, Error> {
    let published = Published::read(host);
    let rows = match &published.state {
        Ok(state) => all(state, &published, args.all),
        // Without root, only the cache is readable.
        Err(_) => cached(published.cache.as_ref().map_err(no_cache)?, args.all),
    };
    let text = if args.json {
        as_json(&rows)?
    } else if published.state.is_ok() {
        let heading = ["NAME", "UID", "STATE", "SOURCE NAME", "ACCOUNT", "GROUPS", "KEYS", "SINCE"];
        table(heading, &rows.iter().map(Row::cells).collect::<Vec<_>>())
    } else {
        let cells = rows.iter().map(|row| {
            let [name, uid, state, _, _, groups, ..] = row.cells();
            [name, uid, state, groups]
        });
        table(["NAME", "UID", "STATE", "GROUPS"], &cells.collect::<Vec<_>>())
    };
    written(write!(out, "{text}"))?;
    Ok(crate::say::error::OK)
}

impl Row {
    fn cells(&self) -> [String; 8] {
        let Self { name, uid, state, known, groups } = self;
        let of = |value: fn(&Known) -> String| known.as_ref().map_or_else(String::new, value);
        [
            name.clone(),
            uid.map_or_else(String::new, |uid| uid.to_string()),
            (*state).to_owned(),
            of(|known| known.iam_name.clone()),
            of(|known| if known.account.is_empty() { "-".to_owned() } else { known.account.clone() }),
            groups.join(","),
            of(|known| known.keys.to_string()),
            of(|known| known.disabled.clone().unwrap_or_default()),
        ]
    }
}

fn no_cache(trouble: &Trouble) -> Error {
    Error::other(format!("cannot use '{CACHE}': {trouble}")).hint("nss-iamctl refresh")
}

/// The names of the groups, except the private one.
fn groups(cache: &Cache) -> BTreeMap<Id, &Name> {
    cache.groups.iter().map(|group| (group.gid, &group.name)).collect()
}

fn cached(cache: &Cache, everyone: bool) -> Vec<Row> {
    let names = groups(cache);
    let shown = cache.users.iter().filter(|user| everyone || user.active);
    let mut rows: Vec<Row> = shown
        .map(|user| Row {
            name: user.name.to_string(),
            uid: Some(user.uid.get()),
            state: if user.active { "active" } else { "disabled" },
            known: None,
            groups: user.groups.iter().filter_map(|gid| names.get(gid)).map(ToString::to_string).collect(),
        })
        .collect();
    rows.sort();
    rows
}

fn all(state: &State, published: &Published, everyone: bool) -> Vec<Row> {
    let is_locked =
        |name: &Name| published.locked.as_ref().is_ok_and(|locked| locked.contains(name.as_str()));
    let names: BTreeMap<Id, &Name> = published.cache.as_ref().map_or_else(
        |_| BTreeMap::new(),
        |cache| cache.users.iter().map(|user| (user.uid, &user.name)).collect(),
    );
    let mut rows: Vec<Row> = state
        .users
        .iter()
        .filter(|(_, user)| everyone || user.disabled.is_none() || is_locked(&user.name) && !user.hidden)
        .map(|(iam_id, user)| {
            let id = state.identities.get(iam_id).map(|known| known.id);
            // The name of a user who left may now belong to another user.
            let name = id.and_then(|id| names.get(&id).copied()).unwrap_or(&user.name);
            let of = |id: &IamId| state.groups.get(id).map(|group| group.name.to_string());
            Row {
                name: name.to_string(),
                uid: id.map(Id::get),
                state: match user.disabled {
                    None => "active",
                    Some(_) if user.hidden => "hidden",
                    Some(_) if is_locked(&user.name) => "locked",
                    Some(_) => "disabled",
                },
                known: Some(Known {
                    iam_id: iam_id.to_string(),
                    iam_name: user.iam_name.to_string(),
                    account: user.account.to_string(),
                    keys: user.keys.len(),
                    disabled: user.disabled.map(time),
                }),
                groups: user.groups.iter().filter_map(of).collect(),
            }
        })
        .collect();
    rows.sort();
    rows
}

/// Prints who has, or had, an id.
pub(crate) fn uid(host: &Host, args: &cli::Uid, out: &mut dyn Write) -> Result<u8, Error> {
    let published = Published::read(host);
    let mut lines = local(host, args.id);
    match &published.state {
        Ok(state) => lines.extend(remembered(state, &published, args.id)),
        Err(_) => lines.extend(shown(published.cache.as_ref().map_err(no_cache)?, args.id)),
    }
    if lines.is_empty() {
        lines.extend(elsewhere(host, args.id));
    }
    if lines.is_empty() {
        let root = if published.state.is_err() { "; only root sees users who left" } else { "" };
        crate::say::say(format!("no user or group on this host has, or had, uid or gid {}{root}", args.id));
        return Ok(NOBODY);
    }
    written(writeln!(out, "{}", lines.join("\n")))?;
    Ok(crate::say::error::OK)
}

fn local(host: &Host, id: u32) -> Vec<String> {
    let users = accounts::local(host).unwrap_or_default();
    let groups = accounts::local_groups(host).unwrap_or_default();
    let users = users.iter().map(|user| (user.uid, &user.name, PASSWD));
    let groups = groups.iter().map(|group| (group.gid, &group.name, GROUP));
    let found = users.chain(groups).filter(|(known, ..)| *known == id);
    found.map(|(_, name, path)| format!("{id} is '{}' of {path}", printable(name))).collect()
}

/// What another service of nsswitch.conf(5) says.
fn elsewhere(host: &Host, id: u32) -> Vec<String> {
    let asked = |table: &str| host.run(&["getent", table, &id.to_string()]).ok().filter(|ran| ran.success());
    let name = |text: &str| text.split(':').next().map(printable);
    let told = |(what, table): (&str, &str)| {
        let name = name(&asked(table)?.stdout)?;
        Some(format!("{id} is {what} '{name}' of another service (getent {table} {id})"))
    };
    [("user", "passwd"), ("group", "group")].into_iter().filter_map(told).collect()
}

fn shown(cache: &Cache, id: u32) -> Option<String> {
    let user = cache.users.iter().find(|user| user.uid.get() == id).map(|user| {
        let state = if user.active { "active" } else { "disabled" };
        format!("{id} is nss-iam user '{}', {state}", user.name)
    });
    user.or_else(|| {
        cache
            .groups
            .iter()
            .find(|group| group.gid.get() == id)
            .map(|group| format!("{id} is group '{}'", group.name))
    })
}

fn remembered(state: &State, published: &Published, id: u32) -> Option<String> {
    let (iam_id, identity) = state.identities.iter().find(|(_, identity)| identity.id.get() == id)?;
    let pinned = if identity.pinned { "; the id was assigned by the administrator" } else { "" };
    let Some(user) = state.users.get(iam_id) else {
        let group = state.groups.get(iam_id).map(|group| group.name.to_string());
        let own = iam_id.as_str().strip_prefix("group:").map(str::to_owned);
        let told = group.or(own).map_or_else(
            || format!("was group {}, which is no longer published", printable(iam_id.as_str())),
            |name| format!("is group '{name}'"),
        );
        return Some(format!("{id} {told}{pinned}"));
    };
    let name =
        published.cache.as_ref().ok().and_then(|cache| cache.users.iter().find(|user| user.uid.get() == id));
    let name = name.map_or_else(|| user.name.to_string(), |user| user.name.to_string());
    let iam = format!("user '{}' ({iam_id})", printable(&user.iam_name));
    let told = match user.disabled {
        None => format!("is '{name}', {iam}, active"),
        Some(since) if user.hidden => format!("was '{name}', {iam}, who left {}", time(since)),
        Some(since) => format!("is '{name}', {iam}, disabled since {}", time(since)),
    };
    Some(format!("{id} {told}; home '{}'{pinned}", user.passwd.home))
}

#[cfg(test)]
mod tests {
    use status::Locked;

    use super::*;
    use crate::fixtures::{ANA, BOB, NOW, published};

    fn printed(published: &Published, everyone: bool) -> String {
        let rows = all(published.state.as_ref().unwrap(), published, everyone);
        rows.iter().map(|row| row.cells().join("|") + "\n").collect()
    }

    #[test]
    fn who_is_active_or_locked_is_listed_and_who_left_on_demand() {
        let mut published = published();
        let ana = format!("ana|{ANA}|active|Ana|-||1|\n");
        let bob = |state: &str| format!("bob|{BOB}|{state}|Bob|-||1|{}\n", time(NOW - 7200));
        assert_eq!(printed(&published, false), ana);
        assert_eq!(printed(&published, true), ana.clone() + &bob("disabled"));
        published.locked = Ok(Locked::parse("bob"));
        assert_eq!(printed(&published, false), ana.clone() + &bob("locked"));
        published
            .state
            .as_mut()
            .unwrap()
            .users
            .values_mut()
            .for_each(|user| user.hidden = user.disabled.is_some());
        assert_eq!(printed(&published, false), ana);
        assert_eq!(printed(&published, true), ana + &bob("hidden"));
        let rows = cached(published.cache.as_ref().unwrap(), true);
        let rows: Vec<String> = rows.iter().map(|row| row.cells().join("|")).collect();
        let row = |name, uid, state, group| format!("{name}|{uid}|{state}|||{group}||");
        assert_eq!(
            rows,
            [row("ana", ANA, "active", "iam-users"), row("bob", BOB, "disabled", "iam-disabled")]
        );
        assert_eq!(cached(published.cache.as_ref().unwrap(), false).len(), 1);
    }

    #[test]
    fn programs_get_what_people_get() {
        let published = published();
        let json = |rows: &[Row]| serde_json::from_str::<serde_json::Value>(&as_json(rows).unwrap()).unwrap();
        let known = json(&all(published.state.as_ref().unwrap(), &published, true));
        let ana = serde_json::json!({"name": "ana", "uid": ANA, "state": "active", "iam_id": "AIDAANA",
            "iam_name": "Ana", "account": "", "keys": 1, "disabled": null, "groups": []});
        assert_eq!(known[0], ana);
        assert_eq!(known[1]["disabled"], time(NOW - 7200));
        let bare = json(&cached(published.cache.as_ref().unwrap(), false));
        let ana =
            serde_json::json!([{"name": "ana", "uid": ANA, "state": "active", "groups": ["iam-users"]}]);
        assert_eq!(bare, ana);
    }

    #[test]
    fn an_id_tells_whose_it_is_and_whose_it_was() {
        let mut published = published();
        let state = published.state.clone().unwrap();
        let of = |published: &Published, id| remembered(published.state.as_ref().unwrap(), published, id);
        let ana = format!("{ANA} is 'ana', user 'Ana' (AIDAANA), active; home '/home/ana'");
        assert_eq!(of(&published, ANA), Some(ana));
        let since = time(NOW - 7200);
        let bob = format!("{BOB} is 'bob', user 'Bob' (AIDABOB), disabled since {since}; home '/home/bob'");
        assert_eq!(of(&published, BOB), Some(bob));
        assert_eq!(of(&published, 5), None);
        let state_of = |change: &dyn Fn(&mut State)| {
            let mut state = state.clone();
            change(&mut state);
            Ok(state)
        };
        published.state = state_of(&|state| {
            let identity = cache::state::Identity { id: Id::pinned(2000).unwrap(), pinned: true };
            state.identities.insert(IamId::new("group:iam-users"), identity);
        });
        assert_eq!(
            of(&published, 2000).as_deref(),
            Some("2000 is group 'iam-users'; the id was assigned by the administrator")
        );
        published.state = state_of(&|state| state.users.clear());
        let gone = format!("{ANA} was group AIDAANA, which is no longer published");
        assert_eq!(of(&published, ANA), Some(gone));
        assert_eq!(
            shown(published.cache.as_ref().unwrap(), BOB),
            Some(format!("{BOB} is nss-iam user 'bob', disabled"))
        );
    }

    #[test]
    fn local_ids_are_told_from_their_files() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::fs::write(root.path().join("etc/passwd"), "a:x:1000:1::/:/x\nb\u{1b}:x:1000:1::/:/x\n").unwrap();
        let host = Host::this_directory(root.path());
        let told = local(&host, 1000);
        assert_eq!(told, ["1000 is 'a' of /etc/passwd", "1000 is 'b\\u{1b}' of /etc/passwd"]);
        std::fs::write(root.path().join("etc/group"), "g:x:7:\n").unwrap();
        assert_eq!(local(&host, 7), ["7 is 'g' of /etc/group"]);
        assert!(local(&host, 1).is_empty(), "a primary group without a name");
    }

    #[test]
    fn an_id_of_another_service_is_shown_as_getent_does() {
        struct Getent;
        impl crate::host::Programs for Getent {
            fn run(&self, line: &[&str], _: &str) -> std::io::Result<crate::host::Output> {
                let is_known = line == ["getent", "passwd", "4322"];
                let stdout = if is_known { "zoe:*:4322:9::/:/bin/sh\n" } else { "" };
                let code = Some(if is_known { 0 } else { 2 });
                Ok(crate::host::Output { code, stdout: stdout.to_owned(), ..Default::default() })
            }
        }
        let host = Host::of("/nowhere".into(), Box::new(Getent));
        assert_eq!(elsewhere(&host, 4322), ["4322 is user 'zoe' of another service (getent passwd 4322)"]);
        assert!(elsewhere(&host, 4323).is_empty());
    }
}
