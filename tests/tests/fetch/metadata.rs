//! Instance metadata without credentials: each cause has a different hint, and is detected long before the
//! deadline.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::host::{GROUPS, Host, five};

/// How a metadata service of a test answers; none: it accepts the request and never answers.
struct Service {
    /// `PUT /latest/api/token`.
    token: Option<u16>,
    /// All other requests.
    get: Option<u16>,
}

impl Service {
    /// Returns its address; it runs until the test program ends.
    fn start(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let Some(Ok(request)) = lines.next() else { continue };
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                let Some(status) = (if request.starts_with("PUT") { self.token } else { self.get }) else {
                    silent.push(stream);
                    continue;
                };
                let more = if status == 200 { "x-aws-ec2-metadata-token-ttl-seconds: 60\r\n" } else { "" };
                let answer = format!(
                    "HTTP/1.1 {status} Told\r\n{more}Content-Length: 5\r\nConnection: close\r\n\r\nTOKEN"
                );
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        address
    }
}

/// Far less than the deadline of 120 s, and far more than metadata takes on a busy machine.
const SOON: Duration = Duration::from_secs(60);

fn told(host: &Host, address: String, more: &[(&'static str, String)], status: i32, words: &[&str]) {
    let at = format!("instance metadata at '{}'", address.replace("http://", ""));
    let metadata = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", address);
    let begin = Instant::now();
    let ended = host.refresh_with(&[&[metadata], more].concat(), &[]);
    let is_asked = !["is disabled", "has no role"].iter().any(|words| ended.said.contains(words));
    assert!(!is_asked || ended.said.contains(&at), "{at}: {ended:?}");
    ended.told(status, &[&["sts:GetCallerIdentity on 'this host' failed: no credentials: "], words].concat());
    assert!(begin.elapsed() < SOON, "{:?}: {ended:?}", begin.elapsed());
}

/// EC2 User Guide, "Configure the instance metadata options": "If the hop limit is 1, the metadata response does not
/// return because going to the container is considered an additional network hop."
#[test]
fn a_container_behind_a_hop_limit_of_one_gets_a_hint_about_it() {
    let Some(host) = Host::seeded(&five()) else { return };
    host.machine.config(GROUPS);
    for get in [401, 200] {
        let address = Service { token: None, get: Some(get) }.start();
        let hint = "--http-put-response-hop-limit 2";
        told(
            &host,
            address,
            &[],
            75,
            &["not when asked for a token", "hint: in a container its hop limit", hint],
        );
    }
    // Also with little time.
    host.give("5s");
    let address = Service { token: None, get: Some(401) }.start();
    told(&host, address, &[], 75, &["hop limit"]);
}

#[test]
fn each_cause_of_missing_credentials_has_its_own_hint() {
    let Some(host) = Host::seeded(&five()) else { return };
    host.machine.config(GROUPS);
    let unreachable = "hint: on EC2, is instance metadata reachable from here";
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    told(&host, closed, &[], 75, &["did not answer", "refused", unreachable]);
    for (token, get, status, words) in [
        (None, None, 75, ["did not answer", unreachable]),
        (Some(200), None, 75, ["did not answer", unreachable]),
        (Some(403), Some(403), 77, ["switched off", "--http-endpoint enabled"]),
        (Some(200), Some(404), 77, ["the instance has no role", "hint: attach an instance profile"]),
        (Some(200), Some(401), 77, ["refused its own token", "is a proxy in between?"]),
        (Some(404), Some(404), 75, ["HTTP status 404", "AWS_EC2_METADATA_SERVICE_ENDPOINT"]),
        (Some(503), Some(503), 75, ["HTTP status 503", "limits the rate"]),
    ] {
        told(&host, Service { token, get }.start(), &[], status, &words);
    }
    let disabled = [("AWS_EC2_METADATA_DISABLED", "true".to_owned())];
    let address = Service { token: Some(200), get: Some(404) }.start();
    told(&host, address, &disabled, 77, &["hint: unset AWS_EC2_METADATA_DISABLED"]);
}

/// A failure of what is configured is not attributed to instance metadata.
#[test]
fn a_failing_container_agent_is_not_reported_as_instance_metadata() {
    let Some(host) = Host::seeded(&five()) else { return };
    host.machine.config(GROUPS);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (agent, status) in [
        (Service { token: Some(500), get: Some(500) }.start(), 77),
        (Service { token: None, get: None }.start(), 75),
        (format!("http://{closed}"), 77),
    ] {
        let metadata = Service { token: Some(200), get: Some(404) }.start();
        let environment = [
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{agent}/credentials")),
        ];
        let ended = host.refresh_with(&environment, &[]);
        let asked = format!("(credentials were asked for at '{}')", agent.replace("http://", ""));
        ended.told(status, &["sts:GetCallerIdentity on 'this host' failed: ", &asked]);
        ended.told(status, &["hint: check where they come from: "]);
        assert!(!ended.said.contains("instance has no role"), "{ended:?}");
    }
}
