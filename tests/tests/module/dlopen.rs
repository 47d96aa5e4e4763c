//! The module through dlopen: the requirements of the GNU C Library manual, "NSS Modules Interface".

use std::ffi::CString;
use std::process::Command;

use tests::{Machine, repository, text};

use crate::call::{
    Failure, Line, Module, NO_SUCH, TOO_SMALL, UNAVAIL, by_id, by_name, by_name_at, by_pointer, next,
};
use crate::data::{self, LOCAL};

const ROOM: usize = 1 << 16;

fn module() -> Option<Module> {
    let machine = Machine::enter()?;
    data::publish(&data::odd());
    Some(Module::load(&machine))
}

fn c(text: &str) -> CString {
    CString::new(text).unwrap()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).arg(crate::library()).output().unwrap();
    assert!(output.status.success());
    text(&output.stdout).to_owned()
}

#[test]
fn only_the_listed_symbols_are_exported() {
    let symbols = output("nm", &["--dynamic", "--defined-only", "--format=posix"]);
    let exported: Vec<&str> = symbols.lines().filter_map(|line| line.split(' ').next()).collect();
    let list = std::fs::read_to_string(repository().join("nss-iam/exports.txt")).unwrap();
    assert_eq!(exported, list.lines().collect::<Vec<_>>());
}

#[test]
fn its_soname_is_the_one_that_glibc_looks_up() {
    assert!(output("readelf", &["--dynamic"]).contains("Library soname: [libnss_iam.so.2]"));
}

#[test]
fn every_entry_is_as_published() {
    let Some(module) = module() else { return };
    let published = data::named(&data::odd());
    for user in &published.users {
        let (name, uid) = (c(user.name.as_str()), user.uid.get());
        assert_eq!(by_name(module.getpwnam, &name, ROOM).unwrap().line(), data::passwd_line(user));
        assert_eq!(by_id(module.getpwuid, uid, ROOM).unwrap().line(), data::passwd_line(user));
        assert_eq!(next(module.getpwent, ROOM).unwrap().line(), data::passwd_line(user));
        assert_eq!(by_name(module.getspnam, &name, ROOM).unwrap().line(), data::shadow_line(user));
        assert_eq!(next(module.getspent, ROOM).unwrap().line(), data::shadow_line(user));
        let groups: Vec<u32> =
            user.groups.iter().map(|gid| gid.get()).chain(user.local.iter().copied()).collect();
        assert_eq!(module.groups(&name, uid), Ok(groups));
    }
    for group in &published.groups {
        let name = c(group.name.as_str());
        assert_eq!(by_name(module.getgrnam, &name, ROOM).unwrap().line(), data::group_line(group));
        assert_eq!(by_id(module.getgrgid, group.gid.get(), ROOM).unwrap().line(), data::group_line(group));
        assert_eq!(next(module.getgrent, ROOM).unwrap().line(), data::group_line(group));
    }
    assert_eq!(next(module.getpwent, ROOM).err(), Some(NO_SUCH));
    assert_eq!(next(module.getspent, ROOM).err(), Some(NO_SUCH));
    assert_eq!(next(module.getgrent, ROOM).err(), Some(NO_SUCH));
}

/// "ERANGE: The provided buffer is not large enough. The function should be called again with a larger buffer."
/// `call::entry` asserts for each call that neither `*result` nor a byte after the buffer was changed.
#[test]
fn each_buffer_that_is_too_small_is_erange_and_a_larger_one_gets_the_answer() {
    let Some(module) = module() else { return };
    for (function, ask) in module.everything().into_iter().filter(|(name, _)| *name != "initgroups_dyn") {
        let mut room = 0;
        let line = loop {
            match ask(room) {
                Err(failure) => assert_eq!(failure, TOO_SMALL, "{function} with {room} bytes"),
                Ok(line) => break line,
            }
            room += 1;
        };
        assert!(room > 3, "{function}: there were buffers that were too small");
        // An enumeration does not advance meanwhile: from its beginning, the same entry is returned again.
        for rewind in ["setpwent", "setgrent", "setspent"] {
            module.rewind(rewind);
        }
        assert_eq!(ask(ROOM), Ok(line), "{function}");
    }
}

