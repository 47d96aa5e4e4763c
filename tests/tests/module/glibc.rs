//! The module through the real glibc: `getent -s iam`, compared with glibc's own `files` and the reference module
//! on the same data.

use std::fs;

use cache::snapshot::Cache;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tests::{Machine, artefact, module, text};

use crate::data::{self, LOCAL};

/// A machine on which glibc finds the module and the reference module, with this data published.
fn machine(published: &Cache) -> Option<Machine> {
    let machine = Machine::enter()?;
    data::publish(published);
    fs::copy(crate::library(), module()).unwrap();
    fs::copy(artefact("libnss_iamref.so"), module().with_file_name("libnss_iamref.so.2")).unwrap();
    Some(machine)
}

/// Writes the same users and groups, and the local group, to /etc, like useradd(8).
fn etc(published: &Cache) {
    let lines = |lines: &mut dyn Iterator<Item = String>| lines.map(|line| line + "\n").collect::<String>();
    fs::write("/etc/passwd", lines(&mut published.users.iter().map(data::passwd_line))).unwrap();
    fs::write("/etc/shadow", lines(&mut published.users.iter().map(data::shadow_line))).unwrap();
    let joined = published.users.iter().filter(|user| !user.local.is_empty()).map(|user| user.name.as_str());
    let local = format!("sudo:x:{LOCAL}:{}\n", joined.collect::<Vec<_>>().join(","));
    fs::write("/etc/group", lines(&mut published.groups.iter().map(data::group_line)) + &local).unwrap();
}

/// The output of getent(1), and its exit status.
fn getent(machine: &Machine, service: &str, database: &str, keys: &[String]) -> (String, Option<i32>) {
    let mut line = vec!["getent".to_owned(), "-s".into(), service.into(), database.into()];
    line.extend_from_slice(keys);
    let output = machine.run(&line);
    assert_eq!(text(&output.stderr), "");
    (text(&output.stdout).to_owned(), output.status.code())
}

/// One key at a time and all at once, existing and unknown keys.
fn compare(machine: &Machine, published: &Cache, peer: &str) {
    let mut users: Vec<String> = published.users.iter().map(|user| user.name.to_string()).collect();
    users.extend(["root", "nobody-here", "User1", "user1x", ""].map(Into::into));
    let mut groups: Vec<String> = published.groups.iter().map(|group| group.name.to_string()).collect();
    groups.extend(["wheel-", "nobody-here"].map(Into::into));
    let uids: Vec<String> = published.users.iter().map(|user| user.uid.to_string()).collect();
    // Including private groups that are not rows.
    let gids = published.groups.iter().map(|group| group.gid.to_string());
    let gids: Vec<String> = gids.chain(uids.iter().cloned()).collect();
    for (database, keys) in [("passwd", users.as_slice()), ("passwd", &uids), ("shadow", &users)]
        .into_iter()
        .chain([("group", groups.as_slice()), ("group", &gids)])
    {
        let (ours, theirs) = (getent(machine, "iam", database, keys), getent(machine, peer, database, keys));
        assert_eq!(ours, theirs, "{database}");
        let known = ours.0.lines().count();
        let wanted = published.users.iter().filter(|user| user.active).count();
        assert!(known >= wanted, "{database}: {known} known");
    }
    for user in &users {
        let key = std::slice::from_ref(user);
        for database in ["passwd", "shadow"] {
            assert_eq!(getent(machine, "iam", database, key), getent(machine, peer, database, key), "{user}");
        }
        let (ours, theirs) = ("iam", peer);
        let [ours, theirs] =
            [ours, theirs].map(|service| sorted_groups(&getent(machine, service, "initgroups", key).0));
        assert_eq!(ours, theirs, "{user}");
    }
}

/// `getent initgroups` prints the name, and the gids in the order of the file, which does not matter.
fn sorted_groups(line: &str) -> Vec<String> {
    let mut words: Vec<String> = line.split_whitespace().map(Into::into).collect();
    words.sort();
    words
}

#[test]
fn getent_prints_line_for_line_what_files_does() {
    let published = data::odd();
    let Some(machine) = machine(&published) else { return };
    let published = data::named(&published);
    etc(&published);
    compare(&machine, &published, "files");
    for database in ["passwd", "shadow"] {
        let ours = getent(&machine, "iam", database, &[]);
        assert_eq!(ours, getent(&machine, "files", database, &[]), "all of {database}");
        assert_eq!(ours.0.lines().count(), published.users.len());
    }
    let (files, status) = getent(&machine, "files", "group", &[]);
    let (files, _local) = files.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(getent(&machine, "iam", "group", &[]), (format!("{files}\n"), status), "all of group");
}

