//! Users who may only forward connections: they pass through, and nothing of theirs runs on the host.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::process::Output;
use std::thread;

use serde_json::json;
use tests::login::{ADMINS, GROUP, JumpHost, Key, PORT, append};
use tests::text;

use crate::support::{open, runs};

const SETTINGS: &str = "shell_groups = [\"JumpHostAdmins\"]\n[users]\nforward_only = true\n";
const SAID: &str = "this host runs no command for you: it only forwards your connections to other hosts\n\
                    hint: ssh -J USER@THIS-HOST TARGET, or ssh -N -L PORT:TARGET:PORT USER@THIS-HOST\n";
const DROP_IN: &str = "/etc/ssh/sshd_config.d/00-nss-iam.conf";

/// `ana`, who may only forward, and `bob`, an administrator.
fn jump_host() -> Option<(JumpHost, Key, Key)> {
    let host = JumpHost::start_with(SETTINGS)?;
    let (ana, bob) = (host.user("ana"), host.user_in("bob", &[GROUP, ADMINS]));
    host.refresh();
    Some((host, ana, bob))
}

/// Whatever a shell, sshd, PAM or systemd would run or read in a home leaves a file there.
fn leave_traps(host: &JumpHost, home: &str, uid: u32) {
    fs::create_dir_all(format!("{home}/.ssh")).unwrap();
    for name in [".bashrc", ".bash_profile", ".profile", ".zshenv", ".cshrc", ".ssh/rc", ".ssh/environment"] {
        let file = format!("{home}/{name}");
        fs::write(&file, format!("touch {home}/ran\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        chown(&file, Some(uid), Some(uid)).unwrap();
    }
    for directory in [home.to_owned(), format!("{home}/.ssh")] {
        chown(directory, Some(uid), Some(uid)).unwrap();
    }
    assert!(host.sh(&format!("sh {home}/.profile && rm {home}/ran")).0 == Some(0), "a trap that works");
}

/// The exit status, and both outputs without ssh's own lines.
fn said(ran: &Output) -> (Option<i32>, String, String) {
    (ran.status.code(), text(&ran.stdout).to_owned(), text(&ran.stderr).to_owned())
}

/// Asserts that nothing of what `user` asks for runs.
fn runs_nothing(host: &JumpHost, user: &str, key: &Key) {
    for line in ["id", "exec /bin/sh", "scp -t /tmp", "internal-sftp", "/usr/lib/openssh/sftp-server"] {
        let told = (Some(1), String::new(), SAID.to_owned());
        assert_eq!(said(&host.ssh(user, key, line)), told, "{line}");
    }
    // Standard output can have the message of the day.
    let interactive = host.client(user, key, &["-T"]).output().unwrap();
    assert_eq!((interactive.status.code(), text(&interactive.stderr)), (Some(1), SAID));
    let terminal = host.client(user, key, &["-tt"]).output().unwrap();
    assert!(text(&terminal.stderr).contains("PTY allocation request failed"), "{terminal:?}");
    fs::write("/root/file", "content").unwrap();
    fs::write("/root/batch", "put /root/file /tmp/sent\n").unwrap();
    let remote = format!("{user}@{}", host.address);
    for words in [
        &["scp", "-q", "-P", PORT, "/root/file", &format!("{remote}:/tmp/sent")][..],
        &["scp", "-q", "-O", "-P", PORT, "/root/file", &format!("{remote}:/tmp/sent")],
        &["sftp", "-q", "-P", PORT, "-b", "/root/batch", &remote],
    ] {
        let (program, rest) = words.split_first().unwrap();
        let mut command = host.machine.command(&["timeout", "300", program]);
        let ran = command.args(JumpHost::options(key)).args(rest).output().unwrap();
        assert!(!ran.status.success() && !fs::exists("/tmp/sent").unwrap(), "{words:?}: {ran:?}");
    }
}

/// Connects through the host to a server that sends one word.
fn through(host: &JumpHost, user: &str, key: &Key) -> Output {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let answering = thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let _ = stream.write_all(b"word");
    });
    let ran = host.client(user, key, &["-W", &address.to_string()]).output().unwrap();
    // If the host does not connect, this does, and so ends the thread.
    drop(TcpStream::connect(address));
    answering.join().unwrap();
    ran
}

