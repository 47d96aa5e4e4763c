//! What to do about users, groups, keys and tags that a refresh left out, by the reason in `status.json`.

/// What to do about something that was left out, by its reason.
pub(crate) fn remedy(what: &str, reason: &str) -> &'static str {
    let says = |words: &str| reason.contains(words);
    match what {
        "group" => {
            "its members are users all the same; rename the group in IAM, and give power by [local_groups], not by names in sudoers"
        }
        "key" if says("private key") => {
            "delete it in IAM and make a new pair: a private key that was uploaded is known to others"
        }
        "key" if says("belongs into IAM") => "upload it: aws iam upload-ssh-public-key",
        "key" => "upload the line of the .pub file again; ssh-keygen -l -f FILE must show it",
        "tag" => "correct the tag in IAM",
        _ if says("/etc/passwd") => {
            "a local user of that name comes first: 'nss-iamctl adopt' takes it over, or give the IAM user another login name \
             (tag 'nss-iam:name' with [tags] use = [\"name\"])"
        }
        _ if says("bytes, more than")
            || says("which no login name")
            || says("may not begin")
            || says("digits only") =>
        {
            "give another login name by a tag ('nss-iam:name' with [tags] use = [\"name\"]); [users] strip_domains shortens addresses"
        }
        _ if says("its id") => "give the user another id in [ids], the same on every host",
        _ if says("home") => "set [users] home to a path without {iam_name} or {account}",
        _ => {
            "give the IAM user another login name (tag 'nss-iam:name' with [tags] use = [\"name\"]), or rename it in IAM"
        }
    }
}
