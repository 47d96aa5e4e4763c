//! Watches the SDK's retries: counts requests, records the last refusal in case the deadline comes first, and rejects
//! incomplete answers.

use std::error::Error as StdError;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_sdk_iam::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
    FinalizerInterceptorContextRef,
};
use aws_sdk_iam::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_iam::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use listing::{Failure, FailureCode, FailureKind};
use tokio::time::timeout_at;

use super::calls::Means;
use super::credentials::Watched;
use super::deadline::Deadline;
use super::error::{CREDENTIALS, Told, cause_of, hint, in_short, told};
use super::place::{Place, host_of};
use super::sdk::Aws;
use crate::fetch::failure::{Reason, Refusal, failure, printable};
use crate::fetch::pace::Purpose;

/// What differs between services of AWS.
#[derive(Debug)]
pub(super) struct Service {
    /// Whether an error with this code says that what was asked for does not exist.
    pub(super) is_missing: fn(&str, &(dyn StdError + 'static)) -> bool,
    /// Whether a body is a complete answer to an action.
    pub(super) is_whole: fn(&str, &[u8]) -> bool,
}

/// IAM and STS, which use the query protocol.
pub(super) const QUERY: Service = Service { is_missing: |code, _| code == "NoSuchEntity", is_whole };

/// Makes calls as one role.
#[derive(Debug)]
pub(super) struct Caller {
    deadline: Deadline,
    means: Means,
    purpose: Purpose,
    /// The account's name in the configuration, if the calls are about one.
    account: Option<String>,
    credentials: Watched,
    service: &'static Service,
    /// The hint for a call that is denied.
    denied: String,
    place: Place,
    /// The host that the last request was for.
    endpoint: Mutex<Option<String>>,
}

impl Aws<'_> {
    pub(super) fn caller(&self, service: &'static Service, denied: String, place: Place) -> Caller {
        Caller {
            deadline: self.deadline,
            means: self.means.clone(),
            purpose: Purpose::Members,
            account: None,
            credentials: self.reached.credentials.clone(),
            service,
            denied,
            place,
            endpoint: Mutex::default(),
        }
    }
}

impl Caller {
    /// Makes calls about the account with this name in the configuration.
    pub(super) fn about(self, account: &str) -> Self {
        Self { account: Some(account.to_owned()), ..self }
    }

    /// Makes calls for keys and tags.
    pub(super) fn for_keys(self) -> Self {
        Self { purpose: Purpose::Keys, ..self }
    }

    /// The time until the deadline of the fetch.
    pub(super) fn time_left(&self) -> Duration {
        self.deadline.left()
    }

    /// Makes one call. `send` gets the interceptor for it.
    pub(super) async fn call<T, E, F>(
        &self,
        action: &'static str,
        on: &str,
        send: impl FnOnce(Watch<E>) -> F,
    ) -> Result<T, Refusal>
    where
        E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E>>>,
    {
        let seen = Seen::default();
        let outcome = if self.deadline.left().is_zero() {
            None
        } else if !self.means.pace.take(self.purpose, self.deadline.at).await {
            return Err(self.no_calls(action, on));
        } else {
            let watch = Watch {
                action,
                is_whole: self.service.is_whole,
                means: self.means.clone(),
                purpose: self.purpose,
                seen: Arc::clone(&seen),
                error: PhantomData,
            };
            timeout_at(self.deadline.at, send(watch)).await.ok()
        };
        let Attempt { endpoint, told: last, is_not_repeated, .. } =
            std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
        let is_sent = endpoint.is_some();
        if is_sent {
            *self.endpoint.lock().unwrap_or_else(PoisonError::into_inner) = endpoint;
        }
        let (told, is_missing) = match (outcome, last) {
            (Some(Ok(answer)), _) => return Ok(answer),
            (Some(Err(_)), Some(last)) if is_not_repeated => {
                (Told { cause: format!("{}; {}", last.cause, self.means.pace.used_up()), ..last }, false)
            }
            (Some(Err(error)), _) => {
                let told = told(&error);
                let is_missing = told.code().is_some_and(|code| (self.service.is_missing)(code, &error));
                (told, is_missing)
            }
            (None, last) => (self.out_of_time(last), false),
        };
        if let Some(account) = self.account.as_ref().filter(|_| told.is_throttled()) {
            self.means.pace.throttled(account, self.purpose);
        }
        let refusal = self.refusal(action, on, &told, is_sent);
        if !is_missing {
            return Err(refusal);
        }
        let failure = Failure { kind: FailureKind::Configuration, ..refusal.failure };
        Err(Refusal { reason: Reason::NotFound, failure })
    }

