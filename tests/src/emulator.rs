//! The IAM emulator (`tests/emulator/emulator.py`): one server for all tests of a process, one account for each.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

/// The instance role of every account; it may do everything until [`Account::enforce`].
pub const INSTANCE_ROLE: &str = "nss-iam-instance";

/// The instance of every account.
pub const INSTANCE: &str = "i-0123456789abcdef0";

/// The region of every account.
pub const REGION: &str = "eu-central-1";

/// An empty emulator. It exits when this value is dropped or this process ends.
#[derive(Debug)]
pub struct Emulator {
    child: Child,
    ready: Value,
}

impl Emulator {
    /// Starts one: `&["--page-size", "7"]`.
    ///
    /// # Panics
    /// If Python, or a package in `tests/emulator/requirements.txt`, is missing; the message says how to get
    /// it.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Self {
        let root = crate::repository();
        let python = root.join(".venv/bin/python");
        assert!(python.exists(), "'{}' is missing\nhint: make .venv", python.display());
        let mut child = Command::new(python)
            .arg("-B") // leaves no compiled files in the repository
            .arg(root.join("tests/emulator/emulator.py"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the emulator");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).expect("the emulator says why on stderr");
        Self { child, ready }
    }

    /// Starts one that also speaks TLS; it writes its certificates to `directory`.
    ///
    /// # Panics
    /// If the path is not UTF-8.
    #[must_use]
    pub fn tls(directory: &Path) -> Self {
        Self::start(&["--tls", directory.to_str().unwrap()])
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ready["port"])
    }

    /// `127.0.0.1:PORT` for https, for [`Emulator::tls`].
    #[must_use]
    pub fn tls_address(&self) -> String {
        format!("127.0.0.1:{}", self.ready["tls_port"])
    }

    /// The certificate authority to trust, for [`Emulator::tls`].
    #[must_use]
    pub fn ca(&self) -> &Path {
        Path::new(self.ready["ca"].as_str().unwrap_or_default())
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The first test that needs it starts it, in the test's machine if there is one: it needs only the repository and
/// loopback, which are available there. Statics are not dropped: it exits when this process ends, because that
/// closes its stdin.
static SHARED: LazyLock<Emulator> = LazyLock::new(|| Emulator::start(&[]));

/// Starts the emulator of [`Account::new`] for a thread that cannot start it later.
pub(crate) fn start_shared() {
    LazyLock::force(&SHARED);
}

/// An AWS account of the shared emulator that no other test uses, with an instance in it.
#[derive(Debug, Clone)]
pub struct Account {
    id: String,
    address: String,
}

impl Account {
    /// An empty account.
    #[must_use]
    pub fn new() -> Self {
        Self::of(&SHARED)
    }

    /// An empty account of a different emulator.
    #[must_use]
    pub fn of(emulator: &Emulator) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let id = format!("1000{:08}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self { id, address: emulator.address() }
    }

    /// The same account, for a host that reaches the emulator at a different address, `ADDRESS:PORT`.
    #[must_use]
    pub fn at(&self, address: String) -> Self {
        Self { address, ..self.clone() }
    }

    /// Twelve digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `127.0.0.1:PORT` of the emulator.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The ARN of a role of this account, whether it exists or not.
    #[must_use]
    pub fn role_arn(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:role/{name}", self.id)
    }

    /// Adds users, groups, roles and instance tags; see `emulator.py` for the form. Returns ids and keys:
    /// `answer["users"]["ana"]["keys"][0]["body"]`.
    pub fn seed(&self, wish: Value) -> Value {
        self.post("seed", wish)
    }

    /// One change, `json!({"do": "remove_member", "group": "G", "user": "ana"})`; see `emulator.py`.
    pub fn change(&self, change: Value) -> Value {
        self.post("change", json!({ "changes": [change] }))
    }

    /// From now on, the role may do exactly what `config/iam-policy.json` allows, and the instance role may
    /// only assume it (if it is not the instance role itself). Returns the policy that is in force.
    pub fn enforce(&self, role: &str) -> Value {
        self.post("enforce", json!({ "role": role }))
    }

    /// Like [`Account::enforce`], with a different policy.
    pub fn enforce_policy(&self, role: &str, policy: &Value) -> Value {
        self.post("enforce", json!({ "role": role, "policy": policy }))
    }

    /// The calls that reached this account, in order, each with `service`, `action`, `params`, the address of the client
    /// as `from`, and once it is answered the HTTP `status`.
    ///
    /// # Panics
    /// If the emulator is gone.
    #[must_use]
    pub fn calls(&self) -> Vec<Value> {
        let mut answer = client().get(self.url("calls")).call().unwrap();
        serde_json::from_str(&body(&mut answer)).unwrap()
    }

    /// Only their names: `["GetCallerIdentity", "GetGroup"]`.
    #[must_use]
    pub fn actions(&self) -> Vec<String> {
        self.calls().iter().map(|call| call["action"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Forgets the calls so far.
    ///
    /// # Panics
    /// If the emulator is gone.
    pub fn forget_calls(&self) {
        client().delete(self.url("calls")).call().unwrap();
    }

    /// The environment of a program that runs on this account's instance and finds AWS at `endpoint`
    /// (`http://127.0.0.1:PORT`): it has no access key, and credentials come from the instance metadata.
    #[must_use]
    pub fn env(&self, endpoint: &str) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", endpoint.to_owned()),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://{}/_imds/{}", self.address, self.id)),
        ]
    }

    /// [`Account::env`] without a proxy.
    #[must_use]
    pub fn direct(&self) -> Vec<(&'static str, String)> {
        self.env(&format!("http://{}", self.address))
    }

    /// Credentials of the instance role in the environment, for programs that are not to ask metadata, which is slow to answer
    /// on a busy machine.
    ///
    /// # Panics
    /// If the emulator is gone.
    #[must_use]
    pub fn credentials(&self) -> Vec<(&'static str, String)> {
        let task = format!("http://{}/_imds/{}/v2/credentials/task", self.address, self.id);
        let answer: Value = serde_json::from_str(&body(&mut client().get(task).call().unwrap())).unwrap();
        let field = |name: &str| answer[name].as_str().unwrap().to_owned();
        vec![
            ("AWS_ACCESS_KEY_ID", field("AccessKeyId")),
            ("AWS_SECRET_ACCESS_KEY", field("SecretAccessKey")),
            ("AWS_SESSION_TOKEN", field("Token")),
        ]
    }

    fn url(&self, what: &str) -> String {
        format!("http://{}/_emulator/{what}?account={}", self.address, self.id)
    }

    fn post(&self, what: &str, mut wish: Value) -> Value {
        wish["account"] = json!(self.id);
        let mut answer = client().post(self.url(what)).send(wish.to_string()).unwrap();
        let text = body(&mut answer);
        assert_eq!(answer.status(), 200, "{what}: {text}");
        serde_json::from_str(&text).unwrap()
    }
}

impl Default for Account {
    fn default() -> Self {
        Self::new()
    }
}

/// A client that accepts any status as an answer, and uses no proxy from this process's environment.
#[must_use]
pub fn client() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent()
}

fn body(answer: &mut ureq::http::Response<ureq::Body>) -> String {
    answer.body_mut().with_config().limit(1 << 30).read_to_string().unwrap()
}
