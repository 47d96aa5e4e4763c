//! SELinux in enforcing mode, with Debian's policy.

use tests::vm::{Security, Vm};

#[test]
fn the_machine_enforces_its_policy_and_starts_again_as_it_was() {
    let Some(mut vm) = Vm::take(Security::SeLinux) else { return };
    assert_eq!(vm.done("getenforce"), "Enforcing\n");
    vm.done("touch /root/here");
    vm.save("here");
    vm.done("rm /root/here");
    vm.load("here");
    vm.done("ls /root/here");
    vm.load("booted");
    assert_ne!(vm.sh("ls /root/here").0, Some(0));
}
