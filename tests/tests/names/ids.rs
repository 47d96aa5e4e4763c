//! Ids that a tag or `[ids]` requests.

use super::*;

#[test]
fn an_id_that_belongs_or_will_belong_to_another_is_not_assigned() {
    // sha256("nss-iam:UCEO"), as documented.
    let computed = policy::Id::computed(&policy::IamId::new("UCEO")).get();
    let Some(host) = Host::in_tree("login") else { return };
    append("/etc/subuid", "kate:100000:65536\n");
    append("/etc/subgid", "kate:300000:65536\n");
    append("/etc/group", "odd:x:5000:\n");
    for (id, given) in [
        (61_184, false),
        (60_001, false),
        (100_000, false),
        (365_535, false),
        (700_000, false),
        (5000, false),
        (computed, false),
        (5001, true),
    ] {
        for way in ["tag", "[ids]"] {
            let _ = fs::remove_dir_all("/var/lib/nss-iam");
            fs::create_dir("/var/lib/nss-iam").unwrap();
            let mut mallory = user("U1", "mallory");
            if way == "tag" {
                host.machine.config("[tags]\nuse = [\"uid\"]\n");
                mallory["tags"] = json!({"nss-iam:uid": id.to_string()});
            } else {
                host.machine.config(&format!("[ids]\nU1 = {id}\n"));
            }
            refresh(&host, &listing(&[mallory]));
            let uid = host.run(&["id", "-u", "mallory"]).out;
            assert_eq!(uid.trim() == id.to_string(), given, "{way} {id}: {uid}");
            assert_eq!(reason(&host, "U1").is_none(), given, "{way} {id}");
        }
    }
}

#[test]
fn a_name_that_programs_read_as_a_number_is_refused() {
    let Some(host) = Host::in_tree("login") else { return };
    refresh(&host, &named(&["0x0", "0X10", "007", "0b11", "0day"]));
    let names = host.run(&["getent", "-s", "iam", "passwd"]).out;
    assert_eq!(names.lines().count(), 1, "{names}");
    assert!(names.starts_with("0day:"), "{names}");
    // It reads `0x0` as root's uid.
    assert_eq!(host.run(&["ps", "-u", "0x0", "-o", "user="]).out.lines().next().map(str::trim), Some("root"));
}
