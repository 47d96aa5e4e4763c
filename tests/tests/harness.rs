//! The harness works; otherwise every test that uses it would prove nothing.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Barrier, mpsc};
use std::thread;

use serde_json::{Value, json};
use tests::{
    Account, Emulator, Fault, FaultProxy, ForwardProxy, INSTANCE, INSTANCE_ROLE, Machine, client, text,
};

#[test]
fn files_written_in_a_machine_are_not_on_the_host() {
    let name = format!("/etc/nss-iam-harness-{}", std::process::id());
    let inside = thread::scope(|scope| {
        let machine = scope.spawn(|| {
            let machine = Machine::enter()?;
            fs::write(&name, "private").unwrap();
            Some(text(&machine.run(&["cat", &name]).stdout).to_owned())
        });
        machine.join().unwrap()
    });
    if let Some(inside) = inside {
        assert_eq!(inside, "private", "a program sees the machine that started it");
    }
    assert!(!Path::new(&name).exists());
}

#[test]
fn two_machines_at_once_do_not_see_each_other() {
    let both = Barrier::new(2);
    let see = |mine: &str| {
        let machine = Machine::enter();
        if machine.is_some() {
            fs::create_dir_all("/var/lib/nss-iam").unwrap();
            fs::write(Path::new("/var/lib/nss-iam").join(mine), "").unwrap();
        }
        both.wait();
        let seen =
            machine.map(|machine| text(&machine.run(&["ls", "/var/lib/nss-iam"]).stdout).trim().to_owned());
        both.wait();
        seen
    };
    thread::scope(|scope| {
        let one = scope.spawn(|| see("one"));
        let two = scope.spawn(|| see("two"));
        let (one, two) = (one.join().unwrap(), two.join().unwrap());
        if one.is_some() {
            assert_eq!((one.as_deref(), two.as_deref()), (Some("one"), Some("two")));
        }
    });
}

#[test]
fn a_machine_has_null_proc_and_a_repository_it_cannot_change() {
    let Some(machine) = Machine::enter() else { return };
    let read_only = format!("! touch '{}/x' 2>/dev/null", tests::repository().display());
    let line = format!(
        "set -e; echo x > /dev/null; test -r /proc/self/status; test -d '{}'; {read_only}",
        tests::target().display()
    );
    let ran = machine.run(&["sh", "-c", &line]);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert_eq!(text(&machine.run(&["pwd"]).stdout), "/\n");
}

#[test]
fn a_machine_receives_what_programs_log() {
    let Some(machine) = Machine::enter() else { return };
    let syslog = machine.syslog();
    assert!(machine.run(&["logger", "-p", "authpriv.info", "-t", "probe", "heard"]).status.success());
    let mut datagram = [0; 1024];
    let length = syslog.recv(&mut datagram).unwrap();
    let line = text(&datagram[..length]);
    assert!(line.starts_with("<86>") && line.contains("heard"), "{line}");
}

#[test]
fn a_machine_returns_status_and_both_outputs_separately() {
    let Some(machine) = Machine::enter() else { return };
    let ran = machine.run(&["sh", "-c", "printf 'a\\000b'; printf c >&2; exit 3"]);
    assert_eq!((ran.status.code(), &*ran.stdout, &*ran.stderr), (Some(3), &b"a\0b"[..], &b"c"[..]));
    assert!(text(&machine.run(&["env"]).stdout).lines().all(|line| line.starts_with("PATH=")));
}

#[test]
fn an_installed_machine_has_files_users_and_directories_of_a_package() {
    let Some(machine) = Machine::enter() else { return };
    assert!(!machine.run(&["test", "-e", "/var/lib/nss-iam"]).status.success(), "left by the host");
    machine.install();
    machine.config("groups = []\n");
    machine.nsswitch();
    let paths = [
        tests::module().to_str().unwrap().to_owned(),
        "/usr/libexec/nss-iam/keys-cmd".to_owned(),
        "/usr/libexec/nss-iam/cache-refresher".to_owned(),
        "/etc/nss-iam/config.toml".to_owned(),
        "/var/lib/nss-iam".to_owned(),
        "/var/lib/nss-iam-fetch".to_owned(),
    ];
    let listed =
        machine.run(&[&["stat".to_owned(), "-c".to_owned(), "%a %U %G".to_owned()], &paths[..]].concat());
    let wanted = "644 root root\n755 root root\n755 root root\n644 root root\n755 root root\n";
    assert_eq!(text(&listed.stdout), format!("{wanted}700 nss-iam-fetch nss-iam-fetch\n"));
    let users = machine.run(&["getent", "-s", "files", "passwd", "nss-iam", "nss-iam-fetch"]);
    assert_eq!(text(&users.stdout).matches(":/:/usr/sbin/nologin\n").count(), 2);
}

