//! The input is a list of changes of a good file.
#![no_main]

libfuzzer_sys::fuzz_target!(|changes: &[u8]| fuzz::ask(&fuzz::changed(changes)));
