use super::*;

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

#[cfg(not(feature = "profiles"))]
#[test]
fn a_profile_that_cannot_be_read_is_not_passed_over() {
    let named = ClientSettings {
        profile: Some("north".to_owned()),
        ..ClientSettings::default()
    };
    let refusal = named.builder().expect_err("profiles are left out");
    assert!(refusal.message().contains("feature profiles"), "{refusal}");
}
