//! What the last refresh reports, and how old its result is.

use super::*;

#[test]
fn what_the_last_refresh_could_not_do_is_named() {
    use FailureKind::{Configuration, Denied, Held, Unavailable};
    use Level::{Bad, Warn};
    finds(Bad, "there was no refresh yet", "nss-iamctl refresh", |facts, _| {
        facts.published.status = Err(Trouble::Missing);
    });
    finds(Warn, "failed: listing refused", listing::FORMAT, |facts, _| {
        let message = Message::new("listing refused; nothing was changed").with_hint(listing::FORMAT);
        status(facts).error = Some(Told::new(Stop::ListingForm, message));
    });
    finds(Warn, "would be disabled", "--force", |facts, _| {
        let users = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        status(facts).held = vec![status::Held::TooMany { users, of: 9, percent: 50 }.into()];
    });
    finds(Warn, "AccessDenied", "aws iam put-role-policy", |facts, _| {
        failed(facts, "iam:GetGroup", "AccessDenied: no", Denied, "aws iam put-role-policy --role-name R");
    });
    finds(Warn, "no credentials", "instance profile", |facts, _| {
        failed(
            facts,
            "sts:GetCallerIdentity",
            "no credentials",
            Denied,
            "attach an instance profile to the instance",
        );
    });
    finds(Warn, "AccessDenied", "nss-iamctl policy", |facts, _| {
        failed(facts, "iam:X", "AccessDenied", Denied, "")
    });
    finds(Warn, "account 123456789012", "ARN of a role there", |facts, _| {
        failed(facts, "iam:GetGroup", "no such group", Configuration, "");
        let errors = &mut facts.published.listing.as_mut().unwrap().accounts[0].errors;
        errors[0].code = Some(FailureCode::NoSuchGroup);
    });
    finds(Warn, "RequestTimeTooSkewed", "clock", |facts, _| {
        failed(facts, "sts:AssumeRole", "RequestTimeTooSkewed: x", Denied, "");
        let errors = &mut facts.published.listing.as_mut().unwrap().accounts[0].errors;
        errors[0].code = Some(FailureCode::Clock);
    });
    finds(Warn, "Throttling", "next refresh", |facts, _| {
        failed(facts, "iam:X", "Throttling", Unavailable, "")
    });
    finds(Warn, "not confirmed", "--force", |facts, _| failed(facts, "iam:X", "not confirmed", Held, ""));
}

#[test]
fn keys_that_get_old_and_refreshes_that_do_not_run_are_named() {
    use Level::{Bad, Warn};
    finds(Warn, "confirmed 2 h ago; logins stop in 2 d", "refresh", |facts, _| facts.now += 7200 - 60);
    finds(Bad, "longer ago than max_age", "refresh", |facts, _| facts.now += 260_000);
    finds(Bad, "in the future", "set the clock", |facts, _| facts.now -= 4000);
    finds(Warn, "the clock is not synchronized", "timedatectl", |facts, _| facts.synchronised = Some(false));
    finds(
        Warn,
        "came from AWS account 123456789012, but 999999999999 is queried",
        "[aws] role",
        |facts, _| {
            status(facts).accounts[0].id = "999999999999".to_owned();
        },
    );
    finds(Warn, "is inactive", "systemctl enable --now", |facts, _| {
        facts.schedule.as_mut().unwrap().0.active = "inactive".to_owned();
    });
    finds(Warn, "'nss-iam-refresh.timer' is inactive", "nss-iamctl enable", |facts, _| {
        let (timer, watch) = facts.schedule.as_mut().unwrap();
        (timer.active, watch.active) = ("inactive".to_owned(), "active".to_owned());
    });
    finds(Warn, "status 77 (denied", "journalctl -u nss-iam-fetch.service", |facts, _| {
        facts.services[0].result = "exit-code".to_owned();
        facts.services[0].status = "77".to_owned();
    });
    finds(Bad, "everyone is locked", "unlock --all", |facts, _| {
        facts.published.locked = Ok(Locked::parse("*"))
    });
    finds(Warn, "locked here: 'ana'", "unlock", |facts, _| facts.published.locked = Ok(Locked::parse("ana")));
}

