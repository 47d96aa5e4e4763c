//! People who cannot log in and should, and one who can and should not.

use std::fs;

use serde_json::{Value, json};
use tests::boot::Booted;
use tests::login::{GROUP, Key};

use crate::day::{aws_cli, follows, installed, stranger, types};
use crate::support::aws;

/// A reason why somebody cannot log in.
struct Reason {
    /// The code that `why` gives to it, and a part of what it says.
    code: &'static str,
    said: &'static str,
    /// What happened; the person's name and key are the same.
    happens: fn(&Booted, &str) -> Key,
    /// Which of the ways that the remedy offers is followed.
    way: usize,
    /// What somebody types who reads a remedy that is no command.
    by_hand: Option<&'static str>,
}

const fn reason(code: &'static str, said: &'static str, happens: fn(&Booted, &str) -> Key) -> Reason {
    Reason { code, said, happens, way: 0, by_hand: None }
}

/// Each of another kind: at the source, with the key, on this host, in sshd.
const REASONS: &[Reason] = &[
    reason("name-unknown", "no nss-iam user is called", |host, name| {
        stranger(host, name);
        key(name)
    }),
    reason("no-key", "IAM has no SSH key of the user", |host, name| {
        host.done(&format!("ssh-keygen -q -t rsa -b 2048 -N '' -f /root/{name}"));
        host.account.seed(json!({"users": [{"name": name}], "groups": {GROUP: [name]}}));
        refresh(host);
        key(name)
    }),
    reason("key-inactive", "inactive in IAM", |host, name| {
        let key = member(host, name);
        let said = types(host, &format!("nss-iamctl keys {name} --json")).exits(0).said;
        let keys: Value = serde_json::from_str(&said).unwrap();
        types(
            host,
            &format!(
                "aws iam update-ssh-public-key --user-name {name} --status Inactive --ssh-public-key-id {}",
                keys[0]["id"].as_str().unwrap()
            ),
        )
        .exits(0);
        refresh(host);
        key
    }),
    reason("wrong-key-tried", "; IAM has 'SHA256:", |host, name| {
        member(host, name);
        // A new laptop.
        host.done(&format!("rm /root/{name} && ssh-keygen -q -t rsa -b 2048 -N '' -f /root/{name}"));
        key(name)
    }),
    reason("locked", "locked on this host since", |host, name| {
        let key = member(host, name);
        types(host, &format!("nss-iamctl lock {name}")).exits(0);
        key
    }),
    Reason {
        way: 1,
        ..reason("name-in-groups", "is a member of", |host, name| {
            host.done(&format!("groupadd -g 4321 cameras; sed -i 's/^cameras:.*/&{name}/' /etc/group"));
            member(host, name)
        })
    },
    reason("local-user", "is a local user of this host", |host, name| {
        host.done(&format!("useradd -m {name}"));
        member(host, name)
    }),
    Reason {
        by_hand: Some(
            "sed -i /DenyUsers/d $(grep -rli denyusers /etc/ssh | grep -v nss-iam) && systemctl reload ssh",
        ),
        ..reason("sshd-denies", "DenyUsers", |host, name| {
            let key = member(host, name);
            sshd(host, &format!("DenyUsers {name}"));
            key
        })
    },
    reason("sshd-differs", "AllowGroups", |host, name| {
        let key = member(host, name);
        sshd(host, "AllowGroups wheel");
        key
    }),
    reason("nologin", "/etc/nologin", |host, name| {
        let key = member(host, name);
        host.write("/etc/nologin", "maintenance\n");
        key
    }),
];

fn key(name: &str) -> Key {
    Key { file: format!("/root/{name}").into(), public: String::new() }
}

/// As the timer does.
fn refresh(host: &Booted) {
    let (_, said) = host.sh("nss-iamctl refresh");
    assert!(!said.contains("panicked"), "{said}");
}

fn member(host: &Booted, name: &str) -> Key {
    let key = host.user(name);
    refresh(host);
    key
}

/// An administrator's own setting.
fn sshd(host: &Booted, line: &str) {
    host.write("/etc/ssh/sshd_config.d/60-site.conf", &format!("{line}\n"));
    host.done("systemctl reload ssh");
    listens(host);
}

/// After a reload, sshd starts itself again.
fn listens(host: &Booted) {
    host.until("sshd answers", || host.sh("ssh nobody@HOST").1.contains("Permission denied"));
}

/// What `why` reports under this code, and its remedy.
fn finding(host: &Booted, name: &str, code: &str) -> Option<(String, String)> {
    let report: Value = serde_json::from_str(&host.sh(&format!("nss-iamctl why {name} --json")).1).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["code"] == code && finding["level"] != "ok")?;
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    Some((text("what"), text("remedy")))
}