#[test]
fn a_user_in_no_shell_group_passes_through_and_runs_nothing() {
    let Some((host, ana, bob)) = jump_host() else { return };
    leave_traps(&host, "/home/ana", host.passwd("ana", 2).parse().unwrap());
    runs_nothing(&host, "ana", &ana);
    // sftp without a shell, and variables of the client.
    let subsystem =
        ["-o", "Subsystem=sftp internal-sftp", "-o", "PermitUserEnvironment=yes", "-o", "AcceptEnv=*"];
    let config = fs::read_to_string("/etc/ssh/sshd_config").unwrap();
    fs::write("/etc/ssh/sshd_config", config.replace("\nSubsystem", "\n#Subsystem")).unwrap();
    host.restart_sshd(&subsystem);
    runs_nothing(&host, "ana", &ana);
    // It makes the loader of each program print what it does, as LD_PRELOAD makes it load the user's code.
    let traced = |user: &str, key: &Key| {
        let ran = host.client(user, key, &["-o", "SetEnv=LD_DEBUG=libs"]).arg("true").output().unwrap();
        text(&ran.stderr).to_owned()
    };
    assert!(traced("bob", &bob).contains("find library"), "{}", traced("bob", &bob));
    assert_eq!(traced("ana", &ana), SAID);
    assert!(!fs::exists("/home/ana/ran").unwrap());
    // A key of their own opens nothing.
    let own = host.key("own");
    append("/home/ana/.ssh/authorized_keys", &format!("{}\n", own.public));
    host.refused("ana", &own);
    // Other ways to a command line.
    let (status, told) =
        host.sh("su ana -c id; su - ana; runuser -u ana -- /bin/true && runuser -l ana -c id");
    assert!(status != Some(0) && !told.contains("uid="), "{told}");

    assert_eq!(text(&through(&host, "ana", &ana).stdout), "word");
    assert_eq!(host.login("bob", &bob, "id -un"), "bob\n");
    assert_eq!(host.jump(("ana", &ana), ("bob", &bob), "id -un"), "bob\n");
}

/// Opens a forwarding as `user`, if sshd permits it, and returns whether it can be used.
fn forwards(host: &JumpHost, user: &str, key: &Key, words: &[&str], used: impl FnOnce() -> bool) -> bool {
    let more = ["-o", "ExitOnForwardFailure=yes", "-f", "-N", "-M", "-S", "/root/control"];
    if !host.client(user, key, &[&more[..], words].concat()).status().unwrap().success() {
        return false;
    }
    let used = used();
    assert!(host.client(user, key, &["-S", "/root/control", "-O", "exit"]).status().unwrap().success());
    used
}

/// Connects to the client's end of a forwarding. Returns whether the connection comes out at the other end, and not just ends.
fn reached(host: &JumpHost, entrance: &str, accepted: impl Fn() -> bool) -> bool {
    let Ok(client) = TcpStream::connect(entrance) else { return false };
    client.set_nonblocking(true).unwrap();
    let ended = || match client.peek(&mut [0]) {
        Ok(read) => read == 0,
        Err(cause) => cause.kind() != ErrorKind::WouldBlock,
    };
    let mut came = false;
    host.until("the connection came or ended", || {
        came = came || accepted();
        came || ended()
    });
    came
}

