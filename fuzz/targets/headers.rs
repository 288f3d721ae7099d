#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pgmill_server::fuzzing::headers(input));
