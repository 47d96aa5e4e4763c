//! The NSS module, where the loader of a program looks for it. A loader passes over a file of another architecture
//! (ld.so(8)).

use std::fs::File;
use std::io::Read;

use crate::host::{Host, files};

const NAME: &str = "libnss_iam.so.2";
/// The program interpreter of 32-bit programs on x86 (its ABI supplement): in their libraries' package.
pub(crate) const LOADER_32: &str = "/lib/ld-linux.so.2";

/// The bytes of elf(5) that a loader compares: class, data, and machine.
type Kind = [u8; 4];

#[cfg(target_arch = "x86_64")]
pub(crate) const NATIVE: Kind = [2, 1, 62, 0];
#[cfg(target_arch = "aarch64")]
pub(crate) const NATIVE: Kind = [2, 1, 183, 0];
pub(crate) const I386: Kind = [1, 1, 3, 0];

/// Which programs have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Module {
    /// Those of this host's architecture.
    pub native: bool,
    /// 32-bit programs; `None` if no libraries for them are installed, or the architecture has no such module.
    pub programs_32: Option<bool>,
    /// The command that installs the package for 32-bit programs.
    pub install_32: &'static str,
}

pub(crate) fn gather(host: &Host) -> Module {
    let found = kinds(host);
    let runs_32 = cfg!(target_arch = "x86_64") && host.exists(LOADER_32);
    Module {
        native: found.contains(&NATIVE),
        programs_32: runs_32.then(|| found.contains(&I386)),
        install_32: install_32(host),
    }
}

/// The loader may be there although dpkg(1) does not know the architecture: the package libc6-i386 has it, too.
fn install_32(host: &Host) -> &'static str {
    let foreign = host.run(&["dpkg", "--print-foreign-architectures"]);
    if foreign.is_ok_and(|ran| ran.stdout.lines().any(|line| line == "i386")) {
        "apt-get install libnss-iam:i386"
    } else if host.exists("/etc/debian_version") {
        "dpkg --add-architecture i386 && apt-get update && apt-get install libnss-iam:i386"
    } else if host.find("zypper").is_some() {
        "zypper install libnss-iam.i686"
    } else if host.find("dnf").is_some() {
        "dnf install libnss-iam.i686"
    } else {
        "yum install libnss-iam.i686"
    }
}

/// Of each module in the multiarch directories of Debian, and in those of other distributions.
fn kinds(host: &Host) -> Vec<Kind> {
    let directories = ["/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"];
    let multiarch = files::names(&host.path("/usr/lib")).unwrap_or_default();
    let multiarch = multiarch.iter().filter_map(|name| name.to_str());
    let multiarch =
        multiarch.filter(|name| name.ends_with("-linux-gnu")).map(|name| format!("/usr/lib/{name}"));
    let directories = directories.iter().map(|directory| (*directory).to_owned()).chain(multiarch);
    directories.filter_map(|directory| kind(host, &format!("{directory}/{NAME}"))).collect()
}

/// `None` if it is no ELF file.
fn kind(host: &Host, path: &str) -> Option<Kind> {
    let mut header = [0; 20];
    File::open(host.path(path)).ok()?.read_exact(&mut header).ok()?;
    match header {
        [0x7f, b'E', b'L', b'F', class, data, .., low, high] => Some([class, data, low, high]),
        _ => None,
    }
}