    /// `is_sent`: whether a request was sent. If not, there were no credentials for it, or nothing was to be sent.
    fn refusal(&self, action: &str, on: &str, told: &Told, is_sent: bool) -> Refusal {
        let (reason, kind) = match told.code() {
            Some("AccessDenied" | "AccessDeniedException") => (Reason::Denied, told.kind),
            _ => (told.reason.clone(), told.kind),
        };
        let failure = match self.credentials.asked.url() {
            Some(asked) if !is_sent => {
                let place = self.place.without_credentials(&asked);
                placed(failure(action, on, &told.cause, CREDENTIALS, kind), &place)
            }
            _ => {
                let hint = hint(told, &self.denied, &self.place, self.endpoint().as_deref());
                self.failure(action, on, &told.cause, &hint, kind)
            }
        };
        Refusal {
            reason,
            failure: Failure { code: told.is_of_clock().then_some(FailureCode::Clock), ..failure },
        }
    }

    /// A call that was not made.
    fn no_calls(&self, action: &str, on: &str) -> Refusal {
        let hint = "set max_calls_per_minute to more, or read keys less often, with keys_every";
        let failure = failure(action, on, &self.means.pace.used_up(), hint, FailureKind::Unavailable);
        Refusal { reason: Reason::NoCalls, failure }
    }

    /// An answer that contradicts itself or the question.
    pub(super) fn contradiction(&self, action: &str, on: &str, cause: &str) -> Refusal {
        let hint = "AWS itself would not answer this: check [aws] endpoint_url and https_proxy";
        let failure = self.failure(action, on, cause, hint, FailureKind::Held);
        Refusal { reason: Reason::Contradiction, failure }
    }

    /// A failure of a call that was made here, with the place.
    pub(super) fn failure(
        &self,
        action: &str,
        on: &str,
        cause: &str,
        hint: &str,
        kind: FailureKind,
    ) -> Failure {
        let place = self.place.named(self.endpoint().as_deref());
        placed(failure(action, on, cause, hint, kind), &place)
    }

    fn endpoint(&self) -> Option<String> {
        self.endpoint.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn out_of_time(&self, last: Option<Told>) -> Told {
        let missed = self.deadline.missed();
        match last {
            Some(last) => Told { cause: format!("{}; {missed}", last.cause), ..last },
            None => Told { reason: Reason::NoTime, cause: missed, kind: FailureKind::Unavailable },
        }
    }
}

/// The length of the cause is limited before: a long one must not push the place out.
fn placed(mut failure: Failure, place: &str) -> Failure {
    failure.cause.push_str(&printable(place));
    failure
}

/// The last attempt of a call.
#[derive(Debug, Default)]
struct Attempt {
    /// The host that the request was for.
    endpoint: Option<String>,
    told: Option<Told>,
    /// The same in a few words.
    in_short: String,
    /// There would have been another attempt, but `max_calls_per_minute` allows none.
    is_not_repeated: bool,
}

type Seen = Arc<Mutex<Attempt>>;

/// The interceptor of one call that fails with `E`.
pub(super) struct Watch<E> {
    action: &'static str,
    is_whole: fn(&str, &[u8]) -> bool,
    means: Means,
    purpose: Purpose,
    seen: Seen,
    error: PhantomData<fn() -> E>,
}

impl<E> std::fmt::Debug for Watch<E> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Watch").field("action", &self.action).finish_non_exhaustive()
    }
}

impl<E: StdError + ProvideErrorMetadata + Send + Sync + 'static> Intercept for Watch<E> {
    fn name(&self) -> &'static str {
        "Watch"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let host = host_of(context.request().uri());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // The numbers that the SDK itself decides by.
        let tries = bag.load::<RequestAttempts>().map(RequestAttempts::attempts).filter(|tries| *tries > 1);
        if tries.is_some() && !self.means.pace.take_now(self.purpose) {
            seen.is_not_repeated = true;
            return Err(self.means.pace.used_up().into());
        }
        self.means.calls.count(self.action);
        if let (Some(tries), Some(retries)) = (tries, bag.load::<RetryConfig>()) {
            let text = format!("{host}: {}, try {tries} of {}", seen.in_short, retries.max_attempts());
            self.means.progress.repeats(&printable(&text));
        }
        seen.endpoint = Some(host);
        Ok(())
    }

    /// The SDK's XML reader treats the end of the text as the end of a list: a body that was cut off between two members
    /// would look like a group without the other members.
    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let body = response.body().bytes().unwrap_or_default();
        // An answer that was not understood is already an error, and the call is repeated.
        if context.output_or_error().is_ok() && !(self.is_whole)(self.action, body) {
            return Err("the answer is truncated, or is not from AWS".into());
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(Err(error)) = context.output_or_error() {
            let status = context.response().map(|response| response.status().as_u16());
            let told = match error.as_operation_error().and_then(|error| error.downcast_ref::<E>()) {
                Some(refusal) => Told::by_service(refusal, refusal.meta(), status),
                None => {
                    Told { reason: Reason::NoAnswer, cause: cause_of(error), kind: FailureKind::Unavailable }
                }
            };
            if told.is_throttled() {
                self.means.calls.count_throttled(self.action);
            }
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.is_not_repeated {
                return Ok(());
            }
            seen.in_short = in_short(&told, error);
            seen.told = Some(told);
        }
        Ok(())
    }
}

