//! How versions of glibc read nsswitch.conf(5), and whether nss-iam reads it in the same way: with the file that
//! `enable` writes, glibc asks `iam` and otherwise the same services as before, and the refresher asks every
//! service that some glibc asks.
//!
//! The modules that glibc looks for show which services it asks (ld.so(8), `LD_DEBUG=libs`).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cache::snapshot::Cache;
use tests::{CACHE, Host, Machine, module, text};

const CTL: &str = "/usr/sbin/nss-iamctl";
const CONF: &str = "/etc/nsswitch.conf";
/// glibc 2.31, 2.36 and 2.41.
const TREES: [&str; 3] = ["debian11", "debian12", "debian13"];
const DATABASES: [&str; 4] = ["passwd", "group", "shadow", "initgroups"];
/// Services that may be installed.
const SERVICES: [&str; 3] = ["one", "two", "three"];

/// Files that every glibc can read.
const READ: [&[u8]; 55] = [
    b"",
    b" \t",
    b"# none",
    b"passwd",
    b"hosts: one",
    b"passwd: files one\ngroup: files one\nshadow: files one\n",
    b"passwd: files one\ngroup: files two\nhosts: dns\n",
    // The last line has no newline: one with `iam`, one with another service, a comment.
    b"passwd: files one\nshadow: files\ngroup: files one",
    b"passwd: files one\nshadow: files one",
    b"passwd: files one",
    b"passwd: files one\nhosts: dns",
    b"passwd: files one\n#",
    b"passwd: files one\n ",
    b"passwd: files one\r",
    b"group: files one\ninitgroups: files two",
    // The last of several lines counts.
    b"passwd: files one\npasswd: files two\n",
    b"initgroups: files one\ninitgroups: files two\n",
    // Blanks, no blanks, and characters that count as blanks.
    b"passwd:files one\n",
    b"passwd files one\n",
    b"  passwd:\tfiles\tone\t\n",
    b"passwd: files one\r\ngroup: files one two\r\n",
    b"\x0bpasswd:\x0bfiles\x0bone\x0ctwo\n",
    b"passwd: files one\rgroup: two\n",
    b"passwd : files one\n",
    b"passwd:: files one\n",
    // Other names of databases.
    b"PASSWD: one\ngroup: files one\n",
    b"passwd_compat: one\ngroup: files one\n",
    b":passwd: one\n",
    // Bytes of other encodings.
    b"\xef\xbb\xbfpasswd: one\ngroup: files two\n",
    b"# f\xfcr alle\npasswd: files one\n",
    b"passwd: files one # f\xfcr alle\n",
    b"\xa0passwd: one\ngroup: files two\n",
    b"passwd: files one\0 two\ngroup: files one\n",
    b"\0passwd: one\ngroup: files one\n",
    b"passwd: files \0\ngroup: files one\n",
    // Comments that the present glibc reads as services.
    b"passwd: files one # two three\nshadow: files one\n",
    b"group: files one # two\n",
    b"  # passwd: one\ngroup: files one\n",
    b"# [x\ngroup: files one\n",
    b"sudoers: files [x\ngroup: files one\n",
    b"passwd: files one \\\n two\n",
    // Actions.
    b"passwd: files one[NOTFOUND=continue]two\ngroup: files [SUCCESS=merge] one [SUCCESS=merge] two\n",
    b"passwd: files [ notfound = Continue ] one\n",
    b"passwd: files [NOTFOUND=return] one\ngroup: files [NOTFOUND=return] one\n",
    b"passwd: files [ NOTFOUND = return ] one\n",
    b"passwd: files one [!SUCCESS=continue UNAVAIL=continue] two\n",
    b"passwd: files one [NOTFOUND=continue]] two\n",
    b"passwd: files one\nfoo\n\n  \ngroup: files two\n",
    b"group: files one [SUCCESS=return]\ninitgroups: files [NOTFOUND=continue] two\n",
    // Published by Flatcar, Clear Linux, Gentoo, OpenMandriva, Fedora CoreOS, and Google's guest-agent; `one` for each directory.
    b"passwd: files usrfiles one systemd\nshadow: files usrfiles one\ngroup: files usrfiles one systemd\n",
    b"passwd: compat altfiles\ngroup: compat altfiles\nshadow: compat altfiles\n",
    b"passwd:    compat files\nshadow:    compat files\ngroup:    compat files\n",
    b"passwd: files compat one mymachines systemd\ngroup: files compat one mymachines systemd\nshadow: files two\n",
    b"passwd: files altfiles one systemd\ngroup: files [SUCCESS=merge] altfiles [SUCCESS=merge] one [SUCCESS=merge] systemd\n",
    b"passwd: files systemd one two\ngroup: files systemd one two\n",
];

/// Files that some glibc ignores completely or in part.
const REFUSED: [&[u8]; 14] = [
    b"passwd:\n",
    b"passwd: # one\n",
    b"group: one#two\n",
    b"passwd: files one [NOTFOUND=continue\ngroup: files one\n",
    b"passwd: files one # [x\ngroup: files one\n",
    b"passwd: files [FOO=continue] one\n",
    b"passwd: files [] one\n",
    b"passwd: files [NOTFOUND=continue,UNAVAIL=continue] one\n",
    b"passwd: files [! NOTFOUND=continue] one\n",
    b"passwd: files [[NOTFOUND=continue] one\n",
    b"passwd: [NOTFOUND=continue] files\n",
    b"passwd: files [NOTFOUND=continue] [UNAVAIL=continue] one\n",
    b"passwd: files one\nhosts: files [FOO=continue] dns\n",
    b"passwd: files one\ngshadow: files [x\n",
];

/// In both orders; the services of [`SERVICES`] are directories.
const ENABLE: [&[&str]; 2] = [&["--group", "Ops"], &["--group", "Ops", "--before-directories"]];

