//! Any text is a block of addresses or a part of the day, or it is not; what is one means the same when it is written and
//! read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_domain::policy::{AllowedHours, parse_block};

fuzz_target!(|text: &str| {
    if let Ok(block) = parse_block(text) {
        assert_eq!(parse_block(&block.to_string()), Ok(block));
    }
    if let Ok(hours) = text.parse::<AllowedHours>() {
        assert_eq!(hours.to_string().parse(), Ok(hours));
    }
});
