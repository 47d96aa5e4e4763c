//! `nss-iamctl logins` against the journal of a whole system.

use std::process::{Child, Stdio};

use serde_json::{Value, json};
use tests::boot::Booted;
use tests::login::{GROUP, Key};

use crate::support::{aws, repository};

/// A command of EC2 Instance Connect that has the key of one user.
const COMMAND: &str = "#!/bin/sh\n[ \"$1\" = bob ] && cat /srv/pushed\n";

fn logins(host: &Booted, words: &str) -> Vec<Value> {
    serde_json::from_str(&host.done(&format!("nss-iamctl logins --json {words}"))).unwrap()
}

/// Waits until the journal has this many logins, and all but the open ones have ended.
fn settled(host: &Booted, words: &str, number: usize, open: usize) -> Vec<Value> {
    let counts = || {
        let all = logins(host, words);
        let is_open = |login: &&Value| login["open"] == true;
        let ended = all.iter().filter(|login| login["ended"].is_string()).count();
        (all.len() == number && all.iter().filter(is_open).count() == open && ended == number - open, all)
    };
    host.until(&format!("{number} logins, {open} open"), || counts().0);
    counts().1
}

fn fingerprint(host: &Booted, key: &Key) -> String {
    let said = host.done(&format!("ssh-keygen -lf {}.pub", key.file.display()));
    said.split(' ').nth(1).unwrap().to_owned()
}

fn session(host: &Booted, user: &str, key: &Key) -> Child {
    host.client(user, key, &[]).arg("sleep 1000").stdout(Stdio::null()).spawn().unwrap()
}

#[test]
fn each_login_has_its_key_source_address_and_end() {
    let Some(host) = Booted::start("debian13") else { return };
    repository(&host);
    host.done("apt-get install -qq -y nss-iam");
    aws(&host, None);
    let (ana, bob) = (host.user("ana"), host.user("bob"));
    let pushed = host.key("pushed");
    host.write("/usr/share/ec2-instance-connect/eic_run_authorized_keys", COMMAND);
    host.done(
        "chmod 755 /usr/share/ec2-instance-connect/eic_run_authorized_keys; cp /root/pushed.pub /srv/pushed",
    );
    host.done(&format!("nss-iamctl enable --group {GROUP} --instance-connect"));
    assert!(host.logs_in("ana", &ana) && host.logs_in("bob", &bob) && host.logs_in("bob", &pushed));
    assert!(!host.logs_in("ana", &pushed));
    // A user writes what looks like a record, and like sshd's line.
    let forged = "MESSAGE_ID=3be85fc8d59ffb64e72463a642240488\\nNSS_IAM_USER=ana\\nNSS_IAM_KEY_SOURCE=forged\\n\
                  SYSLOG_IDENTIFIER=sshd\\nMESSAGE=Accepted publickey for ana from 192.0.2.1 port 1 ssh2: RSA SHA256:x\\n";
    host.done(&format!("printf '{forged}' | setpriv --reuid ana --clear-groups logger --journald"));

    let rows = settled(&host, "", 3, 0);
    for (row, (user, key, source)) in rows.iter().zip([
        ("ana", &ana, "iam:"),
        ("bob", &bob, "iam:"),
        ("bob", &pushed, "ec2-instance-connect"),
    ]) {
        let uid = host.done(&format!("id -u {user}"));
        assert_eq!(
            (&row["user"], &row["fingerprint"]),
            (&user.into(), &fingerprint(&host, key).into()),
            "{row}"
        );
        assert_eq!(row["uid"].to_string(), uid.trim(), "{row}");
        assert!(row["user_id"].as_str().unwrap().starts_with("AIDA"), "{row}");
        assert!(row["key_source"].as_str().unwrap().starts_with(source), "{row}");
        assert!(row["address"].as_str().unwrap().starts_with("127.") && row["port"].is_u64(), "{row}");
        assert!((0..600).contains(&row["age"].as_i64().unwrap()), "{row}");
        assert_eq!((&row["method"], &row["key_type"]), (&"publickey".into(), &"RSA".into()), "{row}");
    }
    let record =
        host.done("journalctl -o json -t nss-iam-keys-cmd MESSAGE_ID=3be85fc8d59ffb64e72463a642240488 -n 1");
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["NSS_IAM_CLIENT_PORT"], rows[2]["port"].to_string());
    assert_eq!(logins(&host, "--user ana").len(), 1);
    assert_eq!(logins(&host, &format!("--user {}", rows[1]["user_id"].as_str().unwrap())).len(), 2);
    assert_eq!(logins(&host, "--since=+1h").len(), 0);
    assert_ne!(host.sh("nss-iamctl logins --since nonsense").0, Some(0));
    let shown = host.done("nss-iamctl logins");
    assert!(shown.lines().nth(3).unwrap().contains("  ec2-instance-connect  127."), "{shown}");

    with_a_certificate(&host);

    let mut clients = [session(&host, "ana", &ana), session(&host, "ana", &ana)];
    let rows = settled(&host, "--user ana", 4, 2);
    // One ends as usual; all processes of the other are killed, so only logind tells.
    clients[0].kill().unwrap();
    let pid = &rows[3]["pid"];
    // PAM moves it there after sshd has let the user in.
    let scope = format!("grep -o 'session-[^/]*scope' /proc/{pid}/cgroup");
    host.until("the session has a scope", || host.sh(&scope).0 == Some(0));
    host.done(&format!("systemctl kill --signal=KILL \"$({scope})\""));
    settled(&host, "--user ana", 4, 0);
    for mut client in clients {
        let _ = client.kill();
        client.wait().unwrap();
    }
}

/// The CA's text looks like the rest of sshd's line, and like a field.
fn with_a_certificate(host: &Booted) {
    let laptop = host.key("laptop");
    host.done(
        "ssh-keygen -q -t ed25519 -N '' -f /root/ca && cp /root/ca.pub /etc/ssh/user-ca.pub && \
         nss-iamctl enable --user-ca /etc/ssh/user-ca.pub",
    );
    host.done(
        "ssh-keygen -q -s /root/ca -z 18446744073709551615 -n ana -V +1h \
         -I \"$(printf 'x (serial 9) CA RSA SHA256:z\\nNSS_IAM_USER=bob')\" /root/laptop.pub",
    );
    assert!(host.logs_in("ana", &laptop));
    let row = settled(host, "--user ana", 2, 0).remove(1);
    assert!(row["user_id"].as_str().unwrap().starts_with("AIDA"), "{row}");
    assert_eq!(row["fingerprint"], fingerprint(host, &laptop), "{row}");
    let (kind, source) = (&row["key_type"], &row["key_source"]);
    assert_eq!((kind, source), (&"RSA-CERT".into(), &"certificate".into()), "{row}");
    let ca = host.done("ssh-keygen -lf /root/ca.pub");
    let certificate = json!({
        "serial": "18446744073709551615",
        "id": r"x (serial 9) CA RSA SHA256:z\nNSS_IAM_USER=bob",
        "ca_fingerprint": ca.split(' ').nth(1).unwrap(),
    });
    assert_eq!(row["certificate"], certificate);
    assert_eq!(logins(host, "--user bob").len(), 2);
    let shown = host.done("nss-iamctl logins --user ana");
    assert!(shown.lines().nth(2).unwrap().contains("  18446744073709551615 'x (serial 9)"), "{shown}");
    // It opens no other user, nor ana while locked.
    assert!(!host.logs_in("bob", &laptop));
    host.done("nss-iamctl lock ana");
    assert!(!host.logs_in("ana", &laptop));
    host.done("nss-iamctl unlock ana");
}
