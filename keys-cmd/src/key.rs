//! One key, parsed again and printed in one form, so that only public keys can reach sshd, whoever wrote the file, or
//! printed the line.

use policy::KeyLine;

/// A public key as an `authorized_keys` line without options, and its fingerprint.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// `SHA256:` and base64, as `ssh-keygen -l` prints it.
    pub(crate) fingerprint: String,
    /// `type base64`.
    pub(crate) line: String,
}

impl Key {
    /// Reads a line of `login.keys`: `SHA256:<base64> <type> <base64>`.
    ///
    /// # Errors
    /// Why it is not one. The text never contains part of the line, which may be a private key.
    pub(crate) fn parse(stored: &str) -> Result<Self, String> {
        let Some((fingerprint, line)) = stored.split_once(' ') else {
            return Err("it does not have three words".to_owned());
        };
        let key = Self::of(line)?;
        // A comment, other spaces or a different encoding of the same base64: the publisher does not print
        // these.
        if key.line != line {
            return Err("it is not in the form that is published".to_owned());
        }
        if key.fingerprint != fingerprint {
            return Err("its fingerprint belongs to a different key".to_owned());
        }
        Ok(key)
    }

    /// Reads a line of `authorized_keys` as another program prints it, `<type> <base64> [comment]`. A line with options is
    /// refused: without them, the key would be allowed more.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub(crate) fn pushed(line: &str) -> Result<Self, String> {
        let mut words = line.split_ascii_whitespace();
        let (Some(kind), Some(body)) = (words.next(), words.next()) else {
            return Err("it does not have two words".to_owned());
        };
        Self::of(&format!("{kind} {body}"))
    }

    fn of(line: &str) -> Result<Self, String> {
        let key = KeyLine::read(line).map_err(|cause| cause.to_string())?;
        Ok(Self { fingerprint: key.fingerprint().to_owned(), line: key.line().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key of each type as ssh-keygen makes it, with the fingerprint that `ssh-keygen -l` shows.
    const STORED: &str = include_str!("stored-keys.txt");

    #[test]
    fn a_key_of_each_type_is_printed_as_it_was_published() {
        for stored in STORED.lines() {
            let (fingerprint, line) = stored.split_once(' ').unwrap();
            let key = Key::parse(stored).unwrap();
            assert_eq!((&*key.fingerprint, &*key.line), (fingerprint, line));
        }
    }

    #[test]
    fn of_a_pushed_line_only_type_and_body_are_printed() {
        for stored in STORED.lines() {
            let (fingerprint, line) = stored.split_once(' ').unwrap();
            for pushed in [
                line.to_owned(),
                format!("{line} ana@laptop"),
                format!("  {}  command=\"sh\" x\u{f1}\0 ", line.replace(' ', "\t")),
            ] {
                let key = Key::pushed(&pushed).unwrap();
                assert_eq!((&*key.fingerprint, &*key.line), (fingerprint, line), "{pushed}");
            }
        }
    }

    #[test]
    fn a_pushed_line_with_options_or_without_a_public_key_is_refused() {
        let (_, line) = STORED.lines().next().unwrap().split_once(' ').unwrap();
        let (kind, body) = line.split_once(' ').unwrap();
        for pushed in [
            String::new(),
            kind.to_owned(),
            format!("restrict {line}"),
            format!("command=\"sh\" {line}"),
            format!("command=\"sh\",{line}"),
            format!("cert-authority {line}"),
            format!("# {line}"),
            format!("{kind}\u{a0}{body}"),
            format!("{kind}-cert-v01@openssh.com {body}"),
            format!("ssh-rsa {body}"),
            format!("{kind} {body}{}", "A".repeat(1 << 20)),
            "-----BEGIN OPENSSH PRIVATE KEY-----".to_owned(),
        ] {
            let refused = Key::pushed(&pushed).expect_err(&pushed);
            assert!(!refused.contains("AAAA") && !refused.contains("command"), "{refused}");
        }
    }

    #[test]
    fn anything_but_one_public_key_is_refused() {
        let good = STORED.lines().next().unwrap();
        let (fingerprint, line) = good.split_once(' ').unwrap();
        let (kind, body) = line.split_once(' ').unwrap();
        // The agent's form of a private key begins like a public key; the file's form begins with
        // "openssh-key-v1".
        let agent = "AAAAC3NzaC1lZDI1NTE5AAAAIP1N6VQDUYBOwaENo4Zbh/ew5/ow16LgGf5pb1aYJuMUAAAAQJZWAgisIcvAU/k+KPTs6wM\
                     dMqq2/2TLl+EOXqh73e5H/U3pVANRgE7BoQ2jhluH97Dn+jDXouAZ/mlvVpgm4xQ=";
        let file = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAA=";
        for stored in [
            String::new(),
            line.to_owned(),
            format!("{fingerprint} {body}"),
            format!("{fingerprint} command=\"sh\" {line}"),
            format!("{fingerprint} command=\"sh\",{line}"),
            format!("command=\"sh\" {line}"),
            format!("{good} command=\"sh\""),
            format!("{good} "),
            format!("{good}\n"),
            format!("{good}\n{line}"),
            format!("{good}\0"),
            format!("{fingerprint}  {line}"),
            format!("{fingerprint} {kind}\t{body}"),
            format!("#{good}"),
            format!("{fingerprint} ssh-rsa {body}"),
            STORED.replacen("ssh-rsa", "rsa-sha2-512", 1).lines().nth(1).unwrap().to_owned(),
            format!("{fingerprint} ssh-ed25519-cert-v01@openssh.com {body}"),
            format!("{fingerprint} {kind} {agent}"),
            format!("{fingerprint} {kind} {file}"),
            format!("{fingerprint} {kind} AAAA"),
            format!("{fingerprint} {kind} {body}{}", "A".repeat(1 << 20)),
            format!("MD5:00 {line}"),
            format!("SHA256:{} {line}", "A".repeat(43)),
            "-----BEGIN OPENSSH PRIVATE KEY-----".to_owned(),
            "ñ ñ ñ".to_owned(),
        ] {
            let refused = Key::parse(&stored).expect_err(&stored);
            assert!(!refused.contains("AAAA") && !refused.contains("command"), "{refused}");
        }
    }
}