/// A request with the part of a signature that the emulator checks: the credential's scope. Returns status and
/// body.
fn aws(endpoint: &str, key: &str, service: &str, form: &str) -> Result<(u16, String), ureq::Error> {
    let scope = format!("{key}/20261122/eu-central-1/{service}/aws4_request");
    let authorization = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
    let mut answer = client()
        .post(endpoint)
        .header("Authorization", authorization)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .send(format!("{form}&Version=2010-05-08"))?;
    Ok((answer.status().as_u16(), answer.body_mut().read_to_string()?))
}

/// An access key of the account's instance, obtained like a program on the instance.
fn instance_key(account: &Account) -> String {
    let imds = format!("http://{}/_imds/{}/latest", account.address(), account.id());
    let header = "x-aws-ec2-metadata-token-ttl-seconds";
    let mut token = client().put(format!("{imds}/api/token")).header(header, "60").send_empty().unwrap();
    assert_eq!(token.headers()[header], "60");
    let token = token.body_mut().read_to_string().unwrap();
    let credentials = format!("{imds}/meta-data/iam/security-credentials/{INSTANCE_ROLE}");
    assert_eq!(client().get(&credentials).call().unwrap().status(), 401, "without a token");
    let mut answer = client().get(&credentials).header("x-aws-ec2-metadata-token", token).call().unwrap();
    let credentials: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    credentials["AccessKeyId"].as_str().unwrap().to_owned()
}

fn three_users() -> (Account, String) {
    let account = Account::new();
    let users = ["ana", "bob", "eve"].map(|name| json!({"name": name, "keys": 1, "tags": {"team": "x"}}));
    account
        .seed(json!({"users": users, "groups": {"G": ["ana", "bob", "eve"]}, "roles": [{"name": "Look"}]}));
    let key = instance_key(&account);
    (account, key)
}

fn endpoint(account: &Account) -> String {
    format!("http://{}", account.address())
}

const GET_GROUP: &str = "Action=GetGroup&GroupName=G";

#[test]
fn an_emulator_can_be_started_in_a_machine() {
    let Some(_machine) = Machine::enter() else { return };
    let emulator = Emulator::start(&[]);
    let account = Account::of(&emulator);
    assert_eq!(account.seed(json!({"users": [{"name": "ana"}]}))["users"]["ana"]["keys"], json!([]));
}

#[test]
fn get_group_comes_in_pages_and_without_tags() {
    let (account, key) = three_users();
    account.change(json!({"do": "set_page_size", "size": 2}));
    let (_, first) = aws(&endpoint(&account), &key, "iam", GET_GROUP).unwrap();
    assert!(first.contains("<IsTruncated>true") && first.contains("<Marker>2<"), "{first}");
    assert!(first.contains("bob") && !first.contains("eve") && !first.contains("team"), "{first}");
    let (_, second) = aws(&endpoint(&account), &key, "iam", &format!("{GET_GROUP}&Marker=2")).unwrap();
    assert!(
        second.contains("<IsTruncated>false") && second.contains("eve") && !second.contains("bob"),
        "{second}"
    );
    let (_, one) = aws(&endpoint(&account), &key, "iam", &format!("{GET_GROUP}&MaxItems=1")).unwrap();
    assert!(one.contains("ana") && !one.contains("bob"), "{one}");
}