#[test]
fn gr_mem_is_aligned_wherever_the_buffer_begins() {
    let Some(module) = module() else { return };
    let published = data::odd();
    let group = published.groups.iter().find(|group| group.members.len() > 20).unwrap();
    for offset in 0..16 {
        // `line` asserts that it is aligned.
        let found = by_name_at(module.getgrnam, &c(group.name.as_str()), offset).unwrap();
        assert_eq!(found.line(), data::group_line(group));
    }
}

#[test]
fn unknown_is_notfound_with_enoent() {
    let Some(module) = module() else { return };
    for name in [c"nobody-here", c"user", c"user70", c"user8 ", c"zzz"] {
        assert_eq!(by_name(module.getpwnam, name, ROOM).err(), Some(NO_SUCH));
        assert_eq!(by_name(module.getspnam, name, ROOM).err(), Some(NO_SUCH));
        assert_eq!(by_name(module.getgrnam, name, ROOM).err(), Some(NO_SUCH));
        assert_eq!(module.groups(name, 0), Err(NO_SUCH));
    }
    for id in [0, 1, 999, 1000, 1002, 65534, 0x7000_0000, u32::MAX] {
        assert_eq!(by_id(module.getpwuid, id, ROOM).err(), Some(NO_SUCH));
        assert_eq!(by_id(module.getgrgid, id, ROOM).err(), Some(NO_SUCH));
    }
}

/// For an impossible name, the cache is not needed: even without one, the answer is NOTFOUND.
#[test]
fn impossible_names_are_notfound_even_without_a_cache() {
    let Some(module) = module() else { return };
    std::fs::remove_file(data::FILE).unwrap();
    // The module has not opened it yet.
    assert_eq!(by_name(module.getpwnam, c"possible", ROOM).err(), Some(Failure(UNAVAIL, libc::ENOENT)));
    let long = [44, 255, 100_000].map(|len| c(&"a".repeat(len)));
    let odd = [
        c"",
        c"Ana",
        c"a:b",
        c"a\nb",
        c"a/b",
        c"..",
        c"-a",
        c"12",
        c"jos\xc3\xa9",
        c"\xff\xfe\x01",
        c"a b",
        c"*",
    ];
    for name in odd.into_iter().chain(long.iter().map(CString::as_c_str)) {
        assert_eq!(by_name(module.getpwnam, name, ROOM).err(), Some(NO_SUCH), "{name:?}");
        assert_eq!(by_name(module.getgrnam, name, ROOM).err(), Some(NO_SUCH), "{name:?}");
        assert_eq!(by_name(module.getspnam, name, ROOM).err(), Some(NO_SUCH), "{name:?}");
        assert_eq!(module.groups(name, 0), Err(NO_SUCH), "{name:?}");
    }
    assert_eq!(by_pointer(module.getpwnam, std::ptr::null()).err(), Some(NO_SUCH));
    for id in [0, 999] {
        assert_eq!(by_id(module.getpwuid, id, ROOM).err(), Some(NO_SUCH));
        assert_eq!(by_id(module.getgrgid, id, ROOM).err(), Some(NO_SUCH));
    }
}

#[test]
fn lookups_do_not_advance_an_enumeration_and_enumerations_are_independent() {
    let Some(module) = module() else { return };
    let published = data::named(&data::odd());
    for (user, group) in published.users.iter().zip(&published.groups) {
        assert_eq!(next(module.getpwent, ROOM).unwrap().line(), data::passwd_line(user));
        assert_eq!(next(module.getgrent, ROOM).unwrap().line(), data::group_line(group));
        by_name(module.getpwnam, c"user1", ROOM).unwrap();
        by_id(module.getgrgid, group.gid.get(), ROOM).unwrap();
        assert_eq!(by_name(module.getpwnam, c"nobody-here", ROOM).err(), Some(NO_SUCH));
        assert_eq!(next(module.getspent, ROOM).unwrap().line(), data::shadow_line(user));
    }
}

#[test]
fn set_and_end_restart_an_enumeration() {
    let Some(module) = module() else { return };
    let first = next(module.getpwent, ROOM).unwrap().line();
    for rewind in ["setpwent", "endpwent"] {
        assert_ne!(next(module.getpwent, ROOM).unwrap().line(), first);
        module.rewind(rewind);
        assert_eq!(next(module.getpwent, ROOM).unwrap().line(), first);
    }
    let first = next(module.getgrent, ROOM).unwrap().line();
    module.rewind("setgrent");
    assert_eq!(next(module.getgrent, ROOM).unwrap().line(), first);
    module.rewind("endgrent");
    assert_eq!(next(module.getgrent, ROOM).unwrap().line(), first);
    let first = next(module.getspent, ROOM).unwrap().line();
    module.rewind("setspent");
    assert_eq!(next(module.getspent, ROOM).unwrap().line(), first);
    module.rewind("endspent");
    assert_eq!(next(module.getspent, ROOM).unwrap().line(), first);
}

