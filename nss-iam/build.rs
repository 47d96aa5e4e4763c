//! Names the library as glibc looks it up: service `iam`, version 2 of the NSS interface.

fn main() {
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libnss_iam.so.2");
    // dlclose(3) leaves the library in the process: its maps stay mapped, and threads may still be in it.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // No symbol may be undefined: see `src/proof.rs`. The functions of a sanitizer are an exception: they are in
    // the program.
    #[expect(clippy::disallowed_methods, reason = "cargo's own variable, at build time")]
    if std::env::var_os("CARGO_CFG_SANITIZE").is_none() {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,defs");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
