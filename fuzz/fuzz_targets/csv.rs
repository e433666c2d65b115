#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| mars_fuzz::csv(input));
