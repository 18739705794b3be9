//! A collector of traces that keeps what it is sent.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{ResourceSpans, Span},
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{
    Request, Response, Status,
    transport::{Identity, Server, ServerTlsConfig},
};

use crate::{certificates::Signed, soon};

/// A collector on a port that the system picks; gone when dropped.
#[derive(Debug)]
pub struct Collector {
    /// Where spans are taken, as `http://127.0.0.1:port` or `https://…`.
    pub address: String,
    taken: Taken,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Clone, Debug, Default)]
struct Taken(Arc<Mutex<Vec<ResourceSpans>>>);

#[tonic::async_trait]
impl TraceService for Taken {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let spans = request.into_inner().resource_spans;
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Starts one.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start() -> Self {
        Self::serve("http", Server::builder()).await
    }

    /// Starts one that shows a certificate.
    ///
    /// # Panics
    /// When the certificate is no good.
    pub async fn behind_tls(signed: &Signed) -> Self {
        let identity = Identity::from_pem(&signed.certificate, &signed.key);
        let tls = ServerTlsConfig::new().identity(identity);
        let server = Server::builder().tls_config(tls);
        Self::serve("https", server.expect("a certificate")).await
    }

    async fn serve(scheme: &str, mut server: Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it has an address");
        let taken = Taken::default();
        let serving = server
            .add_service(TraceServiceServer::new(taken.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let serving = tokio::spawn(async { serving.await.expect("it serves") });
        Self {
            address: format!("{scheme}://{address}"),
            taken,
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    /// What it was sent so far, with whose it is.
    pub fn resources(&self) -> Vec<ResourceSpans> {
        let taken = self.taken.0.lock();
        taken.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The spans that it was sent so far.
    pub fn spans(&self) -> Vec<Span> {
        let scopes = self.resources().into_iter().flat_map(|it| it.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// The spans of a trace, once there are so many.
    ///
    /// # Panics
    /// When there are not, soon.
    pub async fn trace(&self, id: &str, count: usize) -> Vec<Span> {
        let wait = async {
            loop {
                let mut spans = self.spans();
                spans.retain(|span| hex(&span.trace_id) == id);
                if spans.len() >= count {
                    return spans;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        soon(&format!("{count} spans of {id}"), wait).await
    }
}

/// Bytes of an id as they are written.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An attribute as a text.
pub fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|it| it.key == name)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}
