//! The stacks of `deploy/cloudformation` in the emulator, and a publisher and a host with what they make.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{INSTANCE_ROLE, REGION, Ran, repository, text};

use crate::host::Host;

/// A host, and the stack of the bucket in its account.
struct Fleet {
    host: Host,
    bucket: Value,
}

impl Fleet {
    /// `None` without root.
    fn new() -> Option<Self> {
        let host = Host::seeded(&json!({"users": [{"name": "ana", "keys": 1}], "groups": {"G": ["ana"]}}))?;
        let made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/tmp/key"];
        assert!(host.machine.run(&made).status.success());
        let fleet = Self { host, bucket: Value::Null };
        let parameters = json!({"BucketName": fleet.name(), "Groups": "G"});
        Some(Self { bucket: fleet.stack("bucket", &parameters), ..fleet })
    }

    fn name(&self) -> String {
        format!("fleet-{}", self.host.account.id())
    }

    fn stack(&self, name: &str, parameters: &Value) -> Value {
        let template = repository().join(format!("deploy/cloudformation/{name}.yaml"));
        let template = fs::read_to_string(template).unwrap();
        let wish = json!({"do": "stack", "name": name, "template": template, "parameters": parameters});
        self.host.account.change(wish)[0].clone()
    }

    /// The stack of a publisher.
    fn publisher(&self, name: &str, more: &Value) -> Value {
        let mut parameters = self.host.account.change(json!({"do": "network"}))[0].clone();
        let secret = format!("arn:aws:secretsmanager:{REGION}:{}:secret:key-AbCdEf", self.host.account.id());
        let common = json!({
            "PublisherPolicy": self.bucket["outputs"]["PublisherPolicy"], "Url": self.bucket["outputs"]["Url"],
            "Fleet": "jump", "Groups": "G,H", "Key": secret,
        });
        for given in [&common, more] {
            parameters.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        }
        self.stack(name, &parameters)
    }

    fn policy(&self, name: &str) -> Value {
        self.bucket["properties"][name]["PolicyDocument"].clone()
    }

    /// What `nss-iamctl policy` prints with this configuration.
    fn printed(&self, config: &str) -> Value {
        self.host.machine.config(config);
        let printed = self.host.machine.run(&["nss-iamctl", "policy", "--account", self.host.account.id()]);
        serde_json::from_slice(&printed.stdout).unwrap()
    }

    /// The configuration of its hosts.
    fn of_host(&self) -> String {
        let public = fs::read_to_string("/tmp/key.pub").unwrap();
        let url = self.bucket["outputs"]["Url"].as_str().unwrap();
        format!("[source]\nurl = \"{url}\"\nfleet = \"jump\"\ntrusted_keys = [\"{}\"]\n", public.trim_end())
    }

    /// Lets the instance role do what this policy of the stack allows.
    fn enforce(&self, name: &str) {
        self.host.account.enforce_policy(INSTANCE_ROLE, &self.policy(name));
    }

    fn is_published(&self) -> bool {
        let read = json!({"do": "bucket", "bucket": self.name(), "key": "jump-hosts", "what": "read"});
        !self.host.account.change(read)[0].is_null()
    }
}

/// It dies with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn mode(path: &str) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn the_bucket_of_the_stack_is_private_and_its_policies_are_those_that_are_printed() {
    let Some(fleet) = Fleet::new() else { return };
    let properties = &fleet.bucket["properties"]["Bucket"];
    assert_eq!(properties["VersioningConfiguration"]["Status"], "Enabled");
    let block = properties["PublicAccessBlockConfiguration"].as_object().unwrap();
    assert!(block.len() == 4 && block.values().all(|value| value == "true" || value == true), "{block:?}");
    assert_eq!(properties["OwnershipControls"]["Rules"][0]["ObjectOwnership"], "BucketOwnerEnforced");
    let statements = fleet.bucket["properties"]["BucketPolicy"]["PolicyDocument"]["Statement"].as_array();
    let [only] = &statements.unwrap()[..] else { unreachable!("without other readers: {statements:?}") };
    assert_eq!((&only["Effect"], &only["Action"]), (&json!("Deny"), &json!("s3:*")));

    let publish =
        format!("[publish]\nurl = \"s3://{}/jump-hosts\"\nfleet = \"f\"\nkey = \"/k\"\n", fleet.name());
    let publisher = format!("groups = [\"G\"]\n[tags]\nuse = [\"uid\"]\n{publish}");
    assert_eq!(fleet.printed(&publisher), fleet.policy("PublisherPolicy"));
    assert_eq!(fleet.printed(&fleet.of_host()), fleet.policy("HostPolicy"));
}

