//! Rows that break a rule of the cache are errors, not answers.

use crate::bytes;
use crate::support::{Group, SMALL, Sample, User, user};
use cache::schema::{CACHE, KEYS};
use reader::{Cache, Error, Keys};

#[test]
fn a_user_that_breaks_a_rule_is_an_error() {
    let bad = [
        "uid = 0, gid = 0",
        "uid = 0, gid = 0, pinned = 1",
        "uid = 999, gid = 999, pinned = 1",
        "uid = 1000, gid = 1000",
        "uid = 1879048191, gid = 1879048191",
        "uid = 2147352576, gid = 2147352576",
        "uid = 4294967295, gid = 4294967295, pinned = 1",
        "uid = 4294967296, gid = 4294967296, pinned = 1",
        "uid = 65534, gid = 65534, pinned = 1",
        "uid = -5, gid = -5, pinned = 1",
        "gid = 0",
        "gid = 27",
        "pinned = 2",
        "active = 7",
        "name = ''",
        "name = 'Ana'",
        "name = 'a:b'",
        "name = 'a' || char(10)",
        "name = 'jos\u{e9}'",
        "name = '1234'",
        "name = '-a'",
        "name = '.'",
        "name = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'",
        "name = x'616263'",
        "gecos = 'a:b'",
        "gecos = 'a' || char(0) || 'b'",
        "gecos = char(7)",
        "gecos = x'6162'",
        "home = 'home'",
        "home = ''",
        "home = '/\u{e9}'",
        "shell = '/bin/sh' || char(10) || 'root::0:0::/:/bin/sh'",
    ];
    for change in bad {
        let sample = Sample::new(CACHE, SMALL, |sql| {
            crate::support::insert_user(sql, &user(1));
            sql.execute(&format!("UPDATE passwd SET {change}"), []).unwrap();
        });
        let cache = Cache::open(&sample.bytes).unwrap();
        let uid: i64 = sample.sql.query_row("SELECT uid FROM passwd", [], |row| row.get(0)).unwrap();
        let name: Vec<u8> =
            sample.sql.query_row("SELECT CAST(name AS BLOB) FROM passwd", [], |row| row.get(0)).unwrap();
        assert!(cache.user_by_name(&name).is_err(), "{change}");
        if let Ok(uid) = u32::try_from(uid) {
            assert!(cache.user_by_uid(uid).is_err(), "{change}");
        }
        if uid > 0 {
            assert!(cache.user_after(0).is_err(), "{change}");
        }
    }
}

#[test]
fn impossible_dates_are_an_error_also_for_the_groups() {
    for change in
        ["active = 0", "lastchg = 1.5", "lastchg = 0", "lastchg = -1", "expire = -2", "expire = 'x'"]
    {
        let sample = Sample::new(CACHE, SMALL, |sql| {
            crate::support::insert_user(sql, &user(1));
            sql.execute(&format!("UPDATE passwd SET {change}"), []).unwrap();
        });
        let cache = Cache::open(&sample.bytes).unwrap();
        let user = cache.user_by_uid(0x7000_0001).unwrap().unwrap();
        assert!(user.dates().is_err(), "{change}");
        assert!(cache.supplementary(&user).is_err(), "{change}");
    }
}

/// user2 of three is inactive. Files of version 100 have a row of grp for everyone, later ones for active users
/// only.
#[test]
fn an_inactive_user_is_found_by_id_only_in_files_of_every_version() {
    for version in [100, 101, 199] {
        let sample = Sample::new(CACHE, SMALL, |sql| {
            for n in 1..=3 {
                crate::support::insert_user(sql, &User { active: n != 2, local: Vec::new(), ..user(n) });
                let own = Group { gid: user(n).uid, name: user(n).name, members: Vec::new() };
                if n != 2 || version == 100 {
                    crate::support::insert_group(sql, &own);
                }
            }
            sql.execute_batch(&format!("PRAGMA user_version = {version}")).unwrap();
        });
        let cache = Cache::open(&sample.bytes).unwrap();
        let [first, gone, last] = [1, 2, 3].map(|n| user(n).uid);
        let found = cache.user_by_uid(gone).unwrap().unwrap();
        assert_eq!((found.active, bytes(found.name)), (false, b"user2".to_vec()));
        let found = cache.group_by_gid(gone).unwrap().unwrap();
        assert_eq!((found.gid, found.members.count(), bytes(found.name)), (gone, 0, b"user2".to_vec()));
        assert!(cache.user_by_name(b"user2").unwrap().is_none(), "{version}");
        assert!(cache.group_by_name(b"user2").unwrap().is_none(), "{version}");
        let user = cache.user_after(0).unwrap().unwrap();
        assert_eq!(user.uid, first);
        assert_eq!(cache.user_behind(user.place, first).unwrap().unwrap().uid, last);
        assert_eq!(cache.user_after(first).unwrap().unwrap().uid, last);
        let group = cache.group_after(0).unwrap().unwrap();
        assert_eq!(group.gid, first);
        assert_eq!(cache.group_behind(group.place, first).unwrap().unwrap().gid, last);
        assert_eq!(cache.group_after(first).unwrap().unwrap().gid, last);
    }
}

