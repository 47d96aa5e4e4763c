//! Published sshd configurations: what their effective lines say, in our own order where it does not matter. On each,
//! nss-iam users get in, local users log in as before with the same settings, and `disable` restores every byte.
//!
//! Sources of the facts: dev-sec's ansible-collection-hardening (`roles/ssh_hardening`, its defaults), Google's guest-agent
//! (`google_guest_agent/oslogin.go`), the CIS benchmarks for Debian 12 and RHEL 9, section "Configure SSH Server",
//! aws-ec2-instance-connect-config, the openssh packages of RHEL 9, openSUSE and Gentoo, and cloud-init.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::{Image, SSHD_CONFIG};

/// No Include, so the drop-in would not be read; a Match block at the end.
const DEV_SEC: &str = "\
PermitRootLogin no
AddressFamily inet
HostKey /etc/ssh/ssh_host_ed25519_key
HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com,ssh-ed25519,rsa-sha2-512,rsa-sha2-256
StrictModes yes
SyslogFacility AUTH
LogLevel VERBOSE
Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr
MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com
KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256@libssh.org
LoginGraceTime 30s
MaxAuthTries 2
MaxSessions 10
MaxStartups 10:30:60
PubkeyAuthentication yes
IgnoreRhosts yes
IgnoreUserKnownHosts yes
HostbasedAuthentication no
UsePAM yes
AuthenticationMethods publickey
PasswordAuthentication no
PermitEmptyPasswords no
ChallengeResponseAuthentication no
GSSAPIAuthentication no
GSSAPICleanupCredentials yes
TCPKeepAlive no
ClientAliveInterval 300
ClientAliveCountMax 3
PermitTunnel no
AllowTcpForwarding no
AllowAgentForwarding no
GatewayPorts no
X11Forwarding no
X11UseLocalhost yes
PermitUserEnvironment no
Compression no
UseDNS no
PrintMotd no
PrintLastLog no
Banner none
DebianBanner no
RevokedKeys /etc/ssh/revoked_keys
Subsystem sftp internal-sftp -l INFO -f LOCAL6 -u 0027
Match Group sftponly
    ForceCommand internal-sftp -l INFO -f LOCAL6 -u 0027
    ChrootDirectory /home/%u
    AllowTcpForwarding no
    AllowAgentForwarding no
    PasswordAuthentication no
    PermitRootLogin no
    X11Forwarding no
";

/// Settings above the Include, which the benchmark asks for, because the first one counts.
const CIS: &str = "\
AllowGroups sudo
Banner /etc/issue.net
Ciphers -3des-cbc,aes128-cbc,aes192-cbc,aes256-cbc
ClientAliveInterval 15
ClientAliveCountMax 3
DisableForwarding yes
GSSAPIAuthentication no
HostbasedAuthentication no
IgnoreRhosts yes
KexAlgorithms -diffie-hellman-group1-sha1,diffie-hellman-group14-sha1,diffie-hellman-group-exchange-sha1
LoginGraceTime 60
LogLevel VERBOSE
MACs -hmac-md5,hmac-md5-96,hmac-sha1-96,umac-64@openssh.com,hmac-md5-etm@openssh.com
MaxAuthTries 4
MaxSessions 10
MaxStartups 10:30:60
PermitEmptyPasswords no
PermitRootLogin no
PermitUserEnvironment no
UsePAM yes
";

