//! Injects faults between the refresher and AWS.
//!
//! [`FaultProxy`] takes the place of AWS's endpoint and passes calls on to the emulator or not, as the test decides
//! for each call. [`ForwardProxy`] is the company's https proxy: it supports only CONNECT, and counts.

use std::collections::HashMap;
use std::io::{self, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::Account;
use crate::http::{self, Message};

/// One call to AWS, as the proxy saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `iam`, `sts`; empty if the request was not signed.
    pub service: String,
    /// `GetGroup`; for a request that is in none of AWS's two protocols for this, its method and path.
    pub action: String,
    /// `GroupName`, `Marker`, `UserName` ...; of a JSON document, the members that are strings.
    pub params: HashMap<String, String>,
    /// The number of calls of this action, including this one: the first is 1.
    pub nth_of_action: usize,
    /// The number of calls, including this one.
    pub total: usize,
}

/// What happens to a call.
pub enum Fault {
    /// It reaches the emulator, and the answer reaches the client.
    Pass,
    /// It does not reach the emulator; this is the answer.
    Answer {
        /// Of HTTP.
        status: u16,
        /// Of HTTP.
        headers: Vec<(String, String)>,
        /// With its length declared.
        body: String,
    },
    /// The connection is reset.
    Reset,
    /// The emulator's answer ends after this many bytes of its body, although more were announced.
    CutOff(usize),
    /// No answer comes until the client or the proxy is gone.
    Hang,
    /// It reaches the emulator, and no answer comes until the client or the proxy is gone.
    LoseAnswer,
    /// It reaches the emulator, and then the connection is reset.
    ResetAnswer,
    /// The emulator's answer with a different body.
    Edit(Box<dyn FnOnce(String) -> String + Send>),
}

impl Fault {
    /// IAM's own answer to too many calls: HTTP 400, not 429.
    #[must_use]
    pub fn throttling() -> Self {
        Self::error(400, "Throttling", "Rate exceeded")
    }

    /// HTTP 500.
    #[must_use]
    pub fn internal() -> Self {
        Self::error(500, "InternalFailure", "The request processing has failed because of an unknown error")
    }

    /// HTTP 503.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::error(503, "ServiceUnavailable", "Service is unavailable")
    }

    /// HTTP 403 for, say, `iam:GetGroup`.
    #[must_use]
    pub fn access_denied(action: &str) -> Self {
        let who = "arn:aws:sts::123456789012:assumed-role/fault/proxy";
        Self::error(403, "AccessDenied", &format!("User: {who} is not authorized to perform: {action}"))
    }

    /// HTTP 403, as after a role's session ended.
    #[must_use]
    pub fn expired_token() -> Self {
        Self::error(403, "ExpiredToken", "The security token included in the request is expired")
    }

    /// HTTP 404, as for a user who is gone.
    #[must_use]
    pub fn no_such_entity(what: &str) -> Self {
        Self::error(404, "NoSuchEntity", &format!("{what} cannot be found."))
    }

    /// A different error, in the form of AWS's query protocol.
    #[must_use]
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let kind = if status < 500 { "Sender" } else { "Receiver" };
        let error =
            format!("<Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message></Error>");
        let body = format!("<ErrorResponse>{error}<RequestId>fault-proxy</RequestId></ErrorResponse>");
        Self::Answer { status, headers: vec![("Content-Type".into(), "text/xml".into())], body }
    }

    /// The same in the form of AWS's JSON protocol.
    #[must_use]
    pub fn json_error(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({"__type": code, "Message": message}).to_string();
        let headers = vec![("Content-Type".into(), "application/x-amz-json-1.1".into())];
        Self::Answer { status, headers, body }
    }

    /// The emulator's answer, a JSON document, after this change.
    #[must_use]
    pub fn change(change: impl FnOnce(&mut serde_json::Value) + Send + 'static) -> Self {
        Self::Edit(Box::new(move |body| {
            let mut answer = serde_json::from_str(&body).expect("an answer in JSON");
            change(&mut answer);
            answer.to_string()
        }))
    }

    /// The emulator's answer to GetGroup without any members.
    #[must_use]
    pub fn no_members() -> Self {
        Self::drop_member("<UserName>")
    }

    /// The emulator's answer without the elements `<member>...</member>` that contain `text`: `drop_member("ana")`
    /// makes GetGroup forget a user.
    #[must_use]
    pub fn drop_member(text: &str) -> Self {
        let text = text.to_owned();
        Self::drop_members(move |member| member.contains(&text))
    }

    /// The emulator's answer without the elements `<member>...</member>` for which this returns true.
    #[must_use]
    pub fn drop_members(is_out: impl Fn(&str) -> bool + Send + 'static) -> Self {
        Self::Edit(Box::new(move |body| {
            let mut kept = String::new();
            for (n, piece) in body.split("<member>").enumerate() {
                match piece.split_once("</member>") {
                    Some((member, rest)) if n > 0 && is_out(member) => kept.push_str(rest),
                    _ if n > 0 => kept.extend(["<member>", piece]),
                    _ => kept.push_str(piece),
                }
            }
            kept
        }))
    }
}