#[test]
fn getent_prints_line_for_line_what_the_reference_module_does() {
    let published = data::odd();
    let Some(machine) = machine(&published) else { return };
    compare(&machine, &published, "iamref");
    for database in ["passwd", "shadow", "group"] {
        let ours = getent(&machine, "iam", database, &[]);
        assert_eq!(ours, getent(&machine, "iamref", database, &[]), "all of {database}");
        assert!(ours.0.lines().count() >= data::named(&published).users.len());
    }
}

/// docs/reference/users.md: disabled and locked users are found by uid and gid, not by name, and are in no enumeration.
#[test]
fn programs_find_a_disabled_user_by_id_only() {
    let published = data::odd();
    let Some(machine) = machine(&published) else { return };
    machine.nsswitch();
    let run = |line: &[&str]| {
        let output = machine.run(line);
        (output.status.code(), text(&output.stdout).to_owned(), text(&output.stderr).to_owned())
    };
    let found = |line: String| (Some(0), line + "\n", String::new());
    let (missing, nothing) = ((Some(2), String::new(), String::new()), String::new());
    for user in data::inactive(&published) {
        let (name, id) = (user.name.as_str(), user.uid.to_string());
        for database in ["passwd", "shadow", "group"] {
            assert_eq!(run(&["getent", database, name]), missing, "{database} {name}");
        }
        let none = (Some(0), format!("{name:<21}\n"), nothing.clone());
        assert_eq!(run(&["getent", "initgroups", name]), none, "getgrouplist(3)");
        let no_such = (Some(1), nothing.clone(), format!("id: '{name}': no such user\n"));
        assert_eq!(run(&["env", "LC_ALL=C", "id", name]), no_such);
        assert_eq!(run(&["getent", "passwd", &id]), found(data::passwd_line(user)));
        assert_eq!(run(&["getent", "group", &id]), found(format!("{name}:x:{id}:")));
        fs::write("/tmp/file", "").unwrap();
        std::os::unix::fs::chown("/tmp/file", Some(user.uid.get()), Some(user.uid.get())).unwrap();
        assert_eq!(run(&["stat", "-c", "%U:%G", "/tmp/file"]), found(format!("{name}:{name}")));
    }
    for database in ["passwd", "shadow", "group"] {
        let (status, all, _) = run(&["getent", database]);
        let names: Vec<&str> = all.lines().filter_map(|line| line.split(':').next()).collect();
        assert!(status == Some(0) && names.contains(&"user8"), "{database}");
        let gone = data::inactive(&published).find(|user| names.contains(&user.name.as_str()));
        assert_eq!(gone, None, "{database}");
    }
}

#[test]
fn five_thousand_users_and_their_group_equal_those_of_the_reference_module() {
    let published = data::many(5000);
    let Some(machine) = machine(&published) else { return };
    for database in ["passwd", "shadow", "group"] {
        let ours = getent(&machine, "iam", database, &[]);
        assert!(ours.0.lines().count() >= 5000);
        assert!(ours == getent(&machine, "iamref", database, &[]), "all of {database}");
    }
    let key = ["iam-users".to_owned()];
    let ours = getent(&machine, "iam", "group", &key);
    assert_eq!(ours.0.split(',').count(), 5000);
    assert!(ours == getent(&machine, "iamref", "group", &key));
}

#[test]
fn programs_see_users_after_those_of_files() {
    let published = data::odd();
    let Some(machine) = machine(&published) else { return };
    machine.nsswitch();
    fs::write("/etc/group", fs::read_to_string("/etc/group").unwrap() + "user3-local:x:4242:user3\n")
        .unwrap();
    let user = published.users.iter().find(|user| user.name.as_str() == "user3").unwrap();
    let output = machine.run(&["id", "user3"]);
    let shown = text(&output.stdout);
    assert!(shown.starts_with(&format!("uid={0}(user3) gid={0}(user3) groups=", user.uid)), "{shown}");
    for group in ["iam-users", "user3-local"] {
        assert!(shown.contains(&format!("({group})")), "{shown}");
    }
    assert!(shown.contains(&format!("{LOCAL}(")), "the local group that the configuration names: {shown}");
    assert_eq!(text(&machine.run(&["id", "-u", "root"]).stdout), "0\n");
    fs::write("/tmp/file", "").unwrap();
    std::os::unix::fs::chown("/tmp/file", Some(user.uid.get()), Some(user.uid.get())).unwrap();
    assert_eq!(text(&machine.run(&["stat", "-c", "%U:%G", "/tmp/file"]).stdout), "user3:user3\n");
}

