//! Any bytes are a request or not; what is one is checked field by field and becomes an order or a refusal.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| tidegate_server::rpc::fuzzing::decode_validate(data));