#[test]
fn such_a_user_forwards_tcp_from_the_client_and_nothing_else() {
    let Some((host, ana, bob)) = jump_host() else { return };
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let target = server.local_addr().unwrap().to_string();
    // Not ports that the kernel gives to other connections (ip_local_port_range).
    let (entrance, of_host) = ("127.0.0.1:27011", "127.0.0.1:27012");
    let at_server = || server.accept().is_ok();
    for (user, key, runs_commands) in [("ana", &ana, false), ("bob", &bob, true)] {
        let local = ["-L", &format!("{entrance}:{target}")];
        assert!(forwards(&host, user, key, &local, || reached(&host, entrance, at_server)), "{user}");
        // The client decides for each connection where it goes (SOCKS 5, RFC 1928).
        let port = server.local_addr().unwrap().port().to_be_bytes();
        let dynamic = ["-D", entrance];
        let asked = || {
            let mut client = TcpStream::connect(entrance).unwrap();
            let mut answer = [0; 2];
            client.write_all(&[5, 1, 0]).unwrap();
            client.read_exact(&mut answer).unwrap();
            client.write_all(&[&[5, 1, 0, 1, 127, 0, 0, 1], &port[..]].concat()).unwrap();
            let mut came = false;
            host.until("the connection came", || {
                came = came || at_server();
                came
            });
            answer == [5, 0]
        };
        assert!(forwards(&host, user, key, &dynamic, asked), "{user}");
        // It opens a port of the host.
        let remote = ["-R", &format!("{of_host}:{target}")];
        let used = forwards(&host, user, key, &remote, || reached(&host, of_host, at_server));
        assert_eq!(used, runs_commands, "{user}");
        // A socket of the host, such as that of the user's systemd.
        let path = format!("/tmp/socket-{user}");
        let socket = UnixListener::bind(&path).unwrap();
        chown(&path, Some(host.passwd(user, 2).parse().unwrap()), None).unwrap();
        socket.set_nonblocking(true).unwrap();
        let spec = ["-L", &format!("{entrance}:{path}")];
        let at_socket = || socket.accept().is_ok();
        let used = forwards(&host, user, key, &spec, || reached(&host, entrance, at_socket));
        assert_eq!(used, runs_commands, "{user}");
    }
}

/// Who no longer is an administrator: what still ran ends, and the shell is gone.
#[test]
fn a_user_who_leaves_the_shell_group_loses_the_shell_and_gets_it_and_the_home_back_on_return() {
    let Some((host, _, bob)) = jump_host() else { return };
    fs::create_dir_all("/var/spool/cron/crontabs").unwrap();
    host.done(&["sh", "-c", "echo '@daily id' | crontab -u bob -"]);
    // at(1) is not in this tree; atd(8) runs such a file as its owner.
    fs::create_dir_all("/var/spool/cron/atjobs").unwrap();
    fs::write("/var/spool/cron/atjobs/a0000101c5e2f0", "#!/bin/sh\nid\n").unwrap();
    chown("/var/spool/cron/atjobs/a0000101c5e2f0", Some(host.passwd("bob", 2).parse().unwrap()), None)
        .unwrap();
    let told = host.sh("nss-iamctl doctor").1;
    assert!(!told.contains("are still run for them"), "{told}");
    let (mut client, pid) = open(&host, "bob", &bob, "echo $$; echo kept > file; exec sleep 1000");
    host.account.change(json!({"do": "remove_member", "group": ADMINS, "user": "bob"}));
    // One answer removes nobody from a group.
    let mut told = String::new();
    host.until("bob may only forward", || {
        told = host.refresh();
        host.passwd("bob", 6) == "/usr/libexec/nss-iam/forward-only"
    });
    assert!(told.contains("can only forward connections, groups"), "{told}");
    host.until("the session ended", || !runs(&pid));
    client.wait().unwrap();
    runs_nothing(&host, "bob", &bob);
    for remedy in ["rm /var/spool/cron/crontabs/bob", "rm /var/spool/cron/atjobs/a0000101c5e2f0"] {
        for command in ["nss-iamctl doctor", "nss-iamctl why bob"] {
            assert!(host.sh(command).1.contains(&format!("-> {remedy}")), "{command}");
        }
        host.done(&["sh", "-c", remedy]);
    }
    assert!(!host.sh("nss-iamctl doctor; nss-iamctl why bob").1.contains("are still run for them"));
    host.account.change(json!({"do": "add_member", "group": ADMINS, "user": "bob"}));
    let told = host.refresh();
    assert!(told.contains("can run commands, groups"), "{told}");
    assert_eq!(host.login("bob", &bob, "pwd; cat file"), "/home/bob\nkept\n");
}

