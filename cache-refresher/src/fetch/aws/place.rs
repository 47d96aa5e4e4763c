//! Where calls to AWS go. Every error names it: the endpoint, the region with the setting that chose it, and the account.

use aws_config::Region;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::ProvideRegion as _;
use aws_config::profile::ProfileFileRegionProvider;

/// The region if nothing names one. IAM is one service for all regions, in this one.
const REGION: &str = "us-east-1";

/// A region, and what chose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) region: String,
    pub(super) from: &'static str,
}

/// The configuration's, or the first in the order of the SDK: environment, profile. `None`: instance metadata has to be
/// asked.
pub(super) async fn region(configured: Option<&str>) -> Option<Chosen> {
    let chosen = |region: &str, from| Some(Chosen { region: region.to_owned(), from });
    if let Some(region) = configured {
        return chosen(region, "[aws] region");
    }
    if let Some(region) = EnvironmentVariableRegionProvider::new().region().await {
        return chosen(region.as_ref(), "variable AWS_REGION or AWS_DEFAULT_REGION");
    }
    let region = ProfileFileRegionProvider::new().region().await?;
    chosen(region.as_ref(), "the profile of the AWS configuration file")
}

impl Chosen {
    /// What instance metadata says, or the default.
    pub(super) fn of_instance(region: Option<String>) -> Self {
        match region {
            Some(region) => Self { region, from: "instance metadata" },
            None => Self { region: REGION.to_owned(), from: "the default" },
        }
    }

    pub(super) fn for_sdk(&self) -> Region {
        Region::new(self.region.clone())
    }
}

/// Where the calls of one role go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) region: Chosen,
    /// Host and port.
    pub(super) proxy: Option<String>,
    /// `account '123456789012'`.
    pub(super) account: String,
}

impl Place {
    /// For the end of a message about a call for which there were no credentials. `asked` is the URL of the last request for
    /// them.
    pub(super) fn without_credentials(&self, asked: &str) -> String {
        format!(" (credentials were asked for at '{}'){}", host_of(asked), self.named(None))
    }

    /// For the end of a message. `endpoint` is the host that the last request was for, if any was sent.
    pub(super) fn named(&self, endpoint: Option<&str>) -> String {
        let endpoint = match (endpoint, &self.proxy) {
            (Some(endpoint), Some(proxy)) => format!("endpoint '{endpoint}' through the proxy '{proxy}'"),
            (Some(endpoint), None) => format!("endpoint '{endpoint}'"),
            (None, _) => "no request was sent to AWS".to_owned(),
        };
        let Chosen { region, from } = &self.region;
        format!(" ({endpoint}, region '{region}' from {from}, {})", self.account)
    }

    /// What to do if a name has no address. A wrong region gives the name of a host that does not exist.
    pub(super) fn to_resolve(&self, endpoint: Option<&str>) -> String {
        let Chosen { region, from } = &self.region;
        match (endpoint, &self.proxy) {
            (_, Some(proxy)) => {
                format!(
                    "does this host resolve '{proxy}' of [aws] https_proxy? try: getent hosts {}",
                    bare(proxy)
                )
            }
            (Some(endpoint), None) if endpoint.contains(region.as_str()) => format!(
                "does region '{region}' exist? it comes from {from}, and [aws] region comes first; if it does, this \
                 host's DNS fails: getent hosts {}",
                bare(endpoint)
            ),
            (Some(endpoint), None) => format!("this host's DNS fails: getent hosts {}", bare(endpoint)),
            (None, None) => "check this host's DNS".to_owned(),
        }
    }
}

/// Host and port of a URL, without the password that the URL of a proxy can contain.
pub(super) fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default().to_owned()
}

/// Without a port.
fn bare(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// The name of an account that the configuration names, or of the first one, which has no name.
pub(super) fn account(id: &str, name: &str) -> String {
    match (id, name) {
        ("", "") => "account not known yet".to_owned(),
        ("", name) => format!("account '{name}'"),
        (id, "") => format!("account '{id}'"),
        (id, name) => format!("account '{id}', which is '{name}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_without_path_and_password() {
        for (url, host) in [
            ("https://iam.amazonaws.com/", "iam.amazonaws.com"),
            ("http://127.0.0.1:5000/x?y", "127.0.0.1:5000"),
            ("http://user:p@ss@proxy:3128", "proxy:3128"),
            ("proxy", "proxy"),
        ] {
            assert_eq!(host_of(url), host);
        }
        assert_eq!((bare("proxy:3128"), bare("sts.amazonaws.com")), ("proxy", "sts.amazonaws.com"));
    }

    #[tokio::test]
    async fn the_region_of_the_configuration_comes_first_and_is_named_as_such() {
        let chosen = region(Some("eu-wset-1")).await.unwrap();
        assert_eq!((chosen.region.as_str(), chosen.from), ("eu-wset-1", "[aws] region"));
        assert_eq!(chosen.for_sdk().as_ref(), "eu-wset-1");
    }
}
