//! Answers of S3, one at a time.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;

use super::super::{http, watch};
use super::*;

/// A server that gives one answer to one request and closes the connection. Returns the request.
fn server(answer: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut part = [0; 4096];
        while !is_whole(&request) {
            let read = stream.read(&mut part).unwrap();
            request.extend_from_slice(&part[..read]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(request).unwrap()
    });
    (url, served)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let length = text.split_once("content-length: ").and_then(|(_, rest)| rest.split("\r\n").next());
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.len() >= length)
}

fn object(url: &str) -> Object {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-west-1"))
        .endpoint_url(url)
        .force_path_style(true)
        .http_client(http::connections(&config::Aws::default()).unwrap().client())
        .credentials_provider(Credentials::new("AKIA", "secret", None, None, "test"))
        .build();
    Object {
        client: Client::from_conf(config),
        caller: watch::tests::caller_of(&SERVICE, Duration::from_secs(60)),
        bucket: "fleet".to_owned(),
        key: "a/b".to_owned(),
        region: Chosen { region: "eu-west-1".to_owned(), from: "[aws] region" },
        role: None,
    }
}

async fn got(known: Option<&str>, answer: &'static str) -> (Result<Got, Refusal>, String) {
    let (url, served) = server(answer);
    let got = object(&url).get(known).await;
    (got, served.join().unwrap().to_ascii_lowercase())
}

async fn put(over: Option<&str>, answer: &'static str) -> (Result<Put, Refusal>, String) {
    let (url, served) = server(answer);
    let put = object(&url).put(b"listing".to_vec(), over).await;
    (put, served.join().unwrap().to_ascii_lowercase())
}

const WHOLE: &str = "HTTP/1.1 200 OK\r\nETag: \"e1\"\r\nContent-Length: 7\r\n\r\nlisting";

#[tokio::test]
async fn an_object_is_read_with_its_etag_and_only_if_it_changed() {
    let (read, request) = got(None, WHOLE).await;
    assert_eq!(read.unwrap(), Got::Content("\"e1\"".to_owned(), b"listing".to_vec()));
    assert!(request.starts_with("get /fleet/a/b") && !request.contains("if-none-match"), "{request}");
    let (read, request) = got(Some("\"e1\""), "HTTP/1.1 304 Not Modified\r\nETag: \"e1\"\r\n\r\n").await;
    assert_eq!(read.unwrap(), Got::Unchanged);
    assert!(request.contains("if-none-match: \"e1\"\r\n"), "{request}");
}

#[tokio::test]
async fn what_is_cut_off_too_large_or_unasked_is_no_object() {
    for (answer, kind, words) in [
        ("HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 9\r\n\r\nlisting", FailureKind::Unavailable, ""),
        (
            "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nlisting\r\n",
            FailureKind::Unavailable,
            "",
        ),
        (
            "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 268435457\r\n\r\n",
            FailureKind::Held,
            "larger than 256 MiB",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nlisting", FailureKind::Held, "without an ETag"),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", FailureKind::Unavailable, "304"),
    ] {
        let (read, _) = got(None, answer).await;
        let failure = read.unwrap_err().failure;
        assert_eq!(
            (failure.kind, failure.call.as_str(), failure.on.as_str()),
            (kind, GET, "fleet/a/b"),
            "{failure:?}"
        );
        assert!(
            failure.cause.contains(words) && failure.cause.contains("endpoint '127.0.0.1"),
            "{failure:?}"
        );
    }
}

#[tokio::test]
async fn an_object_is_written_only_over_the_one_that_was_read() {
    let (written, request) = put(None, "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(written.unwrap(), Put::Written);
    assert!(request.starts_with("put /fleet/a/b") && request.contains("if-none-match: *\r\n"), "{request}");
    let raced = [
        (None, "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n"),
        (Some("\"e1\""), "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n"),
        (
            Some("\"e1\""),
            "HTTP/1.1 409 Conflict\r\nContent-Length: 53\r\n\r\n<Error><Code>ConditionalRequestConflict</Code></Error>",
        ),
        (
            Some("\"e1\""),
            "HTTP/1.1 404 Not Found\r\nContent-Length: 36\r\n\r\n<Error><Code>NoSuchKey</Code></Error>",
        ),
    ];
    for (over, answer) in raced {
        let (outcome, request) = put(over, answer).await;
        assert_eq!(outcome.unwrap(), Put::Raced, "{answer}");
        let condition = if over.is_some() { "if-match: \"e1\"\r\n" } else { "if-none-match: *\r\n" };
        assert!(request.contains(condition), "{request}");
    }
}

#[test]
fn each_refusal_of_s3_has_its_kind_and_a_remedy() {
    use FailureKind::{Configuration, Denied};
    let object = object("http://127.0.0.1:1");
    let code = |code: &str| Reason::Code(code.to_owned());
    for (action, reason, cause, kind, words) in [
        (GET, Reason::Denied, "", Denied, "allow s3:GetObject on 'arn:aws:s3:::fleet/a/b'"),
        (GET, Reason::Denied, "", Denied, "s3:ListBucket"),
        (PUT, Reason::Denied, "", Denied, "allow s3:PutObject"),
        (GET, Reason::Denied, "not authorized to perform: kms:Decrypt", Denied, "allow kms:Decrypt on"),
        (PUT, Reason::Denied, "kms:GenerateDataKey", Denied, "kms:Decrypt and kms:GenerateDataKey"),
        (GET, Reason::NotFound, "", Configuration, "aws s3 ls 's3://fleet/a/b'"),
        (PUT, code("NoSuchBucket"), "", Configuration, "head-bucket --bucket 'fleet'"),
        (GET, code("AuthorizationHeaderMalformed"), "", Configuration, "'eu-west-1' comes from [aws] region"),
        (GET, code("PermanentRedirect"), "", Configuration, "set [aws] region"),
        (GET, Reason::Status(301), "", Configuration, "get-bucket-location"),
    ] {
        let failure = object.caller.failure(action, "fleet/a/b", cause, "", FailureKind::Other);
        let (found, hint) = object.remedy(action, &Refusal { reason, failure }).unwrap();
        assert!(found == kind && hint.contains(words), "{hint}");
    }
    let throttled = object.caller.failure(GET, "fleet/a/b", "SlowDown", "", FailureKind::Unavailable);
    assert_eq!(object.remedy(GET, &Refusal { reason: code("SlowDown"), failure: throttled }), None);
}

#[test]
fn a_bucket_is_in_the_path_if_no_host_can_be_called_like_it() {
    assert!(!is_path_style("fleet", None));
    assert!(
        is_path_style("fleet.example.com", None) && is_path_style("fleet", Some("http://127.0.0.1:5000"))
    );
    assert_eq!(
        ["eu-west-1", "cn-north-1", "us-gov-west-1", "us-east-1"].map(partition),
        ["aws", "aws-cn", "aws-us-gov", "aws"]
    );
}

#[test]
fn what_is_to_be_allowed_is_allowed_to_the_role_that_is_used() {
    let own = object("http://127.0.0.1:1");
    assert!(own.to_allow(GET, "AccessDenied").contains("to the role of this host,"));
    let assumed = Object { role: Some("Look".to_owned()), ..own };
    for cause in ["AccessDenied", "not authorized to perform: kms:Decrypt"] {
        assert!(assumed.to_allow(GET, cause).contains("to the role 'Look'"), "{cause}");
    }
}
