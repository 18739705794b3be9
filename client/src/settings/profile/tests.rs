use std::path::PathBuf;

use super::*;
use crate::Token;

fn token(text: &str) -> Option<Token> {
    Some(Token::from(text.to_owned()))
}

fn profile() -> Profile {
    Profile {
        address: "https://gate.example".to_owned(),
        token: token("tdg_s3cret"),
        ca: Some(PathBuf::from("/ca.pem")),
        ..Profile::default()
    }
}

#[test]
fn secrets_of_a_profile_go_to_its_own_address_alone() {
    let at = |address: &str| ClientSettings {
        address: Some(address.to_owned()),
        ..ClientSettings::default()
    };
    for own in [
        "https://gate.example",
        "gate.example",
        "https://gate.example/",
    ] {
        let settings = at(own).on(&profile()).expect("it is its own");
        assert_eq!(settings.token, profile().token, "{own}");
    }
    let refusal = at("other.example").on(&profile()).expect_err("not there");
    assert!(refusal.is_invalid() && !format!("{refusal:?}").contains("s3cret"));
    assert!(refusal.message().contains("other.example"), "{refusal}");

    let with_token = ClientSettings {
        token: token("tdg_other"),
        ..at("other.example")
    };
    let settings = with_token.on(&profile()).expect("it has its own token");
    assert_eq!(
        (settings.token, settings.ca),
        (token("tdg_other"), profile().ca)
    );

    let with_key = Profile {
        token: None,
        cert: Some(PathBuf::from("cert")),
        key: Some(PathBuf::from("key")),
        ..profile()
    };
    assert!(at("other.example").on(&with_key).is_err());
    let open = Profile {
        token: None,
        ..profile()
    };
    let settings = at("other.example").on(&open).expect("it has no secrets");
    assert_eq!(settings.address.as_deref(), Some("other.example"));
}
