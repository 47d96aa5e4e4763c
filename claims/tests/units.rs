//! `claims::units` on a table of units. The oracle is `systemd --test --system`, which prints the user of each unit.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use claims::Uses;

/// Files below `/etc/systemd/system` or at an absolute path; a text that begins with `->` is a link.
struct Row {
    what: &'static str,
    files: &'static [(&'static str, &'static str)],
    named: &'static [&'static str],
    free: &'static [&'static str],
    is_resolved: bool,
}

const fn row(
    what: &'static str,
    files: &'static [(&'static str, &'static str)],
    named: &'static [&'static str],
    free: &'static [&'static str],
) -> Row {
    Row { what, files, named, free, is_resolved: true }
}

const ROWS: &[Row] = &[
    row(
        "all settings that name someone",
        &[
            ("a.service", "[Service]\nUser=u\nGroup=g\nSupplementaryGroups=s1 s2\nSupplementaryGroups=s3\n"),
            ("a.socket", "[Socket]\nSocketUser=su\nSocketGroup=sg\n"),
        ],
        &["u", "g", "s1", "s2", "s3", "su", "sg"],
        &["a"],
    ),
    row(
        "blanks and comments",
        &[("a.service", "[Service]\n# User=x\n; User=y\n  User \t=  u  \n")],
        &["u"],
        &["x", "y"],
    ),
    row(
        "another key",
        &[("a.service", "[Service]\nXUser=x\nUserX=y\nExecStart=/bin/su User=z\n")],
        &[],
        &["x", "y", "z"],
    ),
    row("an id", &[("a.service", "[Service]\nUser=1000\n")], &[], &["1000"]),
    row(
        "line continuation",
        &[("a.service", "[Service]\nSupplementaryGroups=s1 \\\n# x\n  s2\nUser=u\n")],
        &["s1", "s2", "u"],
        &["x"],
    ),
    row("carriage returns", &[("a.service", "[Service]\r\nUser=u\r\n")], &["u"], &[]),
    row("no newline at the end", &[("a.service", "[Service]\nUser=u")], &["u"], &[]),
    row("a dynamic user", &[("sync.service", "[Service]\nDynamicUser=yes\n")], &["sync"], &[]),
    row("a dynamic user in capitals", &[("Sync.service", "[Service]\nDynamicUser = On\n")], &["sync"], &[]),
    row("no dynamic user", &[("sync.service", "[Service]\nDynamicUser=no\n")], &[], &["sync"]),
    row(
        "a dynamic user with a name",
        &[("sync.service", "[Service]\nDynamicUser=1\nUser=u\n")],
        &["u"],
        &["sync"],
    ),
    row(
        "a dynamic user whose name a drop-in removes",
        &[
            ("sync.service", "[Service]\nDynamicUser=1\nUser=u\n"),
            ("sync.service.d/a.conf", "[Service]\nUser=\n"),
        ],
        &["u", "sync"],
        &[],
    ),
    row("a dynamic user of a template", &[("sync@.service", "[Service]\nDynamicUser=t\n")], &["sync"], &[]),
    row(
        "a dynamic user of a unit name that is not a user name",
        &[
            ("my.dotted.service", "[Service]\nDynamicUser=y\n"),
            ("9num.service", "[Service]\nDynamicUser=true\n"),
        ],
        &["_due4ad19d9bf0e1399", "_du4555ed73ab4dade7"],
        &[],
    ),
    row(
        "a dynamic user by a drop-in",
        &[
            ("sync.service", "[Service]\n"),
            ("/run/systemd/system/sync.service.d/a.conf", "[Service]\nDynamicUser=1\n"),
        ],
        &["sync"],
        &[],
    ),
    row(
        "a dynamic user by a drop-in for a prefix",
        &[("a-b-c.service", "[Service]\n"), ("a-.service.d/a.conf", "[Service]\nDynamicUser=1\n")],
        &["a-b-c"],
        &["a"],
    ),
    row(
        "a dynamic user by a drop-in for all services",
        &[
            ("sync.service", "[Service]\n"),
            ("a.socket", ""),
            ("service.d/a.conf", "[Service]\nDynamicUser=1\n"),
        ],
        &["sync"],
        &["service"],
    ),
    row("a drop-in without a unit", &[("a.service.d/a.conf", "[Service]\nUser=u\n")], &["u"], &[]),
    row(
        "no drop-in",
        &[("a.service.d/a.txt", "[Service]\nUser=u\n"), ("a.txt", "[Service]\nUser=v\n")],
        &[],
        &["u", "v"],
    ),
    row("a drop-in for all services", &[("service.d/a.conf", "[Service]\nUser=u\n")], &["u"], &[]),
    row(
        "any directory",
        &[
            ("/run/systemd/transient/a.service", "User=a1"),
            ("/run/systemd/generator.late/b.service", "User=b1"),
            ("/usr/lib/systemd/system/c.service", "User=c1"),
            ("/usr/local/lib/systemd/system/d.service", "User=d1"),
            ("/etc/systemd/system.control/e.service", "User=e1"),
            ("/etc/systemd/user/f.service", "User=f1"),
        ],
        &["a1", "b1", "c1", "d1", "e1"],
        &["f1"],
    ),
    row(
        "a unit that another directory masks or overrides",
        &[
            ("/usr/lib/systemd/system/a.service", "User=u"),
            ("a.service", "->/dev/null"),
            ("b.service", "->/none"),
        ],
        &["u"],
        &[],
    ),
    row(
        "a linked unit",
        &[("/opt/app.service", "[Service]\nUser=u\n"), ("app.service", "->/opt/app.service")],
        &["u"],
        &[],
    ),
    row(
        "instances from a link, Wants=, a timer and a default",
        &[
            ("s@.service", "[Service]\nUser=%i\n[Install]\nDefaultInstance=eve\n"),
            ("m.target.wants/s@ann.service", "->/etc/systemd/system/s@.service"),
            ("s@ben.service", "->s@.service"),
            ("other.target", "[Unit]\nWants=x.service s@cara.service\n"),
            ("s@dora.timer", "[Timer]\n"),
            ("/run/systemd/units/invocation:s@fay.service", "->x"),
        ],
        &["ann", "ben", "cara", "dora", "eve", "fay"],
        &["%i", "x"],
    ),
    row(
        "an instance that another template passes on",
        &[
            ("s@.service", "[Service]\nUser=c-%I\n"),
            ("t@.service", "[Unit]\nWants=s@%i.service\n"),
            ("m.target.wants/t@ann.service", "->/etc/systemd/system/t@.service"),
        ],
        &["c-ann"],
        &[],
    ),
    row(
        "specifiers of the name",
        &[("a-b.service", "[Service]\nUser=%p\nGroup=x%j\nSupplementaryGroups=%N %n %%\n")],
        &["a-b", "xb", "a-b.service"],
        &[],
    ),
    row("a template that nothing starts", &[("s@.service", "[Service]\nUser=%H\n")], &[], &[]),
    Row {
        is_resolved: false,
        ..row("a specifier of the host", &[("a.service", "[Service]\nUser=%H\n")], &[], &[])
    },
    Row {
        is_resolved: false,
        ..row(
            "a drop-in that is not a file",
            &[("a.service", ""), ("a.service.d/x.conf/y", ""), ("b.service", "User=u")],
            &["u"],
            &[],
        )
    },
    row(
        "a service of D-Bus",
        &[("/usr/share/dbus-1/system-services/org.x.service", "[D-BUS Service]\nName=org.x\nUser=u\n")],
        &["u"],
        &[],
    ),
];

