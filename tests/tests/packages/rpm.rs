//! The .rpm: its files, its dependencies, its scriptlets. No rpm distribution is available where the tests run, so
//! the files and scripts are tested on Debian with rpm. What only Red Hat or SUSE have (SELinux in enforcing mode,
//! authselect, presets) is not tested; for the SELinux module see `selinux.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tests::boot::Booted;
use tests::login::GROUP;

use crate::support::{NEXT, aws, done, package, tree, unpacked};

fn query(words: &[&str]) -> String {
    let package = package("rpm");
    done("rpm", &[&["-qp"], words, &[package.to_str().unwrap()]].concat())
}

#[test]
fn the_rpm_installs_the_programs_of_the_deb() {
    let deb = unpacked();
    let rpm: BTreeSet<String> = query(&["--list"]).lines().map(str::to_owned).collect();
    for path in tree(deb.path()).into_iter().filter(|path| deb.path().join(path).is_file()) {
        let multiarch = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        let path = match path.strip_prefix(&multiarch) {
            Ok(module) => Path::new("usr/lib64").join(module),
            Err(_) => path,
        };
        let path = path.strip_prefix("lib").map_or(path.clone(), |unit| Path::new("usr/lib").join(unit));
        let debian = [
            "usr/share/doc",
            "usr/share/lintian",
            "usr/share/pam-configs",
            "usr/share/zsh",
            "etc/apparmor.d",
        ];
        let debian_only = path.ends_with("nss-iam-mkhomedir.cil");
        if !debian_only && !debian.iter().any(|only| path.starts_with(only)) {
            assert!(rpm.contains(&format!("/{}", path.display())), "{}", path.display());
        }
    }
    for only in ["/usr/share/zsh/site-functions/_nss-iamctl", "/usr/share/doc/nss-iam/reference/listing.md"] {
        assert!(rpm.contains(only), "{only}");
    }
}

#[test]
fn the_rpm_requires_nothing_that_amazon_linux_2_lacks() {
    for line in query(&["--requires"]).lines() {
        let word = line.split(['(', ' ']).next().unwrap();
        let version = line
            .split("GLIBC_2.")
            .nth(1)
            .and_then(|rest| rest.split(')').next()?.split('.').next()?.parse().ok());
        assert!(version.unwrap_or(0) <= 17, "{line}");
        let known = [
            "libc",
            "libm",
            "libdl",
            "libpthread",
            "librt",
            "libutil",
            "ld-linux",
            "rtld",
            "rpmlib",
            "/bin/sh",
        ];
        let known = known.iter().chain(&[
            "ca-certificates",
            "systemd",
            "/usr/sbin/groupadd",
            "/usr/sbin/useradd",
            "config",
        ]);
        assert!(known.clone().any(|known| word.starts_with(known)), "{line}");
        assert!(!line.contains("Zstd") && !line.contains("RichDependencies"), "{line}");
    }
}

#[test]
fn the_configuration_is_the_only_config_file_of_the_rpm() {
    assert_eq!(query(&["--configfiles"]), "/etc/nss-iam/config.toml\n");
}

#[test]
fn the_rpm_can_be_installed_enabled_upgraded_and_removed() {
    let Some(host) = Booted::start("rpm") else { return };
    fs::copy(package("rpm"), host.path("/srv/nss-iam.rpm")).unwrap();
    let files = ["/etc/nsswitch.conf", "/etc/pam.d/sshd", "/etc/ssh/sshd_config"];
    let read = || files.map(|file| fs::read_to_string(host.path(file)).unwrap());
    let before = read();
    // Packages that rpm distributions have under these names are not in the rpm database here.
    let said = host.done("rpm --install --nodeps /srv/nss-iam.rpm 2>&1");
    assert!(!said.contains("scriptlet failed"), "{said}");
    assert!(said.contains(NEXT), "{said}");
    // Debian's glibc searches its multiarch directory, and lib64 only if ld.so.conf names it.
    host.write("/etc/ld.so.conf.d/lib64.conf", "/usr/lib64\n");
    host.done("ldconfig");
    assert_eq!(read(), before, "installing does no harm");
    assert_eq!(host.sh("systemctl is-enabled nss-iam-refresh.timer").1, "disabled\n");
    for user in ["nss-iam", "nss-iam-fetch"] {
        assert!(host.done(&format!("getent passwd {user}")).contains("/usr/sbin/nologin"), "{user}");
    }
    aws(&host, None);
    let ana = host.user("ana");
    host.done(&format!("nss-iamctl enable --group {GROUP}"));
    host.until("ana came by the timer", || host.sh("getent passwd ana").0 == Some(0));
    assert!(host.logs_in("ana", &ana));

    let said = host.done("rpm --upgrade --force --nodeps /srv/nss-iam.rpm 2>&1");
    assert!(!said.contains("scriptlet failed") && !said.contains(NEXT), "{said}");
    assert!(host.logs_in("ana", &ana), "an upgrade changes nothing");

    let said = host.done("rpm --erase --nodeps nss-iam 2>&1");
    assert!(!said.contains("scriptlet failed"), "{said}");
    assert_eq!(read(), before, "removing gives back what enable changed");
    assert!(!host.logs_in("ana", &ana));
}

/// A scriptlet of the spec file.
fn scriptlet(name: &str) -> String {
    let spec = fs::read_to_string(tests::repository().join("rpm/nss-iam.spec")).unwrap();
    let (_, rest) = spec.split_once(&format!("\n%{name}\n")).unwrap();
    let text = rest.split_once("\n\n").unwrap().0;
    text.replace("/sbin/ldconfig", "ldconfig").replace("/usr/libexec/nss-iam/selinux", "selinux")
}

#[test]
fn a_scriptlet_that_fails_never_leaves_half_a_package() {
    // The exit status of a scriptlet where these programs succeed and every other one fails.
    let status = |name: &str, argument: &str, working: &[&str]| {
        let programs = tempfile::tempdir().unwrap();
        for program in [
            "getent",
            "groupadd",
            "useradd",
            "ldconfig",
            "systemd-tmpfiles",
            "systemctl",
            "nss-iamctl",
            "selinux",
            "grep",
            "ls",
        ] {
            let path = programs.path().join(program);
            let works = working.contains(&program);
            // Of users only the last one is there.
            let text = if program == "getent" {
                "[ $2 = nss-iam-fetch ]"
            } else {
                ["false", "true"][usize::from(works)]
            };
            fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut shell = Command::new("/bin/sh");
        let ran = shell.args(["-c", &scriptlet(name), "sh", argument]).env("PATH", programs.path()).output();
        ran.unwrap().status.code()
    };
    for number in ["1", "2"] {
        assert_eq!(status("pre", number, &["groupadd", "useradd"]), Some(0));
        for working in [&[][..], &["groupadd"], &["useradd"]] {
            assert_ne!(
                status("pre", number, working),
                Some(0),
                "without its user, keys-cmd does not run: {working:?}"
            );
        }
    }
    // rpm has the files in place, or is about to remove them: stopping there would leave some of both.
    for name in ["post", "preun", "postun", "posttrans"] {
        for number in ["0", "1", "2"] {
            assert_eq!(status(name, number, &[]), Some(0), "%{name} {number}");
        }
    }
}