/// Half way through, every second user is removed and others are added: users who stayed are returned once.
#[test]
fn an_enumeration_continues_in_a_replaced_file() {
    let Some(module) = module() else { return };
    let before = data::named(&data::odd());
    let half = before.users.len() / 2;
    let mut seen: Vec<String> = (0..half).map(|_| next(module.getpwent, ROOM).unwrap().line()).collect();
    let stay = before.users.iter().step_by(2).cloned();
    let after = data::snapshot(stay.chain((100..150).map(|n| data::user(&format!("user{n}")))).collect());
    data::publish(&after);
    while let Ok(found) = next(module.getpwent, ROOM) {
        seen.push(found.line());
    }
    for user in before.users.iter().step_by(2) {
        let line = data::passwd_line(user);
        assert_eq!(seen.iter().filter(|seen| **seen == line).count(), 1, "{line}");
    }
    let after = data::named(&after);
    let late = after.users.iter().filter(|user| user.uid > before.users[half].uid);
    assert!(late.map(data::passwd_line).all(|line| seen.contains(&line)));
}

#[test]
fn five_thousand_members_are_returned_at_once() {
    let Some(module) = module() else { return };
    let published = data::many(5000);
    data::publish(&published);
    let group = published.groups.iter().find(|group| group.name.as_str() == "iam-users").unwrap();
    let bytes: usize = group.members.iter().map(|name| name.as_str().len() + 1).sum();
    let enough = bytes + 5001 * 8 + "iam-users\0x\0".len() + 7;
    assert_eq!(by_name(module.getgrnam, c"iam-users", enough / 2).err(), Some(TOO_SMALL));
    let found = by_name(module.getgrnam, c"iam-users", enough).unwrap().line();
    assert_eq!(found, data::group_line(group));
    assert_eq!(found.split(',').count(), 5000);
}

/// "This function ... adds the groups to the list ... except `group`" (nss/initgroups.c passes it as the first one).
#[test]
fn initgroups_skips_the_group_it_was_given_and_those_in_the_list_and_obeys_the_limit() {
    let Some(module) = module() else { return };
    let mut published = data::odd();
    let user =
        published.users.iter_mut().find(|user| user.groups.len() == 2 && !user.local.is_empty()).unwrap();
    let (name, own) = (c(user.name.as_str()), user.uid.get());
    let gids = [user.groups[0].get(), user.groups[1].get()];
    user.groups.push(user.uid);
    data::publish(&published);
    let list = |mut list: Vec<u32>, size, limit| {
        module.initgroups(&name, own, &mut list, size, limit).unwrap();
        list
    };
    assert_eq!(list(vec![], 1, -1), [gids[0], gids[1], LOCAL]);
    assert_eq!(list(vec![own], 1, -1), [own, gids[0], gids[1], LOCAL]);
    assert_eq!(list(vec![LOCAL, gids[0]], 2, 0), [LOCAL, gids[0], gids[1]]);
    assert_eq!(list(vec![5], 64, -1), [5, gids[0], gids[1], LOCAL]);
    assert_eq!(list(vec![5], 1, 3), [5, gids[0], gids[1]], "the limit");
    assert_eq!(list(vec![5], 1, 1), [5], "the limit is reached already");
}

/// docs/reference/users.md: a local account with the same name gets no groups, because its primary group is not the
/// nss-iam user's. getgrouplist(3) gets it from the caller; nscd(8), which has none, passes -1.
#[test]
fn initgroups_adds_nothing_for_a_different_user_of_the_name() {
    let Some(module) = module() else { return };
    let published = data::odd();
    for user in published.users.iter().filter(|user| user.active) {
        let (name, own) = (c(user.name.as_str()), user.uid.get());
        let all: Vec<u32> =
            user.groups.iter().map(|gid| gid.get()).chain(user.local.iter().copied()).collect();
        for group in [own, u32::MAX] {
            assert_eq!(module.groups(&name, group), Ok(all.clone()), "{name:?} with {group}");
        }
        // Also one of the user's groups, and the id next to the user's own.
        for group in [0, 1, LOCAL, 1500, 65534, 65535, user.groups[0].get(), own - 1, own + 1] {
            assert_eq!(module.groups(&name, group), Err(NO_SUCH), "{name:?} with {group}");
            let mut list = vec![group];
            assert_eq!(module.initgroups(&name, group, &mut list, 4, -1), Err(NO_SUCH));
            assert_eq!(list, [group], "the caller's list is as it was");
        }
    }
    assert!(
        published.users.iter().any(|user| user.pinned && user.active),
        "one who is pinned was among them"
    );
}

