//! The container recipe, as far as it can be tested without Docker: no systemd, `cache-refresher --loop` next to
//! sshd, and the task's credentials. `docker build` itself is not tested.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tests::login::GROUP;
use tests::{Account, Machine, REGION, text};

use crate::support::package;

#[test]
fn a_container_uses_the_tasks_role_and_does_not_expose_it_to_a_login() {
    let Some(machine) = Machine::enter_tree("debian12") else { return };
    let run = |line: &str| machine.run(&["sh", "-c", line]);
    let done = |line: &str| {
        let ran = run(line);
        assert!(ran.status.success(), "{line}: {}{}", text(&ran.stderr), text(&ran.stdout));
    };
    // The commands of the Dockerfile, without apt's mirror.
    done(&format!("dpkg --install {}", package("deb").display()));
    done(&format!("nss-iamctl enable --group {GROUP} && rm -f /etc/machine-id /etc/ssh/ssh_host_*"));
    done("ssh-keygen -q -t rsa -b 2048 -N '' -f /root/ana");
    let public = fs::read_to_string("/root/ana.pub").unwrap();
    let account = Account::new();
    account.seed(
        json!({"users": [{"name": "ana", "keys": [{"body": public.trim()}]}], "groups": {GROUP: ["ana"]}}),
    );
    let pid = std::process::id();
    let address = format!("127.{}.{}.1", 32 + (pid >> 8) % 32, pid % 256);
    fs::write("/etc/ssh/sshd_config.d/50-test.conf", format!("ListenAddress {address}\nPort 2222\n"))
        .unwrap();

    // It ends with this thread at the latest, with everything that it started.
    let line =
        ["setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let mut container = machine.command(&line);
    container.arg(tests::repository().join("deploy/container/start")).stdin(Stdio::null());
    // In the form that ECS uses; the address of its agent is one of this emulator.
    container.envs([("AWS_REGION", REGION), ("AWS_EC2_METADATA_DISABLED", "true")]);
    container.env("AWS_ENDPOINT_URL", format!("http://{}", account.address()));
    let uri = format!("http://{}/_imds/{}/v2/credentials/task", account.address(), account.id());
    let mut container = container.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri).spawn().unwrap();

    let options =
        "-o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR";
    let login = format!("ssh -n -F none {options} -i /root/ana -p 2222 ana@{address} 'id -un; env'");
    let started = Instant::now();
    let seen = loop {
        let ran = run(&login);
        if ran.status.success() {
            break text(&ran.stdout).to_owned();
        }
        assert!(started.elapsed() < Duration::from_secs(120), "no login: {}", text(&ran.stderr));
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(seen.starts_with("ana\n") && seen.contains("\nHOME=/home/ana\n"), "{seen}");
    assert!(!seen.contains("AWS_") && !seen.contains("credentials"), "{seen}");

    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", container.id())).unwrap();
    kill(Pid::from_raw(children.trim().parse().unwrap()), Signal::SIGTERM).unwrap();
    assert!(container.wait().unwrap().success(), "it ends on the signal");
}
