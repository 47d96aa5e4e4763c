//! Records why there are no credentials: the SDK gives the reason only as text, or not at all.

use std::error::Error as StdError;
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::SdkConfig;
use aws_config::imds::client::error::ImdsError;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};

use super::http::Asked;

/// What provided no credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lack {
    /// Instance metadata, which is asked if nothing else is configured.
    Metadata,
    /// Something that is configured, such as a profile or the agent of a container.
    Configured,
}

/// The SDK's provider, and the outcome of its last answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Watched {
    inner: Option<SharedCredentialsProvider>,
    lack: Arc<Mutex<Option<Lack>>>,
    /// Requests for credentials.
    pub(super) asked: Asked,
}

/// In every URL of instance metadata that credentials are asked of: EC2 User Guide, "Use instance metadata service".
const METADATA: &str = "/latest/";

/// Wraps the provider of this configuration, which notes its requests in `asked`.
pub(super) fn watched(sdk: SdkConfig, asked: Asked) -> (SdkConfig, Watched) {
    let watched = Watched { inner: sdk.credentials_provider(), lack: Arc::default(), asked };
    let provider = SharedCredentialsProvider::new(watched.clone());
    (sdk.into_builder().credentials_provider(provider).build(), watched)
}

impl Watched {
    /// Why there are no credentials. `None`: there are, or they were not asked for yet.
    pub(super) fn lack(&self) -> Option<Lack> {
        let lack = *self.lack.lock().unwrap_or_else(PoisonError::into_inner);
        match (lack, self.asked.url()) {
            // Out of time while something else was asked.
            (Some(Lack::Metadata), Some(url)) if !url.contains(METADATA) => Some(Lack::Configured),
            _ => lack,
        }
    }

    fn note(&self, lack: Option<Lack>) {
        *self.lack.lock().unwrap_or_else(PoisonError::into_inner) = lack;
    }
}

impl ProvideCredentials for Watched {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            // This remains noted if the SDK runs out of time and drops the future.
            self.note(Some(Lack::Metadata));
            let answer = match &self.inner {
                Some(inner) => inner.provide_credentials().await,
                None => Err(CredentialsError::not_loaded("no provider")),
            };
            self.note(answer.as_ref().err().map(lack_of));
            answer
        })
    }
}

fn lack_of(error: &CredentialsError) -> Lack {
    if matches!(error, CredentialsError::CredentialsNotLoaded(_) | CredentialsError::ProviderTimedOut(_)) {
        return Lack::Metadata;
    }
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<ImdsError>() {
            return Lack::Metadata;
        }
        cause = error.source();
    }
    Lack::Configured
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_else_is_configured_instance_metadata_is_what_gave_no_credentials() {
        assert_eq!(lack_of(&CredentialsError::not_loaded("no providers in chain")), Lack::Metadata);
        let configured = [
            CredentialsError::provider_error("HTTP 500"),
            CredentialsError::invalid_configuration("no such profile"),
        ];
        for error in configured {
            assert_eq!(lack_of(&error), Lack::Configured, "{error}");
        }
    }

    /// The SDK drops a provider that takes too long.
    #[tokio::test]
    async fn a_provider_that_was_not_waited_for_is_remembered() {
        #[derive(Debug)]
        struct Never;
        impl ProvideCredentials for Never {
            fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
            where
                Self: 'a,
            {
                future::ProvideCredentials::new(std::future::pending())
            }
        }
        let sdk = SdkConfig::builder().credentials_provider(SharedCredentialsProvider::new(Never)).build();
        let asked = Asked::default();
        let (sdk, watched) = watched(sdk, asked.clone());
        assert_eq!(watched.lack(), None);
        let provider = sdk.credentials_provider().unwrap();
        let late = tokio::time::timeout(std::time::Duration::from_millis(1), provider.provide_credentials());
        assert!(late.await.is_err());
        assert_eq!(watched.lack(), Some(Lack::Metadata));
        asked.note("http://169.254.169.254/latest/api/token");
        assert_eq!(watched.lack(), Some(Lack::Metadata));
        asked.note("http://169.254.170.2/v2/credentials");
        assert_eq!(watched.lack(), Some(Lack::Configured));
    }
}
