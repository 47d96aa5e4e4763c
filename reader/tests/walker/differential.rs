//! The reader answers like SQLite, for any file that SQLite writes.

use std::collections::{BTreeMap, BTreeSet};

use cache::schema::CACHE;
use proptest::prelude::*;
use reader::{Cache, Dates, Text};
use rusqlite::{Connection, OptionalExtension};

use crate::support::{Group, Layout, Sample, User};

fn layouts() -> impl Strategy<Value = Layout> {
    (9u32..=16, prop_oneof![Just(0), 0..=32])
        .prop_map(|(bits, reserved)| Layout { page_size: 1 << bits, reserved })
}

/// Names that are often prefixes of each other.
fn names() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[ab_][ab0.@-]{0,4}", 1 => "[a-z_][a-z0-9._@-]{0,41}"]
}

fn ids() -> impl Strategy<Value = u32> {
    prop_oneof![6 => 0x7000_0000..=0x7ffd_ffffu32, 1 => 1000..65534u32, 1 => 65536..0x7000_0000u32, 1 => 0x7ffe_0000..u32::MAX]
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![8 => "[ -9;-~]{0,20}", 1 => "[ -9;-~]{400,600}", 1 => "[ -9;-~]{3000,9000}"]
}

fn user() -> impl Strategy<Value = User> {
    let dates = prop_oneof![1..40_000i64, 1..i64::MAX];
    let gids = proptest::collection::vec(0x7000_0000..=0x7ffd_ffffu32, 0..200);
    let local = proptest::collection::vec(1..u32::MAX, 0..4);
    (ids(), names(), any::<bool>(), texts(), texts(), dates, gids, local).prop_map(
        |(uid, name, active, gecos, home, lastchg, groups, local)| User {
            uid,
            name,
            active,
            gecos,
            home: format!("/{home}"),
            shell: "/bin/bash".into(),
            lastchg,
            groups,
            local: if active { local } else { Vec::new() },
        },
    )
}

fn group() -> impl Strategy<Value = Group> {
    (ids(), names(), proptest::collection::vec(names(), 0..300)).prop_map(|(gid, name, members)| Group {
        gid,
        name,
        members,
    })
}

fn text(text: Text<'_>) -> String {
    String::from_utf8(crate::bytes(text)).unwrap()
}

/// A user and a group as one line, computed by SQLite.
const USER: &str =
    "concat_ws(':', uid, name, active, gecos, home, shell, lastchg, expire, trim(groups||' '||local))";
const GROUP: &str = "concat_ws(':', gid, name, members)";

/// The users that are found by name and in an enumeration.
const NAMED_USER: &str = "active";
/// The groups that are found by name: since minor version 1, every row.
const NAMED_GROUP: &str = "((SELECT user_version % 100 FROM pragma_user_version) >= 1
    OR gid NOT IN (SELECT uid FROM passwd WHERE NOT active))";
/// The groups that are found by gid: also those of inactive users, whether they have a row or not.
const ALL_GROUPS: &str = "(SELECT gid, name, members FROM grp
    UNION ALL SELECT uid, name, '' FROM passwd WHERE NOT active AND uid NOT IN (SELECT gid FROM grp))";

/// A user as one line, in the form of [`USER`].
fn line(cache: Cache<'_>, user: &reader::User<'_>) -> String {
    let gids: Vec<String> = cache.supplementary(user).unwrap().map(|gid| gid.unwrap().to_string()).collect();
    let (name, gecos, home, shell) = (text(user.name), text(user.gecos), text(user.home), text(user.shell));
    let (uid, active, Dates { lastchg, expire }) = (user.uid, i32::from(user.active), user.dates().unwrap());
    format!("{uid}:{name}:{active}:{gecos}:{home}:{shell}:{lastchg}:{expire}:{}", gids.join(" "))
}

fn sql_user(sql: &Connection, filter: &str, value: impl rusqlite::ToSql) -> Option<String> {
    let query = format!("SELECT {USER} FROM passwd WHERE {filter} ORDER BY uid LIMIT 1");
    sql.query_row(&query, [value], |row| row.get(0)).optional().unwrap()
}

fn group_line(group: &reader::Group<'_>) -> String {
    let mut members = vec![0xff; group.members.size()];
    group.members.copy_to(&mut members, |_| ()).unwrap();
    let names: Vec<&str> = std::str::from_utf8(&members).unwrap().split_terminator('\0').collect();
    assert_eq!(names.len(), group.members.count());
    format!("{}:{}:{}", group.gid, text(group.name), names.join(","))
}

