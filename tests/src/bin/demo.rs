//! `make demo`: the main job from end to end, in a private copy of this machine that is deleted afterwards. Each
//! step says what it does, shows the output, and stops the demo if the output is wrong.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "it is a program for a person at a terminal, and ends at the first surprise"
)]

use std::process::Output;

use serde_json::json;
use tests::login::{ADMINS, GROUP, JumpHost, Key};
use tests::{Account, Emulator, Machine, pushed, text};

const REFRESHER: &str = "/usr/libexec/nss-iam/cache-refresher";
const KEYS_CMD: &str = "/usr/libexec/nss-iam/keys-cmd";
const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINVgib+1IFE7gfaOcIKvZCB2gpfaIIBmuHp4bcE/W4oF";

fn main() {
    if !nix::unistd::geteuid().is_root() {
        println!("the demo needs root: it makes private copies of this machine\nhint: sudo make demo");
        panic!("not root");
    }
    title("nss-iam: members of IAM groups are users of this host, without useradd and without access keys");
    // A machine belongs to a thread, and ends with it.
    for part in [first_part, login, identity_center] {
        assert!(std::thread::spawn(part).join().is_ok(), "the demo stops here");
    }
    title("demo finished: every step succeeded; exit status 0");
}

fn first_part() {
    let Some(machine) = Machine::enter() else { return };
    let demo = Demo { machine };
    demo.machine.install();
    demo.machine.nsswitch();
    demo.with_iam();
    demo.with_a_file();
}

/// A real sshd, set up by `nss-iamctl enable`, and a real ssh client.
fn login() {
    step(8, "a real login: nss-iamctl enable on a fresh Debian, its own sshd, ssh on loopback");
    let Some(host) = JumpHost::bare() else { return };
    host.configure("");
    println!("\n# nss-iamctl enable");
    shown(&host.machine.run(&["nss-iamctl", "enable"]));
    host.restart_sshd(&[]);
    let ana = host.user("Ana.Silva");
    let bob = host.user("Bob");
    println!("\n# {REFRESHER}");
    print!("{}", indented(&host.refresh()));
    println!("\n$ ssh ana.silva@{} 'id; pwd; ls -ld ~'", host.address);
    print!("{}", indented(&host.login("ana.silva", &ana, "id; pwd; ls -ld ~")));
    say(
        "The home was made at the first login. Now Bob is removed from the group, and the next refresh has run:",
    );
    host.remove_member("Bob");
    print!("\n{}", indented(&host.refresh()));
    println!("\n$ ssh bob@{}", host.address);
    host.refused("bob", &bob);
    println!("    Permission denied");
    println!("\n# nss-iamctl why bob");
    let why = shown(&host.machine.run(&["nss-iamctl", "why", "bob"]));
    why.has("disabled");
    jump_host(&host, &ana);
}

/// The same host, for people who only pass through it.
fn jump_host(host: &JumpHost, ana: &Key) {
    step(9, "a jump host: people pass through it, and only administrators run commands on it");
    let carla = host.user_in("Carla", &[GROUP, ADMINS]);
    println!("\n# nss-iamctl enable --forward-only --shell-group {ADMINS}");
    let words = ["nss-iamctl", "enable", "--forward-only", "--shell-group", ADMINS];
    shown(&host.machine.run(&words)).has("can run commands on this host");
    println!("\n# {REFRESHER}");
    print!("{}", indented(&host.refresh()));
    println!("\n$ ssh ana.silva@{} id", host.address);
    let refused = shown(&host.ssh("ana.silva", ana, "id"));
    assert_eq!(refused.has("this host runs no command for you").status, Some(1));
    println!("\n$ ssh -J ana.silva@{0} carla@{0} id -un", host.address);
    let target = host.jump(("ana.silva", ana), ("carla", &carla), "id -un");
    print!("{}", indented(&target));
    assert_eq!(target, "carla\n");
    say(
        "Ana gets no shell, scp, sftp or agent on this host. Carla is an administrator, and has what she had before.",
    );
}

