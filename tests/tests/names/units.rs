//! Units and sysusers.d: a daemon would run as a person. The suite `packages` uses systemd itself as the reference.

use super::*;

#[test]
fn a_name_in_an_installed_unit_is_assigned_to_nobody_new() {
    for (path, text, name) in [
        ("system/backup-sync.service", "[Service]\nDynamicUser=yes\nExecStart=/bin/true\n", "backup-sync"),
        ("system/a.service", "[Service]\nUser = mosca\nExecStart=/bin/true\n", "mosca"),
        ("system/a.service", "[Service]\nGroup=mosca\n", "mosca"),
        ("system/a.service", "[Service]\nSupplementaryGroups=audio2 mosca\n", "mosca"),
        ("system/a.service.d/10-user.conf", "[Service]\nUser=mosca\n", "mosca"),
        ("system/service.d/all.conf", "[Service]\nUser=mosca\n", "mosca"),
        ("system/a.socket", "[Socket]\nSocketUser=mosca\n", "mosca"),
        ("system/run@.service", "[Service]\nUser=mosca\n", "mosca"),
        ("system/dyn.service", "[Service]\nUser=mosca\nDynamicUser=1\n", "mosca"),
    ] {
        for directory in ["/etc/systemd", "/usr/lib/systemd", "/usr/local/lib/systemd", "/run/systemd"] {
            let Some(host) = Host::in_tree("login") else { return };
            let path = format!("{directory}/{path}");
            fs::create_dir_all(path.rsplit_once('/').unwrap().0).unwrap();
            fs::write(&path, text).unwrap();
            refresh(&host, &named(&[name, "ana"]));
            assert!(host.getent("passwd", "ana").is_some(), "{path}: {:?}", reason(&host, "U-ana"));
            let reason = reason(&host, &format!("U-{name}")).unwrap_or_else(|| panic!("{path} {text}"));
            assert!(reason.starts_with(&format!("'{name}' is ")), "{reason}");
        }
    }
}

#[test]
fn a_unit_that_is_installed_later_is_reported_until_it_is_allowed_and_its_user_keeps_the_name() {
    let Some(host) = Host::in_tree("login") else { return };
    refresh(&host, &named(&["mosca"]));
    fs::create_dir_all("/usr/lib/systemd/system").unwrap();
    fs::write("/usr/lib/systemd/system/mosca.service", "[Service]\nUser=mosca\nExecStart=/bin/true\n")
        .unwrap();
    for _ in 0..2 {
        let ran = refresh(&host, &named(&["mosca"]));
        assert!(!host.keys("mosca").is_empty(), "{}", ran.err);
        let warnings = host.status()["warnings"].to_string();
        assert!(warnings.contains("'mosca'") && warnings.contains("mosca.service"), "{warnings}");
        assert!(warnings.contains("names.allow.U-mosca"), "{warnings}");
    }
    host.machine.config("[names.allow]\nU-mosca = \"mosca\"\n");
    refresh(&host, &named(&["mosca"]));
    assert_eq!(host.status()["warnings"], json!([]));
}

#[test]
fn a_name_in_sysusers_is_assigned_to_nobody_new() {
    for (line, names) in [
        ("u moth 812 \"A daemon\"\n", "moth"),
        ("g moth -\n", "moth"),
        ("m moth disk\n", "moth"),
        ("u! moth\n", "moth"),
    ] {
        let Some(host) = Host::in_tree("login") else { return };
        fs::create_dir_all("/usr/lib/sysusers.d").unwrap();
        fs::write("/usr/lib/sysusers.d/moth.conf", line).unwrap();
        refresh(&host, &named(&[names]));
        assert!(reason(&host, &format!("U-{names}")).is_some(), "{line}");
    }
}
