//! A Debian 12 with AppArmor on which the shipped package is installed, for all tests of that machine.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tests::login::Key;
use tests::package;
use tests::vm::{Borrowed, Security, Vm};

/// The state of the machine after `installed`.
const INSTALLED: &str = "installed";
/// Confines a copy of getent, as Debian's packages confine their programs.
const PROFILE: &str = "abi <abi/3.0>,\ninclude <tunables/global>\nprofile lookup /usr/local/bin/lookup {\n  include <abstractions/base>\n  \
                       include <abstractions/nameservice>\n  /usr/local/bin/lookup mr,\n}\n";

static IS_INSTALLED: AtomicBool = AtomicBool::new(false);

/// The machine with ana and bob, and their keys. AppArmor had loaded a profile, in which looking up users is allowed, before the
/// package was installed.
pub(crate) fn installed() -> Option<(Borrowed, BTreeMap<String, Key>)> {
    let mut vm = Vm::take(Security::AppArmor)?;
    let people = ["ana", "bob"];
    if IS_INSTALLED.load(Ordering::Relaxed) {
        vm.load(INSTALLED);
        let keys = people.map(|name| (name.to_owned(), vm.person(name).0)).into();
        return Some((vm, keys));
    }
    vm.done("cp /usr/bin/getent /usr/local/bin/lookup");
    vm.write("/etc/apparmor.d/usr.local.bin.lookup", PROFILE);
    vm.done("systemctl reload apparmor.service");
    vm.write("/srv/nss-iam.deb", fs::read(package("deb")).unwrap());
    vm.done("dpkg -i /srv/nss-iam.deb");
    let keys = vm.people(&people);
    vm.done("nss-iamctl enable --imds && id ana");
    vm.save(INSTALLED);
    IS_INSTALLED.store(true, Ordering::Relaxed);
    Some((vm, keys))
}

/// Whether a user can log in with their key, like an administrator who tries it.
pub(crate) fn logs_in(vm: &Vm, keys: &BTreeMap<String, Key>, name: &str) -> bool {
    vm.ssh(name, &keys[name], "true").status.success()
}

/// What doctor and `why ana` report as bad or as a warning: the codes of the findings.
pub(crate) fn found(vm: &Vm, command: &str) -> Vec<String> {
    let said = vm.sh(&format!("{command} --json")).1;
    let report: Value = serde_json::from_str(&said).unwrap_or_else(|why| panic!("{command}: {why}: {said}"));
    let all = report["findings"].as_array().unwrap().iter();
    let wrong = all.filter(|found| found["level"] != "ok");
    wrong.map(|found| found["code"].as_str().unwrap().to_owned()).collect()
}
