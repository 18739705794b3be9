use super::*;

fn fixed(token: &str) -> TokenSource {
    TokenSource::Fixed(Secret(token.to_owned()))
}

fn bearer(address: &str, source: &TokenSource) -> Result<Bearer, Error> {
    Bearer::new(Some(source), &address.parse().expect("an address"))
}

#[test]
fn a_token_goes_through_tls_or_nowhere() {
    let provider =
        TokenSource::Provider(Arc::new(|| Box::pin(async { Err("never asked".into()) })));
    for source in [fixed("tg_s3cret"), provider] {
        for address in [
            "https://gate.example",
            "https://10.0.0.1:50051",
            "http://127.0.0.1:50051",
            "http://127.200.3.4",
            "http://[::1]:50051",
            "http://localhost:1",
            "http://LOCALHOST:1",
        ] {
            assert!(bearer(address, &source).is_ok(), "{address}");
        }
        for address in [
            "http://gate.example:50051",
            "http://10.0.0.1",
            "http://0.0.0.0:1",
            "http://[::]:1",
            "http://[2001:db8::1]:1",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://127.0.0.1@gate.example",
        ] {
            let error = bearer(address, &source).expect_err(address);
            assert!(error.is_invalid(), "{error:?}");
            assert!(error.message().contains("clear text"), "{error}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }
}

#[test]
fn a_token_that_no_header_can_carry_is_refused_and_not_shown() {
    for token in ["", "s3cret\n", "s3 cret", "s3crét", "s3cret\0"] {
        let error = bearer("https://gate.example", &fixed(token)).expect_err(token);
        assert!(error.is_invalid(), "{error:?}");
        assert!(!format!("{error:?}").contains("s3"), "{error:?}");
    }
}

#[tokio::test]
async fn secrets_are_not_shown() {
    let source = fixed("s3cret");
    let bearer = bearer("https://gate.example", &source).expect("a token");
    let mut request = Request::new(());
    bearer.sign(&mut request).await.expect("it has a token");
    let value = request.metadata().get("authorization");
    let value = value.expect("the token is attached");
    assert_eq!(value.to_str().ok(), Some("Bearer s3cret"));
    assert!(value.is_sensitive());
    let shown = format!("{source:?} {bearer:?} {request:?}");
    // As text, and as the numbers of its bytes.
    assert!(
        !shown.contains("s3cret") && !shown.contains("115, 51"),
        "{shown}"
    );
}
