//! Names the library as glibc asks for it: service `iam`, version 2 of the NSS interface.

fn main() {
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libnss_iam.so.2");
    println!("cargo::rerun-if-changed=build.rs");
}
