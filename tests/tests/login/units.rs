//! Units with `User=` on a booted system: systemd uses neither PAM nor shadow, only the name.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use cache::passwd::Passwd;
use cache::snapshot::{Cache, Group, User};
use policy::{Field, IamId, Id, Name};
use tests::artefact;
use tests::boot::Booted;

/// Publishes bob, active or disabled.
fn publish(host: &Booted, active: bool) {
    let (name, field) = (Name::new("bob").unwrap(), |text| Field::new(text).unwrap());
    let uid = Id::computed(&IamId::new("bob"));
    let group = Group { gid: uid, name: name.clone(), pinned: false, members: Vec::new() };
    let bob = User {
        uid,
        name,
        pinned: false,
        active,
        passwd: Passwd::new(
            field("/home/bob"),
            field(if active { "/bin/bash" } else { "/usr/sbin/nologin" }),
            20_000,
        ),
        groups: Vec::new(),
        local: Vec::new(),
    };
    let groups = if active { vec![group] } else { Vec::new() };
    cache::publish::cache(&host.path("/var/lib/nss-iam"), &Cache { users: vec![bob], groups }).unwrap();
}

/// The module, and nsswitch.conf with it.
fn set_up(host: &Booted) {
    let library = host.path(tests::module().to_str().unwrap());
    fs::copy(artefact("libnss_iam.so"), library).unwrap();
    fs::create_dir(host.path("/var/lib/nss-iam")).unwrap();
    fs::set_permissions(host.path("/var/lib/nss-iam"), Permissions::from_mode(0o755)).unwrap();
    host.done(
        "sed -i -E 's/^(passwd|shadow):.*/& iam/; s/^group:.*/& [SUCCESS=merge] iam/' /etc/nsswitch.conf",
    );
}

/// The refresh may not write to homes, and has another unit do it.
#[test]
fn a_refresh_has_missing_homes_created_by_a_unit_of_their_own() {
    let Some(host) = Booted::start("debian12") else { return };
    set_up(&host);
    for file in ["nss-iam-refresh.service", "nss-iam-fetch.service", "nss-iam-homes.service"] {
        let unit = fs::read_to_string(tests::repository().join("systemd").join(file)).unwrap();
        host.write(&format!("/etc/systemd/system/{file}"), &unit);
    }
    host.write("/usr/lib/sysusers.d/nss-iam.conf", include_str!("../../../systemd/nss-iam.sysusers"));
    let refresher = host.path("/usr/libexec/nss-iam/cache-refresher");
    fs::create_dir_all(refresher.parent().unwrap()).unwrap();
    fs::copy(artefact("cache-refresher"), refresher).unwrap();
    host.write(
        "/etc/nss-iam/config.toml",
        "[source]\nurl = \"file:///srv/users.json\"\n[users]\ncreate_homes = \"refresh\"\n",
    );
    host.write(
        "/srv/users.json",
        r#"{"version": 1, "accounts": [{"groups": [{"id": "g", "name": "G", "members": ["u"]}],
            "users": [{"id": "u", "name": "ana", "keys": []}]}]}"#,
    );
    host.done("chmod 755 /srv /etc/nss-iam && chmod 644 /srv/users.json && systemd-sysusers && systemctl daemon-reload");
    host.done("mkdir -p /etc/skel/below && systemctl start nss-iam-refresh.service");
    host.until("ana has a home", || host.sh("stat -c '%U %G %a' /home/ana").1 == "ana ana 700\n");
    host.until("the unit has ended", || {
        host.sh("systemctl is-active nss-iam-homes.service").1 == "inactive\n"
    });
    assert_eq!(host.done("stat -c '%U %a' /home/ana/below /home/ana/.profile"), "ana 700\nana 600\n");
    let log = host.done("journalctl --quiet --output cat --unit nss-iam-homes.service");
    assert!(log.contains("created the home '/home/ana' of user 'ana'"), "{log}");
    // Everybody has a home, so the next refresh does not start the unit.
    host.done("systemctl start nss-iam-refresh.service");
    assert_eq!(host.done("journalctl --quiet --output cat --unit nss-iam-homes.service"), log);
}

