//! What this host grants by name: group memberships, sudo rules. sudo itself is the reference.

use std::os::unix::fs::PermissionsExt;

use super::*;

const RULES: &str = "Defaults env_reset\nroot ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) NOPASSWD: ALL\n";

fn write(path: &str, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o440)).unwrap();
}

/// Whether a user can become root with sudo(8). A user who does not exist cannot.
fn becomes_root(host: &Host, name: &str) -> bool {
    let ran = host.run(&["su", "-s", "/bin/bash", name, "-c", "sudo -n id -un"]);
    ran.out.trim() == "root"
}

#[test]
fn a_group_membership_gives_nothing_to_a_new_user_whether_or_not_the_name_exists() {
    let Some(host) = Host::in_tree("login") else { return };
    write("/etc/sudoers", RULES);
    done(&host, &["sed", "-i", "s/^sudo:x:27:.*/sudo:x:27:grace,dana/", "/etc/group"]);
    append("/etc/group", "extra:x:4000:ops,kate\nsudo:x:27:late\n");
    // gpasswd(1) allows administrators of a group to join it.
    done(&host, &["sed", "-i", "s/^sudo:.*/sudo:!:boss:/", "/etc/gshadow"]);
    refresh(&host, &named(&["Grace", "dana", "kate", "late", "boss", "free"]));
    for id in ["U-Grace", "U-dana", "U-kate", "U-late", "U-boss"] {
        let name = id["U-".len()..].to_lowercase();
        let name = name.as_str();
        assert!(!becomes_root(&host, name), "{name}");
        assert!(reason(&host, id).unwrap().starts_with(&format!("'{name}' is a member of '")), "{name}");
    }
    assert!(host.getent("passwd", "free").is_some());
    assert!(reason(&host, "g-ops").unwrap().contains("'ops' is a member of 'extra'"), "groups, too");
}

/// glibc's getgrent(3) skips a line that begins with '#', its initgroups(3) does not.
#[test]
fn a_commented_line_of_etc_group_gives_nothing_either() {
    let Some(host) = Host::in_tree("login") else { return };
    write("/etc/sudoers", RULES);
    done(&host, &["sed", "-i", "s/^sudo:x:27:.*/#sudo:x:27:grace\\nsudo:x:27:/", "/etc/group"]);
    done(&host, &["useradd", "-M", "-s", "/bin/bash", "grace"]);
    assert!(becomes_root(&host, "grace"), "glibc no longer reads such lines");
    done(&host, &["userdel", "grace"]);
    done(&host, &["sed", "-i", "s/^#sudo:.*/#sudo:x:27:grace/", "/etc/group"]);
    refresh(&host, &named(&["grace", "free"]));
    assert!(!becomes_root(&host, "grace") && host.getent("passwd", "free").is_some());
    assert!(reason(&host, "U-grace").unwrap().contains("is a member of 'sudo' in /etc/group"));
}

#[test]
fn a_user_who_was_added_to_a_group_keeps_it_and_a_different_user_id_inherits_it_only_if_allowed() {
    let Some(host) = Host::in_tree("login") else { return };
    write("/etc/sudoers", RULES);
    refresh(&host, &listing(&[user("U-5", "Dana")]));
    done(&host, &["gpasswd", "-a", "dana", "sudo"]);
    refresh(&host, &listing(&[user("U-5", "Dana")]));
    assert!(becomes_root(&host, "dana"));
    // The same name in IAM, but a different person.
    refresh(&host, &listing(&[user("U-9", "dana")]));
    assert!(!becomes_root(&host, "dana"));
    assert!(reason(&host, "U-9").unwrap().contains("is a member of 'sudo'"));
    // The first user comes back.
    refresh(&host, &listing(&[user("U-5", "dana")]));
    assert!(becomes_root(&host, "dana"));
    // [names.allow]: the second user may have what the host grants to the name.
    refresh(&host, &nobody());
    host.machine.config("[names.allow]\nU-9 = \"dana\"\n");
    refresh(&host, &listing(&[user("U-9", "dana")]));
    assert!(becomes_root(&host, "dana"));
}

#[test]
fn a_rule_that_names_a_present_user_takes_nothing_away_and_is_not_inherited() {
    let Some(host) = Host::in_tree("login") else { return };
    write("/etc/sudoers", RULES);
    refresh(&host, &named(&["gina"]));
    write("/etc/sudoers.d/gina", "gina ALL=(root) NOPASSWD: /usr/bin/id\n");
    write("/etc/sudoers", &format!("{RULES}@includedir /etc/sudoers.d\n"));
    let ran = refresh(&host, &named(&["gina"]));
    assert_eq!((ran.status, host.keys("gina").is_empty()), (Some(0), false), "{}", ran.err);
    assert!(becomes_root(&host, "gina"), "what the administrator wrote is hers");
    refresh(&host, &listing(&[user("U-other", "gina")]));
    assert!(!becomes_root(&host, "gina"));
}