/// Around the distribution's own lines; the included file has the settings of one user.
const OS_LOGIN: (&str, &str) = (
    "#### Google OS Login control. Do not edit this section. ####
AuthorizedKeysCommand /usr/bin/google_authorized_keys
AuthorizedKeysCommandUser root
#### End Google OS Login control section. ####
",
    "#### Google OS Login control. Do not edit this section. ####
Include /var/google-users.d/*
#### End Google OS Login control section. ####
",
);

/// The same with certificates and a second factor, from which service accounts are exempt.
const OS_LOGIN_2FA: (&str, &str) = (
    "#### Google OS Login control. Do not edit this section. ####
TrustedUserCAKeys /etc/ssh/oslogin_trustedca.pub
AuthorizedPrincipalsCommand /usr/bin/google_authorized_principals %u %k
AuthorizedPrincipalsCommandUser root
AuthorizedKeysCommand /usr/bin/google_authorized_keys
AuthorizedKeysCommandUser root
#### End Google OS Login control section. ####
",
    "#### Google OS Login control. Do not edit this section. ####
Include /var/google-users.d/*
Match User sa_*
       AuthenticationMethods publickey
#### End Google OS Login control section. ####
",
);

/// What EC2 Instance Connect's package appends on rpm distributions.
const INSTANCE_CONNECT: &str = "
AuthorizedKeysCommand /opt/aws/bin/eic_run_authorized_keys %u %f
AuthorizedKeysCommandUser ec2-instance-connect
";

/// Main file, and drop-ins. RHEL 9, its derivatives and Amazon Linux 2023 take algorithms from a file elsewhere.
const RHEL: (&str, [(&str, &str); 2]) = (
    "Include /etc/ssh/sshd_config.d/*.conf\nAuthorizedKeysFile .ssh/authorized_keys\nSubsystem sftp internal-sftp\n",
    [
        (
            "/etc/ssh/sshd_config.d/50-redhat.conf",
            "Include /etc/crypto-policies/back-ends/opensshserver.config\nSyslogFacility AUTHPRIV\n\
             ChallengeResponseAuthentication no\nGSSAPIAuthentication yes\nGSSAPICleanupCredentials no\nUsePAM yes\n\
             X11Forwarding yes\nPrintMotd no\n",
        ),
        (
            "/etc/crypto-policies/back-ends/opensshserver.config",
            "Ciphers aes256-gcm@openssh.com,aes256-ctr,aes128-gcm@openssh.com,aes128-ctr\nRequiredRSASize 2048\n\
             PubkeyAcceptedAlgorithms ecdsa-sha2-nistp256,ssh-ed25519,rsa-sha2-256,rsa-sha2-512\n",
        ),
    ],
);

/// openSUSE's, as it is copied to /etc: the vendor's drop-ins are behind the administrator's.
const SUSE: (&str, [(&str, &str); 1]) = (
    "Include /etc/ssh/sshd_config.d/*.conf\nInclude /usr/etc/ssh/sshd_config.d/*.conf\n\
     AuthorizedKeysFile .ssh/authorized_keys\nUsePAM yes\nX11Forwarding yes\nPrintMotd no\nAcceptEnv LANG LC_*\n",
    [("/usr/etc/ssh/sshd_config.d/40-suse-crypto-policies.conf", "RekeyLimit 1G 1h\n")],
);

/// Gentoo's: an Include in quotes at the end, and drop-ins whose names sort last.
const GENTOO: (&str, [(&str, &str); 2]) = (
    "AuthorizedKeysFile .ssh/authorized_keys\nInclude \"/etc/ssh/sshd_config.d/*.conf\"\n",
    [
        ("/etc/ssh/sshd_config.d/9999999gentoo.conf", "AcceptEnv LANG LC_ALL COLORTERM\n"),
        (
            "/etc/ssh/sshd_config.d/9999999gentoo-pam.conf",
            "UsePAM yes\nPasswordAuthentication no\nPrintMotd no\n",
        ),
    ],
);

/// What cloud-init and Ubuntu's images add to the distribution's own. They contradict each other; the first one counts.
const UBUNTU: [(&str, &str); 2] = [
    ("/etc/ssh/sshd_config.d/50-cloud-init.conf", "PasswordAuthentication yes\n"),
    ("/etc/ssh/sshd_config.d/60-cloudimg-settings.conf", "PasswordAuthentication no\n"),
];

/// Makes the published configuration from the distribution's.
type Change = Box<dyn Fn(&str) -> String + Send + Sync>;

/// sshd_config and everything in its directory for drop-ins.
fn configuration() -> BTreeMap<String, Vec<u8>> {
    let drop_ins = fs::read_dir("/etc/ssh/sshd_config.d").into_iter().flatten().flatten();
    let paths = drop_ins.map(|entry| entry.path().display().to_string()).chain([SSHD_CONFIG.to_owned()]);
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// The settings in force for a local user.
fn settings(image: &Image, user: &str) -> String {
    let connection = format!("user={user},host=localhost,addr=127.0.0.1");
    image.host.done(&["/usr/sbin/sshd", "-T", "-C", &connection])
}

/// The files that the configurations name.
fn prepare() {
    fs::write("/etc/ssh/revoked_keys", "").unwrap();
    fs::write("/etc/ssh/oslogin_trustedca.pub", fs::read("/etc/ssh/ssh_host_ed25519_key.pub").unwrap())
        .unwrap();
    fs::create_dir("/var/google-users.d").unwrap();
    fs::write("/var/google-users.d/robot", "Match User robot\n    AuthenticationMethods publickey\n")
        .unwrap();
}

#[test]
fn on_published_configurations_iam_users_get_in_and_local_users_notice_nothing() {
    let around = |(before, behind): (&'static str, &'static str)| {
        move |config: &str| format!("{before}{config}{behind}")
    };
    let beside = |files: &'static [(&'static str, &'static str)], main: Option<&'static str>| {
        move |config: &str| {
            for (path, text) in files {
                fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            main.unwrap_or(config).to_owned()
        }
    };
    let rows: [(&str, Change); 10] = [
        ("EC2 Instance Connect", Box::new(around(("", INSTANCE_CONNECT)))),
        ("RHEL 9", Box::new(beside(&RHEL.1, Some(RHEL.0)))),
        ("openSUSE", Box::new(beside(&SUSE.1, Some(SUSE.0)))),
        ("Gentoo", Box::new(beside(&GENTOO.1, Some(GENTOO.0)))),
        ("Ubuntu with cloud-init", Box::new(beside(&UBUNTU, None))),
        ("dev-sec", Box::new(|_| DEV_SEC.to_owned())),
        ("dev-sec, some groups", Box::new(|_| format!("AllowGroups sudo ubuntu\n{DEV_SEC}"))),
        ("CIS", Box::new(|config| format!("{CIS}{config}"))),
        ("OS Login", Box::new(around(OS_LOGIN))),
        ("OS Login with certificates", Box::new(around(OS_LOGIN_2FA))),
    ];
    for (name, change) in &rows {
        let done = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    let Some(image) = Image::with(|config| {
                        prepare();
                        change(config)
                    }) else {
                        return;
                    };
                    image.host.done(&["gpasswd", "--add", "ubuntu", "sudo"]);
                    image.host.login("ubuntu", &image.ubuntu, "true");
                    let users = ["ubuntu", "other", "robot", "sa_1", "root"];
                    let of_all = || users.map(|user| settings(&image, user));
                    let (files, before) = (configuration(), of_all());
                    let ana = image.enabled_with_ana();
                    image.lets_in("ana", &ana);
                    // sshd opens its sockets again when it reloads.
                    image.lets_in("ubuntu", &image.ubuntu);
                    assert_eq!(of_all(), before);
                    image.host.done(&["nss-iamctl", "disable", "--yes"]);
                    assert!(configuration() == files, "disable left something else");
                    image.host.until("ana is out", || !image.host.ssh("ana", &ana, "true").status.success());
                    image.lets_in("ubuntu", &image.ubuntu);
                })
                .join()
        });
        assert!(done.is_ok(), "{name}");
    }
}
