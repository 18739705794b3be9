//! A door for the fuzz targets: from bytes to commands and queries, as calls go, but without a server.

use prost::Message;
use tidegate_proto::v1;
use tonic::Request;

use super::decode::{self, Mutation, TokenDigest};
use tidegate_domain::{
    caller::ConnectionScope,
    token::{ID_BYTES, Pepper, SECRET_BYTES, Token},
    validate::Check,
};

/// Takes the first byte for the kind of a request and the rest for its encoding, and checks what decodes. Whatever the
/// bytes are, it returns.
pub fn decode_validate(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else {
        return;
    };
    match kind % 10 {
        0 => mutation::<v1::CreateTransferRequest>(body),
        1 => mutation::<v1::UpdateProgressRequest>(body),
        2 => mutation::<v1::ApproveTransferRequest>(body),
        3 => mutation::<v1::StartTransferRequest>(body),
        4 => mutation::<v1::CreateConnectionRequest>(body),
        5 => mutation::<v1::UpdateConnectionRequest>(body),
        6 => token_request::<v1::CreateCredentialRequest>(body),
        7 => token_request::<v1::RotateConnectionTokenRequest>(body),
        8 => session(body),
        _ => list(body),
    }
}

fn mutation<M: Mutation<Made = ()>>(body: &[u8]) {
    if let Ok(message) = M::decode(body) {
        _ = decode::submission(Request::new(message));
    }
}

fn token_request<M: Mutation<Made = TokenDigest>>(body: &[u8]) {
    if let Ok(message) = M::decode(body) {
        let digest = decode::token_digest(&token(), &Pepper::default());
        _ = decode::submission_with(Request::new(message), digest);
    }
}

fn session(body: &[u8]) {
    let pepper = Pepper::default();
    if let Ok(message) = v1::CreateSessionRequest::decode(body) {
        _ = decode::session_submission(Request::new(message), "2345WXYZ", &pepper);
    }
    if let Ok(message) = v1::RedeemSessionRequest::decode(body) {
        _ = decode::redemption(Request::new(message), &token(), &pepper);
    }
}

fn list(body: &[u8]) {
    if let Ok(message) = v1::ListTransfersRequest::decode(body) {
        let mut check = Check::default();
        let filter = decode::transfer_filter(&mut check, ConnectionScope::All, message.filter);
        _ = check.finish(filter.fingerprint());
    }
}

fn token() -> Token {
    Token::of([0; ID_BYTES], [0; SECRET_BYTES])
}