/// A fresh host, whose users come from Identity Center and push their keys.
fn identity_center() {
    step(10, "Identity Center: a user without stored keys logs in with one that was pushed for a minute");
    let Some(host) = JumpHost::bare() else { return };
    let name = "jane@example.com";
    let store = json!({"id": "d-1234567890", "users": [{"name": name}], "groups": {"JumpHosts": [name]}});
    host.account.seed(json!({"stores": [store]}));
    pushed::install();
    host.machine.config(
        "groups = [\"JumpHosts\"]\n\n[source]\nurl = \"identity-center:\"\nidentity_store = \"d-1234567890\"\n\
         region = \"eu-central-1\"\n\n[users]\nstrip_domains = [\"example.com\"]\n",
    );
    println!("\n# cat /etc/nss-iam/config.toml");
    shown(&host.machine.run(&["cat", "/etc/nss-iam/config.toml"]));
    println!("\n# nss-iamctl enable --instance-connect");
    shown(&host.machine.run(&["nss-iamctl", "enable", "--instance-connect"])).has("--instance-connect %u");
    host.restart_sshd(&[]);
    println!("\n# {REFRESHER}");
    print!("{}", indented(&host.refresh()));
    let key = host.key("jane");
    println!("\n$ ssh jane@{}", host.address);
    host.refused("jane", &key);
    println!("    Permission denied");
    println!(
        "\n$ aws ec2-instance-connect send-ssh-public-key --instance-os-user jane …  (a script takes its place here)"
    );
    pushed::push("jane", &key.public);
    println!("\n$ ssh jane@{} 'id; pwd'", host.address);
    print!("{}", indented(&host.login("jane", &key, "id; pwd")));

    step(11, "the same user leaves the group there: one refresh later, the pushed key opens nothing");
    let leaves = json!({"do": "store", "store": "d-1234567890", "what": "remove_member", "group": "JumpHosts", "user": name});
    host.account.change(leaves);
    println!("\n# {REFRESHER}");
    print!("{}", indented(&host.refresh()));
    println!("\n$ ssh jane@{}", host.address);
    host.refused("jane", &key);
    println!("    Permission denied");
}

struct Demo {
    machine: Machine,
}

/// The output and the exit status of a step.
struct Shown {
    out: String,
    status: Option<i32>,
}

impl Demo {
    fn with_iam(&self) {
        step(1, "an AWS account (an emulator on loopback) with the unusual cases of real ones");
        let emulator = Emulator::start(&[]);
        let account = Account::of(&emulator);
        seed(&account);
        account.enforce("IAMKeyLookup");
        say(
            "Groups JumpHostAccess and JumpHostAdmins. Members: 'Ana.Silva' (two keys, one of them inactive), \
             \
             'jane@example.com' (an ed25519 key in a tag), 'build+bot', 'Bob' and 'bob@example.com', who want the \
             same login name, and 'root', 'admin', 'docker'.\n\
             The instance may only assume the role IAMKeyLookup, which has config/iam-policy.json and nothing else.",
        );

        step(
            2,
            "one refresh: the fetch half reads IAM without privileges, the apply half publishes without network",
        );
        let config = "groups = [\"JumpHostAccess\", \"JumpHostAdmins\"]\n\n[aws]\nrole = \"IAMKeyLookup\"\n\n\
                      [users]\nstrip_domains = [\"example.com\"]\n\n[tags]\nuse = [\"ssh-key\", \"name\"]\n\n\
                      [local_groups]\nJumpHostAdmins = [\"adm\"]\n";
        self.machine.config(config);
        self.show(&["cat", "/etc/nss-iam/config.toml"]);
        self.refresh(&account, 0).has("published 4 users, 2 groups, 4 keys: +4 -0 ~0");

        self.look();
        self.leave(&account);

        step(6, "AWS is gone (the emulator is stopped); then a refresh");
        let before = self.show(&["getent", "passwd", "bob"]).out;
        drop(emulator);
        self.refresh(&account, 75).has("sts:").has("hint:");
        assert_eq!(self.show(&["getent", "passwd", "bob"]).out, before, "nothing is lost");
        self.show(&[KEYS_CMD, "bob", &self.uid("bob")]).has("ssh-rsa");
        say("Exit status 75, a message that says why, and all users and keys are still there.");
    }

