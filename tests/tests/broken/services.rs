//! Services that hang, are dead, or refuse.

use std::net::TcpListener;
use std::process::{Child, Stdio};

use nix::mount::{MsFlags, mount};

use crate::breaks::*;
use crate::*;

/// A process of a row, which is ended with the row.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Adds another service to nsswitch.conf(5).
fn service(status: &'static str) -> impl Fn(&Place) + Send + Sync + 'static {
    move |_| directory::knows(&format!("status {status}\n"))
}

/// Replaces a program of the host.
fn program(path: &str, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

fn nscd(script: &'static str) -> impl Fn(&Place) + Send + Sync + 'static {
    move |_| {
        fs::create_dir_all("/run/nscd").unwrap();
        fs::write("/run/nscd/socket", "").unwrap();
        program("/usr/sbin/nscd", script);
    }
}

/// logind(8), with users who linger, so that it is called.
fn loginctl(script: &'static str) -> impl Fn(&Place) + Send + Sync + 'static {
    move |_| {
        fs::create_dir_all("/run/systemd/system").unwrap();
        fs::create_dir_all("/var/lib/systemd/linger").unwrap();
        for name in ["ana", "eve"] {
            fs::write(format!("/var/lib/systemd/linger/{name}"), "").unwrap();
        }
        program("/usr/bin/loginctl", script);
    }
}

/// An IAM that accepts connections and never answers, and a refresh that waits for it.
fn silent_iam(place: &Place) {
    place.way.set(Refresh::Apply);
    if !place.held.borrow().is_empty() {
        return;
    }
    let iam = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = iam.local_addr().unwrap().port();
    let config = format!(
        "groups = [\"Ops\"]\n[aws]\nendpoint_url = \"http://127.0.0.1:{port}\"\nregion = \"eu-west-1\"\n"
    );
    place.host.machine.config(&config);
    let mut command = place.host.machine.command(&[tests::REFRESHER]);
    command.envs([
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "y"),
    ]);
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running(command.spawn().unwrap());
    let (asked, _) = iam.accept().unwrap();
    place.held.borrow_mut().extend([Box::new(running) as Box<dyn Any>, Box::new((iam, asked))]);
}

/// Another service hangs, and a refresh waits for it.
fn waiting_refresh(place: &Place) {
    service("hang")(place);
    if !place.held.borrow().is_empty() {
        return;
    }
    let mut command = place.host.machine.command(&[tests::REFRESHER]);
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Running(command.spawn().unwrap());
    while !asks(running.0.id()) {
        assert!(running.0.try_wait().unwrap().is_none(), "it asked nobody");
        std::thread::yield_now();
    }
    place.held.borrow_mut().push(Box::new(running));
}

/// Whether a child of this process asks the service.
fn asks(parent: u32) -> bool {
    let parent = format!("PPid:\t{parent}");
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let read = |file| fs::read(entry.path().join(file)).unwrap_or_default();
        let status = String::from_utf8_lossy(&read("status")).into_owned();
        status.lines().any(|line| line == parent)
            && read("cmdline").windows(15).any(|words| words == b"ask-service\0sss")
    })
}

/// Home directories on an automounter that never answers (autofs(5)). It belongs to init, so that every process
/// waits for it.
fn hanging_homes(place: &Place) {
    if !place.held.borrow().is_empty() {
        return;
    }
    let (answers, asks) = std::io::pipe().unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&asks);
    let options = format!("fd={fd},pgrp=1,minproto=5,maxproto=5,indirect");
    let kind = Some("autofs");
    mount(kind, "/home", kind, MsFlags::empty(), Some(options.as_str())).unwrap();
    place.held.borrow_mut().push(Box::new((answers, asks)));
}

#[test]
fn other_services_of_nsswitch() {
    let row = |status, why| {
        let name = format!("another service of nsswitch.conf: {status}");
        row(name, service(status), waits(65, why), waits(0, "service 'sss' of nsswitch.conf cannot be asked"))
    };
    all(&[
        row("hang", "'sss' of nsswitch.conf cannot be asked: no answer within 15 s"),
        row("crash", "'sss' of nsswitch.conf cannot be asked: the process that asks it ended early"),
        row("unavailable", "'sss' of nsswitch.conf cannot be asked: Connection refused"),
        row("busy", "'sss' of nsswitch.conf cannot be asked: Try again"),
    ]);
    const UNASKED: &str = "'sss' of nsswitch.conf cannot be asked";
    all(&[crate::row(
        "a refresh waits for another service",
        waiting_refresh,
        waits(65, UNASKED),
        waits(0, UNASKED),
    )]);
}

#[test]
fn daemons() {
    const STAYS: &str = "its cached answers may stay until they time out";
    all(&[
        row("nscd hangs", nscd("exec sleep 60"), enters(0, STAYS), DONE),
        row("nscd fails", nscd("exit 1"), enters(0, STAYS), DONE),
        row("logind hangs", loginctl("exec sleep 60"), DONE, DONE),
        row("logind fails", loginctl("exit 1"), DONE, DONE),
    ]);
}

#[test]
fn sources_and_homes() {
    let closed_source = |place: &Place| {
        place.way.set(Refresh::Left);
        fs::set_permissions("/srv", Permissions::from_mode(0o700)).unwrap();
    };
    let no_source = |place: &Place| {
        place.way.set(Refresh::Apply);
        break_it(SOURCE, Gone);
    };
    all(&[
        row("IAM never answers", silent_iam, DONE, DONE),
        row("the source is closed to the fetch half", closed_source, enters(77, "Permission denied"), DONE),
        row("the source is gone", no_source, DONE, DONE),
        row("homes hang", hanging_homes, waits(65, "nobody gets a new home"), DONE),
    ]);
}