/// The result of glibc's getgrouplist(3) for a caller with this primary group, sorted. It runs in a separate
/// process, which uses the nsswitch.conf and the module of the machine.
fn grouplist(machine: &Machine, name: &str, group: u32) -> Vec<u32> {
    let program = "import os, sys\nprint(*os.getgrouplist(sys.argv[1], int(sys.argv[2])))";
    // As the int that Python accepts as a gid: -1 is (gid_t) -1.
    let group = group.cast_signed().to_string();
    let output = machine.run(&["python3", "-c", program, name, &group]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut gids: Vec<u32> = text(&output.stdout)
        .split_whitespace()
        .map(|gid| gid.parse::<i64>().unwrap().rem_euclid(1 << 32).try_into().unwrap())
        .collect();
    gids.sort_unstable();
    gids
}

/// With and without a local group that lists the user, who stays a member whatever the caller's primary group is.
#[test]
fn getgrouplist_returns_iam_groups_only_for_the_iam_primary_group_or_none() {
    let published = data::odd();
    let Some(machine) = machine(&published) else { return };
    machine.nsswitch();
    fs::write("/etc/group", fs::read_to_string("/etc/group").unwrap() + "here:x:4242:user3,adopted\n")
        .unwrap();
    for name in ["user3", "user8", "adopted"] {
        let user = published.users.iter().find(|user| user.name.as_str() == name).unwrap();
        let own = user.uid.get();
        let here = (name != "user8").then_some(4242);
        let ours: Vec<u32> =
            user.groups.iter().map(|gid| gid.get()).chain(user.local.iter().copied()).collect();
        for (group, gets) in [
            (u32::MAX, true),
            (own, true),
            (0, false),
            (1500, false),
            (LOCAL, false),
            (user.groups[0].get(), false),
        ] {
            let added = if gets { ours.as_slice() } else { &[] };
            let mut wanted: Vec<u32> = [group].into_iter().chain(here).chain(added.iter().copied()).collect();
            wanted.sort_unstable();
            assert_eq!(grouplist(&machine, name, group), wanted, "{name} with {group}");
        }
    }
}

/// "`jane` (uid 1500) created between two refreshes": she has the name, but not the groups of the IAM user jane.
#[test]
fn a_local_user_with_the_name_of_an_iam_user_gets_none_of_their_groups() {
    let published = data::odd();
    let Some(machine) = machine(&published) else { return };
    machine.nsswitch();
    let append = |file: &str, line: &str| fs::write(file, fs::read_to_string(file).unwrap() + line).unwrap();
    append("/etc/passwd", "user3:x:1500:1500::/home/user3:/bin/sh\n");
    append("/etc/group", "user3:x:1500:\nhere:x:4242:user3\n");
    assert_eq!(
        text(&machine.run(&["id", "user3"]).stdout),
        "uid=1500(user3) gid=1500(user3) groups=1500(user3),4242(here)\n"
    );
}

/// There, the file's owner, root, is shown as 65534. user_namespaces(7): no namespace can be created after
/// chroot(2), so this test has only a private /var/lib.
#[test]
fn it_works_in_a_user_namespace_that_does_not_map_root() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: needs root");
        return;
    }
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(Some("tmpfs"), "/var/lib", Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).unwrap();
    data::publish(&data::odd());
    fs::create_dir("/var/lib/modules").unwrap();
    fs::copy(crate::library(), "/var/lib/modules/libnss_iam.so.2").unwrap();
    let line = ["-U", "sh", "-c", "stat -c %u /var/lib/nss-iam/cache.db; getent -s iam passwd user3"];
    let mut command = std::process::Command::new("unshare");
    let output = command.args(line).env("LD_LIBRARY_PATH", "/var/lib/modules").output().unwrap();
    let shown = text(&output.stdout);
    assert!(shown.starts_with("65534\nuser3:x:"), "{shown}{}", text(&output.stderr));
}

/// If the cache is missing, local users are found, other users are not, and nothing is printed.
#[test]
fn without_a_cache_local_users_still_resolve() {
    let Some(machine) = machine(&data::odd()) else { return };
    machine.nsswitch();
    fs::remove_file(data::FILE).unwrap();
    assert_eq!(text(&machine.run(&["id", "-u", "root"]).stdout), "0\n");
    assert_eq!(machine.run(&["getent", "passwd", "user3"]).status.code(), Some(2));
    assert_eq!(machine.run(&["getent", "group", "root"]).status.code(), Some(0));
}
