//! The shipped file, the order of files, and files that are refused before they are parsed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::{parse, refusal};
use crate::tree::{self, Table};
use crate::{Account, Aws, Config, Error, Names, Publish};

const SHIPPED: &str = include_str!("../../config.toml");

const STORE: &str = "identity_store = \"d-1234567890\"\nregion = \"eu-west-1\"\n";

/// The shipped file with every commented key and header activated.
fn uncommented() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c == '[' || c.is_ascii_alphabetic()) => rest.to_owned(),
        _ => line.to_owned(),
    };
    SHIPPED.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// A directory with config.toml and config.d, removed at the end.
fn directory(files: &[(&str, &str)]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let drop_ins = directory.path().join("config.d");
    fs::create_dir(&drop_ins).unwrap();
    chmod(&drop_ins, 0o755);
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        chmod(&path, 0o644);
    }
    let main = directory.path().join("config.toml");
    (directory, main)
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_shipped_file_equals_the_defaults() {
    assert_eq!(parse(&[SHIPPED]).unwrap(), Config::default());
}

fn published() -> Publish {
    Publish {
        url: "s3://example-users/publisher".to_owned(),
        bucket: "example-users".to_owned(),
        object: "publisher".to_owned(),
        fleet: "jump-hosts".to_owned(),
        key: "/etc/nss-iam/publish.key".into(),
        valid: Duration::from_secs(86_400),
        again: Duration::from_secs(3600),
        trusted_keys: vec![
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINVgib+1IFE7gfaOcIKvZCB2gpfaIIBmuHp4bcE/W4oF".to_owned(),
        ],
    }
}

#[test]
fn the_shipped_file_shows_the_default_of_every_key_without_an_example() {
    let text = |s: &str| Some(s.to_owned());
    let expected = Config {
        groups: vec!["JumpHostAccess".to_owned()],
        shell_groups: vec!["JumpHostAdmins".to_owned()],
        groups_from_instance_tag: text("nss-iam:groups"),
        aws: Aws {
            role: text("IAMKeyLookup"),
            external_id: text("jump-hosts"),
            region: text("eu-west-1"),
            endpoint_url: text("https://vpce-0example.eu-west-1.vpce.amazonaws.com"),
            endpoint_url_iam: text("https://iam.amazonaws.com"),
            endpoint_url_sts: text("https://sts.eu-west-1.amazonaws.com"),
            endpoint_url_identitystore: text("https://identitystore.eu-west-1.amazonaws.com"),
            endpoint_url_s3: text("https://s3.eu-west-1.amazonaws.com"),
            https_proxy: text("http://proxy.example:3128"),
            no_proxy: text("169.254.169.254,.example"),
            ca_bundle: Some("/etc/ssl/certs/ca-certificates.crt".into()),
            ..Aws::default()
        },
        account: vec![Account {
            name: "partner".to_owned(),
            store: None,
            role: text("arn:aws:iam::123456789012:role/IAMKeyLookup"),
            external_id: text("jump-hosts"),
            groups: vec!["JumpHostAccess".to_owned()],
            local_groups: BTreeMap::from([("JumpHostAdmins".to_owned(), vec!["adm".to_owned()])]),
            shell_groups: vec!["JumpHostAdmins".to_owned()],
        }],
        local_groups: BTreeMap::from([(
            "JumpHostAdmins".to_owned(),
            vec!["sudo".to_owned(), "wheel".to_owned()],
        )]),
        names: Names {
            allow: BTreeMap::from([("AIDAEXAMPLE".to_owned(), "ana".to_owned())]),
            ..Names::default()
        },
        ids: BTreeMap::from([("AIDAEXAMPLE".to_owned(), 1003)]),
        publish: Some(published()),
        ..Config::default()
    };
    // An identity store belongs to another source than the default, and then every account has one.
    let all = uncommented();
    let signed = &all[all.find("fleet = ").unwrap()..all.find("unsigned = ").unwrap()];
    let of_objects =
        all.replace("url = \"iam:\"", "url = \"s3://example-users/jump-hosts\"").replace(STORE, "");
    let of_objects = of_objects.replace("groups_from_instance_tag = ", "#");
    assert!(parse(&[&of_objects]).unwrap().trust.verifies());
    let all = all.replace(signed, "").replace("unsigned = false\n", "");
    let of_iam = all.replace(STORE, "");
    assert_eq!(parse(&[&of_iam]).unwrap(), expected);
    let of_stores = all.replace("url = \"iam:\"", "url = \"identity-center:\"");
    let of_stores = of_stores.replace("[[account]]\n", &format!("[[account]]\n{STORE}"));
    assert!(of_iam != all && parse(&[&of_stores]).unwrap().store.is_some());
}