/// The container without Docker: its first program, with the variables that the task has.
#[test]
fn the_task_of_the_stack_publishes_what_a_host_reads() {
    let Some(fleet) = Fleet::new() else { return };
    let task = fleet.publisher("publisher-task", &json!({"Image": "registry.example/publisher:1"}));
    let container = &task["properties"]["Task"]["ContainerDefinitions"][0];
    assert_eq!(container["Secrets"][0]["Name"], "PUBLISH_KEY");
    let config = container["Environment"][0]["Value"].as_str().unwrap();
    fleet.enforce("PublisherPolicy");
    fs::create_dir("/run/publish").unwrap();
    fs::set_permissions("/run/publish", Permissions::from_mode(0o700)).unwrap();
    let start = repository().join("deploy/container/publisher/start");
    let command = |through: &[&str], words: &[&str]| {
        let mut command = fleet.host.machine.command(through);
        command
            .arg(&start)
            .args(words)
            .envs(fleet.host.account.direct())
            .env("PUBLISH_CONFIG", config.replace("\"G\", \"H\"", "\"G\""));
        command.env("PUBLISH_KEY", fs::read_to_string("/tmp/key").unwrap()).stdin(Stdio::null());
        command
    };
    let publisher = Running(command(&["setpriv", "--pdeathsig", "KILL"], &[]).spawn().unwrap());
    let begun = Instant::now();
    while !fleet.is_published() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing was published");
        std::thread::sleep(Duration::from_millis(50));
    }
    let environment = fs::read(format!("/proc/{}/environ", publisher.0.id())).unwrap();
    assert!(!text(&environment).contains("PUBLISH_"), "the key is only in its file");
    assert_eq!((mode("/run/publish/publish.key"), mode("/run/publish/config.toml")), (0o600, 0o600));

    let once: Ran = command(&["timeout", "60"], &["--force"]).output().unwrap().into();
    assert_eq!(
        (once.status, once.out.contains("unchanged 's3://")),
        (Some(0), true),
        "{}{}",
        once.out,
        once.err
    );

    fleet.enforce("HostPolicy");
    fleet.host.machine.config(&fleet.of_host());
    let read = fleet.host.refresh();
    assert_eq!(read.told(0, &[]).names(), ["ana"]);
}

/// The user data, with stand-ins for what is not here.
#[test]
fn the_instance_of_the_stack_is_a_publisher_after_its_first_boot() {
    let Some(fleet) = Fleet::new() else { return };
    let stack = fleet.publisher("publisher-host", &json!({"FormerKey": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"}));
    let data = &stack["properties"]["Launch"]["LaunchTemplateData"];
    assert_eq!(data["MetadataOptions"]["HttpTokens"], "required");
    fs::write("/tmp/data", data["UserData"].as_str().unwrap()).unwrap();
    fleet.host.machine.config("");
    fs::create_dir_all("/etc/nss-iam/config.d").unwrap();
    let script = "set -eu
        base64 -d /tmp/data >/tmp/script
        dnf() { echo \"dnf $*\"; }; aws() { cat /tmp/key; }; systemctl() { echo \"systemctl $*\"; }
        . /tmp/script";
    let ran = fleet.host.machine.run(&["bash", "-c", script]);
    let said = text(&ran.stdout);
    assert_eq!(
        said,
        "dnf install --assumeyes nss-iam\nsystemctl enable --now nss-iam-publish.service\n",
        "{}",
        text(&ran.stderr)
    );
    assert_eq!(
        (mode("/etc/nss-iam/publish.key"), mode("/etc/nss-iam/config.d/20-publish.toml")),
        (0o600, 0o644)
    );

    fleet.host.account.seed(json!({"groups": {"H": []}}));
    let mut command = fleet.host.machine.command(&["/usr/libexec/nss-iam/cache-refresher", "publish"]);
    let ran = command.envs(fleet.host.account.direct()).output().unwrap();
    assert!(text(&ran.stdout).starts_with("published 's3://"), "{}{}", text(&ran.stdout), text(&ran.stderr));
    assert!(fleet.is_published());
}
