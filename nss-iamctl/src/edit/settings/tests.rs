//! What `enable` writes, for the configurations that there can be.

use std::path::Path;

use super::*;

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A host with these files in /etc/nss-iam.
fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
    let directory = tempfile::tempdir().unwrap();
    let host = Host::this_directory(directory.path());
    for (name, text) in files {
        let path = host.path("/etc/nss-iam").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    (directory, host)
}

fn groups(add: &[&str], remove: &[&str]) -> Enable {
    Enable { groups: strings(add), remove_groups: strings(remove), ..Enable::default() }
}

/// The values in our file, without its header.
fn written(settings: &Settings) -> String {
    let ours = settings.edits.iter().find(|edit| edit.path == Path::new(OURS)).unwrap();
    let text = String::from_utf8(ours.after.clone().unwrap()).unwrap();
    text.strip_prefix(HEADER).unwrap().to_owned()
}

#[test]
fn all_values_go_into_our_file_and_the_package_s_file_stays() {
    let (_directory, host) = host(&[("config.toml", SHIPPED)]);
    let args = Enable {
        role: Some("Lookup".to_owned()),
        local_groups: vec![("Ops".to_owned(), "sudo".to_owned()), ("Ops".to_owned(), "adm".to_owned())],
        ..groups(&["Ops", "Dev"], &[])
    };
    let settings = plan(&host, &args).unwrap();
    assert_eq!(
        written(&settings),
        "groups = [\"Ops\", \"Dev\"]\n\n[aws]\nrole = \"Lookup\"\n\n[local_groups]\nOps = [\"sudo\", \"adm\"]\n"
    );
    assert_eq!(settings.edits.len(), 1);
    assert_eq!(settings.edits[0].kind, Kind::Whole);
    assert_eq!((settings.notes.len(), settings.before.groups.len()), (0, 0));
}

#[test]
fn a_shell_group_is_also_a_group_and_goes_with_it() {
    let (_directory, host) = host(&[("config.toml", "groups = ['A']")]);
    let args = Enable { forward_only: true, shell_groups: strings(&["Ops"]), ..Enable::default() };
    let settings = plan(&host, &args).unwrap();
    let text = "groups = [\"A\", \"Ops\"]\nshell_groups = [\"Ops\"]\n\n[users]\nforward_only = true\n";
    assert_eq!(written(&settings), text);
    std::fs::write(host.path(PATH), text).unwrap();
    assert!(plan(&host, &args).unwrap().edits.is_empty(), "there already");
    let undone = Enable { no_forward_only: true, ..groups(&[], &["ops"]) };
    assert_eq!(
        written(&plan(&host, &undone).unwrap()),
        "groups = [\"A\"]\nshell_groups = []\n\n[users]\nforward_only = false\n"
    );
}

#[test]
fn keys_are_switched_off_and_on_again_and_stay_as_they_are_otherwise() {
    let (_directory, host) = host(&[("config.toml", "")]);
    let off = Enable { no_keys: true, ..Enable::default() };
    let text = "[keys]\nsshd = false\n";
    assert_eq!(written(&plan(&host, &off).unwrap()), text);
    std::fs::write(host.path(PATH), text).unwrap();
    for args in [&off, &Enable::default()] {
        let settings = plan(&host, args).unwrap();
        assert!(settings.edits.is_empty() && !settings.config.keys.sshd);
    }
    let on = Enable { keys: true, ..Enable::default() };
    assert_eq!(written(&plan(&host, &on).unwrap()), "[keys]\nsshd = true\n");
}

#[test]
fn a_missing_config_toml_is_written_as_shipped() {
    let (_directory, host) = host(&[]);
    let settings = plan(&host, &groups(&["Ops"], &[])).unwrap();
    assert_eq!(settings.edits[0].path, Path::new(PATH));
    assert_eq!(settings.edits[0].after.as_deref(), Some(SHIPPED.as_bytes()));
}

#[test]
fn groups_are_added_to_those_that_count_now_and_removed_from_them() {
    for (files, add, remove, wanted) in [
        (&[("config.toml", "groups = ['A']")][..], &["B"][..], &[][..], Some("[\"A\", \"B\"]")),
        (&[("config.toml", "groups = ['A']")], &["a"], &[], None),
        (
            &[("config.toml", "groups = ['A']"), ("config.d/05-x.toml", "groups = ['B']")],
            &["C"],
            &[],
            Some("[\"B\", \"C\"]"),
        ),
        (&[("config.toml", "groups = ['A', 'B']")], &[], &["a"], Some("[\"B\"]")),
        (
            &[("config.toml", ""), ("config.d/10-enable.toml", "groups = ['A', 'B'] # mine\n")],
            &["C"],
            &["A"],
            Some("[\"B\", \"C\"] # mine"),
        ),
    ] {
        let (_directory, host) = host(files);
        let settings = plan(&host, &groups(add, remove)).unwrap();
        match wanted {
            None => assert!(settings.edits.is_empty()),
            Some(wanted) => assert_eq!(written(&settings), format!("groups = {wanted}\n")),
        }
    }
    let (_directory, host) = host(&[("config.toml", "groups = ['A']")]);
    let refused = plan(&host, &groups(&[], &["B"])).err().unwrap();
    assert!(
        refused
            .to_string()
            .ends_with("'--remove-group B': this group is not configured\nhint: 'groups' has 'A'"),
        "{refused}"
    );
}