fn read(files: &[(&str, &str)]) -> Uses {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        // An absolute path replaces the directory before it.
        let path = Path::new("/etc/systemd/system").join(path);
        let path = root.path().join(path.strip_prefix("/").unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text.strip_prefix("->") {
            Some(target) => symlink(target, path).unwrap(),
            None => fs::write(path, text).unwrap(),
        }
    }
    claims::units::read(root.path())
}

#[test]
fn a_unit_claims_the_names_that_it_would_run_as() {
    for row in ROWS {
        let uses = read(row.files);
        for name in row.named {
            assert!(uses.names.contains_key(*name), "{}: '{name}' is not in {:?}", row.what, uses.names);
        }
        for name in row.free {
            assert!(!uses.names.contains_key(*name), "{}: '{name}' is in {:?}", row.what, uses.names);
        }
        assert_eq!(uses.unresolved.is_empty(), row.is_resolved, "{}: {:?}", row.what, uses.unresolved);
    }
}

#[test]
fn a_use_names_its_unit_and_its_file() {
    let uses = read(&[
        ("m@.service", "[Service]\nUser=%i\nGroup=g\n"),
        ("m@ann.service", "->m@.service"),
        ("sync.service.d/a.conf", "DynamicUser=1"),
        ("service.d/b.conf", "User=u"),
    ]);
    let said = |name: &str| uses.names[name].iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    assert_eq!(said("ann"), "the user of 'm@ann.service' ('/etc/systemd/system/m@.service')");
    assert_eq!(said("g"), "the group of 'm@.service' ('/etc/systemd/system/m@.service')");
    assert_eq!(said("u"), "the user of every service ('/etc/systemd/system/service.d/b.conf')");
}