#[test]
fn names_that_were_refused_are_told_with_a_way_out() {
    let skip = |part: Part<'_>, what: &str, reason: SkipReason, remedy: &str| {
        finds(Level::Warn, what, remedy, |facts, _| {
            status(facts).skips.push(Skip::new("", part, "Admin", "AIDAX", reason.clone()));
        });
    };
    let name = || "admin".to_owned();
    let reserved = || SkipReason::NameReserved { name: name() };
    let what = "IAM user 'Admin' skipped: 'admin' is reserved for the system";
    skip(Part::User, what, reserved(), "nss-iam:name");
    let local = SkipReason::NameOfUser { name: "ada".to_owned(), id: 1001, service: "files".to_owned() };
    skip(Part::User, "'ada' is a user of /etc/passwd", local, "adopt");
    skip(Part::User, "name has 40 bytes", SkipReason::NameLong { bytes: 40 }, "strip_domains");
    let taken = SkipReason::IdTaken { id: 5, holder: "AIDAY".to_owned() };
    skip(Part::User, "its id 5 is that of 'AIDAY'; give one", taken, "[ids]");
    skip(Part::Group, "IAM group 'Admin' skipped: ", reserved(), "[local_groups]");
    let what = "IAM user 'Admin': key 'APKA1': it is a private key";
    skip(Part::Key("APKA1"), what, SkipReason::KeyPrivate, "create a new pair");
    let many = broken(|facts, _| {
        let skip = |n: usize| Skip::new("", Part::User, &n.to_string(), "AIDAX", SkipReason::NameDigits);
        status(facts).skips = (0..25).map(skip).collect();
    });
    assert_eq!(many.len(), 11, "{many:?}");
    assert_eq!(many[10].what, "and 15 more");
}

/// Written by the refresher of an earlier or later release.
#[test]
fn what_another_release_reports_is_shown_as_it_says_it() {
    let found = broken(|facts, _| {
        let skip = Skip::new("", Part::User, "Ana", "AIDAX", SkipReason::NameDigits);
        let (reason, text) = (Kind::Other(Some("name-of-a-star".to_owned())), "it is a star".to_owned());
        status(facts).skips.push(Skip { reason, text, ..skip });
        let message = Message::new("a comet").with_hint("look up");
        status(facts).warnings.push(Told { kind: Kind::Other(None), message: message.clone() });
        status(facts).held.push(Told { kind: Kind::Other(None), message: message.clone() });
    });
    let told: Vec<_> = found.iter().map(|f| (f.code.check, f.code.code, f.remedy.as_deref())).collect();
    let refresh = "the report is of another release of nss-iam: nss-iamctl refresh writes a new one";
    assert_eq!(
        told,
        [
            ("refresh", "refresh-held", Some("look up")),
            ("skipped", "skipped", Some(refresh)),
            ("warning", "warned", Some("look up")),
        ]
    );
    assert!(found[0].what.ends_with("was held: a comet"), "{found:?}");
    assert_eq!(found[1].what, "IAM user 'Ana' skipped: it is a star");
}

#[test]
fn what_the_last_refresh_reports_has_the_codes_of_the_refresher() {
    let found = broken(|facts, _| {
        status(facts).skips.push(Skip::new("", Part::User, "1", "AIDAX", SkipReason::NameDigits));
        status(facts).warnings.push(status::Warning::NoMachineId.into());
        status(facts).held =
            [status::Held::StateOlder, status::Held::StateLost { unknown: 2 }].map(Told::from).to_vec();
        failed(facts, "iam:GetGroup", "AccessDenied", FailureKind::Denied, "");
    });
    let codes: Vec<_> = found.iter().map(|finding| (finding.code.check, finding.code.code)).collect();
    assert_eq!(
        codes,
        [
            ("refresh", "state-older"),
            ("refresh", "state-lost"),
            ("aws", "source-denied"),
            ("skipped", "name-of-digits"),
            ("warning", "no-machine-id"),
        ]
    );
}