/// A drop-in of an earlier release, one that is gone, and a Match of somebody else that comes first and permits everything.
#[test]
fn without_sshds_limits_nothing_runs_either_and_doctor_and_enable_mend_it() {
    let Some((host, ana, _)) = jump_host() else { return };
    let ours = fs::read_to_string(DROP_IN).unwrap();
    let at = ours.find("Match Group iam-users").unwrap();
    let earlier = format!("# Written by an earlier release.\n{}", &ours[at..]);
    fs::write(DROP_IN, &earlier).unwrap();
    host.restart_sshd(&[]);
    host.refused("ana", &ana);
    host.logged(&["offered no key of user 'ana': this user may only forward connections"]);
    let (status, told) = host.sh("nss-iamctl why ana");
    assert!(status != Some(0) && told.contains("nss-iamctl enable"), "{told}");
    assert_eq!(host.sh("nss-iamctl status --check").0, Some(1), "bob can log in");
    host.done(&["nss-iamctl", "enable"]);
    host.restart_sshd(&[]);
    assert_eq!(fs::read_to_string(DROP_IN).unwrap(), ours);
    assert_eq!(text(&through(&host, "ana", &ana).stdout), "word");

    let permits = "Match Group iam-users\n    ForceCommand none\n    PermitTTY yes\n    AllowAgentForwarding yes\n    \
                   PermitUserRC yes\n    X11Forwarding yes\n    AllowTcpForwarding yes\nMatch all\n";
    let config = fs::read_to_string("/etc/ssh/sshd_config").unwrap();
    fs::write("/etc/ssh/sshd_config", format!("{permits}{config}")).unwrap();
    host.restart_sshd(&[]);
    leave_traps(&host, "/home/ana", host.passwd("ana", 2).parse().unwrap());
    runs_nothing(&host, "ana", &ana);
    assert!(!fs::exists("/home/ana/ran").unwrap());
    let (_, told) = host.sh("nss-iamctl doctor; nss-iamctl status --check");
    let why = "sshd lets 'ana' do more than forward connections: ForceCommand is 'none'";
    assert!(told.contains(why) && !told.contains("nobody can log in"), "{told}");
    host.done(&["nss-iamctl", "enable"]);
    host.restart_sshd(&[]);
    let (_, told) = host.sh("nss-iamctl doctor");
    assert!(!told.contains("ForceCommand"), "{told}");
    // A Match for others, before ours.
    let other = "/etc/ssh/sshd_config.d/00-a.conf";
    fs::write(other, "Match User git\n    ForceCommand /bin/true\n    AuthorizedKeysFile none\n").unwrap();
    host.restart_sshd(&[]);
    let (_, told) = host.sh("nss-iamctl doctor");
    assert!(told.contains("verdict: logins work"), "{told}");
}

#[test]
fn one_command_makes_a_jump_host_and_says_who_can_run_commands() {
    let Some(host) = JumpHost::start() else { return };
    let (ana, bob) = (host.user("ana"), host.user_in("bob", &[GROUP, ADMINS]));
    host.refresh();
    assert_eq!(host.login("ana", &ana, "id -un"), "ana\n");
    let (status, told) = host.sh(&format!("nss-iamctl enable --forward-only --shell-group {ADMINS}"));
    assert_eq!(status, Some(0), "{told}");
    let only = format!(
        "only members of '{ADMINS}' can run commands on this host; all other nss-iam users only forward"
    );
    assert!(told.contains(&only), "{told}");
    host.refresh();
    runs_nothing(&host, "ana", &ana);
    assert_eq!(host.login("bob", &bob, "id -un"), "bob\n");
    let (status, told) = host.sh("nss-iamctl why ana");
    assert!(status == Some(0) && told.contains("may only forward connections through this host"), "{told}");
    let (status, told) = host.sh("nss-iamctl doctor; nss-iamctl status --check");
    assert!(status == Some(0) && told.contains("logins work"), "{told}");
    let (status, told) = host.sh("nss-iamctl enable --no-forward-only");
    assert_eq!(status, Some(0), "{told}");
    host.refresh();
    assert_eq!(host.login("ana", &ana, "id -un"), "ana\n");
}