#[test]
fn the_shipped_file_shows_every_key() {
    fn keys(of: &str, table: &Table, all: &mut BTreeSet<String>) {
        for (key, item) in table {
            let name = format!("{of}{key}");
            if let Ok(inner) = item.table() {
                keys(&format!("{name}."), inner, all);
            } else if key == "account" {
                item.array().unwrap().iter().for_each(|a| keys("account.", a.table().unwrap(), all));
            } else {
                all.insert(name);
            }
        }
    }
    let mut shown = BTreeSet::new();
    keys("", &tree::parse(Path::new("config.toml"), &uncommented()).unwrap(), &mut shown);
    let all = "groups shell_groups groups_from_instance_tag \
        aws.role aws.external_id aws.session_name aws.region aws.timeout aws.concurrency aws.account_details aws.endpoint_url \
        aws.endpoint_url_iam aws.endpoint_url_sts aws.endpoint_url_identitystore aws.endpoint_url_s3 aws.https_proxy aws.no_proxy aws.ca_bundle aws.use_fips \
        aws.use_dualstack account.name account.role account.external_id account.groups \
        account.local_groups.JumpHostAdmins account.shell_groups source.url source.identity_store source.region source.fleet source.trusted_keys source.unsigned \
        users.shell users.home users.gecos users.common_group users.create_homes \
        users.strip_domains users.name_style users.removed users.removed_keep users.terminate_sessions users.forward_only \
        local_groups.JumpHostAdmins names.reserved names.exclude names.allow.AIDAEXAMPLE tags.use tags.prefix ids.AIDAEXAMPLE keys.options keys.max_age keys.sshd keys.user_ca \
        keys.instance_connect refresh.every refresh.keys_every refresh.members_every refresh.max_calls_per_minute safety.max_removed_percent \
        publish.url publish.fleet publish.key publish.valid publish.again publish.trusted_keys";
    assert_eq!(shown, all.split_whitespace().map(str::to_owned).collect());
}

#[test]
fn later_files_override_earlier_ones_key_by_key() {
    let base = "groups = ['A', 'B']\n[users]\nshell = '/bin/sh'\ngecos = 'x'\n\
        [local_groups]\nA = ['adm', 'sudo']\nB = ['adm']";
    let over = "groups = ['C']\n[users]\nshell = '/bin/zsh'\n[local_groups]\nA = ['wheel']";
    let config = parse(&[base, over]).unwrap();
    assert_eq!(config.groups, ["C"]);
    assert_eq!((config.users.shell.as_str(), config.users.gecos.as_str()), ("/bin/zsh", "x"));
    assert_eq!(config.local_groups["A"], ["wheel"]);
    assert_eq!(config.local_groups["B"], ["adm"]);
}

#[test]
fn accounts_are_in_the_order_of_the_files() {
    let texts = ["[[account]]\nname = 'one'\n[[account]]\nname = 'two'", "[[account]]\nname = 'three'"];
    let config = parse(&texts).unwrap();
    let names: Vec<_> = config.account.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["one", "two", "three"]);
}

#[test]
fn a_mistake_is_reported_with_its_file_and_line() {
    let texts = ["[users]\nshell = '/bin/sh'\n", "\n[users]\n\nshell = 'zsh'\n", "[users]\ngecos = 'x'\n"];
    assert!(refusal(&texts).starts_with("'1.toml' line 4: 'zsh' is not valid for 'users.shell'"));
    assert!(refusal(&["[users]", "[users]\nshel = 'x'"]).starts_with("'1.toml' line 2: unknown key 'shel'"));
    let twice = ["[[account]]\nname = 'one'", "\n[[account]]\nname = 'one'"];
    assert!(refusal(&twice).starts_with("'1.toml' line 3: 'one' is not valid for 'account.name': another"));
}

