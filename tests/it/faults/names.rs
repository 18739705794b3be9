//! Names, addresses and people: what must not pass, and what must be told apart.

mod addresses;
mod clock;
mod input;
mod people;
mod proxies;
mod sites;
mod tables;
mod texts;

use tidegate_tests::assert_refused;
use tonic::{Code, Response, Status};

/// The fields that the refusal of `call` names.
async fn bad_fields<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> Vec<String> {
    let refusal = call.await.map(drop).expect_err("it is refused");
    assert_refused(&refusal, Code::InvalidArgument, "INVALID_FIELDS").fields
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
