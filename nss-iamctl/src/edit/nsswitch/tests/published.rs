//! The lines about users in configurations that projects publish, as facts, without their comments: profiles of authselect
//! de4b6d3, flatcar/baselayout 937a45f, clearlinux-pkgs/filesystem 19563e9, bottlerocket-core-kit a10182f, OpenMandriva's
//! glibc 5b361a6, Arch's filesystem, void-packages 0a668fc, gentoo 64592de, openSUSE's and NixOS' defaults, and what google's
//! guest-agent df9d203 appends.

use super::{disable, enable, enable_in, line};
use crate::edit::nsswitch::{Order, directories};

/// Name; passwd, group and shadow; the first two with `iam`; the directories that are asked before `iam`.
const PUBLISHED: [(&str, [&str; 3], [&str; 2], &str); 9] = [
    (
        "Flatcar",
        ["files usrfiles sss systemd", "files usrfiles sss systemd", "files usrfiles sss"],
        ["files usrfiles sss iam systemd", "files usrfiles sss [SUCCESS=merge] iam systemd"],
        "sss",
    ),
    (
        "Clear Linux",
        ["compat altfiles", "compat altfiles", "compat altfiles"],
        ["compat altfiles iam", "compat altfiles [SUCCESS=merge] iam"],
        "",
    ),
    ("Bottlerocket", ["files", "files", "files"], ["files iam", "files [SUCCESS=merge] iam"], ""),
    (
        "OpenMandriva",
        ["files compat winbind mymachines systemd", "files compat winbind mymachines systemd", "files nis"],
        [
            "files compat winbind iam mymachines systemd",
            "files compat winbind [SUCCESS=merge] iam mymachines systemd",
        ],
        "nis winbind",
    ),
    (
        "Arch",
        ["files systemd", "files systemd", "files"],
        ["files iam systemd", "files [SUCCESS=merge] iam systemd"],
        "",
    ),
    ("Void", ["files", "files", "files"], ["files iam", "files [SUCCESS=merge] iam"], ""),
    (
        "NixOS",
        ["files systemd", "files [success=merge] systemd", "files systemd"],
        ["files iam systemd", "files [success=merge] iam [SUCCESS=merge] systemd"],
        "",
    ),
    (
        "openSUSE MicroOS",
        ["compat systemd", "compat [SUCCESS=merge] systemd", "compat systemd"],
        ["compat iam systemd", "compat [SUCCESS=merge] iam [SUCCESS=merge] systemd"],
        "",
    ),
    (
        "OS Login",
        ["files systemd cache_oslogin oslogin", "files systemd cache_oslogin oslogin", "files"],
        [
            "files systemd cache_oslogin oslogin iam",
            "files systemd cache_oslogin oslogin [SUCCESS=merge] iam",
        ],
        "cache_oslogin oslogin",
    ),
];

#[test]
fn published_files_get_iam_behind_the_local_users_and_back() {
    for (name, [passwd, group, shadow], [with_passwd, with_group], asked_before) in PUBLISHED {
        let text = format!("passwd:      {passwd}\nshadow:\t{shadow}\ngroup:  {group}\n\nhosts: files dns\n");
        let enabled = enable(&text).unwrap();
        assert_eq!(line(&enabled, "passwd"), with_passwd, "{name}");
        assert_eq!(line(&enabled, "group"), with_group, "{name}");
        assert_eq!(directories(enabled.as_bytes()).0.join(" "), asked_before, "{name}");
        assert_eq!(enable(&enabled).unwrap(), enabled, "{name}: enabling twice changes nothing");
        assert_eq!(disable(&enabled), text, "{name}: disabling gives back every byte");
        let first = enable_in(&text, Order::Before).unwrap();
        assert_eq!(disable(&first), text, "{name}: also from before the directories");
    }
}

/// All lines of the one that comes with Gentoo's glibc: shadow is before group, and comments look like lines.
const GENTOO: &str = "\
passwd:      compat
shadow:      compat
group:       compat

# passwd:    db files nis
# shadow:    db files nis
# group:     db files nis

hosts:       files dns
networks:    files dns

services:    db files
protocols:   db files
rpc:         db files
ethers:      db files
netmasks:    files
netgroup:    files
bootparams:  files

automount:   files
aliases:     files
";

#[test]
fn of_gentoos_whole_file_three_lines_change() {
    let enabled = enable(GENTOO).unwrap();
    let changed = |(before, after): &(&str, &str)| before != after;
    let changed: Vec<&str> =
        GENTOO.lines().zip(enabled.lines()).filter(changed).map(|(_, after)| after).collect();
    assert_eq!(
        changed,
        ["passwd:      compat iam", "shadow:      compat iam", "group:       compat [SUCCESS=merge] iam"]
    );
    assert_eq!(enable(&enabled).unwrap(), enabled);
    assert_eq!(disable(&enabled), GENTOO);
}

