//! Somebody types late at night. Nothing happens that was not meant, and each answer says what to type.

use serde_json::json;
use tests::login::{ADMINS, GROUP};

use crate::day::{Typed, differences, installed, listed, types, types_as};

/// A line, its exit status, and what the answer has.
type Row = (&'static str, i32, &'static [&'static str]);

/// Before the host is set up.
const BEFORE: &[Row] = &[
    ("nss-iamctl", 78, &["Usage: nss-iamctl", "enable", "Commands:"]),
    (
        "nss-iamctl enable",
        78,
        &["no group is configured", "nothing was changed", "hint: nss-iamctl enable --group GROUP"],
    ),
    (
        "nss-iamctl enable JumpHostAccess",
        78,
        &["nothing was done", "nss-iamctl enable --group JumpHostAccess\n"],
    ),
    (
        "nss-iamctl enabel --group JumpHostAccess",
        78,
        &["did you mean: nss-iamctl enable --group JumpHostAccess\n"],
    ),
    (
        "nss-iamctl enable --groups JumpHostAccess",
        78,
        &["did you mean: nss-iamctl enable --group JumpHostAccess\n"],
    ),
    (
        "nss-iamctl enable -group JumpHostAccess",
        78,
        &["did you mean: nss-iamctl enable --group JumpHostAccess\n"],
    ),
    (
        "nss-iamctl enable —group JumpHostAccess",
        78,
        &["did you mean: nss-iamctl enable --group JumpHostAccess\n"],
    ),
    (
        "nss-iamctl --group JumpHostAccess enable",
        78,
        &["did you mean: nss-iamctl enable --group JumpHostAccess\n"],
    ),
    (
        "nss-iamctl ENABLE --group JumpHostAccess",
        78,
        &["did you mean: nss-iamctl enable --group JumpHostAccess\n"],
    ),
    (
        "nss-iamctl enable --group",
        78,
        &["a value is required for '--group <GROUP>'", "nss-iamctl enable --help"],
    ),
    (
        "nss-iamctl enable --group ''",
        78,
        &["'' is not valid for 'groups'", "nothing was changed", "hint: 1 to 128"],
    ),
    (
        "nss-iamctl enable --group 'JumpHostAccess '",
        78,
        &["'JumpHostAccess ' is not valid", "hint: 1 to 128"],
    ),
    (
        "nss-iamctl enable --group '“JumpHostAccess”'",
        78,
        &["is not valid for 'groups'", "nothing was changed"],
    ),
    ("nss-iamctl enable --group a --role 'my role'", 78, &["'my role' is not valid", "hint: a name such as"]),
    (
        "nss-iamctl enable --group a --sudo NOPASSWD",
        78,
        &["did you mean: nss-iamctl enable --group a --sudo nopasswd\n"],
    ),
    (
        "nss-iamctl enable --group a --local-group sudo",
        78,
        &["expected GROUP=LOCALGROUP", "JumpHostAdmins=sudo"],
    ),
    (
        "nss-iamctl enable --group a --local-group a=sudoo",
        78,
        &["'sudoo' is no group", "nothing was changed"],
    ),
    (
        "nss-iamctl enable --remove-group JumpHostAccess",
        78,
        &["this group is not configured", "nothing was changed"],
    ),
    ("nss-iamctl doctor", 2, &["not set up: nss-iamctl enable --group GROUP"]),
    ("nss-iamctl status", 0, &["not set up: nss-iamctl enable --group GROUP"]),
    ("nss-iamctl enable --group a --dryrun", 78, &["did you mean: nss-iamctl enable --group a --dry-run\n"]),
];

/// With ana, bob and jane.doe@example.com.
const AFTER: &[Row] = &[
    ("nss-iamctl staus", 78, &["'staus'", "nothing was done", "did you mean: nss-iamctl status\n"]),
    ("nss-iamctl status --chek", 78, &["'--chek'", "did you mean: nss-iamctl status --check\n"]),
    ("nss-iamctl --check status", 78, &["did you mean: nss-iamctl status --check\n"]),
    ("nss-iamctl why", 78, &["<USER>", "nothing was done", "hint: nss-iamctl why USER"]),
    ("nss-iamctl ana why", 78, &["did you mean: nss-iamctl why ana\n"]),
    ("nss-iamctl why ana bob", 78, &["unexpected argument 'bob'", "nss-iamctl why [OPTIONS] USER"]),
    ("nss-iamctl why anna", 2, &["no nss-iam user is called 'anna'", "did you mean 'ana'?"]),
    ("nss-iamctl why 'ana '", 2, &["did you mean 'ana'?"]),
    ("nss-iamctl why '“ana”'", 2, &["did you mean 'ana'?"]),
    ("nss-iamctl why ''", 2, &["can be called ''", "nss-iamctl users"]),
    ("nss-iamctl why Ana", 0, &["log in as 'ana', not as 'Ana'"]),
    ("nss-iamctl why jane.doe", 2, &["did you mean 'jane.doe@example.com'?"]),
    ("nss-iamctl why Jane.Doe@Example.com", 0, &["nothing on this host prevents"]),
    ("nss-iamctl why root", 2, &["'root' is a local user"]),
    ("nss-iamctl why zed", 2, &["add-user-to-group --group-name JumpHostAccess --user-name zed"]),
    ("nss-iamctl keys", 78, &["hint: nss-iamctl keys USER"]),
    ("nss-iamctl keys anna", 78, &["no nss-iam user is called 'anna'", "did you mean 'ana'?"]),
    ("nss-iamctl keys zed", 78, &["hint: nss-iamctl why zed"]),
    ("nss-iamctl lock", 78, &["'lock' needs a login name", "nss-iamctl lock USER", "nss-iamctl lock --all"]),
    ("nss-iamctl lock Ana", 78, &["did you mean 'ana'?", "nothing was done"]),
    ("nss-iamctl lock anna", 78, &["did you mean 'ana'?", "nothing was done"]),
    ("nss-iamctl lock ana bob", 78, &["unexpected argument 'bob'", "nothing was done"]),
    ("nss-iamctl lock --al", 78, &["did you mean: nss-iamctl lock --all\n"]),
    ("nss-iamctl lock ana --resaon gone", 78, &["did you mean: nss-iamctl lock ana --reason gone\n"]),
    ("nss-iamctl unlock", 78, &["'unlock' needs a login name", "nss-iamctl unlock USER"]),
    ("nss-iamctl unlock ana", 78, &["'ana' is not locked", "nothing was done"]),
    ("nss-iamctl uid ana", 78, &["takes the number", "nss-iamctl uid --help"]),
    ("nss-iamctl uid 7777777", 1, &["7777777"]),
    ("nss-iamctl refresh --froce", 78, &["did you mean: nss-iamctl refresh --force\n"]),
    ("nss-iamctl clean </dev/null", 78, &["could not log in", "nothing was done", "--yes"]),
    ("nss-iamctl adopt zed", 78, &["'zed' is not an account", "nothing was done"]),
    ("nss-iamctl adopt --aply ana", 78, &["did you mean: nss-iamctl adopt --apply ana\n"]),
    ("nss-iamctl adopt root", 0, &["uid 0 is reserved", "nothing was done"]),
    ("nss-iamctl adopt --undo", 0, &["nothing was done"]),
    ("nss-iamctl policy JumpHostAccess", 78, &["did you mean: nss-iamctl policy --group JumpHostAccess\n"]),
    ("nss-iamctl policy --format jsn", 78, &["did you mean: nss-iamctl policy --format json\n"]),
    ("nss-iamctl policy --for nobody", 78, &["'host'"]),
    (
        "nss-iamctl validate /srv/users.json",
        78,
        &["did you mean: nss-iamctl listing validate /srv/users.json\n"],
    ),
    ("nss-iamctl listing validate /nope", 70, &["cannot read '/nope'"]),
    ("nss-iamctl restore /nope", 70, &["cannot read '/nope'"]),
    ("nss-iamctl enable --group JumpHostAccess", 0, &["everything is set up already"]),
    ("nss-iamctl enable --remove-group JumpHostAccess", 78, &["nobody could log in", "nothing was changed"]),
    ("nss-iamctl enable --local-group sudo=JumpHostAdmins", 78, &["is no group of", "nothing was changed"]),
];

/// Without root.
const WITHOUT_ROOT: &[Row] = &[
    (
        "nss-iamctl enable --group JumpHostAdmins",
        77,
        &["must be run by root", "hint: sudo nss-iamctl enable --group JumpHostAdmins\n"],
    ),
    (
        "nss-iamctl lock ana --reason 'left now'",
        77,
        &["hint: sudo nss-iamctl lock ana --reason 'left now'\n"],
    ),
    ("nss-iamctl refresh", 77, &["hint: sudo nss-iamctl refresh\n"]),
    ("nss-iamctl disable --yes", 77, &["hint: sudo nss-iamctl disable --yes\n"]),
    ("nss-iamctl keys ana", 77, &["hint: sudo nss-iamctl keys ana\n"]),
    ("nss-iamctl why ana", 1, &["-> sudo nss-iamctl why ana\n"]),
    ("nss-iamctl staus", 78, &["did you mean: nss-iamctl status\n"]),
];

/// Of what is on the terminal, no line is a Rust program's: a panic, a debug form, clap's own words.
fn reads_well(typed: Typed) {
    for odd in ["panicked", "Some(", "error: ", "tip: "] {
        drop(Typed { line: typed.line.clone(), said: typed.said.clone(), ..typed }.says_not(odd));
    }
    assert!(typed.said.lines().count() < 40, "{typed:?}");
}

#[test]
fn a_mistyped_command_changes_nothing_and_says_what_to_type() {
    let Some(host) = installed() else { return };
    let _keys = ["ana", "bob", "jane.doe@example.com"].map(|name| host.user(name));
    host.account.seed(json!({"groups": {ADMINS: []}}));
    // Not what the timer, logins and reports change by themselves.
    let others = ["ld.so.cache"];
    let all = || {
        let reports = ["confirmed", "known.db", "metrics.prom", "status.json"];
        [listed(&host, "/etc", &others), listed(&host, "/var/lib/nss-iam", &reports)].concat()
    };
    let mut found = Vec::new();
    let mut check = |rows: &[Row], user: Option<&str>| {
        let before = all();
        for (line, status, words) in rows {
            // A shell finds it in /usr/sbin only as root.
            let line = &format!("PATH=$PATH:/usr/sbin; {line}");
            let typed = user.map_or_else(|| types(&host, line), |user| types_as(&host, user, line));
            let missing: Vec<&&str> = words.iter().filter(|word| !typed.said.contains(**word)).collect();
            if typed.status != Some(*status) || !missing.is_empty() {
                found.push(format!("{line}: {:?}, without {missing:?}: {}", typed.status, typed.said));
            } else {
                reads_well(typed);
            }
        }
        let changed = differences(&before, &all());
        if !changed.is_empty() {
            found.push(format!("changed: {changed:?}"));
        }
    };
    check(BEFORE, None);
    types(&host, &format!("nss-iamctl enable --group {GROUP}")).exits(0).says(&["3 users may log in"]);
    // Asking whether somebody is locked creates the list. The timer stays, but starts nothing: it would change files meanwhile.
    host.done("nss-iamctl lock ana && nss-iamctl unlock ana");
    let never = "[Timer]\nOnCalendar=\nOnCalendar=2100-01-01\n";
    host.write("/etc/systemd/system/nss-iam-refresh.timer.d/never.conf", never);
    host.done("systemctl daemon-reload && systemctl restart nss-iam-refresh.timer");
    check(AFTER, None);
    check(WITHOUT_ROOT, Some("nobody"));
    assert!(found.is_empty(), "{}", found.join("\n"));
}
