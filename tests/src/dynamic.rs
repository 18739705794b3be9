//! Calls of any method by its descriptor, with messages that are built field by field or are no messages at all.

use std::sync::LazyLock;

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use tonic::{
    Request, Status,
    body::Body,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};
use tower::{Service as _, ServiceExt as _};

/// Every descriptor of the contract.
pub static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(tidegate_proto::FILE_DESCRIPTOR_SET).expect("the descriptors decode")
});

/// Every method of `tidegate.v1`.
pub fn methods() -> Vec<MethodDescriptor> {
    let ours = POOL
        .services()
        .filter(|service| service.package_name() == "tidegate.v1");
    ours.flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect()
}

/// The path that a method is called at.
pub fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// Calls `method` with one message and gives back the first answer, or none where a stream ends without.
///
/// # Errors
/// The status that the server refuses with.
pub async fn call(
    channel: &Channel,
    method: &MethodDescriptor,
    message: &DynamicMessage,
) -> Result<Option<DynamicMessage>, Status> {
    call_as(channel, None, method, message).await
}

/// As [`call`], with this `authorization`.
///
/// # Errors
/// The status that the server refuses with.
///
/// # Panics
/// When the answer is not what the contract says.
pub async fn call_as(
    channel: &Channel,
    authorization: Option<&str>,
    method: &MethodDescriptor,
    message: &DynamicMessage,
) -> Result<Option<DynamicMessage>, Status> {
    let bytes = message.encode_to_vec();
    let answer = call_bytes_as(channel, authorization, &path(method), bytes).await?;
    let decode = |bytes| DynamicMessage::decode(method.output(), bytes);
    Ok(answer.map(|bytes| decode(bytes).expect("the answer is a message of its type")))
}

/// Calls whatever is at `path` with `bytes` in the place of a message.
///
/// # Errors
/// The status that the server refuses with.
///
/// # Panics
/// When the path is none or the connection is gone.
pub async fn call_bytes(
    channel: &Channel,
    path: &str,
    bytes: Vec<u8>,
) -> Result<Option<Bytes>, Status> {
    call_bytes_as(channel, None, path, bytes).await
}

/// As [`call_bytes`], with this `authorization`.
///
/// # Errors
/// The status that the server refuses with.
///
/// # Panics
/// When the path or the authorization is none, or the connection is gone.
pub async fn call_bytes_as(
    channel: &Channel,
    authorization: Option<&str>,
    path: &str,
    bytes: Vec<u8>,
) -> Result<Option<Bytes>, Status> {
    let path = PathAndQuery::try_from(path).expect("a path");
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.expect("the connection is up");
    let mut request = Request::new(Bytes::from(bytes));
    if let Some(value) = authorization {
        let value = value.parse().expect("a value of metadata");
        request.metadata_mut().insert("authorization", value);
    }
    let mut answers = grpc
        .server_streaming(request, path, RawCodec)
        .await?
        .into_inner();
    answers.message().await
}

/// Posts a body that need not be framed as gRPC asks, and gives back the status of the answer.
///
/// # Panics
/// When there is no answer or no status in it.
pub async fn post(
    channel: &Channel,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Status {
    let mut request = http::Request::post(path)
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Body::new(Full::new(Bytes::from(body)));
    let request = request.body(body).expect("a request");
    let mut channel = channel.clone();
    let ready = channel.ready().await.expect("the connection is up");
    let answer = ready.call(request).await.expect("an answer");
    let (parts, body) = answer.into_parts();
    if let Some(status) = Status::from_header_map(&parts.headers) {
        return status;
    }
    let collected = body.collect().await.expect("the answer's end");
    let trailers = collected.trailers().expect("trailers");
    Status::from_header_map(trailers).expect("a status in the trailers")
}

#[derive(Clone, Copy, Debug)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