    /// Users, groups and keys, as the host's programs see them.
    fn look(&self) {
        step(3, "what the host sees, through glibc (nsswitch.conf: passwd: files iam)");
        self.show(&["getent", "passwd", "ana.silva", "jane", "build_bot", "bob"]).has("ana.silva:x:");
        self.show(&["id", "ana.silva"]).has("(iam-users)").has("(adm)");
        self.show(&["getent", "group", "jumphostaccess", "iam-users", "iam-disabled"])
            .has("ana.silva,bob,build_bot,jane");
        self.show(&["getent", "shadow", "ana.silva"]).has("ana.silva:*:");
        say("The uid comes from IAM's UserId, so it is the same on every host. There is no password hash.");
        self.show(&["getent", "passwd", "root"]).has("root:x:0:0");
        let id = self.show(&["sh", "-c", "id admin; id docker 2>&1 | head -1; true"]);
        assert!(
            !id.out.contains("uid=1879") && !id.out.contains("iam-users"),
            "an IAM user got a name that the host uses"
        );
        say("IAM's 'root', 'admin' and 'docker' got nothing: a privileged name is never assigned.");

        step(
            4,
            "the keys, as sshd asks for them (keys-cmd USER UID): active ones, and the ed25519 key of a tag",
        );
        let uid = self.uid("ana.silva");
        let lines = self.show(&[KEYS_CMD, "ana.silva", &uid]);
        assert_eq!(lines.out.lines().count(), 1, "the inactive key is not offered");
        self.show(&[KEYS_CMD, "jane", &self.uid("jane")]).has(ED25519);
        let nothing = self.show(&[KEYS_CMD, "ana.silva", "0"]);
        assert_eq!((nothing.out.as_str(), nothing.status), ("", Some(0)));
        say("No keys for a different uid: a local account with the same name never gets an IAM user's key.");
    }

    fn leave(&self, account: &Account) {
        let uid = self.uid("ana.silva");
        step(5, "in IAM, Ana leaves the group and Jane's key is deleted; then the next refresh");
        account.change(json!({"do": "remove_member", "group": "JumpHostAccess", "user": "Ana.Silva"}));
        account.change(json!({"do": "remove_member", "group": "JumpHostAdmins", "user": "Ana.Silva"}));
        account.change(json!({"do": "remove_tag", "user": "jane@example.com", "key": "nss-iam:ssh-key"}));
        self.refresh(account, 0).has("+0 -1 ~1");
        self.show(&["id", "ana.silva"]).has("no such user");
        self.show(&["getent", "passwd", &uid]).has("ana.silva:x:").has("/usr/sbin/nologin");
        assert_eq!(self.show(&[KEYS_CMD, "ana.silva", &uid]).out, "");
        assert!(!self.show(&[KEYS_CMD, "jane", &self.uid("jane")]).out.contains("ed25519"));
        say(
            "Ana is locked out: her name no longer resolves, and she has no keys. Her uid still resolves, so 'ls -l' shows who owns her files.",
        );
    }