#[test]
fn initgroups_extends_a_list_of_any_size() {
    let Some(module) = module() else { return };
    let mut published = data::many(1);
    let gids: Vec<u32> = (1..=200).collect();
    published.users[0].local.clone_from(&gids);
    data::publish(&published);
    let all: Vec<u32> = published.users[0].groups.iter().map(|gid| gid.get()).chain(gids).collect();
    for size in 0..40 {
        let mut list = Vec::new();
        module.initgroups(c"user0", u32::MAX, &mut list, size, -1).unwrap();
        assert_eq!(list, all);
    }
}

/// docs/reference/users.md: a disabled user is found by id only. Programs cannot start anything under the name, and
/// `ls -l` still shows an owner.
#[test]
fn a_disabled_user_is_found_by_id_only() {
    let Some(module) = module() else { return };
    found_by_id_only(&module);
}

/// Until its first refresh, a new release has the file of an earlier one, which has groups of disabled users.
#[test]
fn a_disabled_user_is_found_by_id_only_in_a_file_of_an_earlier_release() {
    let Some(module) = module() else { return };
    data::publish_as_before(&data::odd());
    found_by_id_only(&module);
}

fn found_by_id_only(module: &Module) {
    let published = data::odd();
    let users = || data::inactive(&published);
    assert!(users().count() > 5 && users().any(|user| user.name.as_str().starts_with("re-created-")));
    for user in users() {
        let (name, id) = (c(user.name.as_str()), user.uid.get());
        assert_eq!(by_id(module.getpwuid, id, ROOM).unwrap().line(), data::passwd_line(user));
        assert_eq!(by_id(module.getgrgid, id, ROOM).unwrap().line(), format!("{}:x:{id}:", user.name));
        assert_eq!(by_name(module.getpwnam, &name, ROOM).err(), Some(NO_SUCH), "{name:?}");
        assert_eq!(by_name(module.getspnam, &name, ROOM).err(), Some(NO_SUCH), "{name:?}");
        assert_eq!(by_name(module.getgrnam, &name, ROOM).err(), Some(NO_SUCH), "{name:?}");
        for skip in [u32::MAX, 0, id] {
            assert_eq!(module.groups(&name, skip), Err(NO_SUCH), "{name:?}");
        }
    }
    let gone: Vec<String> = users().map(|user| format!("{}:", user.name)).collect();
    let no_such = |line: String| assert!(!gone.iter().any(|name| line.starts_with(name)), "{line}");
    let [mut users, mut groups, mut shadows] = [0; 3];
    while let Ok(found) = next(module.getpwent, ROOM) {
        no_such(found.line());
        users += 1;
    }
    while let Ok(found) = next(module.getspent, ROOM) {
        no_such(found.line());
        shadows += 1;
    }
    while let Ok(found) = next(module.getgrent, ROOM) {
        no_such(found.line());
        groups += 1;
    }
    let named = data::named(&published);
    assert_eq!((users, shadows, groups), (named.users.len(), named.users.len(), named.groups.len()));
}

/// For an enumeration that ends with disabled users, and for one that has no others.
#[test]
fn an_enumeration_also_ends_after_disabled_users() {
    let Some(module) = module() else { return };
    for active in [0, 1, 2, 299, 300] {
        let mut users: Vec<_> = (0..300).map(|n| data::user(&format!("user{n}"))).collect();
        users.sort_by_key(|user| user.uid);
        users.iter_mut().skip(active).for_each(|user| user.active = false);
        data::publish(&data::snapshot(users));
        module.rewind("setpwent");
        let found = std::iter::from_fn(|| next(module.getpwent, ROOM).ok()).count();
        assert_eq!((found, next(module.getpwent, ROOM).err()), (active, Some(NO_SUCH)));
    }
}
