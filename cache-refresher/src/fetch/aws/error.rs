//! What an error of the SDK means: its cause, its kind, and what to do about it.

use std::error::Error as StdError;

use aws_sdk_iam::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};
use listing::FailureKind;
use nix::errno::Errno;

use super::place::Place;
use crate::fetch::failure::Reason;

/// An error of a call to AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) reason: Reason,
    /// `AccessDenied: User … is not authorized …`.
    pub(super) cause: String,
    pub(super) kind: FailureKind,
}

impl Told {
    /// For an answer of AWS.
    pub(super) fn by_service(
        error: &(dyn StdError + 'static),
        meta: &ErrorMetadata,
        status: Option<u16>,
    ) -> Self {
        let Some(code) = meta.code() else {
            let (reason, cause) = match status {
                Some(status) if !(200..300).contains(&status) => {
                    (Reason::Status(status), format!("HTTP status {status}"))
                }
                _ => (Reason::NotUnderstood, format!("not understood: {}", cause_of(error))),
            };
            return Self { reason, cause, kind: kind(None, status) };
        };
        let cause = match meta.message() {
            Some(message) => format!("{code}: {message}"),
            None => code.to_owned(),
        };
        Self { reason: Reason::Code(code.to_owned()), cause, kind: kind(Some(code), status) }
    }

    /// AWS's error code.
    pub(super) fn code(&self) -> Option<&str> {
        match &self.reason {
            Reason::Code(code) => Some(code),
            _ => None,
        }
    }

    /// Whether AWS limits the rate of calls.
    pub(super) fn is_throttled(&self) -> bool {
        self.reason == Reason::Status(429) || self.code().is_some_and(is_throttling)
    }

    /// Whether this host's clock is wrong.
    pub(super) fn is_of_clock(&self) -> bool {
        self.code().is_some_and(is_skewed)
    }
}

pub(super) fn told<E>(error: &SdkError<E>) -> Told
where
    E: StdError + ProvideErrorMetadata + 'static,
{
    match error {
        SdkError::ServiceError(context) => {
            let status = context.raw().status().as_u16();
            Told::by_service(context.err(), context.err().meta(), Some(status))
        }
        _ => {
            let cause = cause_of(error);
            // The SDK has no public type for this case.
            let kind = if no_credentials(&cause) { FailureKind::Denied } else { FailureKind::Unavailable };
            let reason = if matches!(error, SdkError::ResponseError(_)) {
                Reason::NotUnderstood
            } else {
                Reason::NoAnswer
            };
            Told { reason, cause, kind }
        }
    }
}

/// The messages of an error and its causes, without repetitions. The outermost is left out: it is the SDK's own
/// classification, which says little.
pub(super) fn cause_of(error: &(dyn StdError + 'static)) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut next = error.source().or(Some(error));
    while let Some(error) = next {
        let text = error.to_string();
        let is_news = !said.iter().any(|before| before.contains(&text));
        // The interceptor's own error follows.
        if is_news && !text.ends_with("interceptor encountered an error") {
            said.push(text);
        }
        next = error.source();
    }
    said.join(": ")
}

/// The longest text of [`in_short`], in characters: more than a service's codes have, and less than a line of a terminal.
const SHORT: usize = 60;

/// What went wrong, in a few words: AWS's error code, or what the system says of the connection.
pub(super) fn in_short(told: &Told, error: &(dyn StdError + 'static)) -> String {
    let of_system = std::iter::successors(Some(error), |error: &&(dyn StdError + 'static)| (*error).source())
        .find_map(|error| error.downcast_ref::<std::io::Error>()?.raw_os_error());
    let text = match (&told.reason, of_system) {
        (Reason::Code(code), _) => code,
        (_, Some(number)) => Errno::from_raw(number).desc(),
        _ => told.cause.as_str(),
    };
    match text.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

pub(super) fn no_credentials(cause: &str) -> bool {
    cause.contains("credential")
}

fn kind(code: Option<&str>, status: Option<u16>) -> FailureKind {
    match (code, status) {
        (Some(code), _) if is_throttling(code) => FailureKind::Unavailable,
        (_, Some(500..)) => FailureKind::Unavailable,
        (Some("ValidationError" | "RegionDisabledException"), _) => FailureKind::Configuration,
        (Some(code), _) if is_denial(code) => FailureKind::Denied,
        (_, Some(401 | 403)) => FailureKind::Denied,
        // For example 407 of a proxy that wants a password. A success that was not understood does not come from AWS either.
        (None, _) => FailureKind::Unavailable,
        (Some(_), _) => FailureKind::Other,
    }
}

fn is_throttling(code: &str) -> bool {
    code.contains("Throttl")
        || code.contains("LimitExceeded")
        || code.starts_with("TooManyRequests")
        || code == "SlowDown"
}

fn is_denial(code: &str) -> bool {
    code.starts_with("AccessDenied") || is_stale(code) || is_skewed(code) || code == "UnauthorizedOperation"
}

fn is_stale(code: &str) -> bool {
    code.starts_with("ExpiredToken")
        || ["InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException"].contains(&code)
}

fn is_skewed(code: &str) -> bool {
    ["RequestTimeTooSkewed", "RequestExpired", "SignatureDoesNotMatch"].contains(&code)
}

/// What to do if there are no credentials.
pub(super) const CREDENTIALS: &str =
    "check where they come from: variables AWS_*, a profile, the role of the instance or container";

/// What to do if there is no route to AWS.
const NO_ROUTE: &str = "this host has no route there: is its network up ('ip route')? where AWS is reached through a proxy, \
                        set [aws] https_proxy";

/// What the system says if a host has no way to an address (ENETUNREACH, EHOSTUNREACH).
pub(super) fn has_no_route(cause: &str) -> bool {
    cause.contains("etwork is unreachable") || cause.contains("o route to host")
}

/// What to do about it; `denied` is the hint for AccessDenied.
pub(super) fn hint(told: &Told, denied: &str, place: &Place, endpoint: Option<&str>) -> String {
    match told.code() {
        Some(code) if code.starts_with("AccessDenied") => denied.to_owned(),
        Some(code) if is_stale(code) => {
            "the credentials are no longer valid: check the instance profile and the host's clock".to_owned()
        }
        _ if told.is_of_clock() => "check the host's clock".to_owned(),
        _ if told.is_throttled() => {
            "AWS limits the rate of calls of this account; the next refresh continues from here".to_owned()
        }
        _ if no_credentials(&told.cause) => CREDENTIALS.to_owned(),
        _ if told.cause.contains("certificate") => {
            "a proxy that opens TLS needs its certificate in [aws] ca_bundle".to_owned()
        }
        _ if told.cause.contains("dns error") => place.to_resolve(endpoint),
        _ if has_no_route(&told.cause) => NO_ROUTE.to_owned(),
        _ if told.kind == FailureKind::Unavailable => {
            "is AWS reachable from here? see [aws] https_proxy, endpoint_url and timeout".to_owned()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::place::Chosen;
    use super::*;

    fn by_service(code: &str, status: u16) -> Told {
        let meta = ErrorMetadata::builder().code(code).message("why").build();
        Told::by_service(&std::io::Error::other("x"), &meta, Some(status))
    }

    fn unanswered(cause: &str) -> Told {
        let kind = if no_credentials(cause) { FailureKind::Denied } else { FailureKind::Unavailable };
        Told { reason: Reason::NoAnswer, cause: cause.to_owned(), kind }
    }

    fn place(proxy: Option<&str>) -> Place {
        let region = Chosen { region: "eu-wset-1".to_owned(), from: "[aws] region" };
        Place { region, proxy: proxy.map(str::to_owned), account: "account '123456789012'".to_owned() }
    }

    const DNS: &str = "dns error: failed to lookup address information: Name or service not known";

    /// Every kind of error, with its weight and words of its hint.
    fn table() -> Vec<(Told, FailureKind, &'static str)> {
        use FailureKind::{Configuration, Denied, Other, Unavailable};
        let no_answer = [
            (DNS, "does region 'eu-wset-1' exist? it comes from [aws] region"),
            ("tcp connect error: Network is unreachable (os error 101)", "no route"),
            ("tcp connect error: No route to host (os error 113)", "no route"),
            ("tcp connect error: Connection refused (os error 111)", "is AWS reachable"),
            ("invalid peer certificate: UnknownIssuer", "[aws] ca_bundle"),
            ("no time left of the 2 s", "is AWS reachable"),
        ];
        let mut table: Vec<_> =
            no_answer.map(|(cause, hint)| (unanswered(cause), Unavailable, hint)).into_iter().collect();
        table.push((
            unanswered("no providers in chain provided credentials"),
            Denied,
            "where they come from",
        ));
        let busy = "limits the rate";
        table.extend(
            [
                ("Throttling", 400, Unavailable, busy),
                ("RequestLimitExceeded", 400, Unavailable, busy),
                ("ServiceFailure", 500, Unavailable, "is AWS reachable"),
                ("ServiceUnavailable", 503, Unavailable, "is AWS reachable"),
                ("AccessDenied", 403, Denied, "ask"),
                ("ExpiredToken", 403, Denied, "no longer valid"),
                ("ExpiredTokenException", 400, Denied, "no longer valid"),
                ("RequestTimeTooSkewed", 400, Denied, "clock"),
                ("NotYetInvented", 403, Denied, ""),
                ("ValidationError", 400, Configuration, ""),
                ("NotYetInvented", 400, Other, ""),
            ]
            .map(|(code, status, kind, hint)| (by_service(code, status), kind, hint)),
        );
        let no_code = ErrorMetadata::builder().build();
        let of_proxy = Told::by_service(&std::io::Error::other("x"), &no_code, Some(407));
        table.push((of_proxy, Unavailable, "https_proxy"));
        table
    }

    /// For tests of what a message adds to them.
    pub(in crate::fetch::aws) fn of_each_kind() -> Vec<Told> {
        table().into_iter().map(|(told, ..)| told).collect()
    }

    #[test]
    fn each_error_has_the_weight_of_the_manual_and_a_remedy_that_fits_it() {
        for (told, kind, words) in table() {
            assert_eq!(told.kind, kind, "{told:?}");
            let hint = hint(&told, "ask", &place(None), Some("sts.eu-wset-1.amazonaws.com"));
            assert!(hint.contains(words) && hint.is_empty() == words.is_empty(), "{told:?}: {hint}");
            assert!(!hint.contains("instance profile") || words == "no longer valid", "{told:?}: {hint}");
        }
    }

    /// Only the proxy's name is resolved on this host.
    #[test]
    fn a_name_that_does_not_resolve_is_the_one_that_this_host_asks_for() {
        let of = |place: &Place, endpoint| hint(&unanswered(DNS), "", place, endpoint);
        let proxied = of(&place(Some("proxy:3128")), Some("sts.eu-wset-1.amazonaws.com"));
        assert!(proxied.ends_with("getent hosts proxy") && !proxied.contains("region"), "{proxied}");
        let global = of(&place(None), Some("iam.amazonaws.com"));
        assert_eq!(global, "this host's DNS fails: getent hosts iam.amazonaws.com");
    }

    #[test]
    fn a_denied_call_tells_what_was_denied() {
        assert_eq!(by_service("AccessDenied", 403).cause, "AccessDenied: why");
    }

    #[test]
    fn a_chain_of_errors_is_shown_from_the_second_on_without_repeats() {
        #[derive(Debug, thiserror::Error)]
        #[error("{text}")]
        struct Link {
            text: &'static str,
            source: Option<Box<Link>>,
        }
        let link = |text, source| Link { text, source: Option::map(source, Box::new) };
        let chain = link(
            "dispatch failure",
            Some(link("connect: refused", Some(link("refused", Some(link("os error 111", None)))))),
        );
        assert_eq!(cause_of(&chain), "connect: refused: os error 111");
        assert_eq!(cause_of(&link("alone", None)), "alone");
    }
}
