//! Users of Identity Center, by the commands of docs/guide/identity-center.md.

use serde_json::json;
use tests::login::JumpHost;
use tests::pushed::{self, push};

const PAGE: &str = include_str!("../../../docs/guide/identity-center.md");
const STORE: &str = "d-1234567890";
const GROUP: &str = "JumpHosts";

/// What the page lets root type.
fn commands() -> Vec<String> {
    let blocks = PAGE.split("```\n").skip(1).step_by(2).filter(|block| block.starts_with("# "));
    // A here-document belongs to its command.
    blocks.flat_map(|block| block.trim_start_matches("# ").split("\n# ").map(str::to_owned)).collect()
}

#[test]
fn by_the_guide_a_user_logs_in_with_a_pushed_key_and_is_out_after_leaving_the_group() {
    let Some(host) = JumpHost::bare() else { return };
    let name = "ana@example.com";
    let store = json!({"id": STORE, "users": [{"name": name}], "groups": {GROUP: [name]}});
    host.account.seed(json!({"stores": [store]}));
    pushed::install();
    host.machine.config("");
    std::fs::create_dir_all("/etc/nss-iam/config.d").unwrap();
    let commands = commands();
    assert_eq!(commands.len(), 3, "{commands:?}");
    for command in commands {
        let mut shell = host.machine.command(&["sh", "-ec", &command]);
        let ran = shell.envs(host.account.direct()).output().unwrap();
        assert!(ran.status.success(), "{command}: {ran:?}");
    }
    host.restart_sshd(&[]);
    let key = host.key("ana");
    host.refused("ana", &key);
    push("ana", &key.public);
    assert_eq!(host.login("ana", &key, "id -un; pwd"), "ana\n/home/ana\n");

    assert_eq!(host.sh("nss-iamctl why ana").0, Some(0));

    // Without it, nobody can log in, and the remedy lets them.
    host.enable(&["--no-instance-connect"]);
    host.restart_sshd(&[]);
    host.refused("ana", &key);
    let (status, said) = host.sh("nss-iamctl why ana");
    assert!(status != Some(0) && said.contains("Identity Center has no SSH key of the user"), "{said}");
    let remedy = "nss-iamctl enable --instance-connect";
    assert!(said.contains(&format!("-> {remedy}; ")) && !said.contains("upload-ssh-public-key"), "{said}");
    host.done(&remedy.split(' ').collect::<Vec<_>>());
    host.restart_sshd(&[]);
    assert_eq!(host.login("ana", &key, "id -un"), "ana\n");

    let leaves =
        json!({"do": "store", "store": STORE, "what": "remove_member", "group": GROUP, "user": name});
    host.account.change(leaves);
    host.refresh();
    host.refused("ana", &key);
}
