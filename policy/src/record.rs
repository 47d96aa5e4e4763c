//! The records of systemd's journal about a key or a certificate that would let a user in: the names of their fields, as
//! `keys-cmd` writes them and as `nss-iamctl logins` reads them.

/// The id of records about keys (`MESSAGE_ID`, systemd.journal-fields(7)).
pub const OFFERED: &str = "3be85fc8d59ffb64e72463a642240488";
/// The id of records about certificates, whose principals were allowed.
pub const ALLOWED: &str = "09b3901b761b4f50920b2926da411a06";
/// The login name.
pub const USER: &str = "NSS_IAM_USER";
/// The UserId.
pub const USER_ID: &str = "NSS_IAM_USER_ID";
/// The uid.
pub const UID: &str = "NSS_IAM_UID";
/// `SHA256:` and base64, once for each key that is offered.
pub const FINGERPRINT: &str = "NSS_IAM_FINGERPRINT";
/// Where the key comes from: the source that lists it, [`INSTANCE_CONNECT`] or [`CERTIFICATE`].
pub const KEY_SOURCE: &str = "NSS_IAM_KEY_SOURCE";
/// Seconds since the user's keys were confirmed.
pub const AGE: &str = "NSS_IAM_AGE";
/// The client's address; missing before OpenSSH 9.4.
pub const CLIENT_ADDRESS: &str = "NSS_IAM_CLIENT_ADDRESS";
/// The client's port; missing like the address.
pub const CLIENT_PORT: &str = "NSS_IAM_CLIENT_PORT";
/// The address of this host that the client connected to; missing like the client's.
pub const SERVER_ADDRESS: &str = "NSS_IAM_SERVER_ADDRESS";
/// The port that the client connected to; missing like the address.
pub const SERVER_PORT: &str = "NSS_IAM_SERVER_PORT";

/// The key ID of the certificate: what its CA wrote, escaped.
pub const CERTIFICATE_ID: &str = "NSS_IAM_CERTIFICATE_ID";
/// The serial number of the certificate.
pub const CERTIFICATE_SERIAL: &str = "NSS_IAM_CERTIFICATE_SERIAL";
/// The fingerprint of the certificate's CA.
pub const CA_FINGERPRINT: &str = "NSS_IAM_CA_FINGERPRINT";

/// The source of certificates.
pub const CERTIFICATE: &str = "certificate";
/// The source of keys that were pushed with EC2 Instance Connect.
pub const INSTANCE_CONNECT: &str = "ec2-instance-connect";
