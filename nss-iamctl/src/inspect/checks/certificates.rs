//! Certificates that let nss-iam users in: of the CAs that `[keys] user_ca` names, or of others that sshd trusts.

use message::Message;

use crate::edit::sshd::effective::{OTHER_CERTIFICATES, trusted_ca};
use crate::edit::sshd::refusal;
use crate::inspect::facts::Facts;
use crate::inspect::facts::probe::Probe;
use crate::say::code::Link;
use crate::say::finding::{Finding, Level};
use crate::say::show::some;

/// What it means for a user whom no key lets in.
pub(crate) const UNSEEN: &str = "whether users have certificates cannot be seen";

/// The file with CAs that sshd trusts for this user, and whether it is that of `[keys] user_ca`.
fn trusted<'a>(facts: &Facts, probe: &'a Probe) -> Option<(&'a str, bool)> {
    let file = trusted_ca(probe.sshd.as_ref()?.as_ref().ok()?)?;
    Some((file, facts.configured().keys.user_ca.as_deref() == Some(file)))
}

/// Whether certificates let the user in that keys-cmd does not decide about.
pub(crate) fn of_others(facts: &Facts, probe: &Probe) -> bool {
    trusted(facts, probe).is_some_and(|(_, ours)| !ours) && of_sshd(probe).is_none()
}

/// Whether a certificate can let a user in although no key does, for this reason.
pub(crate) fn let_in(facts: &Facts, probe: &Probe, reason: &Finding) -> bool {
    let links = [Link::NoKey, Link::SshdKeyTypes, Link::SshdKeyRevoked, Link::SshdKeyShort];
    let of_keys = links.iter().any(|link| reason.code == (*link).into());
    let of_ours = || of_keys && trusted(facts, probe).is_some() && refused(facts, probe).is_none();
    of_others(facts, probe) || of_ours()
}

/// Why sshd accepts no certificate.
fn of_sshd(probe: &Probe) -> Option<Message> {
    refusal::of_certificates(probe.sshd.as_ref()?.as_ref().ok()?, &probe.key_files)
}

/// Why no certificate of `[keys] user_ca` lets the user in.
pub(crate) fn refused(facts: &Facts, probe: &Probe) -> Option<Finding> {
    trusted(facts, probe).filter(|(_, ours)| *ours)?;
    let (link, what, why) = match &facts.user_ca {
        Some(why) => (Link::UserCaUnusable, "certificates are not accepted, or not safe", why.clone()),
        None => (Link::CertificatesRefused, "sshd accepts no certificate", of_sshd(probe)?),
    };
    let level = if facts.configured().keys.sshd { Level::Warn } else { Level::Bad };
    let what = format!("{what}: {}", why.what());
    Some(Finding::bad(link, what, why.hint().unwrap_or_default()).at(level))
}

/// For one user.
pub(crate) fn judge(facts: &Facts, probe: &Probe) -> Option<Finding> {
    let Probe { name, .. } = probe;
    let (file, ours) = trusted(facts, probe)?;
    if !ours {
        let means = match of_sshd(probe) {
            Some(why) => format!("it accepts none of its certificates: {}", why.what()),
            None => OTHER_CERTIFICATES.to_owned(),
        };
        return Some(Finding::ok(
            Link::OtherCertificates,
            format!("sshd has 'TrustedUserCAKeys {file}': {means}"),
        ));
    }
    if let Some(refused) = refused(facts, probe) {
        return Some(refused);
    }
    let logins = facts.published.keys.as_ref().map_or(&[][..], |keys| &keys.logins);
    let others =
        logins.iter().filter(|login| login.name.as_str() == name).flat_map(|login| &login.principals);
    let principals: Vec<&str> = std::iter::once(name.as_str()).chain(others.map(AsRef::as_ref)).collect();
    let what = format!(
        "a certificate of the CA in '{file}' lets '{name}' in, if one of its principals is {}",
        some(&principals)
    );
    Some(Finding::ok(Link::Certificates, what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::sshd::effective::Effective;
    use crate::fixtures::{IN_FORCE, good, probe};

    #[test]
    fn what_certificates_open_is_told() {
        let judge = |file: &str, ours: Option<&str>, unusable: Option<Message>, keys: bool| {
            let (mut facts, mut probe) = (good(), probe(true));
            let config = facts.config.as_mut().unwrap();
            (config.keys.user_ca, config.keys.sshd) = (ours.map(str::to_owned), keys);
            facts.user_ca = unusable;
            probe.sshd = Some(Ok(Effective::parse(&format!("trustedusercakeys {file}\n{IN_FORCE}"))));
            super::judge(&facts, &probe)
        };
        assert_eq!(judge("none", None, None, true), None);
        let found = judge("/ca.pub", Some("/ca.pub"), None, true).unwrap();
        assert_eq!((found.code, found.level), (Link::Certificates.into(), Level::Ok));
        assert!(found.what.ends_with("is 'ana', 'AIDAANA'"), "{found:?}");
        let found = judge("/ca.pub", None, None, true).unwrap();
        assert_eq!((found.code, found.level), (Link::OtherCertificates.into(), Level::Ok));
        for (keys, level) in [(true, Level::Warn), (false, Level::Bad)] {
            let why = Message::new("'/ca.pub' can be changed by others").with_hint("chmod");
            let found = judge("/ca.pub", Some("/ca.pub"), Some(why), keys).unwrap();
            assert_eq!((found.code, found.level), (Link::UserCaUnusable.into(), level));
        }
    }
}
