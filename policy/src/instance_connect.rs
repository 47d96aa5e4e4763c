//! The command of EC2 Instance Connect, which prints the keys that were pushed for a user: where it is, and how `keys-cmd` is
//! told to run it.

/// The command, by its path in the packages of Amazon Linux and Red Hat, and in those of Ubuntu and Debian. The first that
/// exists is run.
pub const COMMANDS: [&str; 2] =
    ["/opt/aws/bin/eic_run_authorized_keys", "/usr/share/ec2-instance-connect/eic_run_authorized_keys"];

/// The argument by which sshd's configuration lets `keys-cmd` run it.
pub const FLAG: &str = "--instance-connect";
