//! `make bench`: the cost of a refresh and of keys-cmd as whole processes, each compared with its minimum in the
//! same run, and the cost of the apply half with many users. With `--quick` it only shows that it works, with a few users and processes.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "it is a program for a person at a terminal, and ends at the first surprise"
)]

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::json;
use tests::{Account, Machine, client, text};

const REFRESHER: &str = "/usr/libexec/nss-iam/cache-refresher";
const KEYS_CMD: &str = "/usr/libexec/nss-iam/keys-cmd";
const CONCURRENCY: usize = 8;

/// How much is measured: the users of a refresh, the users that keys-cmd knows, and the processes of a median.
struct Effort {
    refreshed: usize,
    known: usize,
    processes: usize,
    /// The users of each listing in a file.
    listed: [usize; 2],
}

fn main() {
    let quick = std::env::args().nth(1).is_some_and(|word| word == "--quick");
    let effort = if quick {
        Effort { refreshed: 101, known: 10, processes: 3, listed: [10, 20] }
    } else {
        Effort { refreshed: 1000, known: 5000, processes: 300, listed: [5000, 50_000] }
    };
    let account = Account::new();
    let Some(machine) = Machine::enter() else { panic!("the benchmark needs root") };
    machine.install();
    refresh(&machine, &account, effort.refreshed);
    keys(&machine, &effort);
    effort.listed.into_iter().for_each(|users| apply(&machine, users));
}

fn refresh(machine: &Machine, account: &Account, users: usize) {
    let names: Vec<String> = (0..users).map(|n| format!("user{n:04}")).collect();
    let users: Vec<_> = names.iter().map(|name| json!({"name": name, "keys": 1})).collect();
    let seeded = account.seed(json!({"users": users, "groups": {"G": names}}));
    machine.config(&format!("groups = [\"G\"]\n[aws]\nconcurrency = {CONCURRENCY}\n"));
    let floor = floor(account, &names, &seeded);
    println!(
        "the same requests by {CONCURRENCY} plain HTTP clients, the emulator's floor: {:.1} s",
        floor.as_secs_f64()
    );
    for what in ["first refresh", "second refresh"] {
        let started = Instant::now();
        let output = machine.command(&[REFRESHER]).envs(account.direct()).output().unwrap();
        let took = started.elapsed().as_secs_f64();
        assert!(output.status.success(), "{}", text(&output.stderr));
        println!(
            "{what}: {took:.1} s ({:.2} of the floor): {}",
            took / floor.as_secs_f64(),
            text(&output.stdout).trim()
        );
        if what == "first refresh" {
            // The largest child so far. The emulator is not counted, because it still runs.
            let peak = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
            println!("{what}: largest process {:.1} MiB resident", peak as f64 / 1024.0);
        }
    }
}

/// The same requests as the refresher's, sent by plain HTTP clients.
fn floor(account: &Account, names: &[String], seeded: &serde_json::Value) -> Duration {
    let group =
        (0..names.len()).step_by(100).map(|marker| format!("Action=GetGroup&GroupName=G&Marker={marker}"));
    let lists = names.iter().map(|name| format!("Action=ListSSHPublicKeys&UserName={name}"));
    let bodies = names.iter().map(|name| {
        let key = seeded["users"][name]["keys"][0]["id"].as_str().unwrap();
        format!("Action=GetSSHPublicKey&UserName={name}&SSHPublicKeyId={key}&Encoding=SSH")
    });
    let requests = Mutex::new(group.chain(lists).chain(bodies));
    let credentials = credentials(account);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CONCURRENCY {
            scope.spawn(|| {
                let client = client();
                loop {
                    let Some(request) = requests.lock().unwrap().next() else { break };
                    let mut answer = client
                        .post(format!("http://{}/", account.address()))
                        .header("Authorization", &credentials)
                        .header("Content-Type", "application/x-www-form-urlencoded")
                        .send(format!("{request}&Version=2010-05-08"))
                        .unwrap();
                    assert_eq!(answer.status(), 200, "{request}");
                    answer.body_mut().read_to_vec().unwrap();
                }
            });
        }
    });
    started.elapsed()
}