    fn with_a_file(&self) {
        step(7, "without AWS: a listing file (/usr/share/doc/nss-iam/reference/listing.md)");
        let listing = json!({"version": 1, "accounts": [{
            "groups": [{"id": "g-ops", "name": "Ops", "members": ["u-1"]}],
            "users": [{"id": "u-1", "name": "Carol", "keys": [{"body": format!("{ED25519} carol@laptop")}]}],
        }]});
        std::fs::create_dir_all("/srv/nss-iam").unwrap();
        std::fs::write("/srv/nss-iam/users.json", serde_json::to_string_pretty(&listing).unwrap()).unwrap();
        self.machine.config("[source]\nurl = \"file:///srv/nss-iam/users.json\"\n");
        self.show(&["cat", "/etc/nss-iam/config.toml", "/srv/nss-iam/users.json"]);
        self.show(&[REFRESHER, "--dry-run"]).has("+user carol:x:");
        self.show(&[REFRESHER]).has("they stay");
        say(
            "Carol is added. The others stay, because a mistake in the source must not lock them out. The change is intended, so:",
        );
        self.show(&[REFRESHER, "--force"]).has("published 1 users, 1 groups, 1 keys");
        self.show(&["id", "carol"]).has("(ops)");
        self.show(&[KEYS_CMD, "carol", &self.uid("carol")]).has(ED25519);
    }

    /// Runs a refresh as the instance would: credentials come from its metadata service.
    fn refresh(&self, account: &Account, status: i32) -> Shown {
        println!("\n# {REFRESHER}");
        let mut command = self.machine.command(&[REFRESHER]);
        let shown = shown(&command.envs(account.direct()).output().unwrap());
        assert_eq!(shown.status, Some(status), "exit status");
        println!("(exit status {status})");
        shown
    }

    fn show(&self, line: &[&str]) -> Shown {
        println!("\n# {}", line.join(" "));
        shown(&self.machine.run(line))
    }

    fn uid(&self, name: &str) -> String {
        let output = self.machine.run(&["id", "-u", name]);
        text(&output.stdout).trim().to_owned()
    }
}

impl Shown {
    /// Stops the demo unless this was printed.
    fn has(self, expected: &str) -> Self {
        assert!(self.out.contains(expected), "'{expected}' was not printed");
        self
    }
}

fn shown(output: &Output) -> Shown {
    let out = format!("{}{}", text(&output.stderr), text(&output.stdout));
    print!("{}", indented(&out));
    if out.is_empty() {
        println!("    (nothing)");
    }
    Shown { out, status: output.status.code() }
}

fn indented(text: &str) -> String {
    // The body of a key is not shown completely.
    let width = |line: &str| if line.starts_with("ssh-rsa ") { 60 } else { 400 };
    let cut = |line: &str| if line.len() > width(line) { "…" } else { "" };
    text.lines().map(|line| format!("    {:.*}{}\n", width(line), line, cut(line))).collect()
}

fn seed(account: &Account) {
    account.seed(json!({
        "roles": [{"name": "IAMKeyLookup"}],
        "users": [
            {"name": "Ana.Silva", "keys": 1, "created": "2024-01-01T00:00:00Z"},
            {"name": "jane@example.com", "keys": 1, "tags": {"nss-iam:ssh-key": ED25519}},
            {"name": "build+bot"},
            {"name": "Bob", "keys": 1, "created": "2024-01-01T00:00:00Z"},
            {"name": "bob@example.com", "keys": 1, "created": "2025-01-01T00:00:00Z"},
            {"name": "root", "keys": 1}, {"name": "admin", "keys": 1}, {"name": "docker", "keys": 1},
        ],
        "groups": {
            "JumpHostAccess": ["Ana.Silva", "jane@example.com", "build+bot", "Bob", "bob@example.com", "root", "admin", "docker"],
            "JumpHostAdmins": ["Ana.Silva"],
        },
    }));
    let inactive = account.seed(json!({"users": [{"name": "spare", "keys": 1}]}));
    let body = inactive["users"]["spare"]["keys"][0]["body"].clone();
    account.change(json!({"do": "add_key", "user": "Ana.Silva", "body": body, "status": "Inactive"}));
}

fn title(line: &str) {
    println!("\n\x1b[1m{line}\x1b[0m");
}

fn step(number: u32, what: &str) {
    title(&format!("{number}. {what}"));
}

fn say(words: &str) {
    println!("\n{words}");
}