#[test]
fn a_role_in_the_wrong_case_is_denied() {
    let (account, key) = three_users();
    let assume = |role| format!("Action=AssumeRole&RoleSessionName=test&RoleArn={}", account.role_arn(role));
    let (status, answer) = aws(&endpoint(&account), &key, "sts", &assume("Look")).unwrap();
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = aws(&endpoint(&account), &key, "sts", &assume("look")).unwrap();
    assert_eq!(status, 403);
    assert!(
        answer.starts_with("<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"),
        "{answer}"
    );
    assert!(
        answer.contains(&format!("assumed-role/{INSTANCE_ROLE}/{INSTANCE} is not authorized")),
        "{answer}"
    );
}

#[test]
fn an_unknown_access_key_is_refused() {
    let account = Account::new();
    let (status, answer) = aws(&endpoint(&account), "AKIAIOSFODNN7EXAMPLE", "iam", GET_GROUP).unwrap();
    assert!(status == 403 && answer.contains("<Code>InvalidClientTokenId</Code>"), "{answer}");
}

#[test]
fn accounts_on_one_emulator_are_independent_of_each_other() {
    let ((account, key), other) = (three_users(), Account::new());
    let other_key = instance_key(&other);
    let (status, answer) = aws(&endpoint(&other), &other_key, "iam", GET_GROUP).unwrap();
    assert!(status == 404 && answer.contains("<Code>NoSuchEntity</Code>"), "{answer}");
    assert_eq!(aws(&endpoint(&account), &key, "iam", GET_GROUP).unwrap().0, 200);
    assert_eq!(account.actions(), ["GetGroup"]);
    assert_eq!(account.calls()[0]["params"], json!({"GroupName": "G"}));
    other.forget_calls();
    assert!(other.actions().is_empty());
}

#[test]
fn an_enforced_account_refuses_an_invalid_signature() {
    let (account, key) = three_users();
    let everything =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "x"}]});
    assert_eq!(account.enforce_policy(INSTANCE_ROLE, &everything)["Statement"][0]["Resource"], "*");
    let (status, answer) = aws(&endpoint(&account), &key, "iam", GET_GROUP).unwrap();
    assert!(status == 403 && answer.contains("<ErrorResponse><Error>"), "{answer}");
}

#[test]
fn changes_are_seen_by_the_next_call() {
    let (account, key) = three_users();
    let names = || {
        let (_, group) = aws(&endpoint(&account), &key, "iam", GET_GROUP).unwrap();
        ["ana", "bob", "eve", "zoe"].map(|name| group.contains(&format!("<UserName>{name}</UserName>")))
    };
    account.change(json!({"do": "remove_member", "group": "G", "user": "ana"}));
    assert_eq!(names(), [false, true, true, false]);
    account.change(json!({"do": "delete_user", "user": "bob"}));
    assert_eq!(names(), [false, false, true, false]);
    account.change(json!({"do": "rename_user", "user": "eve", "name": "zoe"}));
    assert_eq!(names(), [false, false, false, true]);
    let (_, tags) = aws(&endpoint(&account), &key, "iam", "Action=ListUserTags&UserName=zoe").unwrap();
    assert!(tags.contains("team"), "{tags}");
    account.change(json!({"do": "empty_group", "group": "G"}));
    assert_eq!(names(), [false; 4]);
}

#[test]
fn a_proxy_passes_calls_on_and_records_them() {
    let (account, key) = three_users();
    let proxy = FaultProxy::start(&account, |_| Fault::Pass);
    let form = "Action=ListSSHPublicKeys&UserName=ana%40a+b";
    assert_eq!(aws(&proxy.url(), &key, "iam", form).unwrap().0, 404);
    assert_eq!(aws(&proxy.url(), &key, "iam", GET_GROUP).unwrap().0, 200);
    let calls = proxy.calls();
    assert_eq!((&*calls[0].service, &*calls[0].action, calls[0].total), ("iam", "ListSSHPublicKeys", 1));
    assert_eq!(calls[0].params, [("UserName".to_owned(), "ana@a b".to_owned())].into());
    assert_eq!((calls[1].nth_of_action, calls[1].total, proxy.count("GetGroup")), (1, 2, 1));
    assert_eq!(account.actions(), ["ListSSHPublicKeys", "GetGroup"]);
}

