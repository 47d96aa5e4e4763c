//! Each key has its effect; an unknown key, or a value of the wrong type, is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{assert_refused, parse, refusal};
use policy::login::NameStyle;

use crate::{
    Account, Aws, Config, CreateHomes, Keys, Names, Publish, Refresh, Removed, Safety, Source, TagUse, Tags,
    Trust, Users,
};

const DAY: u64 = 86_400;

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn an_empty_file_is_the_default() {
    let config = parse(&[""]).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.aws.timeout, Duration::from_secs(120));
    assert_eq!(config.aws.concurrency, 8);
    assert_eq!(config.source.url(), "iam:");
    assert_eq!(config.users.home, "/home/{name}");
    assert_eq!(config.users.removed_keep, Duration::from_secs(90 * DAY));
    assert!(config.users.terminate_sessions);
    assert_eq!(config.keys.max_age, Some(Duration::from_secs(3 * DAY)));
    assert!(!config.keys.instance_connect);
    assert_eq!(config.safety.max_removed_percent, 100);
}

const EVERY_KEY: &str = r#"
groups = ["A", "B+=,.@_-9"]
shell_groups = ["A"]
groups_from_instance_tag = "team:groups"
[aws]
role = "arn:aws-cn:iam::123456789012:role/ops/Lookup"
external_id = "ext:1/2"
session_name = "host@7"
region = "cn-north-1"
timeout = "5m"
concurrency = 64
account_details = true
endpoint_url = "http://127.0.0.1:5000"
endpoint_url_iam = "https://iam.example"
endpoint_url_sts = "https://sts.example/"
endpoint_url_identitystore = "https://stores.example"
endpoint_url_s3 = "https://s3.example"
https_proxy = "http://user:pw@proxy:3128"
no_proxy = "a.example, b.example"
ca_bundle = "/etc/ca.pem"
use_fips = true
use_dualstack = true
[[account]]
name = "b"
role = "arn:aws:iam::210987654321:role/Lookup"
external_id = "x1"
groups = ["C"]
local_groups = { C = ["adm"] }
shell_groups = ["C"]
[[account]]
name = "c"
[source]
url = "file:///srv/users.json"
fleet = "jump-hosts"
trusted_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINVgib+1IFE7gfaOcIKvZCB2gpfaIIBmuHp4bcE/W4oF publisher"]
unsigned = true
[users]
shell = "/bin/zsh"
home = "/srv/{account}/{iam_name}/{uid}-{name}"
gecos = "Cloud, User"
common_group = "cloud"
create_homes = "refresh"
strip_domains = ["Example.com"]
name_style = "aws-ec2-ssh"
removed = "hide"
removed_keep = "36h"
terminate_sessions = false
forward_only = true
[local_groups]
A = ["sudo", "Debian-exim"]
"B+=,.@_-9" = []
[names]
reserved = ["team-*", "oracle"]
exclude = ["ldap", "sudo"]
[names.allow]
AIDAEXAMPLE = "gina"
[tags]
use = ["ssh-key", "name", "uid", "shell", "gecos"]
prefix = "corp/"
[ids]
AIDAEXAMPLE = 1000
AGPAEXAMPLE = 0x7ffdffff
[keys]
options = 'restrict,from="10.0.0.0/8,!10.1.0.0/16",environment="A=\"b c\"",no-X11-forwarding'
max_age = "90s"
sshd = false
instance_connect = true
user_ca = "/etc/ssh/user-ca.pub"
[refresh]
every = "10s"
keys_every = "45s"
members_every = "20s"
max_calls_per_minute = 600
[safety]
max_removed_percent = 0
[publish]
url = "s3://fleet.example/a/b c"
fleet = "jump"
key = "/run/key"
valid = "2h"
again = "5m"
trusted_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINVgib+1IFE7gfaOcIKvZCB2gpfaIIBmuHp4bcE/W4oF old"]
"#;

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn aws_of_every_key() -> Aws {
    Aws {
        role: text("arn:aws-cn:iam::123456789012:role/ops/Lookup"),
        external_id: text("ext:1/2"),
        session_name: text("host@7"),
        region: text("cn-north-1"),
        timeout: Duration::from_secs(300),
        concurrency: 64,
        account_details: true,
        endpoint_url: text("http://127.0.0.1:5000"),
        endpoint_url_iam: text("https://iam.example"),
        endpoint_url_sts: text("https://sts.example/"),
        endpoint_url_identitystore: text("https://stores.example"),
        endpoint_url_s3: text("https://s3.example"),
        https_proxy: text("http://user:pw@proxy:3128"),
        no_proxy: text("a.example, b.example"),
        ca_bundle: Some("/etc/ca.pem".into()),
        use_fips: true,
        use_dualstack: true,
    }
}

fn tags_of_every_key() -> Tags {
    Tags {
        uses: vec![TagUse::SshKey, TagUse::Name, TagUse::Uid, TagUse::Shell, TagUse::Gecos],
        prefix: "corp/".to_owned(),
    }
}

fn trust_of_every_key() -> Trust {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINVgib+1IFE7gfaOcIKvZCB2gpfaIIBmuHp4bcE/W4oF";
    Trust { fleet: "jump-hosts".to_owned(), keys: texts(&[key]), unsigned: true }
}

fn publish_of_every_key() -> Publish {
    Publish {
        url: "s3://fleet.example/a/b c".to_owned(),
        bucket: "fleet.example".to_owned(),
        object: "a/b c".to_owned(),
        fleet: "jump".to_owned(),
        key: "/run/key".into(),
        valid: Duration::from_secs(2 * 3600),
        again: Duration::from_secs(300),
        trusted_keys: texts(&[
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINVgib+1IFE7gfaOcIKvZCB2gpfaIIBmuHp4bcE/W4oF",
        ]),
    }
}