/// Rules, in addition to [`RULES`]; each of them makes `dana` root, if she exists.
#[test]
fn a_name_in_sudoers_in_any_spelling_is_assigned_to_nobody() {
    let rule = "dana ALL=(ALL:ALL) NOPASSWD: ALL\n";
    for (case, sudoers, conf) in [
        ("a plain rule", rule.to_owned(), ""),
        ("@include FILE # comment", "@include /etc/site.sudoers # site\n".to_owned(), ""),
        ("@include with %h", "@include /etc/sudoers.%h\n".to_owned(), ""),
        ("#include", "#include /etc/site.sudoers\n".to_owned(), ""),
        ("a quoted include", "@include \"/etc/site.sudoers\"\n".to_owned(), ""),
        ("an escaped include", "@include /etc/site\\ two\n".to_owned(), ""),
        ("a relative include", "@include site.sudoers\n".to_owned(), ""),
        ("an include of an include", "@include /etc/outer\n".to_owned(), ""),
        ("@includedir", "@includedir /etc/more.d\n".to_owned(), ""),
        ("an escape", format!("\\x64{}", &rule[1..]), ""),
        ("another case", rule.replacen("dana", "DANA", 1), ""),
        ("quotes", rule.replacen("dana", "\"dana\"", 1), ""),
        ("a continued line", format!("dana \\\n{}", &rule[4..]), ""),
        ("an alias", "User_Alias OPS = bob, dana\nOPS ALL=(ALL:ALL) NOPASSWD: ALL\n".to_owned(), ""),
        ("a group", format!("%{rule}"), ""),
        ("sudo.conf", String::new(), "Plugin sudoers_policy sudoers.so sudoers_file=/etc/site.sudoers\n"),
    ] {
        let Some(host) = Host::in_tree("login") else { return };
        write("/etc/sudoers", &format!("{RULES}{sudoers}"));
        let name = host.run(&["hostname"]).out;
        for path in ["/etc/site.sudoers", &format!("/etc/sudoers.{}", name.trim()), "/etc/site two"] {
            write(path, rule);
        }
        write("/etc/outer", "@include /etc/site.sudoers\n");
        fs::create_dir("/etc/more.d").unwrap();
        write("/etc/more.d/site", rule);
        if !conf.is_empty() {
            fs::write("/etc/sudo.conf", conf).unwrap();
        }
        // The reference: a local user with this name can become root by this rule.
        done(&host, &["useradd", "-M", "-s", "/bin/bash", "dana"]);
        assert!(becomes_root(&host, "dana"), "{case}: the rule has no effect");
        done(&host, &["userdel", "dana"]);
        refresh(&host, &named(&["Dana", "bea"]));
        assert!(!becomes_root(&host, "dana"), "{case}");
        assert!(reason(&host, "U-Dana").is_some_and(|reason| reason.contains("dana")), "{case}");
        assert!(host.getent("passwd", "bea").is_some(), "{case}: {:?}", reason(&host, "U-bea"));
    }
}

#[test]
fn words_of_comments_and_commands_are_not_names() {
    let Some(host) = Host::in_tree("login") else { return };
    write(
        "/etc/sudoers",
        "## Networking\n## Ask Grace or Will.\n# ops\nroot ALL=(ALL) ALL # will\nroot ALL=(ALL) /usr/bin/id grace\n",
    );
    let ran = refresh(&host, &named(&["Grace", "will"]));
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    for name in ["grace", "will"] {
        assert!(host.getent("passwd", name).is_some(), "{name}: {}", ran.err);
    }
    assert!(host.getent("group", "ops").is_some());
}

#[test]
fn unresolvable_rules_let_nobody_new_in_and_are_reported() {
    for (case, path, text) in [
        ("a missing include", "/etc/sudoers", "@include /etc/missing/%x\n"),
        (
            "another policy",
            "/etc/sudo.conf",
            "Plugin approve_all /opt/policy.so\nPlugin policy /opt/policy.so\n",
        ),
        ("doas", "/etc/doas.conf", "permit \\\n"),
        ("sudo-rs", "/etc/sudoers-rs", "@include /etc/%z\n"),
    ] {
        let Some(host) = Host::in_tree("login") else { return };
        write("/etc/sudoers", RULES);
        refresh(&host, &named(&["ana"]));
        append(path, text);
        let ran = refresh(&host, &named(&["ana", "new"]));
        assert_eq!(ran.status, HELD, "{case}: {}", ran.err);
        assert!(ran.err.contains(path) && ran.err.contains("exclude"), "{case}: {}", ran.err);
        assert!(host.getent("passwd", "new").is_none() && host.getent("passwd", "ana").is_some(), "{case}");
    }
}

#[test]
fn a_name_in_doas_conf_or_the_file_of_sudo_rs_is_assigned_to_nobody() {
    for (path, text) in [
        ("/etc/doas.conf", "# bob\npermit nopass dana\n"),
        ("/etc/doas.conf", "permit persist :dana as root\n"),
        ("/etc/sudoers-rs", "dana ALL=(ALL:ALL) NOPASSWD: ALL\n"),
    ] {
        let Some(host) = Host::in_tree("login") else { return };
        write(path, text);
        refresh(&host, &named(&["dana", "bob"]));
        assert!(reason(&host, "U-dana").is_some_and(|reason| reason.contains(path)), "{text}");
        assert!(host.getent("passwd", "bob").is_some(), "{text}");
    }
}