fn named_group(sql: &Connection, filter: &str, value: impl rusqlite::ToSql) -> Option<String> {
    let query = format!("SELECT {GROUP} FROM grp WHERE {NAMED_GROUP} AND {filter} ORDER BY gid LIMIT 1");
    sql.query_row(&query, [value], |row| row.get(0)).optional().unwrap()
}

fn sql_group(sql: &Connection, filter: &str, value: impl rusqlite::ToSql) -> Option<String> {
    let query = format!("SELECT {GROUP} FROM {ALL_GROUPS} WHERE {filter} ORDER BY gid LIMIT 1");
    sql.query_row(&query, [value], |row| row.get(0)).optional().unwrap()
}

/// All lookups of all existing names and ids and of their neighbours, and both enumerations.
fn compare(sample: &Sample, users: &[User], groups: &[Group]) {
    let sql = &sample.sql;
    let cache = Cache::open(&sample.bytes).unwrap();
    let mut names: BTreeSet<String> = users.iter().map(|user| user.name.clone()).collect();
    names.extend(groups.iter().map(|group| group.name.clone()));
    for name in names.clone() {
        names.extend([format!("{name}0"), format!("{name}-"), name[1..].to_owned()]);
    }
    for name in names {
        let user = cache.user_by_name(name.as_bytes()).unwrap().map(|user| line(cache, &user));
        assert_eq!(user, sql_user(sql, &format!("{NAMED_USER} AND name = ?"), &name));
        let group = cache.group_by_name(name.as_bytes()).unwrap().map(|group| group_line(&group));
        assert_eq!(group, named_group(sql, "name = ?", &name));
    }
    let mut ids: BTreeSet<u32> = [0, 1, u32::MAX].into();
    for id in users.iter().map(|user| user.uid).chain(groups.iter().map(|group| group.gid)) {
        ids.extend([id - 1, id, id + 1]);
    }
    for id in ids {
        let user = |user: Option<reader::User<'_>>| user.map(|user| line(cache, &user));
        assert_eq!(user(cache.user_by_uid(id).unwrap()), sql_user(sql, "uid = ?", id));
        let after = format!("{NAMED_USER} AND uid > ?");
        assert_eq!(user(cache.user_after(id).unwrap()), sql_user(sql, &after, id));
        let group = |group: Option<reader::Group<'_>>| group.map(|group| group_line(&group));
        assert_eq!(group(cache.group_by_gid(id).unwrap()), sql_group(sql, "gid = ?", id));
        assert_eq!(group(cache.group_after(id).unwrap()), named_group(sql, "gid > ?", id));
    }
    enumerate(sample);
}

/// Both enumerations from beginning to end, as the module does them: from row to row within a page.
fn enumerate(sample: &Sample) {
    let (sql, cache) = (&sample.sql, Cache::open(&sample.bytes).unwrap());
    let mut query =
        sql.prepare(&format!("SELECT {USER} FROM passwd WHERE {NAMED_USER} ORDER BY uid")).unwrap();
    let mut lines = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let mut next = cache.user_after(0).unwrap();
    while let Some(user) = next {
        assert_eq!(line(cache, &user), lines.next().unwrap().unwrap());
        let behind = cache.user_behind(user.place, user.uid);
        next = behind.map_or_else(|| cache.user_after(user.uid), |user| user.map(Some)).unwrap();
    }
    assert!(lines.next().is_none());
    let mut query =
        sql.prepare(&format!("SELECT {GROUP} FROM grp WHERE {NAMED_GROUP} ORDER BY gid")).unwrap();
    let mut lines = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let mut next = cache.group_after(0).unwrap();
    while let Some(group) = next {
        assert_eq!(group_line(&group), lines.next().unwrap().unwrap());
        let behind = cache.group_behind(group.place, group.gid);
        next = behind.map_or_else(|| cache.group_after(group.gid), |group| group.map(Some)).unwrap();
    }
    assert!(lines.next().is_none());
}