#[test]
fn a_value_that_a_later_file_overrides_is_refused_with_what_to_write_there() {
    for (text, args, told) in [
        ("groups = ['A']", groups(&["B"], &[]), "'groups' is overridden by '"),
        ("groups = ['A']", groups(&["B"], &[]), "hint: set it there: groups = [\"A\", \"B\"]"),
        (
            "[aws]\nrole = 'x'",
            Enable { role: Some("y".to_owned()), ..Enable::default() },
            "set it there: aws.role = \"y\"",
        ),
        (
            "[local_groups]\nA = ['adm']",
            Enable { local_groups: vec![("A".to_owned(), "sudo".to_owned())], ..Enable::default() },
            "set it there: local_groups.A = [\"adm\", \"sudo\"]",
        ),
    ] {
        let (_directory, host) = host(&[("config.toml", ""), ("config.d/50-x.toml", text)]);
        let refused = plan(&host, &args).err().unwrap();
        assert_eq!(refused.status(), crate::say::error::CONFIGURATION);
        assert!(
            refused.to_string().contains(told) && refused.to_string().contains("50-x.toml'"),
            "{refused}"
        );
    }
    let other = [("config.toml", ""), ("config.d/50-x.toml", "[local_groups]\nA = ['adm']")];
    let (_directory, host) = host(&other);
    let args = Enable { local_groups: vec![("B".to_owned(), "sudo".to_owned())], ..Enable::default() };
    assert_eq!(plan(&host, &args).unwrap().config.local_groups.len(), 2, "another key of the same table");
}

#[test]
fn a_value_of_an_earlier_file_that_no_longer_counts_is_noted() {
    let (_directory, host) = host(&[("config.toml", "groups = ['A']\n[aws]\nrole = 'x'")]);
    let notes = plan(&host, &groups(&["B"], &[])).unwrap().notes;
    assert_eq!(notes.len(), 1);
    assert!(
        notes[0].what().starts_with("'groups' in '") && notes[0].what().contains("config.toml' no longer")
    );
}

#[test]
fn tags_and_parts_of_the_host_are_added_to_those_of_now() {
    let (_directory, host) = host(&[("config.toml", "[tags]\nuse = ['uid']\n[names]\nexclude = ['ldap']")]);
    let args = |tags: &[&str], parts: &[&str]| Enable {
        use_tags: strings(tags),
        exclude: strings(parts),
        ..Enable::default()
    };
    let first = plan(&host, &args(&["ssh-key"], &["sudo"])).unwrap();
    assert_eq!(
        written(&first),
        "[tags]\nuse = [\"uid\", \"ssh-key\"]\n\n[names]\nexclude = [\"ldap\", \"sudo\"]\n"
    );
    // A second one, as from the next line of a report.
    let ours = host.path(OURS);
    std::fs::create_dir_all(ours.parent().unwrap()).unwrap();
    std::fs::write(ours, first.edits[0].after.as_ref().unwrap()).unwrap();
    let second = plan(&host, &args(&["name", "uid"], &["sss"])).unwrap();
    assert_eq!(
        written(&second),
        "[tags]\nuse = [\"uid\", \"ssh-key\", \"name\"]\n\n[names]\nexclude = [\"ldap\", \"sudo\", \"sss\"]\n"
    );
}

#[test]
fn nothing_asked_for_changes_nothing() {
    let (_directory, host) = host(&[("config.toml", "groups = ['A'] # odd")]);
    assert!(plan(&host, &Enable::default()).unwrap().edits.is_empty());
}

#[test]
fn a_value_that_cannot_be_is_refused_without_a_file_that_does_not_have_it() {
    let (_directory, host) = host(&[]);
    let role = |role: &str| Enable { role: Some(role.to_owned()), ..Enable::default() };
    let local = |group: &str, local: &str| Enable {
        local_groups: vec![(group.to_owned(), local.to_owned())],
        ..Enable::default()
    };
    for (args, told) in [
        (
            groups(&["Ops "], &[]),
            "'Ops ' is not valid for 'groups': not a valid name for an IAM group\nhint: 1 to",
        ),
        (groups(&["no such\"group"], &[]), "'no such\\\"group' is not valid for 'groups'"),
        (
            role("a b"),
            "'a b' is not valid for 'aws.role': neither the name nor the ARN of a role\nhint: a name such",
        ),
        (local("Ops", "root"), "'root' is not valid for 'local_groups.Ops'"),
    ] {
        let refused = plan(&host, &args).err().unwrap();
        assert_eq!(refused.status(), crate::say::error::CONFIGURATION);
        assert!(refused.to_string().starts_with(told), "{refused}");
    }
}