/// The bucket cannot be reached here, so the publisher says so: it has read its key, which only root can read.
#[test]
fn the_publisher_has_a_user_of_its_own_that_gets_the_key_from_systemd() {
    for system in ["debian12", "debian13"] {
        let Some(host) = Booted::start(system) else { return };
        let unit = include_str!("../../../systemd/nss-iam-publish.service");
        host.write("/etc/systemd/system/nss-iam-publish.service", unit);
        let refresher = host.path("/usr/libexec/nss-iam/cache-refresher");
        fs::create_dir_all(refresher.parent().unwrap()).unwrap();
        fs::copy(artefact("cache-refresher"), refresher).unwrap();
        host.write(
            "/etc/nss-iam/config.toml",
            "[source]\nurl = \"file:///srv/users.json\"\n[aws]\ntimeout = \"3s\"\nregion = \"eu-central-1\"\n\
             endpoint_url = \"http://127.0.0.1:9\"\n\
             [publish]\nurl = \"s3://fleet/users\"\nfleet = \"f\"\nkey = \"/etc/nss-iam/publish.key\"\n",
        );
        let key = host.path("/etc/nss-iam/publish.key");
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
        assert!(made.unwrap().success());
        // It is given to the user of the run, with what is in it.
        host.done("install -d -m 700 /var/lib/private/nss-iam-publish");
        host.write("/var/lib/private/nss-iam-publish/calls.json", "damaged");
        host.done(
            "chmod 755 /etc/nss-iam && systemctl daemon-reload && systemctl start nss-iam-publish.service",
        );
        let log = || host.done("journalctl --quiet --output cat --unit nss-iam-publish.service");
        host.until("the publisher asks for the object", || log().contains("s3:GetObject on 'fleet/users'"));
        let uid = host.done("ps -o uid= -p $(systemctl show -P MainPID nss-iam-publish.service)");
        let uid: u32 = uid.trim().parse().unwrap();
        // The range of DynamicUser=.
        assert!((61184..=65519).contains(&uid), "{system}: {uid}");
        assert!(log().contains("nss-iam-publish/calls.json': "), "{system}: {}", log());
        let owner = host.done("stat -c '%u %a' /var/lib/nss-iam-publish/");
        assert_eq!(owner.trim(), format!("{uid} 700"), "{system}");
        host.done("systemctl stop nss-iam-publish.service && rm /etc/nss-iam/publish.key");
        assert_eq!(host.sh("systemctl start nss-iam-publish.service").0, Some(1), "{system}: without a key");
    }
}

/// systemd.exec(5): a unit whose user does not exist ends with status 217, "EXIT_USER".
#[test]
fn units_and_logind_know_an_active_user_by_name_and_a_removed_one_by_uid_only() {
    let Some(host) = Booted::start("debian12") else { return };
    set_up(&host);
    publish(&host, true);
    let uid = host.done("id -u bob");
    let home = format!("install -d -o {0} -g {0} /home/bob", uid.trim());
    host.done(&home);
    let unit = "systemd-run --quiet --wait --pipe -p User=bob";
    assert_eq!(host.done(&format!("{unit} id -u")), uid);
    // As the manual says: a process with a different primary group gets only that one.
    assert_eq!(host.done(&format!("{unit} -p Group=www-data id -Gn")), "www-data\n");
    host.done("loginctl enable-linger bob");

    publish(&host, false);
    for group in ["", " -p Group=www-data"] {
        assert_eq!(host.sh(&format!("{unit}{group} id -u")), (Some(217), String::new()));
    }
    assert_eq!(host.sh("loginctl enable-linger bob").0, Some(1));
    assert_eq!(host.done("stat -c %U:%G /home/bob"), "bob:bob\n");
    // By uid, as the refresher uses it, logind can still disable lingering.
    host.done(&format!("loginctl disable-linger {}", uid.trim()));
    assert_eq!(host.done("ls /var/lib/systemd/linger"), "");
}
