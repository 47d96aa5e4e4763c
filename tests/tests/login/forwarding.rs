//! The purpose of jump hosts: file transfers, and connections that pass through.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::process::Output;
use std::thread;

use tests::login::{JumpHost, Key, PORT};
use tests::text;

#[test]
fn scp_and_sftp_carry_files_both_ways() {
    let Some(host) = JumpHost::start() else { return };
    let ana = host.refreshed_user("ana");
    fs::write("/root/file", "content\n").unwrap();
    let remote = format!("ana@{}", host.address);
    let copy = |words: &[&str], from: &str, to: &str| {
        let mut command = host.machine.command(&["timeout", "300", "scp", "-q", "-P", PORT]);
        let ran = command.args(words).args(JumpHost::options(&ana)).args([from, to]).output().unwrap();
        assert!(ran.status.success(), "{words:?}: {}", text(&ran.stderr));
    };
    copy(&[], "/root/file", &format!("{remote}:one"));
    copy(&["-O"], "/root/file", &format!("{remote}:two"));
    copy(&[], &format!("{remote}:two"), "/root/back");
    assert_eq!(fs::read_to_string("/root/back").unwrap(), "content\n");
    fs::write("/root/batch", "put /root/file three\nget one /root/again\n").unwrap();
    let mut sftp = host.machine.command(&["timeout", "300", "sftp", "-q", "-P", PORT, "-b", "/root/batch"]);
    let ran = sftp.args(JumpHost::options(&ana)).arg(&remote).output().unwrap();
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert_eq!(fs::read_to_string("/root/again").unwrap(), "content\n");
    assert_eq!(host.login("ana", &ana, "cat one two three"), "content\n".repeat(3));
}

#[test]
fn ssh_jumps_through_the_host_as_one_user_to_another() {
    let Some(host) = JumpHost::start() else { return };
    let (ana, bob) = (host.user("ana"), host.user("bob"));
    host.refresh();
    assert_eq!(host.jump(("ana", &ana), ("bob", &bob), "id -un"), "bob\n");
    host.logged(&["sshd[", "Accepted publickey for ana"]);
}

/// Connects through the host, as user `ana`, to a server that sends one word.
fn through(host: &JumpHost, ana: &Key) -> Output {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let answering = thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let _ = stream.write_all(b"word");
    });
    let ran = host.client("ana", ana, &["-W", &address.to_string()]).output().unwrap();
    // If the host does not connect, this does, and so ends the thread.
    drop(std::net::TcpStream::connect(address));
    answering.join().unwrap();
    ran
}

/// The result of `ssh -tt`.
fn terminal(host: &JumpHost, ana: &Key) -> Output {
    host.client("ana", ana, &["-tt"]).arg("tty").output().unwrap()
}

#[test]
fn without_options_terminals_and_forwarding_work() {
    let Some(host) = JumpHost::start() else { return };
    let ana = host.refreshed_user("ana");
    assert_eq!(text(&through(&host, &ana).stdout), "word");
    assert!(text(&terminal(&host, &ana).stdout).starts_with("/dev/pts/"));
}

#[test]
fn restrict_and_port_forwarding_leave_forwarding_and_no_terminal() {
    let Some(host) = JumpHost::start_with("[keys]\noptions = \"restrict,port-forwarding\"\n") else { return };
    let ana = host.refreshed_user("ana");
    let ran = through(&host, &ana);
    assert_eq!(text(&ran.stdout), "word", "{}", text(&ran.stderr));
    let ran = terminal(&host, &ana);
    assert!(!text(&ran.stdout).contains("/dev/pts/"), "{}", text(&ran.stdout));
    assert!(text(&ran.stderr).contains("PTY allocation request failed"), "{}", text(&ran.stderr));
}

#[test]
fn an_additional_forced_command_allows_no_other_command() {
    let options = "restrict,port-forwarding,command=\"/usr/sbin/nologin\"";
    let Some(host) = JumpHost::start_with(&format!("[keys]\noptions = '{options}'\n")) else { return };
    let ana = host.refreshed_user("ana");
    assert_eq!(text(&through(&host, &ana).stdout), "word");
    let ran = host.ssh("ana", &ana, "echo inside");
    assert_eq!(
        (ran.status.code(), text(&ran.stdout)),
        (Some(1), "This account is currently not available.\n")
    );
}

#[test]
fn restrict_alone_leaves_no_forwarding() {
    let Some(host) = JumpHost::start_with("[keys]\noptions = \"restrict\"\n") else { return };
    let ana = host.refreshed_user("ana");
    let ran = through(&host, &ana);
    assert_eq!(text(&ran.stdout), "");
    assert!(text(&ran.stderr).contains("administratively prohibited"), "{}", text(&ran.stderr));
}
