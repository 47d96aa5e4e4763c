//! One run of a way on some hosts at once, against the emulator.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::fleet::{Fleet, Member};
use tests::{REFRESHER, text};

use super::usage::{self, Usage};
use super::{Cycle, Way};

/// The IAM group.
pub const GROUP: &str = "G";
const SAMPLE: Duration = Duration::from_millis(20);
/// The group by which the scripts know their users.
const MARKERS: [&str; 2] = ["iam-script", "iam-synced-users"];

/// The users of the emulator: name and public key.
pub type People = Arc<Vec<(String, String)>>;

/// Creates users with one key each, in one group.
pub fn seed(fleet: &Fleet, users: usize) -> People {
    let names: Vec<String> = (0..users).map(|number| format!("user{number:04}")).collect();
    let wish: Vec<Value> = names.iter().map(|name| serde_json::json!({"name": name, "keys": 1})).collect();
    let seeded = fleet.account.seed(serde_json::json!({"users": wish, "groups": {GROUP: names}}));
    let body = |name: &String| seeded["users"][name]["keys"][0]["body"].as_str().unwrap().to_owned();
    Arc::new(names.iter().map(|name| (name.clone(), body(name))).collect())
}

/// The programs that the scripts need, and the script of aws-ec2-ssh.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The directory with `aws`.
    pub aws: String,
    /// import_users.sh, if it is there.
    pub import_users: Option<String>,
}

/// Peak memory of the halves, in bytes: fetch, apply.
pub type Memory = (f64, f64);

/// Runs once on each of these hosts, with users that they know already. The first run of `direct` is returned too.
pub fn run(
    fleet: &Fleet,
    way: Way,
    numbers: std::ops::Range<u8>,
    people: &People,
    tools: &Tools,
) -> (Cycle, Vec<(Cycle, Memory)>) {
    let barrier = Arc::new(Barrier::new(numbers.len() + 1));
    let first = Usage::of_children();
    let started = Instant::now();
    let running: Vec<_> = numbers
        .map(|number| {
            let (barrier, people, tools) = (Arc::clone(&barrier), Arc::clone(people), tools.clone());
            fleet.host(number, move |member| {
                let before = prepare(way, member, &people);
                barrier.wait();
                barrier.wait();
                let started = Instant::now();
                let memory = once(way, member, &tools);
                let seconds = started.elapsed().as_secs_f64();
                barrier.wait();
                (seconds, before, memory)
            })
        })
        .collect();
    barrier.wait();
    let prepared = cycle(fleet, Usage::of_children().since(first), started.elapsed().as_secs_f64());
    fleet.account.forget_calls();
    let before = Usage::of_children();
    barrier.wait();
    barrier.wait();
    let used = Usage::of_children().since(before);
    let ended: Vec<_> = running.into_iter().map(tests::fleet::Running::join).collect();
    let seconds = ended.iter().map(|(seconds, ..)| *seconds).fold(0.0, f64::max);
    let cycle = cycle(fleet, used, seconds);
    let memory =
        ended.first().and_then(|(_, before, after)| Some(vec![(prepared, (*before)?), (cycle, (*after)?)]));
    (cycle, memory.unwrap_or_default())
}

fn cycle(fleet: &Fleet, used: Usage, seconds: f64) -> Cycle {
    let calls = fleet.account.calls();
    let iam = calls.iter().filter(|call| call["service"] != "s3").count() as f64;
    Cycle { iam, cpu: used.cpu, bytes: used.bytes, seconds }
}

/// Makes the host know all users already.
fn prepare(way: Way, member: &Member, people: &People) -> Option<Memory> {
    if way == Way::Direct {
        member.host.machine.config(&format!(
            "groups = [\"{GROUP}\"]\n[aws]\nregion = \"eu-central-1\"\ntimeout = \"15m\"\n"
        ));
        return once(way, member, &Tools { aws: String::new(), import_users: None });
    }
    let (mut passwd, mut shadow, mut group, mut gshadow) =
        (String::new(), String::new(), String::new(), String::new());
    for (number, (name, _)) in people.iter().enumerate() {
        let id = 10_000 + number;
        passwd += &format!("{name}:x:{id}:{id}::/home/{name}:/bin/bash\n");
        shadow += &format!("{name}:!:20000:0:99999:7:::\n");
        group += &format!("{name}:x:{id}:\n");
        gshadow += &format!("{name}:!::\n");
    }
    let names: Vec<&str> = people.iter().map(|(name, _)| name.as_str()).collect();
    for (number, marker) in MARKERS.iter().enumerate() {
        group += &format!("{marker}:x:{}:{}\n", 9000 + number, names.join(","));
        gshadow += &format!("{marker}:!::{}\n", names.join(","));
    }
    for (file, more) in [("passwd", passwd), ("shadow", shadow), ("group", group), ("gshadow", gshadow)] {
        let path = Path::new("/etc").join(file);
        let before = fs::read_to_string(&path).unwrap();
        fs::write(path, before + &more).unwrap();
    }
    for (number, (name, key)) in people.iter().enumerate() {
        let id = u32::try_from(10_000 + number).unwrap();
        let directory = format!("/home/{name}/.ssh");
        fs::create_dir_all(&directory).unwrap();
        let file = format!("{directory}/authorized_keys");
        fs::write(&file, format!("{key}\n")).unwrap();
        for path in [&format!("/home/{name}"), &directory, &file] {
            chown(path.as_str(), Some(id), Some(id)).unwrap();
        }
    }
    shims();
    None
}

/// The scripts expect instance metadata at its usual address, and a log.
fn shims() {
    let shim = |name: &str, text: &str| {
        let path = format!("/usr/local/bin/{name}");
        fs::write(&path, format!("#!/bin/bash\n{text}\n")).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    };
    shim("curl", r#"exec /usr/bin/curl "${@/http:\/\/169.254.169.254/$AWS_EC2_METADATA_SERVICE_ENDPOINT}""#);
    shim("logger", "true");
}

fn once(way: Way, member: &Member, tools: &Tools) -> Option<Memory> {
    let script = tests::repository().join("benches/fleet/useradd-users").display().to_string();
    match (way, &tools.import_users) {
        (Way::Script, _) => finish(shell(member, tools, &[&script, GROUP])),
        (Way::AwsEc2Ssh, Some(import_users)) => finish(shell(member, tools, &["bash", "-e", import_users])),
        _ => {
            let fetch = watched(member.fetch(&[]));
            let apply = watched(member.host.machine.command(&[REFRESHER, "apply"]));
            return Some((fetch, apply));
        }
    }
    None
}

fn shell(member: &Member, tools: &Tools, line: &[&str]) -> Child {
    let mut command = member.host.machine.command(line);
    command.envs(member.environment.clone());
    let path = format!("/usr/local/bin:{}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", tools.aws);
    command.env("PATH", path).env("AWS_DEFAULT_REGION", "eu-central-1").env("IAM_AUTHORIZED_GROUPS", GROUP);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn finish(child: Child) {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// Runs a half to its end. Returns its peak memory.
fn watched(mut command: Command) -> f64 {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let mut peak: f64 = 0.0;
    loop {
        peak = peak.max(usage::peak(child.id()).unwrap_or_default());
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return peak;
        }
        std::thread::sleep(SAMPLE);
    }
}
