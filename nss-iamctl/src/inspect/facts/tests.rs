//! What is gathered from a tree of files that root owns.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use status::Locked;
use tempfile::TempDir;

use super::imds::Unseen;
use super::module::{self, I386, NATIVE};
use super::{Facts, Node, sshd};
use crate::fixtures::{MACHINE, NOW, published};
use crate::host::published::{Published, Trouble};
use crate::host::{Host, Output, Programs};

/// Programs that answer as on a host with sshd and systemd.
struct Answers;

impl Programs for Answers {
    fn run(&self, line: &[&str], _: &str) -> io::Result<Output> {
        let answer = match line {
            ["systemctl", "show", .., "nss-iam-refresh.timer"] => "LoadState=loaded\nActiveState=active\n",
            ["systemctl", "show", ..] => {
                "LoadState=loaded\nActiveState=failed\nResult=exit-code\nExecMainStatus=77\n"
            }
            ["timedatectl", ..] => "no\n",
            ["journalctl", .., "cat", "-k", "-n", _, _] => {
                "avc:  denied  { map } for comm=\"sshd\" name=\"cache.db\"\n"
            }
            ["journalctl", ..] => {
                "2026-11-22T18:00:00+0000 jump sshd[12]: Invalid user ana from ::1 port 5\n"
            }
            [sshd, "-V"] if sshd.ends_with("/sshd") => "OpenSSH_9.2p1\n",
            [sshd, "-t"] if sshd.ends_with("/sshd") => {
                return Ok(Output {
                    code: Some(255),
                    stderr: "line 3: Bad\n".to_owned(),
                    ..Output::default()
                });
            }
            ["nft", ..] => {
                let stderr = "Error: No such file or directory\nlist table inet nss_iam\n".to_owned();
                return Ok(Output { code: Some(1), stderr, ..Output::default() });
            }
            ["systemctl", "is-enabled", ..] => "enabled\n",
            _ => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Output { code: Some(0), stdout: answer.to_owned(), ..Output::default() })
    }
}

