//! Groups of the configuration and local groups.

use super::enable;
use crate::cli::Enable;
use crate::edit::settings::{OURS, PATH};
use crate::fixtures::machine::Machine;
use crate::say::error::CONFIGURATION;

fn refused(machine: &Machine, args: &Enable) -> String {
    let before = machine.files();
    let refused = machine.enable(args).unwrap_err();
    assert_eq!(refused.status(), CONFIGURATION);
    assert_eq!(machine.files(), before);
    assert!(refused.to_string().contains("nothing was changed"), "{refused}");
    refused.to_string()
}

#[test]
fn without_a_group_nothing_is_changed() {
    let machine = Machine::debian();
    assert!(refused(&machine, &Enable::default()).contains("hint: nss-iamctl enable --group GROUP"));
    for text in ["groups_from_instance_tag = \"t\"\n", "[source]\nurl = \"file:///srv/users.json\"\n"] {
        machine.write(PATH, text);
        machine.enable(&Enable::default()).unwrap();
        assert!(!machine.has(OURS), "{text}");
        machine.disable().unwrap();
    }
}

#[test]
fn a_second_group_is_added_and_the_package_s_file_stays() {
    let machine = Machine::debian();
    machine.write(PATH, "# shipped\n");
    let before = machine.files();
    machine.enable(&enable()).unwrap();
    machine.enable(&Enable { groups: vec!["Dev".to_owned()], ..Enable::default() }).unwrap();
    assert!(machine.read(OURS).contains("groups = [\"Ops\", \"Dev\"]\n"), "{}", machine.read(OURS));
    assert_eq!(machine.files()[&machine.path(OURS)].0 & 0o777, 0o644);
    let last = Enable { remove_groups: vec!["Ops".to_owned(), "Dev".to_owned()], ..Enable::default() };
    assert!(refused(&machine, &last).contains("nss-iamctl disable"));
    machine.disable().unwrap();
    assert_eq!(machine.files(), before);
}

#[test]
fn a_group_that_would_not_take_effect_is_refused() {
    let machine = Machine::debian();
    machine.write(PATH, "");
    machine.write("/etc/nss-iam/config.d/50-site.toml", "groups = [\"Site\"]\n");
    let told = refused(&machine, &enable());
    assert!(told.contains("'groups' is overridden by '") && told.contains("50-site.toml'"), "{told}");
    assert!(told.contains("hint: set it there: groups = [\"Site\", \"Ops\"]"), "{told}");
}

#[test]
fn a_local_group_must_exist() {
    let machine = Machine::debian();
    machine.write("/etc/group", "sudo:x:27:\n");
    let with = |local: &str| Enable { local_groups: vec![("Ops".to_owned(), local.to_owned())], ..enable() };
    let told = refused(&machine, &with("wheel"));
    assert!(told.contains("'wheel' is no group of '/etc/group'"), "{told}");
    machine.enable(&with("sudo")).unwrap();
    assert!(machine.read(OURS).contains("[local_groups]\nOps = [\"sudo\"]\n"));
    let said = machine.said();
    assert!(said.contains("members of 'sudo' may use sudo, but it asks for a password"), "{said}");
    assert!(!said.contains("is not configured"), "{said}");
    let args =
        Enable { local_groups: vec![("Dev".to_owned(), "sudo".to_owned())], dry_run: true, ..enable() };
    machine.enable(&args).unwrap();
    let said = machine.said();
    assert!(said.contains("group 'Dev' is not configured, so nobody joins 'sudo' yet\n"), "{said}");
}
