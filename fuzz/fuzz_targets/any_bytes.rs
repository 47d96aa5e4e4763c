//! The input is the file.
#![no_main]

libfuzzer_sys::fuzz_target!(|file: &[u8]| fuzz::ask(file));