#[test]
fn why_names_the_reason_and_its_remedy_lets_the_person_in() {
    let Some(host) = installed() else { return };
    aws_cli(&host);
    types(&host, &format!("nss-iamctl enable --group {GROUP}")).exits(0);
    for (number, Reason { code, said, happens, way, by_hand }) in REASONS.iter().enumerate() {
        let name = format!("{}{number}", ["ada", "ben", "cyd", "dan"][number % 4]);
        let key = happens(&host, &name);
        assert!(!host.logs_in(&name, &key), "{code}");
        let shown = types(&host, &format!("nss-iamctl why {name}")).said;
        let Some((what, remedy)) = finding(&host, &name, code) else { panic!("{code}: {shown}") };
        assert!(what.contains(said) && shown.contains(said), "{code}: {shown}");
        match by_hand {
            None => follows(&host, &remedy, *way, &[("KEY.pub", &format!("/root/{name}.pub"))]),
            Some(line) => drop(types(&host, line).exits(0)),
        }
        refresh(&host);
        assert!(
            host.logs_in(&name, &key),
            "{code}: {remedy}: {}",
            host.sh(&format!("nss-iamctl why {name}")).1
        );
        assert_eq!(finding(&host, &name, code), None, "{code}");
    }
}

#[test]
fn who_is_fired_is_out_with_sessions_and_jobs_and_a_lock_does_not_need_aws() {
    let Some(host) = installed() else { return };
    let (ana, eve) = (host.user("ana"), host.user("eve"));
    types(&host, &format!("nss-iamctl enable --group {GROUP}"))
        .exits(0)
        .says(&["2 users may log in: 'ana', 'eve'"]);
    let uid = host.done("id -u eve").trim().to_owned();
    types(&host, "ssh eve@HOST 'echo secret >notes; echo \"@reboot touch ran\" | crontab -'").exits(0);
    let restart_cron = "rm -f /run/crond.reboot /home/*/ran; systemctl restart cron";
    host.done(restart_cron);
    host.until("cron runs the job", || host.path("/home/eve/ran").exists());
    let session = |name: &str| {
        host.done(&format!(
            "(ssh {name}@HOST sleep 1000; echo ended >/root/{name}-is-out) >/dev/null 2>&1 &"
        ));
        host.until("the session runs", || host.sh(&format!("pgrep -u {name} sleep")).0 == Some(0));
    };
    session("eve");

    host.account.change(json!({"do": "remove_member", "group": GROUP, "user": "eve"}));
    types(&host, "nss-iamctl refresh").exits(0).says(&["eve", "-1"]);
    host.until("the session has ended", || host.path("/root/eve-is-out").exists());
    assert!(!host.logs_in("eve", &eve) && host.logs_in("ana", &ana));
    assert_eq!(host.sh(&format!("pgrep -u {uid}")).0, Some(1), "no process is left");
    types(&host, "nss-iamctl keys eve").exits(0).says(&["no: the user is disabled"]).says_not("yes");
    types(&host, "/usr/libexec/nss-iam/keys-cmd eve").says_not("ssh-rsa");
    types(&host, "nss-iamctl why eve").exits(2).says(&["left"]);
    types(&host, "ls -l /home/eve/notes").exits(0).says(&["eve eve"]);
    host.done(restart_cron);
    host.until("cron has seen the job", || {
        host.sh("journalctl -b -o cat -u cron").1.contains("(eve) ORPHAN")
    });
    assert!(!host.path("/home/eve/ran").exists());
    for line in
        ["su - eve -c id", "sudo -u eve id", "crontab -u eve -l", "systemd-run --wait -q -p User=eve id"]
    {
        let typed = types(&host, line);
        assert!(typed.status != Some(0) && !typed.said.contains(&uid), "{typed:?}");
    }

    // It cannot wait for IAM.
    aws(&host, Some("http://127.0.0.1:9"));
    session("ana");
    types(&host, "nss-iamctl lock ana --reason 'laptop stolen'")
        .exits(0)
        .says(&["locked 'ana'", "ended the processes of 'ana'"]);
    host.until("the session has ended", || host.path("/root/ana-is-out").exists());
    assert!(!host.logs_in("ana", &ana));
    types(&host, "nss-iamctl status").exits(0).says(&["laptop stolen"]);
    host.until("the journal has it", || host.sh("journalctl -b -o cat").1.contains("lock user=\"ana\""));
    types(&host, "nss-iamctl unlock ana").exits(0);
    assert!(host.logs_in("ana", &ana));
    let _ = fs::metadata(host.path("/home/ana")).unwrap();
}
