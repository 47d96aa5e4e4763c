//! A host on which all is well: ana is active, bob left.

use cache::model::{Field, IamId, Id, KeyLine, Name};
use cache::snapshot::{Cache, Group, Keys, Login, User};
use cache::state::{self, Identity, State};
use claims::nss::Answer;
use claims::{Kind, Use};
use config::Config;
use listing::Listing;

use crate::edit::sshd::effective::Effective;
use crate::host::published::{Account, Published, Status};
use crate::inspect::facts::imds::{ADDRESSES, ImdsFacts, Rules};
use crate::inspect::facts::names::{Names, holders};
use crate::inspect::facts::probe::Probe;
use crate::inspect::facts::sshd::SshdFacts;
use crate::inspect::facts::{Facts, Node, Unit};

pub(crate) const NOW: i64 = 1_795_000_000;
pub(crate) const MACHINE: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const ANA: u32 = 1_895_840_708;
pub(crate) const BOB: u32 = 1_895_840_709;
pub(crate) const KEY: &str = "SHA256:ABCD ssh-rsa AAAA";
const COMMON: u32 = 1_962_406_056;
const DISABLED: u32 = 1_962_406_057;

pub(crate) const IN_FORCE: &str = "pubkeyauthentication yes\nauthenticationmethods any\nfingerprinthash SHA256\nusepam yes\n\
    authorizedkeyscommand /usr/libexec/nss-iam/keys-cmd %u %U %f\nauthorizedkeyscommanduser nss-iam\n\
    authorizedkeysfile none\npubkeyacceptedalgorithms ssh-ed25519,rsa-sha2-512\n";

/// Keys of one user, confirmed a minute ago.
pub(crate) fn keys_of(name: &str, max_age: u32) -> Keys {
    let login = Login {
        uid: Id::pinned(ANA).unwrap(),
        name: Name::new(name).unwrap(),
        iam_id: IamId::new("AIDAANA"),
        confirmed: NOW - 60,
        source: "iam:123456789012".to_owned(),
        keys: vec![KeyLine::new(KEY).unwrap()],
    };
    Keys { machine_id: MACHINE.to_owned(), max_age, options: String::new(), logins: vec![login] }
}

fn cached(name: &str, uid: u32, active: bool) -> User {
    let field = |text: &str| Field::new(text).unwrap();
    User {
        uid: Id::pinned(uid).unwrap(),
        name: Name::new(name).unwrap(),
        pinned: false,
        active,
        gecos: field(""),
        home: field(&format!("/home/{name}")),
        shell: field(if active { "/bin/bash" } else { "/usr/sbin/nologin" }),
        lastchg: 20_000,
        groups: vec![Id::pinned(if active { COMMON } else { DISABLED }).unwrap()],
        local: Vec::new(),
    }
}

fn group(name: &str, gid: u32, members: &[&str]) -> Group {
    let members = members.iter().map(|member| Name::new(member).unwrap()).collect();
    Group { gid: Id::pinned(gid).unwrap(), name: Name::new(name).unwrap(), pinned: false, members }
}

fn remembered(iam_name: &str, disabled: Option<i64>) -> state::User {
    let name = iam_name.to_ascii_lowercase();
    let field = |text: &str| Field::new(text).unwrap();
    state::User {
        account: String::new(),
        iam_name: iam_name.to_owned(),
        created: String::new(),
        name: Name::new(&name).unwrap(),
        gecos: field(""),
        home: field(&format!("/home/{name}")),
        shell: field("/bin/bash"),
        lastchg: 20_000,
        groups: vec![IamId::new("AGPAOPS")],
        disabled,
        hidden: false,
        keys: vec![KeyLine::new(KEY).unwrap()],
        confirmed: NOW - 60,
        source: "iam:123456789012".to_owned(),
    }
}

/// What the refresher left a minute ago.
pub(crate) fn published() -> Published {
    let at = |seconds: i64| Some(jiff::Timestamp::from_second(seconds).unwrap());
    let identity = |id| Identity { id: Id::pinned(id).unwrap(), pinned: false };
    let account = Account {
        id: "123456789012".to_owned(),
        complete: true,
        as_of: at(NOW - 60),
        users: 1,
        ..Account::default()
    };
    let listing = r#"{"version": 1, "source": "iam:", "accounts": [{"id": "123456789012",
        "groups": [{"id": "AGPAOPS", "name": "Ops", "members": ["AIDAANA"]}],
        "users": [{"id": "AIDAANA", "name": "Ana", "keys": [{"id": "APKA1", "body": "ssh-rsa AAAA"}]}]}]}"#;
    Published {
        cache: Ok(Cache {
            users: vec![cached("ana", ANA, true), cached("bob", BOB, false)],
            groups: vec![group("iam-users", COMMON, &["ana"]), group("iam-disabled", DISABLED, &[])],
        }),
        keys: Ok(keys_of("ana", 259_200)),
        state: Ok(State {
            identities: [
                (IamId::new("AIDAANA"), identity(ANA)),
                (IamId::new("AIDABOB"), identity(BOB)),
                (IamId::new("group:iam-users"), identity(COMMON)),
                (IamId::new("group:iam-disabled"), identity(DISABLED)),
            ]
            .into(),
            users: [
                (IamId::new("AIDAANA"), remembered("Ana", None)),
                (IamId::new("AIDABOB"), remembered("Bob", Some(NOW - 7200))),
            ]
            .into(),
            ..State::default()
        }),
        status: Ok(Status {
            time: at(NOW - 60),
            users: 1,
            keys: 1,
            accounts: vec![account],
            ..Status::default()
        }),
        listing: Ok(Listing::parse(listing.as_bytes()).unwrap()),
        locked: Ok(Default::default()),
    }
}

