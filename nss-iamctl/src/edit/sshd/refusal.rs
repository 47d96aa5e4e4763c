//! The keys and certificates that sshd refuses although keys-cmd offers them.

use std::collections::BTreeSet;

use cache::snapshot::Login;
use message::Message;
use policy::KeyLine;
use policy::public_key::since;

use crate::edit::sshd::effective::Effective;
use crate::edit::sshd::key_files::KeyFiles;
use crate::say::code::Link;
use crate::say::show::some;

/// Why sshd refuses a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Revoked,
    Type,
    Short,
}

/// A key, and why sshd refuses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused<'a> {
    key: &'a KeyLine,
    why: Why,
}

/// Those of the user's keys that sshd refuses.
pub(crate) fn of_keys<'a>(settings: &Effective, files: &KeyFiles, login: &'a Login) -> Vec<Refused<'a>> {
    let accepted = accepted(settings);
    let least = least(settings);
    let why = |key: &KeyLine| {
        if files.revoked.as_ref().is_ok_and(|revoked| revoked.contains(key.fingerprint())) {
            Some(Why::Revoked)
        } else if !has_any(&accepted, key.kind()) {
            Some(Why::Type)
        } else {
            key.rsa_bits().is_some_and(|bits| bits < least).then_some(Why::Short)
        }
    };
    login.keys.iter().filter_map(|key| Some(Refused { key, why: why(key)? })).collect()
}