/// A header that the emulator accepts as the instance role's: it checks the access key, but no signature.
fn credentials(account: &Account) -> String {
    let imds = format!("http://{}/_imds/{}/latest", account.address(), account.id());
    let client = client();
    let token =
        client.put(format!("{imds}/api/token")).header("X-aws-ec2-metadata-token-ttl-seconds", "60").send("");
    let token = token.unwrap().body_mut().read_to_string().unwrap();
    let role = format!("{imds}/meta-data/iam/security-credentials/{}", tests::INSTANCE_ROLE);
    let mut answer = client.get(role).header("X-aws-ec2-metadata-token", &token).call().unwrap();
    let answer: serde_json::Value =
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    let key = answer["AccessKeyId"].as_str().unwrap();
    format!(
        "AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0"
    )
}

/// keys-cmd with many users, compared with the cheapest process.
fn keys(machine: &Machine, effort: &Effort) {
    let body = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINVgib+1IFE7gfaOcIKvZCB2gpfaIIBmuHp4bcE/W4oF";
    let users: Vec<_> = (0..effort.known)
        .map(|n| json!({"id": format!("u{n}"), "name": format!("user{n}"), "keys": [{"body": body}]}))
        .collect();
    std::fs::create_dir_all("/srv").unwrap();
    std::fs::write("/srv/users.json", json!({"version": 1, "accounts": [{"users": users}]}).to_string())
        .unwrap();
    machine.config("[source]\nurl = \"file:///srv/users.json\"\n");
    // The users of the account before are meant to go.
    let output = machine.run(&[REFRESHER, "--force"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    machine.nsswitch();
    std::fs::copy(tests::artefact("libnss_iam.so"), tests::module()).unwrap();
    let last = format!("user{}", effort.known - 1);
    let uid = text(&machine.run(&["id", "-u", &last]).stdout).trim().to_owned();
    let ours = median(effort.processes, || machine.command(&[KEYS_CMD, &last, &uid]));
    let nothing = median(effort.processes, || machine.command(&["/bin/true"]));
    println!(
        "keys-cmd USER UID at {} users: {ours:.2} ms; /bin/true: {nothing:.2} ms; median of {} processes each",
        effort.known, effort.processes
    );
}

/// The apply half with a listing of so many users: at first, with the same listing, and with another key of one user.
fn apply(machine: &Machine, users: usize) {
    // Any 32 bytes are a key.
    let body = |number: usize| format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA{number:0>42}");
    let user = |number: usize| json!({"id": format!("a{users}-{number}"), "name": format!("user{number}"), "keys": [{"body": body(number)}]});
    let mut people: Vec<_> = (0..users).map(user).collect();
    for what in ["first", "unchanged", "one changed"] {
        if what == "one changed" {
            people[7]["keys"][0]["body"] = json!(body(users));
        }
        let listing = json!({"version": 1, "accounts": [{"users": people}]});
        std::fs::write("/srv/users.json", listing.to_string()).unwrap();
        let fetch = machine.run(&[REFRESHER, "fetch"]);
        assert!(fetch.status.success(), "{}", text(&fetch.stderr));
        let (before, spent) = (tests::files(tests::CACHE), cpu());
        let output = machine.run(&[REFRESHER, "apply", "--force"]);
        let spent = cpu() - spent;
        assert!(output.status.success(), "{}", text(&output.stderr));
        let peak = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
        println!(
            "apply of {users} users, {what}: {spent:.2} s of CPU, {:.1} kB written; largest process so far {:.1} MiB resident",
            written(&before) as f64 / 1000.0,
            peak as f64 / 1024.0
        );
    }
}

/// Seconds that children have spent so far.
fn cpu() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    [usage.user_time(), usage.system_time()]
        .map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
        .iter()
        .sum()
}

/// Bytes of the cache that were written since: whole files that were replaced, and the pages that differ in others.
fn written(before: &BTreeMap<String, (u64, u32, u32, Vec<u8>)>) -> usize {
    let of_file = |(name, (inode, .., now)): (String, (u64, u32, u32, Vec<u8>))| match before.get(&name) {
        Some((known, .., old)) if *known == inode => {
            let pages = now.chunks(4096).zip(old.chunks(4096).chain(std::iter::repeat(&[][..])));
            pages.filter(|(now, old)| now != old).map(|(now, _)| now.len()).sum()
        }
        _ => now.len(),
    };
    tests::files(tests::CACHE).into_iter().map(of_file).sum()
}

fn median(processes: usize, command: impl Fn() -> std::process::Command) -> f64 {
    let mut times: Vec<f64> = (0..processes)
        .map(|_| {
            let started = Instant::now();
            assert!(command().stdout(Stdio::null()).status().unwrap().success());
            started.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