fn of_every_key() -> Config {
    let second = Account {
        name: "b".to_owned(),
        role: text("arn:aws:iam::210987654321:role/Lookup"),
        store: None,
        external_id: text("x1"),
        groups: texts(&["C"]),
        local_groups: BTreeMap::from([("C".to_owned(), texts(&["adm"]))]),
        shell_groups: texts(&["C"]),
    };
    Config {
        groups: texts(&["A", "B+=,.@_-9"]),
        shell_groups: texts(&["A"]),
        groups_from_instance_tag: text("team:groups"),
        aws: aws_of_every_key(),
        account: vec![second, Account { name: "c".to_owned(), ..Account::default() }],
        source: Source::File { url: "file:///srv/users.json".to_owned(), path: "/srv/users.json".into() },
        trust: trust_of_every_key(),
        store: None,
        users: Users {
            shell: "/bin/zsh".to_owned(),
            home: "/srv/{account}/{iam_name}/{uid}-{name}".to_owned(),
            gecos: "Cloud, User".to_owned(),
            common_group: "cloud".to_owned(),
            create_homes: CreateHomes::Refresh,
            strip_domains: texts(&["example.com"]),
            name_style: NameStyle::AwsEc2Ssh,
            removed: Removed::Hide,
            removed_keep: Duration::from_secs(36 * 3600),
            terminate_sessions: false,
            forward_only: true,
        },
        local_groups: BTreeMap::from([
            ("A".to_owned(), texts(&["sudo", "Debian-exim"])),
            ("B+=,.@_-9".to_owned(), Vec::new()),
        ]),
        names: Names {
            reserved: texts(&["team-*", "oracle"]),
            exclude: texts(&["ldap", "sudo"]),
            allow: BTreeMap::from([("AIDAEXAMPLE".to_owned(), "gina".to_owned())]),
        },
        tags: tags_of_every_key(),
        ids: BTreeMap::from([("AIDAEXAMPLE".to_owned(), 1000), ("AGPAEXAMPLE".to_owned(), 0x7ffd_ffff)]),
        keys: Keys {
            options: r#"restrict,from="10.0.0.0/8,!10.1.0.0/16",environment="A=\"b c\"",no-X11-forwarding"#
                .to_owned(),
            max_age: Some(Duration::from_secs(90)),
            sshd: false,
            instance_connect: true,
            user_ca: text("/etc/ssh/user-ca.pub"),
        },
        refresh: Refresh {
            every: Some(Duration::from_secs(10)),
            keys_every: Some(Duration::from_secs(45)),
            members_every: Some(Duration::from_secs(20)),
            max_calls_per_minute: Some(600),
        },
        safety: Safety { max_removed_percent: 0 },
        publish: Some(publish_of_every_key()),
    }
}

#[test]
fn every_key_has_its_effect() {
    assert_eq!(parse(&[EVERY_KEY]).unwrap(), of_every_key());
}

#[test]
fn an_unknown_key_is_refused_in_every_section_and_a_similar_one_suggested() {
    assert_refused("[users]\nshel = '/bin/sh'", 2, "unknown key 'shel' in [users]");
    assert!(refusal(&["[users]\nshel = '/bin/sh'"]).ends_with("hint: did you mean 'shell'?"));
    assert!(refusal(&["[user]\nshell = '/bin/sh'"]).ends_with("hint: did you mean 'users'?"));
    let far = refusal(&["[source]\nshell = '/bin/sh'"]);
    assert!(
        far.ends_with(
            "hint: the keys of [source] are url, identity_store, region, fleet, trusted_keys, unsigned"
        ),
        "{far}"
    );
    for section in [
        "[aws]",
        "[source]",
        "[users]",
        "[names]",
        "[tags]",
        "[keys]",
        "[refresh]",
        "[safety]",
        "[elsewhere]",
        "",
    ] {
        let line = if section == "[elsewhere]" { 1 } else { 2 };
        assert_refused(&format!("{section}\nbogus = 1"), line, "unknown key");
    }
    assert_refused("[[account]]\nname = 'b'\nbogus = 1", 3, "unknown key 'bogus' in [[account]]");
}

#[test]
fn a_value_of_the_wrong_type_is_refused_with_its_line() {
    assert_refused("\ngroups = 'A'", 2, "'groups' is a string");
    assert_refused("groups = [\n'A',\n1]", 3, "'groups' is a number");
    assert_refused("[aws]\ntimeout = 120", 2, "'aws.timeout' is a number");
    assert_refused("[aws]\nconcurrency = '8'", 2, "'aws.concurrency' is a string");
    assert_refused("[aws]\nconcurrency = 8.0", 2, "'aws.concurrency' is a number with a fraction");
    assert_refused("[ids]\nA = 99999999999999999999", 2, "'ids.A' is too large a number");
    assert_refused("[users]\nterminate_sessions = 'no'", 2, "'users.terminate_sessions' is a string");
    assert_refused("users = true", 1, "'users' is a boolean");
    assert_refused("[account]\nname = 'b'", 1, "'account' is a table");
    assert_refused("[local_groups]\nA = 'sudo'", 2, "'local_groups.A' is a string");
    assert_refused("[local_groups]\nA.b = ['sudo']", 2, "'local_groups.A' is a table (a dot outside quotes");
}

#[test]
fn a_toml_syntax_error_is_refused_with_its_line() {
    assert_refused("[users]\nshell = /bin/sh", 2, "");
    assert_refused("[users]\nshell = '/bin/a'\nshell = '/bin/b'", 3, "duplicate");
}