#[test]
fn a_proxy_answers_in_place_of_aws() {
    let (account, key) = three_users();
    let proxy = FaultProxy::start(&account, |call| match call.nth_of_action {
        1 => Fault::throttling(),
        2 => Fault::internal(),
        3 => Fault::unavailable(),
        4 => Fault::access_denied("iam:GetGroup"),
        _ => Fault::expired_token(),
    });
    let codes = ["Throttling", "InternalFailure", "ServiceUnavailable", "AccessDenied", "ExpiredToken"];
    for (status, code) in [400, 500, 503, 403, 403].into_iter().zip(codes) {
        let (seen, body) = aws(&proxy.url(), &key, "iam", GET_GROUP).unwrap();
        assert!(seen == status && body.contains(&format!("<Code>{code}</Code>")), "{seen} {body}");
    }
    assert!(account.actions().is_empty(), "none came through");
}

#[test]
fn a_proxy_resets_and_cuts_off() {
    let (account, _) = three_users();
    let proxy = FaultProxy::start(&account, |call| match call.total {
        1 => Fault::Reset,
        _ => Fault::CutOff(10),
    });
    // By hand, because a client may retry.
    let ask = || {
        let mut stream = TcpStream::connect(proxy.url().trim_start_matches("http://")).unwrap();
        let body = "Action=GetCallerIdentity";
        write!(stream, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    assert_eq!(ask().unwrap_err().kind(), ErrorKind::ConnectionReset);
    let answer = ask().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let announced = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    assert!(body.len() == 10 && announced.parse::<usize>().unwrap() > 10, "{answer}");
}

#[test]
fn a_proxy_hangs_until_it_is_dropped() {
    let (account, _) = three_users();
    let (asked, was_asked) = mpsc::channel();
    let proxy = FaultProxy::start(&account, move |_| {
        asked.send(()).unwrap();
        Fault::Hang
    });
    let mut stream = TcpStream::connect(proxy.url().trim_start_matches("http://")).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    was_asked.recv().unwrap();
    drop(proxy);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "nothing came back");
}

#[test]
fn a_proxy_omits_a_member_and_may_change_the_account_meanwhile() {
    let (account, key) = three_users();
    let inside = account.clone();
    let proxy = FaultProxy::start(&account, move |call| match call.nth_of_action {
        1 => Fault::drop_member("<UserName>bob</UserName>"),
        _ => {
            inside.change(json!({"do": "delete_user", "user": "eve"}));
            Fault::Pass
        }
    });
    let (_, first) = aws(&proxy.url(), &key, "iam", GET_GROUP).unwrap();
    assert!(first.contains("ana") && !first.contains("bob") && first.contains("eve"), "{first}");
    let (_, second) = aws(&proxy.url(), &key, "iam", GET_GROUP).unwrap();
    assert!(second.contains("ana") && second.contains("bob") && !second.contains("eve"), "{second}");
}

#[test]
fn a_forward_proxy_tunnels_counts_and_stays_on_loopback() {
    let (account, proxy) = (Account::new(), ForwardProxy::start());
    let ask = |line: &str| {
        let mut stream = TcpStream::connect(proxy.url().trim_start_matches("http://")).unwrap();
        write!(stream, "{line} HTTP/1.1\r\n\r\n").unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        text(&answer).to_owned()
    };
    assert_eq!(ask("CONNECT 192.0.2.1:443"), "HTTP/1.1 403");
    assert_eq!(ask("GET http://127.0.0.1/"), "HTTP/1.1 403");
    assert_eq!(proxy.connections(), 0);
    assert_eq!(ask(&format!("CONNECT {}", account.address())), "HTTP/1.1 200");
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn a_tls_emulator_has_a_certificate_from_its_own_authority() {
    let directory = tempfile::tempdir().unwrap();
    let emulator = Emulator::tls(directory.path());
    let handshake = |more: &[&str]| {
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-verify_return_error", "-verify_ip", "127.0.0.1", "-connect"]);
        openssl.arg(emulator.tls_address()).args(more).stdin(Stdio::null());
        openssl.output().unwrap().status.success()
    };
    assert!(handshake(&["-CAfile", emulator.ca().to_str().unwrap()]));
    assert!(!handshake(&[]), "the system does not trust it");
}
