//! What our Match block lets users do who may only forward connections, as it is written into sshd's files and compared with
//! what is in effect.

use policy::FORWARD_ONLY_SHELL;

/// What sshd lets users do who may only forward connections. `restrict` in the options of their keys does not replace these:
/// it neither stops sftp, nor remote forwarding, nor that of sockets, through which a user's systemd runs commands.
pub(crate) const FORWARD_ONLY: [(&str, &str); 8] = [
    ("ForceCommand", FORWARD_ONLY_SHELL),
    ("AllowTcpForwarding", "local"),
    ("AllowStreamLocalForwarding", "no"),
    ("AllowAgentForwarding", "no"),
    ("PermitTTY", "no"),
    ("PermitTunnel", "no"),
    ("PermitUserRC", "no"),
    ("X11Forwarding", "no"),
];

/// For them, AcceptEnv names a variable that nobody sends. In a Match, it replaces the global list.
pub(crate) const ACCEPTS: &str = "NO_VARIABLE_OF_THE_CLIENT";

/// Variables by which the loader runs the user's code in any program (ld.so(8)).
pub(crate) const LOADERS: [&str; 4] = ["LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "GLIBC_TUNABLES"];