/// Answers of the query protocol end with `</GetGroupResponse>` for the action GetGroup.
fn is_whole(action: &str, body: &[u8]) -> bool {
    let name = action.split_once(':').map_or(action, |(_, name)| name);
    body.trim_ascii_end().ends_with(format!("</{name}Response>").as_bytes())
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::Timestamp;

    use super::super::calls::Calls;
    use super::super::place::Chosen;
    use super::*;
    use crate::fetch::aws::link::Link;
    use crate::fetch::pace::{Pace, Past};
    use crate::fetch::tests::Quiet;

    fn place() -> Place {
        let region = Chosen { region: "eu-wset-1".to_owned(), from: "[aws] region" };
        Place { region, proxy: None, account: "account '123456789012'".to_owned() }
    }

    fn caller() -> Caller {
        caller_of(&QUERY, Duration::ZERO)
    }

    pub(in crate::fetch::aws) fn caller_of(service: &'static Service, time: Duration) -> Caller {
        Caller {
            deadline: Deadline::after(time),
            means: Means {
                calls: Calls::default(),
                pace: Pace::new(None, Past::default(), Timestamp::UNIX_EPOCH, false),
                link: Link::default(),
                progress: Arc::new(Quiet),
            },
            purpose: Purpose::Members,
            account: None,
            credentials: Watched::default(),
            service,
            denied: "attach the policy".to_owned(),
            place: place(),
            endpoint: Mutex::new(Some("iam.x.com".to_owned())),
        }
    }

    #[test]
    fn every_error_names_endpoint_region_and_account_however_long_its_text_is() {
        let caller = caller();
        caller.credentials.asked.note("http://169.254.170.2/v2/credentials");
        let unsent = "credentials were asked for at '169.254.170.2') (no request was sent to AWS";
        for told in super::super::error::tests::of_each_kind() {
            for cause in [told.cause.clone(), "x".repeat(5000)] {
                let told = Told { cause, ..told.clone() };
                let place = "region 'eu-wset-1' from [aws] region, account '123456789012')";
                for (is_sent, endpoint) in [(true, "endpoint 'iam.x.com'"), (false, unsent)] {
                    let Refusal { failure, .. } = caller.refusal("iam:GetGroup", "G", &told, is_sent);
                    assert!(failure.cause.ends_with(&format!("({endpoint}, {place}")), "{failure:?}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_exist_and_what_is_denied_are_told_by_the_codes_of_the_service() {
        let caller = caller();
        let refused = |code: &str, kind| {
            let told = Told { reason: Reason::Code(code.to_owned()), cause: "why".to_owned(), kind };
            let Refusal { reason, failure } = caller.refusal("iam:GetGroup", "G", &told, true);
            (reason, failure.kind, failure.hint)
        };
        use FailureKind::{Denied, Other};
        let told = |reason, kind, hint: &str| (reason, kind, hint.to_owned());
        let error = std::io::Error::other("why");
        assert!((QUERY.is_missing)("NoSuchEntity", &error) && !(QUERY.is_missing)("NoSuchThing", &error));
        assert_eq!(refused("AccessDenied", Denied), told(Reason::Denied, Denied, "attach the policy"));
        assert_eq!(
            refused("NotYetInvented", Other),
            told(Reason::Code("NotYetInvented".to_owned()), Other, "")
        );
    }

    #[test]
    fn an_answer_without_its_last_tag_is_not_whole() {
        let whole = b"<GetGroupResponse xmlns=\"x\"><GetGroupResult/></GetGroupResponse>\n";
        assert!(is_whole("iam:GetGroup", whole));
        assert!(!is_whole("iam:GetGroup", &whole[..40]));
        assert!(!is_whole("iam:ListSSHPublicKeys", whole));
        assert!(!is_whole("iam:GetGroup", b"<html>log in to the hotel</html>"));
        assert!(!is_whole("iam:GetGroup", b""));
    }
}
