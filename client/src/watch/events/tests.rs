//! A log that falls silent, over a connection in memory and under a clock that stands still while anybody has something
//! to do.

use std::{future::ready, io};

use futures_util::{StreamExt as _, stream::BoxStream};
use hyper_util::rt::TokioIo;
use tidegate_proto::v1::event_service_server::{EventService, EventServiceServer};
use tokio::{
    io::{DuplexStream, duplex},
    runtime::Handle,
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status, transport::Server};

use super::*;
use crate::{
    RetryPolicy,
    token::Bearer,
    transport::{Stubs, endpoint},
};

const SECOND: Duration = Duration::from_secs(1);
/// As often as the server says something.
const BOOKMARKS: Duration = Duration::from_secs(10);

/// A server whose first stream falls silent after three bookmarks and stays open. The others go on for ever.
struct Silent {
    /// Where each stream was asked to begin.
    asked: mpsc::UnboundedSender<i64>,
}

#[tonic::async_trait]
impl EventService for Silent {
    type WatchEventsStream = BoxStream<'static, Result<v1::WatchEventsResponse, Status>>;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let after = request.into_inner().after_sequence;
        self.asked.send(after).expect("the test listens");
        let bookmarks = stream::unfold(after, |sequence| async move {
            sleep(BOOKMARKS).await;
            let sequence = sequence + 1;
            let update = Some(Update::Bookmark(v1::Bookmark {
                sequence,
                hash: Vec::new(),
            }));
            Some((Ok(v1::WatchEventsResponse { update }), sequence))
        });
        Ok(Response::new(if after == 0 {
            bookmarks.take(3).chain(stream::pending()).boxed()
        } else {
            bookmarks.boxed()
        }))
    }

    async fn list_events(
        &self,
        _request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn verify_log(
        &self,
        _request: Request<v1::VerifyLogRequest>,
    ) -> Result<Response<v1::VerifyLogResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }
}

/// A client of that server.
fn client(asked: mpsc::UnboundedSender<i64>) -> Client {
    let (connections, accepted) = mpsc::unbounded_channel::<DuplexStream>();
    let service = EventServiceServer::new(Silent { asked });
    let incoming = UnboundedReceiverStream::new(accepted).map(Ok::<_, io::Error>);
    tokio::spawn(
        Server::builder()
            .add_service(service)
            .serve_with_incoming(incoming),
    );
    let connector = tower::service_fn(move |_| {
        let (near, far) = duplex(64 * 1_024);
        let connected = connections.send(far).map_err(io::Error::other);
        ready(connected.map(|()| TokioIo::new(near)))
    });
    let address = "http://in.memory".to_owned();
    let endpoint = endpoint(&address, 5 * SECOND, "test").expect("the address is one");
    let stubs = Stubs::new(endpoint.connect_with_connector_lazy(connector));
    let retry = RetryPolicy::default();
    Client::new(
        address,
        stubs.clone(),
        stubs,
        Bearer::None,
        10 * SECOND,
        retry,
        Handle::current(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_word_for_half_a_minute_is_opened_anew_and_one_with_bookmarks_is_not() {
    let (asked, mut asks) = mpsc::unbounded_channel();
    let mut watch = client(asked).events().watch().into_stream();
    let told = tokio::spawn(async move { watch.next().await });
    assert_eq!(asks.recv().await, Some(0));
    let opened = Instant::now();
    let last_word = opened + 3 * BOOKMARKS;

    let again = timeout(300 * SECOND, asks.recv()).await;
    assert_eq!(again.expect("it is opened anew"), Some(3));
    let silence = Instant::now() - last_word;
    // And the pause before the second try, of at most 100 ms.
    assert!(
        silence >= SILENCE && silence < SILENCE + SECOND,
        "{silence:?}"
    );

    let hour = timeout(3_600 * SECOND, asks.recv()).await;
    hour.expect_err("a stream that says something is kept");
    assert!(
        !told.is_finished(),
        "bookmarks are not told, nor is silence"
    );
}
