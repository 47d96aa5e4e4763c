//! Names the library as glibc asks for it: service `iam`, version 2 of the NSS interface.

fn main() {
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libnss_iam.so.2");
    // dlclose(3) leaves it in the process: what it has mapped stays mapped, and threads may still be in it.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // No symbol may be left undefined: see `src/proof.rs`. But the functions of a sanitizer are in the program.
    #[expect(clippy::disallowed_methods, reason = "cargo's own variable, at build time")]
    if std::env::var_os("CARGO_CFG_SANITIZE").is_none() {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,defs");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