#[test]
fn a_value_that_a_later_file_overrides_is_not_checked() {
    assert_eq!(parse(&["[users]\nshell = 1", "[users]\nshell = '/bin/sh'"]).unwrap().users.shell, "/bin/sh");
}

#[test]
fn drop_ins_are_read_in_order_of_name_and_only_if_visible_and_toml() {
    let (_directory, main) = directory(&[
        ("config.toml", "groups = ['main']\n[users]\ngecos = 'main'"),
        ("config.d/20-b.toml", "groups = ['b']"),
        ("config.d/10-a.toml", "groups = ['a']\n[users]\ngecos = 'a'"),
        ("config.d/30-c.toml.bak", "bogus"),
        ("config.d/.40-d.toml", "bogus"),
    ]);
    let config = Config::load(&main).unwrap();
    assert_eq!((config.groups, config.users.gecos), (vec!["b".to_owned()], "a".to_owned()));
}

#[test]
fn the_file_whose_value_counts_is_the_last_one_that_sets_the_key() {
    let texts = [
        ("a", "groups = []\n[aws]\nrole = 'x'\n[local_groups]\nOps = ['sudo']"),
        ("b", "[aws]\nregion = 'r'\n[local_groups]\nDev = ['adm']"),
        ("c", "groups = ['G']"),
    ];
    let texts = texts.map(|(path, text)| (PathBuf::from(path), text.to_owned()));
    let set_by = |key: &[&str]| Config::set_by(&texts, key).unwrap().map(|path| path.to_str().unwrap());
    assert_eq!(set_by(&["groups"]), Some("c"));
    assert_eq!(set_by(&["aws", "role"]), Some("a"));
    assert_eq!(set_by(&["aws", "region"]), Some("b"));
    assert_eq!((set_by(&["local_groups", "Ops"]), set_by(&["local_groups", "Dev"])), (Some("a"), Some("b")));
    assert_eq!((set_by(&["users", "shell"]), set_by(&["groups", "x"])), (None, None));
}

#[test]
fn a_missing_config_d_is_not_a_mistake() {
    let (directory, main) = directory(&[("config.toml", "groups = ['A']")]);
    fs::remove_dir(directory.path().join("config.d")).unwrap();
    assert_eq!(Config::load(&main).unwrap().groups, ["A"]);
}

#[test]
fn a_missing_file_is_refused_with_its_name_and_a_hint() {
    let (_directory, main) = directory(&[]);
    let error = Config::load(&main).unwrap_err();
    assert!(matches!(error, Error::Read { .. }));
    let message = error.to_string();
    assert!(message.starts_with(&format!("cannot read '{}': ", main.display())), "{message}");
    assert!(message.contains("\nhint: "), "{message}");
}

#[test]
fn a_file_that_is_not_utf8_text_is_refused() {
    let (directory, main) = directory(&[("config.toml", "")]);
    fs::write(&main, b"groups = ['\xff']").unwrap();
    assert!(matches!(Config::load(&main), Err(Error::Read { path, .. }) if path == main));
    fs::write(&main, "").unwrap();
    let drop_in = directory.path().join("config.d/a.toml");
    fs::create_dir(&drop_in).unwrap();
    assert!(matches!(Config::load(&main), Err(Error::Read { path, .. }) if path == drop_in));
}

#[test]
fn a_file_that_anyone_can_write_to_is_refused() {
    let (directory, main) = directory(&[("config.toml", ""), ("config.d/a.toml", "")]);
    assert!(Config::load(&main).is_ok());
    for path in [main.clone(), directory.path().join("config.d/a.toml"), directory.path().join("config.d")] {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        chmod(&path, mode | 0o002);
        let error = Config::load(&main).unwrap_err();
        assert!(
            matches!(&error, Error::Writable { path: named, shared: false } if *named == path),
            "{error}"
        );
        chmod(&path, mode);
    }
    // A link to /tmp: everyone may write there.
    let drop_ins = directory.path().join("config.d");
    chmod(&drop_ins, 0o1777);
    let message = Config::load(&main).unwrap_err().message();
    assert!(message.hint().is_some_and(|hint| hint.starts_with("make it a directory")), "{message}");
    chmod(&drop_ins, 0o755);
}