/// One text for each reason, with a remedy.
pub(crate) fn told(settings: &Effective, refused: &[Refused<'_>]) -> Vec<(Link, Message)> {
    let of = |why: Why| refused.iter().filter(move |refused| refused.why == why).map(|refused| refused.key);
    let shown = |why: Why| some(&of(why).map(KeyLine::fingerprint).collect::<Vec<_>>());
    let mut told = Vec::new();
    if of(Why::Revoked).next().is_some() {
        let what = format!("RevokedKeys '{}' lists {}", settings.get("revokedkeys"), shown(Why::Revoked));
        let hint =
            "remove the key at the source, and use another one: others may have a key that was revoked";
        told.push((Link::SshdKeyRevoked, Message::new(what).with_hint(hint)));
    }
    let kinds: BTreeSet<&str> = of(Why::Type).map(KeyLine::kind).collect();
    if !kinds.is_empty() {
        let lacks = kinds.iter().copied().collect::<Vec<_>>().join(", ");
        let what = format!("PubkeyAcceptedAlgorithms lacks {lacks}");
        told.push((Link::SshdKeyTypes, Message::new(what).with_hint(to_accept(kinds))));
    }
    if of(Why::Short).next().is_some() {
        let what = format!("RequiredRSASize is {}, and shorter are {}", least(settings), shown(Why::Short));
        let hint = "use a longer RSA key, or one of another type";
        told.push((Link::SshdKeyShort, Message::new(what).with_hint(hint)));
    }
    told
}

/// Why sshd refuses every certificate of the CAs.
pub(crate) fn of_certificates(settings: &Effective, files: &KeyFiles) -> Option<Message> {
    let types = accepted(settings);
    if !types.is_empty() && !types.iter().any(|one| one.contains("-cert-v")) {
        let hint = "add to PubkeyAcceptedAlgorithms in sshd_config the type of the users' certificates, such as \
                    ssh-ed25519-cert-v01@openssh.com";
        return Some(Message::new("PubkeyAcceptedAlgorithms has no type of certificates").with_hint(hint));
    }
    let signs = words(settings.get("casignaturealgorithms"));
    let of_type: Vec<&KeyLine> = files.cas.iter().filter(|ca| has_any(&signs, ca.kind())).collect();
    if of_type.is_empty() && !files.cas.is_empty() {
        let kinds: BTreeSet<&str> = files.cas.iter().map(KeyLine::kind).collect();
        let each: Vec<String> = kinds.into_iter().map(|kind| algorithms(kind).join(" or ")).collect();
        let (lacks, add) = (each.join(", "), "add it to CASignatureAlgorithms in sshd_config");
        let what = format!("CASignatureAlgorithms lacks what the CA signs with: {lacks}");
        return Some(Message::new(what).with_hint(format!("{add}, or sign with a CA of another type")));
    }
    let revoked = files.revoked.as_ref().ok()?;
    let is_revoked = |ca: &&KeyLine| revoked.contains(ca.fingerprint());
    if of_type.is_empty() || !of_type.iter().all(is_revoked) {
        return None;
    }
    let what = format!(
        "RevokedKeys '{}' lists the CA {}",
        settings.get("revokedkeys"),
        some(&of_type.iter().map(|ca| ca.fingerprint()).collect::<Vec<_>>())
    );
    Some(Message::new(what).with_hint("sign with another CA: nss-iamctl enable --user-ca FILE"))
}

/// The signature algorithms of keys; none if all are accepted.
fn accepted(settings: &Effective) -> Vec<&str> {
    // The second one is the name of before OpenSSH 8.5.
    let lists = ["pubkeyacceptedalgorithms", "pubkeyacceptedkeytypes"].map(|keyword| settings.get(keyword));
    lists.into_iter().flat_map(words).collect()
}

fn words(list: &str) -> Vec<&str> {
    list.split(',').filter(|one| !one.is_empty()).collect()
}

/// Whether a list has an algorithm of this type of keys; an empty one has all.
fn has_any(list: &[&str], kind: &str) -> bool {
    list.is_empty() || algorithms(kind).iter().any(|one| list.contains(one))
}

/// How many bits an RSA key has to have. Red Hat had the second name before OpenSSH 9.1 had the first.
fn least(settings: &Effective) -> usize {
    let sizes = ["requiredrsasize", "rsaminsize"].map(|keyword| settings.get(keyword).parse().unwrap_or(0));
    sizes.into_iter().max().unwrap_or(0)
}

/// The algorithms of keys of a type that are in use.
fn algorithms(kind: &str) -> Vec<&str> {
    match kind {
        "ssh-rsa" => vec!["rsa-sha2-512", "rsa-sha2-256"],
        kind => vec![kind],
    }
}

/// What to do so that sshd accepts keys of these types.
fn to_accept<'a>(kinds: impl IntoIterator<Item = &'a str>) -> String {
    let each = kinds.into_iter().map(|kind| {
        let since = since(kind).map_or(String::new(), |since| format!(", which needs {since}"));
        format!("{}{since}", algorithms(kind).join(" or "))
    });
    let each = each.collect::<Vec<_>>().join(", ");
    format!(
        "add to PubkeyAcceptedAlgorithms in sshd_config, if 'ssh -Q key' lists it: {each}; or use a key of another type"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "SHA256:a ssh-ed25519 AAAA";
    const RSA: &str = "SHA256:b ssh-rsa AAAA";

    fn files(revoked: &[&str], cas: &[&str]) -> KeyFiles {
        KeyFiles {
            revoked: Ok(revoked.iter().map(ToString::to_string).collect()),
            cas: cas.iter().map(|line| KeyLine::new(line).unwrap()).collect(),
        }
    }

    #[test]
    fn each_setting_that_refuses_a_key_is_told_with_the_key() {
        const LINE: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDrgGwqOpokfdckDHUE3TiSDv4+yj4GSn9HWJv4cNSmUJZJOIeMcl\
            PnW27xukbWRy3vKR2faGyDSSEh2uhsQpqG4UBP6jyZmVsPC+XXGLW4wLFoj+RBw/TMez17T5YTmI6IOjvp28NZeIw6\
            3Y5Awl7EvWma9oNAnMLu8ljaLppGIQ==";
        let mut keys = crate::fixtures::keys_of("ana", 1);
        let login = &mut keys.logins[0];
        login.keys = [ED25519, RSA].map(|line| KeyLine::new(line).unwrap()).to_vec();
        login.keys.push(KeyLine::read(LINE).unwrap());
        let told = |settings: &str, revoked: &[&str]| {
            let settings = Effective::parse(settings);
            let refused = of_keys(&settings, &files(revoked, &[]), login);
            let told = super::told(&settings, &refused);
            assert!(told.iter().all(|(_, message)| message.hint().is_some()));
            let told: Vec<(Link, String)> =
                told.into_iter().map(|(link, message)| (link, message.what().to_owned())).collect();
            (refused.len(), told)
        };
        assert_eq!(told("", &[]), (0, vec![]));
        assert_eq!(
            told("requiredrsasize 1024\npubkeyacceptedalgorithms ssh-ed25519,rsa-sha2-256", &[]),
            (0, vec![])
        );
        let (count, found) = told("revokedkeys /r", &["SHA256:b", "SHA256:none"]);
        assert_eq!(
            (count, found),
            (1, vec![(Link::SshdKeyRevoked, "RevokedKeys '/r' lists 'SHA256:b'".to_owned())])
        );
        let (count, found) = told("pubkeyacceptedkeytypes ssh-ed25519", &[]);
        assert_eq!((count, found[0].0, found.len()), (2, Link::SshdKeyTypes, 1));
        for keyword in ["requiredrsasize", "rsaminsize"] {
            let (count, found) = told(&format!("{keyword} 2048"), &[]);
            assert_eq!((count, found[0].0, found.len()), (1, Link::SshdKeyShort, 1));
            assert!(found[0].1.starts_with("RequiredRSASize is 2048, and shorter are 'SHA256:"), "{found:?}");
        }
        let (count, found) =
            told("pubkeyacceptedalgorithms rsa-sha2-512\nrequiredrsasize 2048", &["SHA256:b"]);
        assert_eq!((count, found.len()), (3, 3));
    }

    #[test]
    fn certificates_are_refused_only_if_none_of_any_ca_is_accepted() {
        let why = |settings: &str, revoked: &[&str], cas: &[&str]| {
            of_certificates(&Effective::parse(settings), &files(revoked, cas))
                .map(|why| why.what().to_owned())
        };
        let (both, signs) = ([ED25519, RSA], "casignaturealgorithms rsa-sha2-256");
        for (settings, revoked, cas) in [
            ("", &[][..], &both[..]),
            (signs, &[], &both),
            (signs, &["SHA256:a"], &both),
            ("", &["SHA256:b"], &both),
            ("", &["SHA256:c"], &both),
            (signs, &["SHA256:a"], &[]),
            ("pubkeyacceptedalgorithms ssh-ed25519,rsa-sha2-512-cert-v01@openssh.com", &[], &both),
        ] {
            assert_eq!(why(settings, revoked, cas), None, "{settings}");
        }
        for (settings, revoked, cas, told) in [
            ("pubkeyacceptedalgorithms ssh-ed25519", &[][..], &both[..], "no type of certificates"),
            (signs, &[], &both[..1], "CASignatureAlgorithms lacks what the CA signs with: ssh-ed25519"),
            ("casignaturealgorithms ssh-ed25519", &[], &both[1..], "rsa-sha2-512 or rsa-sha2-256"),
            (signs, &["SHA256:b"], &both, "lists the CA 'SHA256:b'"),
            ("revokedkeys /r", &["SHA256:a", "SHA256:b"], &both, "RevokedKeys '/r' lists the CA 'SHA256:a'"),
        ] {
            let why = why(settings, revoked, cas).unwrap();
            assert!(why.contains(told), "{why}");
        }
    }
}