fn unique(users: Vec<User>, groups: Vec<Group>) -> (Vec<User>, Vec<Group>) {
    let mut seen = BTreeSet::new();
    let users: BTreeMap<u32, User> = users
        .into_iter()
        .filter(|user| seen.insert(user.name.clone()))
        .map(|user| (user.uid, user))
        .collect();
    seen.clear();
    let groups: BTreeMap<u32, Group> = groups
        .into_iter()
        .filter(|group| seen.insert(group.name.clone()))
        .map(|group| (group.gid, group))
        .collect();
    (users.into_values().collect(), groups.into_values().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_answer_equals_sqlites(
        layout in layouts(),
        users in proptest::collection::vec(user(), 0..120),
        groups in proptest::collection::vec(group(), 0..40),
        private in 0..3usize,
        version in 100..=101u32,
    ) {
        let (users, groups) = unique(users, groups);
        // Of every user, of every second one, or of none.
        let own = users.iter().step_by(private.max(1)).take(if private == 0 { 0 } else { users.len() });
        let own = own.map(|user| Group { gid: user.uid, name: user.name.clone(), members: Vec::new() });
        let (users, groups) = unique(users.clone(), own.chain(groups).collect());
        let sample = Sample::new(CACHE, layout, |sql| {
            sql.execute_batch(&format!("PRAGMA user_version = {version}")).unwrap();
            users.iter().for_each(|user| crate::support::insert_user(sql, user));
            groups.iter().for_each(|group| crate::support::insert_group(sql, group));
        });
        compare(&sample, &users, &groups);
    }
}

/// Trees of several levels, with small, usual and large pages; every third user is deleted again, so that pages are
/// half full and interior keys name deleted rows.
#[test]
fn answers_for_two_thousand_users_equal_sqlites_also_after_deletions() {
    for bits in [9, 12, 16] {
        let mut users: Vec<User> = (0..2000u32)
            .map(|n| User {
                uid: 0x7000_0000 + n.wrapping_mul(2_654_435_761) % 0x0ffe_0000,
                name: format!("user{n}"),
                active: n % 5 != 0,
                gecos: "x".repeat((n % 50) as usize * if n % 100 == 0 { 100 } else { 1 }),
                home: format!("/home/user{n}"),
                shell: "/bin/bash".into(),
                lastchg: i64::from(n) + 1,
                groups: vec![0x7100_0000],
                local: Vec::new(),
            })
            .collect();
        let everyone = users.iter().map(|user| user.name.clone()).collect();
        let groups = [Group { gid: 0x7100_0000, name: "everyone".into(), members: everyone }];
        let layout = Layout { page_size: 1 << bits, reserved: 0 };
        let gone = |user: &User| user.lastchg % 3 == 0 || (500..900).contains(&user.lastchg);
        let sample = Sample::new(CACHE, layout, |sql| {
            for user in &users {
                crate::support::insert_user(sql, user);
            }
            crate::support::insert_group(sql, &groups[0]);
            sql.execute("DELETE FROM passwd WHERE lastchg % 3 = 0 OR lastchg BETWEEN 500 AND 899", [])
                .unwrap();
        });
        users.retain(|user| !gone(user));
        compare(&sample, &users, &groups);
    }
}

#[test]
fn answers_for_fifty_thousand_users_equal_sqlites() {
    let users: Vec<User> = (0..50_000).map(crate::support::user).collect();
    let mut groups: Vec<Group> = users
        .iter()
        .map(|user| Group { gid: user.uid, name: user.name.clone(), members: Vec::new() })
        .collect();
    let everyone = users.iter().map(|user| user.name.clone()).collect();
    groups.push(Group { gid: 0x7100_0000, name: "everyone".into(), members: everyone });
    let sample = Sample::cache(Layout { page_size: 4096, reserved: 0 }, &users, &groups);
    enumerate(&sample);
    let some: Vec<User> = users.into_iter().step_by(997).collect();
    compare(&sample, &some, &groups[49_998..]);
}

#[test]
fn an_empty_cache_has_no_entries() {
    for bits in 9..=16 {
        compare(&Sample::cache(Layout { page_size: 1 << bits, reserved: 0 }, &[], &[]), &[], &[]);
    }
}

/// docs/reference/cache.md: a reader accepts every minor version of its major version. Here columns, tables and
/// indexes are added.
#[test]
fn a_later_minor_version_is_read() {
    let user = User {
        uid: 0x7000_0001,
        name: "ana".into(),
        active: true,
        gecos: String::new(),
        home: "/home/ana".into(),
        shell: "/bin/sh".into(),
        lastchg: 20_000,
        groups: vec![],
        local: vec![27],
    };
    let layout = Layout { page_size: 512, reserved: 0 };
    let sample = Sample::new(CACHE, layout, |sql| {
        let extra: String =
            (0..20).map(|n| format!("CREATE TABLE t{n} (a, b, c); CREATE INDEX i{n} ON t{n} (a);")).collect();
        sql.execute_batch(&extra).unwrap();
        crate::support::insert_user(sql, &user);
        sql.execute_batch("ALTER TABLE passwd ADD COLUMN more REAL NOT NULL DEFAULT 1.5").unwrap();
        sql.execute_batch("UPDATE passwd SET more = 2.5; PRAGMA user_version = 199").unwrap();
    });
    compare(&sample, &[user], &[]);
}