#[test]
fn no_private_group_is_made_up_for_an_active_user() {
    let sample = Sample::cache(SMALL, &[user(1)], &[]);
    assert!(Cache::open(&sample.bytes).unwrap().group_by_gid(user(1).uid).unwrap().is_none());
}

#[test]
fn a_group_that_breaks_a_rule_is_an_error() {
    let bad = [
        "gid = 999, pinned = 1",
        "gid = 1001",
        "name = 'docker:'",
        "count = 3",
        "count = 1",
        "count = 0",
        "count = -1",
        "count = 4000000000",
        "members = ''",
        "members = 'ana,'",
        "members = ',ana'",
        "members = 'ana,,bob'",
        "members = 'ana,b b'",
        "members = 'ana,12'",
        "members = 'ana;bob'",
        "members = 'ana,bob' || char(0)",
    ];
    for change in bad {
        let sample = Sample::new(CACHE, SMALL, |sql| {
            let members = vec!["ana".into(), "bob".into()];
            crate::support::insert_group(sql, &Group { gid: 0x7100_0000, name: "all".into(), members });
            sql.execute(&format!("UPDATE grp SET {change}"), []).unwrap();
        });
        let refused = Cache::open(&sample.bytes).unwrap().group_after(0).and_then(|group| {
            let group = group.unwrap();
            let mut members = vec![0; group.members.size()];
            group.members.copy_to(&mut members, |_| ())
        });
        assert!(refused.is_err(), "{change}");
    }
}

/// The supplementary groups of a user whose row has these lists.
fn supplementary(groups: &str, local: &str, active: bool) -> reader::Result<Vec<u32>> {
    let sample = Sample::new(CACHE, SMALL, |sql| {
        crate::support::insert_user(sql, &user(1));
        crate::support::insert_group(sql, &Group { gid: 1003, name: "given".into(), members: Vec::new() });
        let change = "UPDATE passwd SET groups = ?, local = ?, active = ?";
        sql.execute(change, (groups, local, active)).unwrap();
        sql.execute("UPDATE passwd SET expire = iif(active, -1, 1)", []).unwrap();
    });
    let cache = Cache::open(&sample.bytes).unwrap();
    let user = cache.user_by_uid(user(1).uid).unwrap().unwrap();
    cache.supplementary(&user).and_then(Iterator::collect)
}

#[test]
fn supplementary_groups_are_the_published_ones_and_then_the_local_ones() {
    assert_eq!(supplementary("", "", true), Ok(vec![]));
    let both = supplementary("1879048193 1879048194", "27 4", true);
    assert_eq!(both, Ok(vec![0x7000_0001, 0x7000_0002, 27, 4]));
    assert_eq!(supplementary("1003", "", true), Ok(vec![1003]), "a pinned group of ours");
    assert_eq!(supplementary("1879048193", "", false), Ok(vec![0x7000_0001]));
}

#[test]
fn supplementary_groups_keep_to_the_floor() {
    for groups in ["0", "27", "1004", "4294967295"] {
        assert!(supplementary(groups, "", true).is_err(), "{groups:?}");
    }
    for local in ["0", "27 0", "4294967295"] {
        assert!(supplementary("", local, true).is_err(), "{local:?}");
    }
}

#[test]
fn a_malformed_list_of_groups_is_an_error() {
    for groups in ["99999999999", " ", "1879048193 ", " 1879048193", "1879048193,5", "-1", "x"] {
        assert!(supplementary(groups, "", true).is_err(), "{groups:?}");
    }
    for local in ["4294967296", "27  4", "+27"] {
        assert!(supplementary("", local, true).is_err(), "{local:?}");
    }
}

#[test]
fn an_inactive_user_in_a_local_group_is_an_error() {
    assert!(supplementary("", "27", false).is_err());
}

