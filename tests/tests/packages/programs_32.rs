//! The package with the module for 32-bit programs, `libnss-iam`, on a host of 64 bits.

use std::collections::BTreeSet;

use serde_json::Value;
use tests::boot::Booted;
use tests::login::GROUP;
use tests::{repository, text};

use crate::support::{self, OLDER, aws, done, package, package_32};

const LOOKUP: &str = "/usr/local/bin/lookup";
const CODE: &str = "module-missing-for-some";

/// The remedy of `doctor`, if it misses the module.
fn remedy(host: &Booted) -> Option<String> {
    let said = host.command(&["nss-iamctl", "doctor", "--json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&said.stdout).unwrap();
    let finding = report["findings"].as_array().unwrap().iter().find(|finding| finding["code"] == CODE)?;
    Some(finding["remedy"].as_str().unwrap().to_owned())
}

#[test]
fn a_32_bit_program_sees_iam_users_once_doctors_remedy_was_carried_out() {
    let Some(host) = Booted::start("multiarch") else { return };
    let source = repository().join("tests/tests/packages/lookup_32.c");
    let program = host.path(LOOKUP);
    done("i686-linux-gnu-gcc", &["-o", program.to_str().unwrap(), source.to_str().unwrap()]);
    support::repository(&host);
    host.done("apt-get install -qq -y nss-iam");
    aws(&host, None);
    let ana = host.user("ana");
    host.done(&format!("nss-iamctl enable --group {GROUP}"));
    let uid = host.done("id -u ana");
    assert!(host.done(&format!("{LOOKUP} root")).starts_with("32 bits, uid 0,"));
    assert_eq!(host.sh(&format!("{LOOKUP} ana")), (Some(2), String::new()), "without the package");

    let line = remedy(&host).expect("doctor misses the module");
    assert_eq!(line, "apt-get install libnss-iam:i386");
    host.done(&line);
    let seen = host.done(&format!("{LOOKUP} ana"));
    let groups = host.done("id -G ana").split_whitespace().count();
    assert_eq!(seen, format!("32 bits, uid {}, {groups} groups, /home/ana\n", uid.trim()));
    assert_eq!(remedy(&host), None);
    assert!(host.logs_in("ana", &ana));

    // The two are of one version: an upgrade and a downgrade take both, or neither.
    host.done("apt-get remove -qq -y libnss-iam:i386");
    assert_eq!(host.sh(&format!("{LOOKUP} ana")).0, Some(2));
    host.done(&format!("apt-get install -qq -y --allow-downgrades nss-iam={OLDER}"));
    host.done("apt-get install -qq -y libnss-iam:i386");
    let version = host.done("dpkg-query -W -f '${Version}' nss-iam");
    assert_eq!(version, env!("CARGO_PKG_VERSION"), "it brings its own version of nss-iam");
    assert_eq!(host.done(&format!("{LOOKUP} ana")), seen);

    host.done("apt-get remove -qq -y nss-iam");
    let (_, state) = host.sh("dpkg-query -W -f '${db:Status-Status}' libnss-iam:i386");
    assert_ne!(state, "installed", "no module without nss-iam");
}

#[test]
fn the_packages_for_32_bit_programs_have_the_module_and_nothing_that_nss_iam_has() {
    let paths = |listed: &str| -> BTreeSet<String> {
        listed.lines().map(str::to_owned).filter(|path| !path.ends_with('/')).collect()
    };
    let deb = |path: &std::path::Path| {
        let listed = std::process::Command::new("sh")
            .args(["-c", r#"dpkg-deb --fsys-tarfile "$0" | tar -t"#, path.to_str().unwrap()])
            .output()
            .unwrap();
        paths(text(&listed.stdout))
    };
    let rpm = |path: &std::path::Path| paths(&done("rpm", &["-qp", "--list", path.to_str().unwrap()]));
    for (module, of_32, whole) in [
        ("./usr/lib/i386-linux-gnu/libnss_iam.so.2", deb(&package_32("deb")), deb(&package("deb"))),
        ("/usr/lib/libnss_iam.so.2", rpm(&package_32("rpm")), rpm(&package("rpm"))),
    ] {
        assert!(of_32.contains(module), "{of_32:?}");
        let others = of_32.iter().filter(|path| !path.contains("/doc/") && !path.contains("/licenses/"));
        assert_eq!(others.collect::<Vec<_>>(), [module]);
        assert!(whole.len() > 30);
        assert_eq!(of_32.intersection(&whole).collect::<Vec<_>>(), [""; 0]);
    }
    let fields = ["Source", "Version", "Multi-Arch", "Depends"];
    let control =
        done("dpkg-deb", &[&["--field", package_32("deb").to_str().unwrap()], &fields[..]].concat());
    let version = env!("CARGO_PKG_VERSION");
    for line in ["Source: nss-iam", &format!("Version: {version}"), "Multi-Arch: same"] {
        assert!(control.lines().any(|other| other == line), "{line}: {control}");
    }
    assert!(control.contains(&format!("nss-iam:any (= {version})")), "{control}");
    let requires = done("rpm", &["-qp", "--requires", package_32("rpm").to_str().unwrap()]);
    assert!(requires.lines().any(|line| line == format!("nss-iam = {version}")), "{requires}");
    assert!(requires.lines().all(|line| !line.contains("64bit")), "{requires}");
}
