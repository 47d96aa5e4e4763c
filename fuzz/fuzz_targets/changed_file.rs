//! The input is a list of changes to a valid file.
#![no_main]

libfuzzer_sys::fuzz_target!(|changes: &[u8]| fuzz::ask(&fuzz::changed(changes)));