/// A `keys.db` with one user, after this change.
fn keys(change: &str) -> Sample {
    Sample::new(KEYS, SMALL, |sql| {
        let keys = format!("SHA256:x ssh-ed25519 AAAA\nSHA256:y ssh-rsa {}", "A".repeat(700));
        let about = "INSERT INTO about (id, machine_id, max_age, options, fleet, generation, listing, digest)
                     VALUES (1, 'abc', 3600, 'restrict', 'jump', 7, 's3://a/b', '00ff')";
        let login = "INSERT INTO login (uid, name, iam_id, confirmed, source, keys, forward_only, principals)
                     VALUES (1003, 'ana', 'AIDA1', 5, 'iam:1', ?, 1, 'Ana' || char(10) || 'AIDA1')";
        sql.execute(about, []).unwrap();
        sql.execute(login, [keys]).unwrap();
        sql.execute_batch(change).unwrap();
    })
}

#[test]
fn keys_are_found_by_name_and_by_uid() {
    let good = keys("");
    let keys = Keys::open(&good.bytes).unwrap();
    let about = keys.about().unwrap();
    assert_eq!((bytes(about.machine_id), about.max_age), (b"abc".to_vec(), 3600));
    assert_eq!(
        (bytes(about.options), about.digest.map(bytes)),
        (b"restrict".to_vec(), Some(b"00ff".to_vec()))
    );
    for login in [keys.login_by_name(b"ana"), keys.login_by_uid(1003)] {
        let login = login.unwrap().unwrap();
        assert_eq!((login.uid, login.confirmed), (1003, 5));
        assert_eq!(
            [bytes(login.name), bytes(login.iam_id), bytes(login.source)],
            [&b"ana"[..], b"AIDA1", b"iam:1"]
        );
        assert_eq!(bytes(login.keys).len(), 25 + 1 + 17 + 700);
        assert!(login.forward_only);
        assert_eq!(bytes(login.principals.unwrap()), b"Ana\nAIDA1");
    }
    assert!(keys.login_by_name(b"bob").unwrap().is_none());
    assert!(keys.login_by_uid(1004).unwrap().is_none());
}

/// As versions 102 and 103 wrote it.
#[test]
fn a_file_of_before_the_digest_has_none() {
    let columns = "id, machine_id, max_age, options";
    for columns in [columns.to_owned(), format!("{columns}, fleet, generation, listing")] {
        let own = columns.replacen("id", "id INTEGER PRIMARY KEY", 1);
        let file = keys(&format!(
            "ALTER TABLE about RENAME TO later; CREATE TABLE about ({own});
             INSERT INTO about SELECT {columns} FROM later; DROP TABLE later"
        ));
        let keys = Keys::open(&file.bytes).unwrap();
        let about = keys.about().unwrap();
        assert_eq!((bytes(about.options), about.digest.is_none()), (b"restrict".to_vec(), true));
    }
}

/// As versions 101 and 100 wrote it. `DROP COLUMN` would store small integers in another form.
#[test]
fn in_a_file_without_the_columns_only_the_name_is_a_principal_and_everybody_may_run_commands() {
    let columns = "uid, name, iam_id, confirmed, source, keys";
    for (columns, forward_only) in [(format!("{columns}, forward_only"), true), (columns.to_owned(), false)] {
        let own = columns.replacen("uid", "uid INTEGER PRIMARY KEY", 1);
        let file = keys(&format!(
            "ALTER TABLE login RENAME TO later; CREATE TABLE login ({own}); INSERT INTO login SELECT {columns} FROM later;
             DROP TABLE later; CREATE UNIQUE INDEX login_name ON login (name)"
        ));
        let keys = Keys::open(&file.bytes).unwrap();
        let login = keys.login_by_name(b"ana").unwrap().unwrap();
        assert_eq!((login.forward_only, login.principals.is_none()), (forward_only, true));
    }
}

#[test]
fn a_row_of_keys_that_breaks_a_rule_is_an_error() {
    let bad = [
        "UPDATE login SET uid = 0",
        "UPDATE login SET uid = 999",
        "UPDATE login SET keys = 'a' || char(0)",
        "UPDATE login SET keys = 'a' || char(13)",
        "UPDATE login SET confirmed = 'long ago'",
        "UPDATE login SET forward_only = 2",
        "UPDATE login SET forward_only = ''",
        "UPDATE login SET principals = 'a' || char(0)",
        "DELETE FROM about",
        "UPDATE about SET options = 'restrict' || char(10) || 'x'",
        "UPDATE about SET max_age = -1",
    ];
    for change in bad {
        let file = keys(change).bytes;
        let keys = Keys::open(&file).unwrap();
        assert!(keys.about().is_err() || keys.login_by_name(b"ana").is_err(), "{change}");
    }
}

#[test]
fn a_cache_is_not_read_as_keys() {
    let cache = Sample::new(CACHE, SMALL, |_| ());
    let opened = Keys::open(&cache.bytes);
    assert!(matches!(opened, Err(Error::Foreign(_))), "cache.db is not keys.db");
}