#[test]
fn other_files_of_the_host_are_asked_before_iam_in_either_order() {
    for files in ["usrfiles", "altfiles", "tcb"] {
        let text = format!("passwd: files {files} sss\n");
        let enabled = enable_in(&text, Order::Before).unwrap();
        assert_eq!(line(&enabled, "passwd"), format!("files {files} iam sss"));
    }
}

/// The profiles of authselect: the services on their lines, some only with or without a feature.
const PROFILES: [(&str, &[(&str, &str)]); 4] = [
    ("local", &[("files", ""), ("altfiles", "if \"with-altfiles\""), ("systemd", "")]),
    (
        "sssd",
        &[
            ("sss", "if \"with-tlog\""),
            ("files", ""),
            ("altfiles", "if \"with-altfiles\""),
            ("sss", "if not \"with-tlog\""),
            ("systemd", ""),
        ],
    ),
    ("winbind", &[("files", ""), ("altfiles", "if \"with-altfiles\""), ("winbind", ""), ("systemd", "")]),
    ("nis", &[("files", ""), ("altfiles", "if \"with-altfiles\""), ("nis", ""), ("systemd", "")]),
];

/// A line of a template; `action` follows each service.
fn template(services: &[(&str, &str)], action: &str) -> String {
    let word = |(service, condition): &(&str, &str)| match *condition {
        "" => format!("{service}{action} "),
        condition => format!("{{{condition}:{service}{action} }}"),
    };
    services.iter().map(word).collect::<String>().trim_end().to_owned()
}

/// What authselect(8) generates from a template with these features.
fn generated(template: &str, features: &[&str]) -> String {
    let holds = |condition: &str| {
        let name = condition.split('"').nth(1).unwrap();
        features.contains(&name) != condition.starts_with("not ")
    };
    let mut text = String::new();
    for line in template.lines() {
        let (mut out, mut rest, mut kept) = (String::new(), line, true);
        while let Some((before, inside)) = rest.split_once('{') {
            let (inside, after) = inside.split_once('}').unwrap();
            out.push_str(before);
            rest = after;
            if let Some(condition) = inside.strip_prefix("include if ") {
                kept &= holds(condition);
            } else if let Some(condition) = inside.strip_prefix("exclude if ") {
                kept &= !holds(condition);
            } else if let Some((condition, words)) = inside.strip_prefix("if ").unwrap().split_once(':') {
                out.push_str(if holds(condition) { words } else { "" });
            }
        }
        if kept {
            out.push_str(rest);
            text.push_str(&format!("{}\n", out.trim_end()));
        }
    }
    text
}

#[test]
fn each_profile_of_authselect_has_iam_with_every_set_of_features() {
    const FEATURES: [&str; 3] = ["with-altfiles", "with-group-merging", "with-tlog"];
    for (name, services) in PROFILES {
        let (plain, merging) = (template(services, ""), template(services, " [SUCCESS=merge]"));
        let text = format!(
            "passwd:     {plain}\nshadow:     files systemd\n\
             group:      {plain} {{exclude if \"with-group-merging\"}}\n\
             group:      {merging} {{include if \"with-group-merging\"}}\n"
        );
        let enabled = enable(&text).unwrap();
        assert_eq!(disable(&enabled), text, "{name}");
        for chosen in 0..1_usize << FEATURES.len() {
            let features: Vec<&str> =
                (0..FEATURES.len()).filter(|at| chosen >> at & 1 == 1).map(|at| FEATURES[at]).collect();
            let (before, after) = (generated(&text, &features), generated(&enabled, &features));
            let why = format!("{name} {features:?}:\n{before}{after}");
            // The same as if the generated file had been edited, and back.
            assert_eq!(enable(&after).unwrap(), after, "{why}");
            for database in ["passwd", "group", "shadow"] {
                let words = line(&after, database);
                let at = |service: &str| words.split(' ').position(|word| word == service);
                let iam = at("iam").unwrap_or_else(|| panic!("no iam: {why}"));
                assert!(at("files").unwrap() < iam && iam < at("systemd").unwrap(), "{database}: {why}");
                assert!(
                    ["sss", "winbind", "nis", "altfiles"]
                        .iter()
                        .all(|name| at(name).is_none_or(|at| at < iam)),
                    "{database}: {why}"
                );
                let before_iam = words.split(' ').nth(iam - 1).unwrap();
                assert_eq!(before_iam == "[SUCCESS=merge]", database == "group", "{database}: {why}");
            }
        }
    }
}
