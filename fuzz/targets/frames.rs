#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| homeostat_fuzz::frames::frames(bytes));