fn node(path: &str, uid: u32, mode: u32, folder: bool) -> Node {
    Node { path: path.to_owned(), uid, gid: 0, mode, folder }
}

/// All is well.
pub(crate) fn good() -> Facts {
    let ids = |pairs: &[(&str, u32)]| pairs.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect();
    let way = ["/", "/usr", "/usr/libexec", "/usr/libexec/nss-iam"].map(|path| node(path, 0, 0o755, true));
    let unit = |name, active: &str| Unit {
        name,
        load: "loaded".to_owned(),
        active: active.to_owned(),
        result: "success".to_owned(),
        status: "0".to_owned(),
    };
    Facts {
        now: NOW,
        root: true,
        config: Ok(Config { groups: vec!["Ops".to_owned()], ..Config::default() }),
        published: published(),
        passwd: ids(&[("root", 0), ("nss-iam", 901), ("nss-iam-fetch", 902), ("ubuntu", 1000)]),
        group: ids(&[("root", 0), ("nss-iam", 901)]),
        machine_id: MACHINE.to_owned(),
        module: true,
        nsswitch: Some("passwd: files iam\ngroup: files [SUCCESS=merge] iam\nshadow: files iam\n".to_owned()),
        nscd: false,
        nologin: None,
        shells: Some(vec!["/bin/bash".to_owned()]),
        folder: Some(node("/var/lib/nss-iam", 0, 0o755, true)),
        keys_db: Some(Node { gid: 901, ..node("/var/lib/nss-iam/keys.db", 0, 0o640, false) }),
        keys_cmd: way.into_iter().chain([node("/usr/libexec/nss-iam/keys-cmd", 0, 0o755, false)]).collect(),
        refresher: true,
        sshd: Some(SshdFacts {
            arguments: "%u %U %f".to_owned(),
            ours: true,
            loaded: Some(NOW - 50),
            changed: Some(("/etc/ssh/sshd_config.d/00-nss-iam.conf".to_owned(), NOW - 100)),
            ..SshdFacts::default()
        }),
        makes_homes: Some(true),
        timer: Some(unit("nss-iam-refresh.timer", "active")),
        services: vec![
            unit("nss-iam-fetch.service", "inactive"),
            unit("nss-iam-refresh.service", "inactive"),
        ],
        imds: Some(ImdsFacts {
            unit: unit("nss-iam-imds.service", "active"),
            enabled: true,
            rules: Some(Ok(Rules {
                hooked: true,
                addresses: ADDRESSES.map(str::to_owned).to_vec(),
                refused: vec![0x7000_0000..=0x7ffd_ffff],
            })),
        }),
        synchronised: Some(true),
        log: Vec::new(),
        denials: Vec::new(),
        homes: vec![("ana".to_owned(), ANA, node("/home/ana", ANA, 0o700, true))],
        names: Names { holders: holders(&published(), "iam-users"), ..Names::default() },
    }
}

/// What glibc and sshd say of ana, or of bob, who left.
pub(crate) fn probe(active: bool) -> Probe {
    let (name, uid, shell) =
        if active { ("ana", ANA, "/bin/bash") } else { ("bob", BOB, "/usr/sbin/nologin") };
    let line = format!("{name}:x:{uid}:{uid}::/home/{name}:{shell}");
    Probe {
        name: name.to_owned(),
        uid,
        active,
        passwd: Some(line.clone()),
        module: Some(line),
        by_name: None,
        shadow: active.then(|| format!("{name}:*:20000::::::")),
        groups: if active { vec![COMMON] } else { Vec::new() },
        home: format!("/home/{name}"),
        home_node: active.then(|| node("/home/ana", uid, 0o700, true)),
        shell: shell.to_owned(),
        shell_node: Some(node(shell, 0, 0o755, false)),
        sshd: active.then(|| Ok(Effective::parse(IN_FORCE))),
    }
}

pub(crate) fn uses(facts: &mut Facts, name: &str, kind: Kind, what: &str, place: &str) {
    let used = Use { kind, what: what.to_owned(), place: place.to_owned() };
    facts.names.uses.entry(name.to_owned()).or_default().insert(used);
}

pub(crate) fn mosca(facts: &mut Facts) {
    uses(facts, "ana", Kind::Unit, "the user of 'mosca.service'", "/usr/lib/systemd/system/mosca.service");
}

pub(crate) fn answer(facts: &mut Facts, service: &str, change: impl Fn(&mut Answer)) {
    change(facts.names.directory.0.entry(service.to_owned()).or_default());
}
