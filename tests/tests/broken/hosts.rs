//! Users, groups and files of the host.

use crate::breaks::*;
use crate::*;

/// The fetch half cannot run.
fn left(breaks: impl Fn(&Place) + Send + Sync + 'static) -> impl Fn(&Place) + Send + Sync + 'static {
    move |place| {
        place.way.set(Refresh::Left);
        breaks(place);
    }
}

/// Something blocks names of nss-iam, or logins.
fn in_the_way(name: &'static str, breaks: impl Fn(&Place) + Send + Sync + 'static, why: &'static str) -> Row {
    row(name, breaks, waits(78, why), waits(0, why))
}

#[test]
fn users_and_groups_of_nss_iam() {
    const MAKE: &str = "run 'systemd-sysusers nss-iam.conf'";
    const REFUSED: &str = "not to 'nss-iam-fetch' or root";
    let user = |begin| without("/etc/passwd", begin);
    let group = |begin| without("/etc/group", begin);
    let roots = move |place: &Place| {
        place.way.set(Refresh::Roots);
        user("nss-iam-fetch:")(place);
    };
    all(&[
        row("no user nss-iam", user("nss-iam:"), DONE, DONE),
        row("no group nss-iam", group("nss-iam:"), waits(78, MAKE), waits(0, MAKE)),
        row("no user nss-iam-fetch", left(user("nss-iam-fetch:")), waits(78, REFUSED), waits(0, REFUSED)),
        row("no user nss-iam-fetch, root's listing", roots, enters(78, MAKE), DONE),
        row("no group nss-iam-fetch", left(group("nss-iam-fetch:")), enters(78, MAKE), DONE),
    ]);
}

#[test]
fn names_of_nss_iam_and_the_shell() {
    const OTHERS: &str = "which would take precedence over nss-iam's group";
    all(&[
        in_the_way("a local group iam-users", with("/etc/group", "iam-users:x:4000:"), OTHERS),
        in_the_way("a local group iam-disabled", with("/etc/group", "iam-disabled:x:4001:"), OTHERS),
        in_the_way("a local user iam-users", with("/etc/passwd", "iam-users:x:4000:4000::/:/bin/sh"), OTHERS),
        in_the_way(
            "a local user iam-disabled",
            with("/etc/passwd", "iam-disabled:x:4001:4001::/:/bin/sh"),
            OTHERS,
        ),
        in_the_way(
            "the shell left /etc/shells",
            without("/etc/shells", "/bin/bash"),
            "is not in /etc/shells",
        ),
    ]);
}

/// Every file in these ways. nsswitch.conf as a FIFO hangs every program of the host.
#[test]
fn files_of_the_host() {
    let file = |path: &'static str, way, refresh, unlock| {
        let name = format!("'{path}': {way:?}");
        match path {
            "/etc/passwd" | "/etc/group" | "/etc/gshadow" => {
                row(name, left(broken(path, way)), refresh, unlock)
            }
            _ => row(name, broken(path, way), refresh, unlock),
        }
    };
    let closed = |path, way, status, why| file(path, way, waits(status, why), waits(0, why));
    let cannot = |path, way| closed(path, way, 70, "cannot read '/etc/");
    let none = |path, way| closed(path, way, 78, "nss-iam");
    let rows = |path, way: Way| match (path, way) {
        ("/etc/passwd" | "/etc/group", Gone | Directory | Fifo) => cannot(path, way),
        ("/etc/passwd" | "/etc/group", _) => none(path, way),
        ("/etc/gshadow" | "/etc/subuid" | "/etc/nsswitch.conf", Directory | Fifo) => cannot(path, way),
        ("/etc/shells", _) => closed(path, way, 78, "is not in /etc/shells"),
        ("/etc/machine-id", Directory | Fifo) => cannot(path, way),
        _ => file(path, way, DONE, DONE),
    };
    let files = ["passwd", "group", "shadow", "gshadow", "shells", "subuid", "machine-id", "nsswitch.conf"];
    let ways = [Gone, Directory, Garbage, Latin1, Fifo];
    let table = files.iter().flat_map(|file| ways.map(|way| (*file, way)));
    let table = table.filter(|pair| *pair != ("nsswitch.conf", Fifo));
    all(&table.map(|(file, way)| rows(path(file), way)).collect::<Vec<_>>());
}

fn path(file: &str) -> &'static str {
    Box::leak(format!("/etc/{file}").into_boxed_str())
}