/// `None` without root, because the readers trust only files of root.
fn tree() -> Option<(TempDir, Host)> {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root");
        return None;
    }
    let root = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    };
    for program in ["usr/bin/journalctl", "usr/bin/timedatectl", "usr/sbin/nft", "usr/sbin/sshd"] {
        put(program, "");
    }
    let keys_cmd = put("usr/libexec/nss-iam/keys-cmd", "");
    fs::set_permissions(keys_cmd, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(root.path().join("usr/libexec"), Permissions::from_mode(0o775)).unwrap();
    fs::create_dir_all(root.path().join("run/systemd/system")).unwrap();
    put("etc/nss-iam/config.toml", "groups = [\"Ops\"]\n");
    put("etc/passwd", "root:x:0:0::/root:/bin/sh\nnss-iam:x:901:901::/:/x\n");
    put("etc/group", "nss-iam:x:901:\n");
    put("etc/machine-id", &format!("{MACHINE}\n"));
    put("etc/shells", "# shells\n/bin/bash\n");
    put("etc/pam.d/sshd", "@include common-session\n# pam_mkhomedir.so\n");
    put("etc/nologin", "back soon\nreally\n");
    let module = put("usr/lib64/libnss_iam.so.2", "");
    fs::write(module, elf(NATIVE)).unwrap();
    put("etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n");
    let drop_in =
        put("etc/ssh/sshd_config.d/00-nss-iam.conf", "Match Group iam-users\nAuthorizedKeysFile none\n");
    let pid = put("run/sshd.pid", "12\n");
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    for (path, seconds) in [(root.path().join("etc/ssh/sshd_config"), 100), (pid, 200), (drop_in, 300)] {
        fs::File::options().append(true).open(path).unwrap().set_modified(at(seconds)).unwrap();
    }
    let directory = root.path().join("var/lib/nss-iam");
    fs::create_dir_all(&directory).unwrap();
    let snapshot = published();
    cache::publish::cache(&directory, snapshot.cache.as_ref().unwrap()).unwrap();
    cache::publish::keys(&directory, snapshot.keys.as_ref().unwrap(), 901).unwrap();
    let rows = cache::state::Rows::of(snapshot.state.as_ref().unwrap());
    cache::state::StateFile::open(&directory).unwrap().save(&rows).unwrap();
    put(
        "var/lib/nss-iam/status.json",
        r#"{"time": "2026-11-22T18:00:00Z", "exit": 0, "users": 1, "new": true}"#,
    );
    put("var/lib/nss-iam/locked", "# by root\n\nbob\n");
    put("var/lib/nss-iam-fetch/listing.json", r#"{"version": 1, "accounts": []}"#);
    fs::create_dir_all(root.path().join("home/ana")).unwrap();
    let host = Host::of(root.path().to_owned(), Box::new(Answers));
    Some((root, host))
}

/// The first bytes of an ELF file (elf(5)).
fn elf([class, data, low, high]: [u8; 4]) -> Vec<u8> {
    [b"\x7fELF", &[class, data, 1][..], &[0; 9], &[3, 0, low, high], &[0; 44]].concat()
}

#[test]
fn a_module_of_another_architecture_is_none() {
    let root = tempfile::tempdir().unwrap();
    let host = Host::of(root.path().to_owned(), Box::new(Answers));
    let put = |path: &str, bytes: &[u8]| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let seen = || {
        let module = module::gather(&host);
        (module.native, module.programs_32)
    };
    assert_eq!(seen(), (false, None));
    let s390 = [2, 2, 0, 22];
    put("usr/lib/foreign-linux-gnu/libnss_iam.so.2", &elf(s390));
    put("usr/lib/i386-linux-gnu/libnss_iam.so.2", &elf(I386));
    put("usr/lib64/libnss_iam.so.2", b"\x7fELF");
    assert_eq!(seen(), (false, None), "another machine's, a 32-bit one, and half a header");
    put("usr/lib/native-linux-gnu/libnss_iam.so.2", &elf(NATIVE));
    assert_eq!(seen(), (true, None), "no 32-bit program can run");
    if cfg!(target_arch = "x86_64") {
        put("lib/ld-linux.so.2", b"");
        assert_eq!(seen(), (true, Some(true)));
        put("usr/lib/i386-linux-gnu/libnss_iam.so.2", &elf(NATIVE));
        assert_eq!(seen(), (true, Some(false)));
    }
}

#[test]
fn a_host_is_seen_as_it_is() {
    let Some((_root, host)) = tree() else { return };
    let facts = Facts::gather(&host, NOW);
    assert_eq!(facts.config.as_ref().unwrap().groups, ["Ops"]);
    assert_eq!(
        (facts.passwd["nss-iam"], facts.group["nss-iam"], facts.machine_id.as_str()),
        (901, 901, MACHINE)
    );
    assert_eq!(
        (facts.module.native, facts.refresher, facts.nscd, facts.synchronised),
        (true, false, false, Some(false))
    );
    assert_eq!(facts.nologin, Some(("/etc/nologin".to_owned(), "back soon".to_owned())));
    assert_eq!(facts.shells, Some(vec!["/bin/bash".to_owned()]));
    assert_eq!((facts.makes_homes, facts.nsswitch), (Some(false), None));
    let way: Vec<(&str, u32)> =
        facts.keys_cmd.iter().skip(1).map(|node| (node.path.as_str(), node.mode)).collect();
    assert_eq!(way[1], ("/usr/libexec", 0o775));
    assert_eq!(way.last(), Some(&("/usr/libexec/nss-iam/keys-cmd", 0o755)));
    assert_eq!(facts.keys_db.map(|node| (node.gid, node.mode)), Some((901, 0o640)));
    assert!(
        matches!(facts.homes.as_slice(), [(name, _, Node { directory: true, uid: 0, .. })] if name == "ana")
    );
    assert_eq!(facts.schedule.map(|(unit, _)| unit.active).as_deref(), Some("active"));
    assert_eq!(facts.services[0].status, "77");
    let imds = facts.imds.unwrap();
    assert_eq!((imds.enabled, imds.rules), (true, Some(Err(Unseen::NoTable))));
    assert_eq!((facts.log.len(), facts.denials.len()), (1, 1));
    let sshd = facts.sshd.unwrap();
    assert!(sshd.refused.unwrap().what().contains("line 3: Bad"));
    assert_eq!((sshd.ours, sshd.out_of_force, sshd.loaded), (true, None, Some(200)));
    assert!(sshd.stopped, "the process of its pid file is gone, and no unit is active");
    assert_eq!(sshd.changed, Some(("/etc/ssh/sshd_config.d/00-nss-iam.conf".to_owned(), 300)));
}

#[test]
fn sshd_runs_if_the_process_of_its_pid_file_or_without_systemd_any_sshd_does() {
    let Some((root, host)) = tree() else { return };
    let stopped = || sshd::gather(&host).unwrap().stopped;
    let process = |pid: u32, name: &str| {
        fs::create_dir_all(root.path().join(format!("proc/{pid}"))).unwrap();
        let status = format!("Name:\t{name}\nState:\tS\nUid:\t0\t0\t0\t0\n");
        fs::write(root.path().join(format!("proc/{pid}/status")), status).unwrap();
    };
    process(12, "other");
    process(13, "sshd");
    assert!(stopped(), "a session that is left");
    fs::remove_dir(root.path().join("run/systemd/system")).unwrap();
    assert!(!stopped());
    fs::create_dir_all(root.path().join("run/systemd/system")).unwrap();
    process(12, "sshd");
    assert!(!stopped());
}

#[test]
fn what_was_published_is_read_and_what_readers_refuse_is_not() {
    let Some((root, host)) = tree() else { return };
    let wanted = published();
    let read = Published::read(&host);
    assert_eq!((&read.cache, &read.keys, &read.state), (&wanted.cache, &wanted.keys, &wanted.state));
    assert_eq!(read.status.unwrap().users, 1);
    assert_eq!(read.locked, Ok(Locked::parse("bob")));
    assert!(read.listing.unwrap().accounts.is_empty());
    let file = |name: &str| root.path().join("var/lib/nss-iam").join(name);
    fs::set_permissions(file("cache.db"), Permissions::from_mode(0o666)).unwrap();
    fs::copy(file("cache.db"), file("keys.db")).unwrap();
    fs::write(file("status.json"), "{").unwrap();
    fs::write(root.path().join("var/lib/nss-iam-fetch/listing.json"), "[]").unwrap();
    for name in ["state.db", "locked"] {
        fs::remove_file(file(name)).unwrap();
    }
    let read = Published::read(&host);
    assert_eq!(read.cache.unwrap_err().to_string(), "writable by group or others");
    assert!(matches!(read.keys, Err(Trouble::Unusable(_))), "another application's");
    assert_eq!((read.state, read.locked), (Err(Trouble::Missing), Ok(Default::default())));
    assert!(!file("state.db").exists(), "to look makes nothing");
    assert!(matches!((read.status, read.listing), (Err(Trouble::Unusable(_)), Err(Trouble::Unusable(_)))));
}