/// Runs in a thread, because a machine occupies a thread for the rest of its life.
fn aside<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|threads| threads.spawn(run).join().unwrap())
}

/// The result of `enable` with these options for each file. `disable` restores every byte, with and without its backup.
fn enabled(options: &[&str]) -> Option<Vec<Vec<u8>>> {
    let host = Host::in_tree("login")?;
    let ctl = |word: &str, words: &[&str], before: &[u8]| {
        let ran = host.run(&[&[CTL, word], words].concat());
        assert_eq!(ran.status, Some(0), "{word}: {}: {ran:?}", before.escape_ascii());
    };
    let edited = READ.map(|before| {
        fs::write(CONF, before).unwrap();
        ctl("enable", options, before);
        let after = fs::read(CONF).unwrap();
        ctl("enable", ENABLE[0], before);
        assert_eq!(fs::read(CONF).unwrap(), after, "{}", before.escape_ascii());
        ctl("disable", &[], before);
        assert_eq!(fs::read(CONF).unwrap(), before, "{}", before.escape_ascii());
        fs::write(CONF, &after).unwrap();
        ctl("disable", &[], before);
        assert_eq!(fs::read(CONF).unwrap(), before, "{}", before.escape_ascii());
        after
    });
    for before in REFUSED {
        fs::write(CONF, before).unwrap();
        let ran = host.run(&[&[CTL, "enable"][..], options].concat());
        assert_eq!(ran.status, Some(78), "{}: {ran:?}", before.escape_ascii());
        assert_eq!(fs::read(CONF).unwrap(), before);
    }
    Some(edited.to_vec())
}

/// A machine on which the module of nss-iam finds no users.
fn machine(tree: &str) -> Option<Machine> {
    let machine = Machine::enter_tree(tree)?;
    fs::create_dir_all(CACHE).unwrap();
    cache::publish::cache(Path::new(CACHE), &Cache::default()).unwrap();
    let built = tests::target().join("module/libnss_iam.so");
    assert!(built.is_file(), "'{}' is missing\nhint: make module", built.display());
    fs::copy(&built, module()).unwrap();
    for service in SERVICES {
        fs::write(module().with_file_name(format!("libnss_{service}.so.2")), "").unwrap();
    }
    Some(machine)
}

/// The services that glibc asks for a database, in order, except `files`.
fn asked(machine: &Machine, conf: &[u8], database: &str) -> Vec<String> {
    fs::write(CONF, conf).unwrap();
    let mut command = machine.command(&["getent", database, "nobody-here"]);
    let output = command.env("LD_DEBUG", "libs").output().unwrap();
    let found = output.stderr.split(|byte| *byte == b'\n').filter_map(|line| {
        let line = String::from_utf8_lossy(line).into_owned();
        let (name, _) = line.split_once("find library=libnss_")?.1.split_once(".so.2")?;
        Some(name.to_owned())
    });
    found.filter(|name| name != "files").collect()
}

/// Without `iam`, and without words that a comment or a colon produces.
fn known(services: Vec<String>) -> Vec<String> {
    services.into_iter().filter(|service| SERVICES.contains(&service.as_str())).collect()
}

#[test]
fn with_the_written_file_every_glibc_asks_iam_and_the_same_services_as_before() {
    let edited: Option<Vec<_>> = ENABLE.iter().map(|options| aside(|| enabled(options))).collect();
    let Some(edited) = edited else { return };
    for tree in TREES {
        aside(|| {
            let machine = machine(tree).unwrap();
            for (before, after) in edited.iter().flat_map(|edited| READ.iter().zip(edited)) {
                for database in DATABASES {
                    let [then, now] = [before, after.as_slice()].map(|conf| asked(&machine, conf, database));
                    let why = format!("{tree}: {database}: {}", after.escape_ascii());
                    assert!(now.iter().any(|service| service == "iam"), "{why}: {now:?}");
                    // A service on a last line without a newline: from then on, every glibc
                    // reads it.
                    if before.ends_with(b"\n") {
                        assert_eq!(known(now), known(then), "{why}");
                    }
                }
            }
        });
    }
}

#[test]
fn every_service_that_some_glibc_asks_is_asked_by_the_refresher() {
    for tree in TREES {
        let done = aside(|| {
            let machine = machine(tree)?;
            for conf in READ.iter().chain(&REFUSED) {
                for database in DATABASES {
                    let asked = asked(&machine, conf, database);
                    let ours: BTreeMap<_, _> = claims::nss::services(Path::new("/"), &[]).unwrap();
                    let missed = asked.iter().find(|name| {
                        SERVICES.contains(&name.as_str()) && database != "shadow" && !ours.contains_key(*name)
                    });
                    assert_eq!(missed, None, "{tree}: {database}: {}", conf.escape_ascii());
                }
            }
            Some(())
        });
        if done.is_none() {
            return;
        }
    }
}

/// glibc is the reference: `doctor` warns if one of its versions finds no group.
#[test]
fn doctor_sees_that_glibc_ignores_a_last_line_without_an_end() {
    let Some(host) = Host::in_tree("login") else { return };
    let conf = "passwd: files iam\nshadow: files iam\ngroup: files [SUCCESS=merge] iam";
    for (end, found) in [("", true), ("\n", false)] {
        fs::write(CONF, format!("{conf}{end}")).unwrap();
        assert_eq!(asked(&host.machine, format!("{conf}{end}").as_bytes(), "group").is_empty(), found);
        let told = host.machine.run(&[CTL, "doctor"]);
        let told = text(&told.stdout);
        assert_eq!(
            told.contains("the last line of nsswitch.conf, for group, has no newline"),
            found,
            "{told}"
        );
    }
}
