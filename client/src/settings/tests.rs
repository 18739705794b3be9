use super::*;

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
fn a_stronger_source_beats_a_weaker_one() {
    let flags = ClientSettings {
        address: Some("localhost:1".to_owned()),
        token_file: Some(PathBuf::from("token")),
        cert: Some(PathBuf::from("cert")),
        ..ClientSettings::default()
    };
    let variables = ClientSettings::from_variables(|name| match name {
        "TIDEGATE_PROFILE" => Some("".into()),
        name => Some(name.into()),
    });
    let variables = variables.expect("they are text");
    let both = flags.clone().or(variables.clone());
    assert_eq!(both.profile, None, "what is empty says nothing");
    assert_eq!(both.address, flags.address);
    // Token and file are one thing, and so are certificate and key.
    assert_eq!((both.token, both.token_file), (None, flags.token_file));
    assert_eq!((both.cert, both.key), (flags.cert, None));
    assert_eq!(both.ca, Some(PathBuf::from("TIDEGATE_CA")));
    let alone = ClientSettings::default().or(variables);
    assert_eq!(alone.key, Some(PathBuf::from("TIDEGATE_KEY")));
    assert!(
        !format!("{alone:?}").contains("TIDEGATE_TOKEN\""),
        "{alone:?}"
    );
    let twice = alone.read_token().expect_err("which?");
    assert!(twice.message().contains("both set"), "{twice}");
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

#[test]
fn halves_and_files_that_are_not_there_are_refused() {
    let path = || Some(PathBuf::from("/nowhere/file.pem"));
    let at = || ClientSettings {
        address: Some("https://127.0.0.1:1".to_owned()),
        ..ClientSettings::default()
    };
    for (settings, words) in [
        (
            ClientSettings {
                key: path(),
                ..at()
            },
            "needs the certificate",
        ),
        (
            ClientSettings {
                cert: path(),
                ..at()
            },
            "needs its key",
        ),
        (ClientSettings { ca: path(), ..at() }, "/nowhere/file.pem: "),
        (
            ClientSettings {
                token_file: path(),
                ..at()
            },
            "/nowhere/file.pem: ",
        ),
    ] {
        let refusal = settings.builder().expect_err(words);
        assert!(refusal.message().contains(words), "{refusal}");
    }
}