/// A proxy in front of the emulator; dropping it ends it and all its connections.
pub struct FaultProxy {
    server: Server,
    seen: Arc<Mutex<Vec<Call>>>,
}

impl FaultProxy {
    /// Starts a proxy in front of an account's emulator. `decide` is called for each call; it may change the
    /// account first.
    ///
    /// # Panics
    /// If loopback has no port left.
    #[must_use]
    pub fn start(account: &Account, decide: impl Fn(&Call) -> Fault + Send + Sync + 'static) -> Self {
        let upstream: SocketAddr = account.address().parse().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        let server = Server::start(move |client| {
            let mut from = BufReader::new(client);
            while serve(client, &mut from, upstream, &record, &decide).unwrap_or(false) {}
        });
        Self { server, seen }
    }

    /// The endpoint for the refresher, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// The calls so far, including failed ones.
    ///
    /// # Panics
    /// If a test's `decide` panicked.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.seen.lock().unwrap().clone()
    }

    /// The number of calls of an action.
    #[must_use]
    pub fn count(&self, action: &str) -> usize {
        self.calls().iter().filter(|call| call.action == action).count()
    }
}

/// Handles one request of a client. Returns whether the connection stays open.
fn serve(
    mut client: &TcpStream,
    from: &mut BufReader<&TcpStream>,
    upstream: SocketAddr,
    seen: &Mutex<Vec<Call>>,
    decide: &impl Fn(&Call) -> Fault,
) -> io::Result<bool> {
    let Some(request) = Message::read(from, false)? else {
        return Ok(false);
    };
    let call = record(&request, seen);
    let answer = match decide(&call) {
        Fault::Pass => forward(&request, upstream)?,
        Fault::Edit(edit) => {
            let answer = forward(&request, upstream)?;
            let body = edit(String::from_utf8_lossy(&answer.body).into_owned());
            Message { body: body.into_bytes(), ..answer }
        }
        Fault::Answer { status, headers, body } => {
            Message { start: format!("HTTP/1.1 {status} Fault"), headers, body: body.into_bytes() }
        }
        Fault::CutOff(length) => {
            let answer = forward(&request, upstream)?;
            let whole = answer.bytes();
            let end = (whole.len() - answer.body.len() + length).min(whole.len() - 1);
            client.write_all(whole.get(..end).unwrap_or_default())?;
            return Ok(false);
        }
        Fault::Reset => return reset(client),
        Fault::ResetAnswer => {
            forward(&request, upstream)?;
            return reset(client);
        }
        Fault::Hang => return hang(from),
        Fault::LoseAnswer => {
            forward(&request, upstream)?;
            return hang(from);
        }
    };
    client.write_all(&answer.bytes())?;
    Ok(true)
}

/// socket(7): with SO_LINGER of zero seconds, close(2) sends a reset.
fn reset(client: &TcpStream) -> io::Result<bool> {
    socket2::SockRef::from(client).set_linger(Some(Duration::ZERO))?;
    Ok(false)
}

/// Until the client is gone.
fn hang(from: &mut BufReader<&TcpStream>) -> io::Result<bool> {
    io::copy(from, &mut io::sink())?;
    Ok(false)
}

