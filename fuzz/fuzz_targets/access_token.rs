//! Any text is a token or a session code, or it is not; what is one is written as it was read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_domain::token::{Pepper, Token, parse_session_code};

fuzz_target!(|text: &str| {
    if let Some(token) = Token::parse(text) {
        assert_eq!(token.reveal(), text);
        assert_eq!(token.digest(&Pepper::default()).len(), 32);
        let secret = text.split('_').nth(2).unwrap_or_default();
        assert!(!format!("{token:?}").contains(secret));
    }
    if let Some(code) = parse_session_code(text) {
        assert_eq!(parse_session_code(&code).as_ref(), Some(&code));
    }
});
