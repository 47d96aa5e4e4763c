//! The .deb for aarch64 on a whole system, in a machine that qemu emulates. `make test-arm` runs this; `make test` does not.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tests::{is_root, repository};

/// The whole life takes two minutes on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(1200);
const POLL: Duration = Duration::from_secs(1);

/// Graviton's first processor: the others can do all that it can.
const PROCESSOR: &str = "cortex-a72";

const UNIT: &str = "[Unit]
After=dbus.service ssh.service systemd-logind.service systemd-user-sessions.service
[Service]
Type=oneshot
ExecStart=/bin/sh /root/life.sh
";

fn tree(name: &str) -> PathBuf {
    let path = tests::target().join("trees").join(name);
    assert!(path.exists(), "'{}' is missing\nhint: make test-arm", path.display());
    path
}

/// The only package for aarch64 in `dist` that has this end.
fn package(end: &str) -> PathBuf {
    let files = fs::read_dir(repository().join("dist")).into_iter().flatten().flatten();
    let mut found = files.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with(end));
    found.next().unwrap_or_else(|| panic!("there is no dist/*{end}\nhint: make test-arm"))
}

/// The system as an archive that the kernel unpacks into memory, and after it one with the files of the test
/// (Documentation/driver-api/early-userspace/buffer-format.rst).
fn archive(directory: &Path) -> PathBuf {
    let files = directory.join("files");
    let units = files.join("etc/systemd/system");
    let wanted = units.join("multi-user.target.wants");
    for directory in [&wanted, &files.join("root")] {
        fs::create_dir_all(directory).unwrap();
    }
    fs::copy(package("_arm64.deb"), files.join("root/nss-iam.deb")).unwrap();
    fs::write(files.join("root/life.sh"), include_str!("life.sh")).unwrap();
    fs::write(units.join("life.service"), UNIT).unwrap();
    std::os::unix::fs::symlink("../life.service", wanted.join("life.service")).unwrap();
    let all = directory.join("all.cpio");
    fs::copy(tree("arm64.cpio"), &all).unwrap();
    let line = "find etc/systemd/system root ! -type d | cpio --quiet -o -H newc -R 0:0";
    let more = Command::new("sh").args(["-c", line]).current_dir(&files).output().unwrap();
    assert!(more.status.success());
    fs::OpenOptions::new().append(true).open(&all).unwrap().write_all(&more.stdout).unwrap();
    all
}

/// qemu of a tree, started by the tree's own loader with the tree's libraries.
fn qemu(console: &Path, archive: &Path) -> Child {
    let tree = tree("qemu-arm");
    let libraries = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let loader = ["lib64/ld-linux-x86-64.so.2", "lib/ld-linux-aarch64.so.1"].map(|path| tree.join(path));
    let loader = loader.iter().find(|path| path.exists()).unwrap();
    let kernel =
        fs::read_dir(self::tree("arm64-kernel").join("boot")).unwrap().map(|entry| entry.unwrap().path());
    let kernel = kernel.into_iter().find(|path| path.to_string_lossy().contains("vmlinuz-")).unwrap();
    let serial = format!("file:{}", console.display());
    Command::new("nice")
        .arg(loader)
        .arg("--library-path")
        .arg(tree.join(&libraries))
        .arg(tree.join("usr/bin/qemu-system-aarch64"))
        .args(["-M", "virt", "-cpu", PROCESSOR, "-m", "2048", "-nodefaults", "-no-user-config", "-no-reboot"])
        .args(["-display", "none", "-serial", &serial, "-kernel"])
        .arg(kernel)
        .arg("-initrd")
        .arg(archive)
        .args(["-append", "console=ttyAMA0 quiet rdinit=/lib/systemd/systemd systemd.show_status=0 systemd.mask=serial-getty@ttyAMA0.service"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn the_packages_for_this_machine_and_for_aarch64_are_side_by_side() {
    for (extension, end) in [("deb", "_arm64.deb"), ("rpm", ".aarch64.rpm")] {
        let (native, emulated) = (tests::package(extension), package(end));
        assert_eq!(native == emulated, cfg!(target_arch = "aarch64"), "{native:?}, {emulated:?}");
    }
}

#[test]
fn the_deb_for_aarch64_from_installation_through_a_login_to_purge() {
    if !is_root() {
        return;
    }
    // Not in memory, of which the machine needs enough.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let console = directory.path().join("console");
    File::create(&console).unwrap();
    let archive = archive(directory.path());
    let started = Instant::now();
    let mut machine = qemu(&console, &archive);
    while machine.try_wait().unwrap().is_none() && started.elapsed() < PATIENCE {
        std::thread::sleep(POLL);
    }
    let _ = machine.kill();
    let _ = machine.wait();
    let shown = String::from_utf8_lossy(&fs::read(&console).unwrap()).replace('\r', "");
    assert!(shown.contains("\nlife: complete\n"), "{shown}");
    let login = shown.lines().find(|line| line.starts_with("login: ")).unwrap_or_else(|| panic!("{shown}"));
    assert!(login.contains("(ana)") && login.ends_with(" on aarch64 in /home/ana"), "{login}");
    // Not println: libtest does not show its text when a test passes.
    let seconds = started.elapsed().as_secs();
    writeln!(std::io::stdout(), "on aarch64, after {seconds} s from installation to purge, {login}").unwrap();
}