fn record(request: &Message, seen: &Mutex<Vec<Call>>) -> Call {
    let (action, params) = match request.header("x-amz-target").and_then(|target| target.rsplit_once('.')) {
        Some((_, action)) => (action.to_owned(), strings(&request.body)),
        None => {
            let mut params: HashMap<_, _> = http::form(&request.body);
            params.remove("Version");
            let path = || request.start.rsplit_once(' ').map_or(&*request.start, |(path, _)| path);
            (params.remove("Action").unwrap_or_else(|| path().to_owned()), params)
        }
    };
    let scope = request.header("authorization").and_then(|value| value.split('/').nth(3));
    let service = scope.unwrap_or_default().to_owned();
    let mut seen = seen.lock().unwrap();
    let nth_of_action = 1 + seen.iter().filter(|call| call.action == action).count();
    let call = Call { service, action, params, nth_of_action, total: seen.len() + 1 };
    seen.push(call.clone());
    call
}

fn strings(json: &[u8]) -> HashMap<String, String> {
    let members: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(json).unwrap_or_default();
    members.into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.to_owned()))).collect()
}

/// One connection per request, because the emulator closes them after each answer.
fn forward(request: &Message, upstream: SocketAddr) -> io::Result<Message> {
    let mut stream = TcpStream::connect(upstream)?;
    stream.write_all(&request.bytes())?;
    let mut answer = Message::read(&mut BufReader::new(stream), true)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    answer.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("connection"));
    Ok(answer)
}

/// A proxy for `https_proxy`; dropping it ends it and all its connections.
pub struct ForwardProxy {
    server: Server,
    connections: Arc<AtomicUsize>,
}

impl ForwardProxy {
    /// Starts a proxy that connects only to addresses on loopback.
    #[must_use]
    pub fn start() -> Self {
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let server = Server::start(move |client| drop(tunnel(client, &count)));
        Self { server, connections }
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// The number of connections that it made for its clients.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn tunnel(mut client: &TcpStream, count: &AtomicUsize) -> io::Result<()> {
    let Some(request) = Message::read(&mut BufReader::new(client), false)? else {
        return Ok(());
    };
    let to = request.start.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()?.parse().ok());
    let Some(to) = to.filter(|to: &SocketAddr| to.ip().is_loopback()) else {
        return client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    };
    let server = TcpStream::connect(to)?;
    count.fetch_add(1, Ordering::SeqCst);
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    thread::scope(|threads| {
        threads.spawn(|| {
            let _ = io::copy(&mut &*client, &mut &server);
            let _ = server.shutdown(Shutdown::Write);
        });
        let _ = io::copy(&mut &server, &mut client);
        let _ = client.shutdown(Shutdown::Both);
    });
    Ok(())
}

/// A listener on loopback with a thread for each connection; dropping it ends them and waits for them.
struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    accepting: Option<thread::JoinHandle<()>>,
}

impl Server {
    fn start(serve: impl Fn(&TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let accepting = thread::spawn(move || {
            let open = Mutex::new(HashMap::new());
            thread::scope(|threads| {
                while let Ok((client, from)) = listener.accept() {
                    if stopped.load(Ordering::SeqCst) {
                        break;
                    }
                    let _ = client.set_nodelay(true);
                    open.lock().unwrap().insert(from, client.try_clone().unwrap());
                    let (open, serve) = (&open, &serve);
                    threads.spawn(move || {
                        let served = catch_unwind(AssertUnwindSafe(|| serve(&client)));
                        // The last copy of a socket closes it: the reset, or the end, is
                        // sent only then.
                        drop(open.lock().unwrap().remove(&from));
                        served.unwrap_or_else(|panic| resume_unwind(panic));
                    });
                }
                open.lock().unwrap().values().for_each(|client| drop(client.shutdown(Shutdown::Both)));
            });
        });
        Self { address, stop, accepting: Some(accepting) }
    }
}

impl Drop for Server {
    /// Passes on a panic of the test's own function.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address); // wakes accept(2)
        let ended = self.accepting.take().map_or(Ok(()), thread::JoinHandle::join);
        assert!(ended.is_ok() || thread::panicking(), "the proxy panicked, see above");
    }
}
