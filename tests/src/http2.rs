//! HTTP/2 by hand: requests that no gRPC client would send, and answers as they are on the wire.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use h2::{RecvStream, SendStream, client::SendRequest};
use http::{HeaderMap, Request, Response, StatusCode};
use prost::Message;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

use crate::soon;

/// One connection. Closed with the drop of its last clone.
#[derive(Clone, Debug)]
pub struct Http2 {
    send: SendRequest<Bytes>,
    driver: Arc<AbortOnDropHandle<Result<(), h2::Error>>>,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    /// The status of HTTP.
    pub http: StatusCode,
    /// The head.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What came after the body.
    pub trailers: Option<HeaderMap>,
}

/// A message in its gRPC frame.
///
/// # Panics
/// When it is too large for one.
pub fn framed(message: &impl Message) -> Bytes {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).expect("a length of four bytes");
    let mut framed = BytesMut::from(&[0][..]);
    framed.extend(length.to_be_bytes());
    framed.extend(message);
    framed.freeze()
}

/// The head of a gRPC call.
pub fn call(path: &str) -> http::request::Builder {
    Request::post(format!("http://localhost{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
}

impl Http2 {
    /// A connection to `address`, such as `http://127.0.0.1:50051`.
    ///
    /// # Panics
    /// When nobody listens there.
    pub async fn to(address: &str) -> Self {
        Self::with(address, h2::client::Builder::new()).await
    }

    /// A connection as `builder` says.
    ///
    /// # Panics
    /// When nobody listens there.
    pub async fn with(address: &str, builder: h2::client::Builder) -> Self {
        let address = address.trim_start_matches("http://");
        let socket = TcpStream::connect(address).await.expect("it listens");
        let (send, connection) = builder.handshake(socket).await.expect("it speaks HTTP/2");
        let driver = Arc::new(AbortOnDropHandle::new(tokio::spawn(connection)));
        Self { send, driver }
    }

    /// Whether the connection has ended.
    pub fn has_ended(&self) -> bool {
        self.driver.is_finished()
    }

    /// Sends the head of a request; the answer's head and the way to send more.
    ///
    /// # Errors
    /// When the connection or the stream has ended.
    pub async fn open(
        &mut self,
        head: http::request::Builder,
        body: Bytes,
        end: bool,
    ) -> Result<(Response<RecvStream>, SendStream<Bytes>), h2::Error> {
        let mut ready = soon("room for a request", self.send.clone().ready()).await?;
        let request = head.body(()).expect("a request");
        let (answer, mut stream) = ready.send_request(request, end && body.is_empty())?;
        if !body.is_empty() {
            // A refusal may come before the body, and ends the stream: its head says more than that.
            _ = stream.send_data(body, end);
        }
        Ok((soon("the head of an answer", answer).await?, stream))
    }

    /// Sends a request and waits for the whole answer.
    ///
    /// # Errors
    /// When the connection or the stream ends before it.
    pub async fn send(
        &mut self,
        head: http::request::Builder,
        body: Bytes,
    ) -> Result<Answer, h2::Error> {
        let (answer, _stream) = self.open(head, body, true).await?;
        let (parts, mut stream) = answer.into_parts();
        let mut body = BytesMut::new();
        while let Some(data) = soon("more of an answer", stream.data()).await {
            let data = data?;
            _ = stream.flow_control().release_capacity(data.len());
            body.extend(data);
        }
        Ok(Answer {
            http: parts.status,
            headers: parts.headers,
            body: body.freeze(),
            trailers: soon("the trailers", stream.trailers()).await?,
        })
    }

    /// Calls `path` with one message, and waits for the whole answer.
    ///
    /// # Panics
    /// When there is none.
    pub async fn call(&mut self, path: &str, message: &impl Message) -> Answer {
        self.send(call(path), framed(message))
            .await
            .expect("an answer")
    }
}

impl Answer {
    /// The headers that the status of gRPC is in.
    fn last(&self) -> &HeaderMap {
        self.trailers.as_ref().unwrap_or(&self.headers)
    }

    /// The status of gRPC.
    ///
    /// # Panics
    /// When there is none.
    pub fn status(&self) -> Status {
        Status::from_header_map(self.last()).unwrap_or_else(|| panic!("no status in {self:?}"))
    }

    /// The size of the headers that the status is in, as HTTP/2 counts it.
    pub fn status_size(&self) -> usize {
        let headers = self.last().iter();
        headers
            .map(|(name, value)| name.as_str().len() + value.len() + 32)
            .sum()
    }
}
