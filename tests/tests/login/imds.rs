//! `nss-iam-imds.service`: IAM users cannot reach the instance's metadata, and so not the instance's role.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::thread;

use nix::sched::{CloneFlags, unshare};
use policy::id::{FIRST, LAST};
use serde_json::json;
use tests::login::{GROUP, JumpHost, Key};
use tests::{repository, text};

const V4: &str = "169.254.169.254";
const V6: &str = "fd00:ec2::254";

/// Moves this thread and all processes that it starts later to a private network with the metadata service.
fn alone_with_metadata(host: &JumpHost) {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    host.done(&["ip", "link", "set", "lo", "up"]);
    for address in [V4, V6] {
        host.done(&["ip", "address", "add", address, "dev", "lo", "nodad"]);
    }
    for address in [(V4, 80), (V6, 80), ("127.0.0.1", 80)] {
        let server = TcpListener::bind(address).unwrap();
        thread::spawn(move || {
            while let Ok((mut stream, _)) = server.accept() {
                let _ = stream.write_all(b"role\n");
            }
        });
    }
}

fn install() {
    for (file, at, mode) in [
        ("config/imds.nft", "/usr/share/nss-iam/imds.nft", 0o644),
        ("systemd/imds", "/usr/libexec/nss-iam/imds", 0o755),
    ] {
        let at = std::path::Path::new(at);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::copy(repository().join(file), at).unwrap();
        fs::set_permissions(at, fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// A shell line that prints the service's answer.
fn ask(address: &str) -> String {
    format!("bash -c 'exec 3<>/dev/tcp/{address}/80 && cat <&3'")
}

fn refused(host: &JumpHost, user: &str, key: &Key, address: &str) {
    let ran = host.ssh(user, key, &ask(address));
    assert_eq!(text(&ran.stdout), "", "{user}, {address}");
    assert!(text(&ran.stderr).contains("Connection refused"), "{user}, {address}: {}", text(&ran.stderr));
}

#[test]
fn a_guest_cannot_reach_the_metadata_address_but_root_and_agents_can() {
    let Some(host) = JumpHost::start_with("[ids]\nAIDAPINNED2345672345 = 1005\n") else { return };
    let (ana, old) = (host.user("ana"), host.key("old"));
    let user = json!({"name": "old", "id": "AIDAPINNED2345672345", "keys": [{"body": old.public}]});
    host.account.seed(json!({"users": [user], "groups": {GROUP: ["old"]}}));
    host.refresh();
    assert_eq!(host.passwd("old", 2), "1005");
    host.done(&["useradd", "--system", "agent"]);
    install();
    alone_with_metadata(&host);
    host.restart_sshd(&[]);
    for address in [V4, V6] {
        assert_eq!(host.login("ana", &ana, &ask(address)), "role\n", "without the rules");
    }

    host.done(&["/usr/libexec/nss-iam/imds", "load"]);
    // Once more, as at a reload.
    host.done(&["/usr/libexec/nss-iam/imds", "load"]);

    for address in [V4, V6, "::ffff:169.254.169.254"] {
        refused(&host, "ana", &ana, address);
        refused(&host, "old", &old, address);
        // keys-cmd, as nss-iam, runs the command of EC2 Instance Connect.
        for user in ["root", "agent", "nss-iam"] {
            assert_eq!(
                host.done(&["setpriv", "--reuid", user, "sh", "-c", &ask(address)]),
                "role\n",
                "{user}"
            );
        }
    }
    assert_eq!(host.login("ana", &ana, &ask("127.0.0.1")), "role\n");
    let forwarded = host.client("ana", &ana, &["-W", &format!("{V4}:80")]).output().unwrap();
    assert_eq!(text(&forwarded.stdout), "");
    assert!(text(&forwarded.stderr).contains("Connection refused"), "{}", text(&forwarded.stderr));
}

/// nft(8): "all commands ... are executed atomically". Lookups by the kernel during this are not: with the ids in a
/// set, packets passed.
#[test]
fn no_packet_passes_while_the_rules_are_replaced() {
    let Some(host) = JumpHost::start_with("[ids]\nAIDAPINNED2345672345 = 1005\n") else { return };
    let user = json!({"name": "old", "id": "AIDAPINNED2345672345", "keys": []});
    host.account.seed(json!({"users": [user], "groups": {GROUP: ["old"]}}));
    host.refresh();
    install();
    alone_with_metadata(&host);
    host.done(&["/usr/libexec/nss-iam/imds", "load"]);
    let send = "socket(S, PF_INET, SOCK_DGRAM, 0); $to = sockaddr_in(80, inet_aton('169.254.169.254')); $end = time + 4; \
                while (time < $end) { $sent++; $passed++ if defined send(S, 'x', 0, $to) } print $passed + 0, ' of ', $sent";
    let senders = [FIRST + 1, 1005].map(|uid| {
        let line =
            format!("setpriv --reuid {uid} --clear-groups perl -MSocket -e \"{}\"", send.replace('$', "\\$"));
        host.machine.command(&["sh", "-c", &line]).stdout(Stdio::piped()).spawn().unwrap()
    });
    for _ in 0..20 {
        host.done(&["/usr/libexec/nss-iam/imds", "load"]);
        host.done(&["sh", "-c", "{ echo flush ruleset; cat /run/nss-iam-imds.nft; } | nft -f -"]);
    }
    for sender in senders {
        let sent = sender.wait_with_output().unwrap();
        let (passed, sent) = text(&sent.stdout).split_once(" of ").unwrap();
        assert!(passed == "0" && sent.parse::<u32>().unwrap() > 1000, "{passed} of {sent} passed");
    }
}

#[test]
fn the_rules_name_the_range_of_computed_ids() {
    let rules = fs::read_to_string(repository().join("config/imds.nft")).unwrap();
    let (first, last) = (FIRST, LAST);
    assert!(rules.contains(&format!("meta skuid {first:#x}-{last:#x} counter reject")), "{rules}");
    let script = fs::read_to_string(repository().join("systemd/imds")).unwrap();
    assert_eq!(script.matches(&first.to_string()).count(), 1, "{script}");
}
