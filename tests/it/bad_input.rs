//! Nothing that a caller may send is taken unchecked: every refusal has its reason, changes nothing, and leaves a server
//! that answers the next call.

mod fields;
mod limits;
mod metadata;
mod tokens;
mod transitions;
mod transport;

use tidegate_proto::v1;
use tidegate_tests::{assert_refused, raw::Raw};
use tonic::{Code, Response, Status};

/// The fields that the refusal of `call` names.
pub(crate) async fn bad_fields<T>(
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Vec<String> {
    let refusal = call.await.map(drop).expect_err("it is refused");
    assert_refused(&refusal, Code::InvalidArgument, "INVALID_FIELDS").fields
}

/// Everything that a refused call must leave as it was.
#[derive(Debug, PartialEq)]
struct Everything {
    transfers: Vec<v1::Transfer>,
    events: Vec<v1::Event>,
    connections: Vec<v1::Connection>,
}

async fn everything(raw: &mut Raw) -> Everything {
    let request = v1::ListTransfersRequest {
        page_size: 1_000,
        ..v1::ListTransfersRequest::default()
    };
    let transfers = raw
        .transfers
        .list_transfers(request)
        .await
        .expect("the server answers");
    let request = v1::ListConnectionsRequest {
        page_size: 1_000,
        ..v1::ListConnectionsRequest::default()
    };
    let connections = raw
        .connections
        .list_connections(request)
        .await
        .expect("the server answers");
    Everything {
        transfers: transfers.into_inner().transfers,
        events: raw.log().await,
        connections: connections.into_inner().connections,
    }
}
