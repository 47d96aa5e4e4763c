//! `libnss_iamref.so.2`, service `iamref`: the obvious way to answer from the same cache.db, with libnss's hooks and
//! SQLite itself. Tests compare our module with it; it is not shipped (docs/decisions say why).

use libnss::group::{Group, GroupHooks};
use libnss::initgroups::InitgroupsHooks;
use libnss::interop::Response;
use libnss::passwd::{Passwd, PasswdHooks};
use libnss::shadow::{Shadow, ShadowHooks};
use libnss::{libnss_group_hooks, libnss_initgroups_hooks, libnss_passwd_hooks, libnss_shadow_hooks};
use rusqlite::{Connection, OpenFlags, Params, Result, Row};

/// All but the private groups of users who are not active: those exist by gid only, as the users by uid only.
const NAMED_GROUPS: &str = "SELECT * FROM grp WHERE gid NOT IN (SELECT uid FROM passwd WHERE NOT active)";

struct Reference;
libnss_passwd_hooks!(iamref, Reference);
libnss_group_hooks!(iamref, Reference);
libnss_shadow_hooks!(iamref, Reference);
libnss_initgroups_hooks!(iamref, Reference);

impl PasswdHooks for Reference {
    fn get_all_entries() -> Response<Vec<Passwd>> {
        all("SELECT * FROM passwd WHERE active ORDER BY uid", (), passwd)
    }

    fn get_entry_by_uid(uid: libc::uid_t) -> Response<Passwd> {
        one("SELECT * FROM passwd WHERE uid = ?", (uid,), passwd)
    }

    fn get_entry_by_name(name: String) -> Response<Passwd> {
        one("SELECT * FROM passwd WHERE active AND name = ?", (name,), passwd)
    }
}

impl GroupHooks for Reference {
    fn get_all_entries() -> Response<Vec<Group>> {
        all(&format!("{NAMED_GROUPS} ORDER BY gid"), (), group)
    }

    fn get_entry_by_gid(gid: libc::gid_t) -> Response<Group> {
        let private = "SELECT uid AS gid, name, '' AS members FROM passwd WHERE NOT active AND uid = ?1";
        let query = format!("SELECT gid, name, members FROM grp WHERE gid = ?1 UNION ALL {private}");
        one(&query, (gid,), group)
    }

    fn get_entry_by_name(name: String) -> Response<Group> {
        one(&format!("{NAMED_GROUPS} AND name = ?"), (name,), group)
    }
}

impl ShadowHooks for Reference {
    fn get_all_entries() -> Response<Vec<Shadow>> {
        all("SELECT * FROM passwd WHERE active ORDER BY uid", (), shadow)
    }

    fn get_entry_by_name(name: String) -> Response<Shadow> {
        one("SELECT * FROM passwd WHERE active AND name = ?", (name,), shadow)
    }
}

impl InitgroupsHooks for Reference {
    fn get_entries_by_user(user: String) -> Response<Vec<Group>> {
        let gids = |row: &Row<'_>| row.get::<_, String>(0);
        match one("SELECT groups || ' ' || local FROM passwd WHERE active AND name = ?", (user,), gids) {
            Response::Success(gids) => Response::Success(
                gids.split_whitespace()
                    .filter_map(|gid| gid.parse().ok())
                    .map(|gid| Group { name: String::new(), passwd: String::new(), gid, members: Vec::new() })
                    .collect(),
            ),
            Response::NotFound => Response::NotFound,
            _ => Response::Unavail,
        }
    }
}

fn passwd(row: &Row<'_>) -> Result<Passwd> {
    Ok(Passwd {
        name: row.get("name")?,
        passwd: "x".into(),
        uid: row.get("uid")?,
        gid: row.get("gid")?,
        gecos: row.get("gecos")?,
        dir: row.get("home")?,
        shell: row.get("shell")?,
    })
}

fn group(row: &Row<'_>) -> Result<Group> {
    let members: String = row.get("members")?;
    Ok(Group {
        name: row.get("name")?,
        passwd: "x".into(),
        gid: row.get("gid")?,
        members: members.split_terminator(',').map(Into::into).collect(),
    })
}

fn shadow(row: &Row<'_>) -> Result<Shadow> {
    Ok(Shadow {
        name: row.get("name")?,
        passwd: "*".into(),
        last_change: row.get("lastchg")?,
        change_min_days: -1,
        change_max_days: -1,
        change_warn_days: -1,
        change_inactive_days: -1,
        expire_date: row.get("expire")?,
        reserved: usize::MAX,
    })
}

fn all<T>(query: &str, params: impl Params, read: fn(&Row<'_>) -> Result<T>) -> Response<Vec<T>> {
    let rows = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let sql = Connection::open_with_flags("file:/var/lib/nss-iam/cache.db?immutable=1", flags)?;
        sql.prepare(query)?.query_map(params, read)?.collect::<Result<Vec<T>>>()
    };
    rows().map_or(Response::Unavail, Response::Success)
}

fn one<T>(query: &str, params: impl Params, read: fn(&Row<'_>) -> Result<T>) -> Response<T> {
    match all(query, params, read) {
        Response::Success(rows) => rows.into_iter().next().map_or(Response::NotFound, Response::Success),
        _ => Response::Unavail,
    }
}
