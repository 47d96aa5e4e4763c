//! `keys USER`: each key with its fingerprint, whether keys-cmd offers it now, and why not.

use std::io::Write;

use cache::snapshot::Keys;
use status::What;

use crate::cli;
use crate::host::Host;
use crate::host::published::Trouble;
use crate::inspect::facts::Facts;
use crate::inspect::offer::withheld;
use crate::inspect::subject::Who;
use crate::say::error::Error;
use crate::say::finding::written;
use crate::say::show::{ago, printable, table, word};

pub(crate) fn run(host: &Host, args: &cli::Keys, now: i64, out: &mut dyn Write) -> Result<u8, Error> {
    let facts = Facts::gather(host, now);
    let keys = facts.published.keys.as_ref().map_err(|trouble| {
        let error = match trouble {
            Trouble::Denied => Error::configuration("only root may read keys")
                .hint(format!("sudo nss-iamctl keys {}", word(&args.user))),
            other => Error::other(format!("cannot use '/var/lib/nss-iam/keys.db': {other}")),
        };
        if *trouble == Trouble::Missing { error.hint("nss-iamctl refresh") } else { error }
    })?;
    let who = Who::find(&args.user, &facts);
    let rows = rows(&facts, keys, &who);
    if rows.is_empty() {
        let message = format!("'{}' has no key on this host", printable(&args.user));
        return Err(Error::configuration(message).hint(format!("nss-iamctl why {}", word(&args.user))));
    }
    written(write!(out, "{}", table(["FINGERPRINT", "TYPE", "CONFIRMED", "OFFERED"], &rows)))?;
    Ok(crate::say::error::OK)
}

fn rows(facts: &Facts, keys: &Keys, who: &Who<'_>) -> Vec<[String; 4]> {
    let mut rows = Vec::new();
    if let Some(login) = who.login {
        let offered = withheld(keys, login, &facts.machine_id, facts.now)
            .map_or("yes".to_owned(), |why| format!("no: {}", why.what()));
        let confirmed =
            if login.confirmed > 0 { ago(login.confirmed, facts.now) } else { "never".to_owned() };
        for key in &login.keys {
            rows.push([
                key.fingerprint().to_owned(),
                key.kind().to_owned(),
                confirmed.clone(),
                offered.clone(),
            ]);
        }
    } else if let Some((_, user)) = who.remembered {
        let why = if user.disabled.is_some() {
            "no: the user is disabled"
        } else {
            "no: the user is not published"
        };
        for key in &user.keys {
            let confirmed = ago(user.confirmed, facts.now);
            rows.push([key.fingerprint().to_owned(), key.kind().to_owned(), confirmed, why.to_owned()]);
        }
    }
    for key in who.inactive() {
        let shown = key.fingerprint.unwrap_or_else(|| key.id.clone());
        let why = format!("no: '{}' is inactive in {}", key.id, facts.source().noun());
        rows.push([shown, "?".to_owned(), String::new(), why]);
    }
    for skip in who.skips.iter().filter(|skip| skip.what == What::Key) {
        rows.push([String::new(), "?".to_owned(), String::new(), format!("no: {}", skip.text)]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::good;

    #[test]
    fn every_key_is_listed_with_what_stands_against_it() {
        let mut facts = good();
        let key = |id: &str| listing::Key { id: id.to_owned(), active: false, body: String::new() };
        facts.published.listing.as_mut().unwrap().accounts[0].users[0].keys.push(key("APKA9"));
        let listed = |facts: &Facts, name: &str| -> Vec<String> {
            let who = Who::find(name, facts);
            rows(facts, facts.published.keys.as_ref().unwrap(), &who)
                .iter()
                .map(|row| row.join("|"))
                .collect()
        };
        let inactive = "APKA9|?||no: 'APKA9' is inactive in IAM";
        assert_eq!(listed(&facts, "Ana"), ["SHA256:ABCD|ssh-rsa|60 s ago|yes", inactive]);
        assert_eq!(listed(&facts, "bob"), ["SHA256:ABCD|ssh-rsa|60 s ago|no: the user is disabled"]);
        assert!(listed(&facts, "eve").is_empty());
        facts.machine_id.clear();
        assert_eq!(
            listed(&facts, "ana")[0],
            "SHA256:ABCD|ssh-rsa|60 s ago|no: they were fetched for another machine-id"
        );
    }
}
