//! Where a call really comes from when it was passed on by proxies that the operator trusts.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    task::{Context, Poll},
};

use http::{Extensions, HeaderMap, Request};
use ipnet::IpNet;
use tonic::transport::server::TcpConnectInfo;
use tower::{Layer, Service};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The addresses of proxies that are believed when they say whom they speak for; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    blocks: Arc<[IpNet]>,
    announce: bool,
}

impl Proxies {
    /// Those within these blocks. With `announce` each of their connections begins with a header of the PROXY protocol.
    pub fn new(blocks: &[IpNet], announce: bool) -> Self {
        let blocks = blocks.into();
        Self { blocks, announce }
    }

    /// Whether a connection from `address` begins with a word about its client.
    pub fn announce(&self, address: IpAddr) -> bool {
        self.announce && self.trust(address)
    }

    /// Whether somebody at `address` is one of them.
    pub fn trust(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.blocks.iter().any(|block| block.contains(&address))
    }

    /// The client of a call that came from `peer` with these headers: the nearest hop that is not one of the proxies.
    /// Nobody but a proxy is believed, so that whoever else sends the header gains nothing by it. What cannot be read as
    /// an address ends the search, since what stands before it cannot be trusted either.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let mut hops = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
        while self.trust(client)
            && let Some(before) = hops.next().and_then(hop)
        {
            client = before;
        }
        client
    }
}

/// One hop of the header: an address, with or without a port.
fn hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let with_port = || text.parse::<SocketAddr>().map(|it| it.ip()).ok();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address = text.parse().ok().or_else(with_port).or_else(bracketed);
    address.map(|address: IpAddr| address.to_canonical())
}

/// The address of the client, noted on its request.
#[derive(Clone, Copy, Debug)]
struct Origin(IpAddr);

/// Where a request comes from; `None` when the transport does not tell.
pub(crate) fn of(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<Origin>().map(|origin| origin.0)
}

/// Notes on each request where it comes from.
#[derive(Clone)]
pub(crate) struct OriginLayer(pub(crate) Proxies);

/// The service that it makes.
#[derive(Clone)]
pub(crate) struct NoteOrigin<S> {
    inner: S,
    proxies: Proxies,
}

impl<S> Layer<S> for OriginLayer {
    type Service = NoteOrigin<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let proxies = self.0.clone();
        NoteOrigin { inner, proxies }
    }
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for NoteOrigin<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let peer = request.extensions().get::<TcpConnectInfo>();
        if let Some(peer) = peer.and_then(TcpConnectInfo::remote_addr) {
            let client = self.proxies.client(peer.ip(), request.headers());
            request.extensions_mut().insert(Origin(client));
        }
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, lines: &[&str]) -> String {
        let blocks = ["10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse().expect(text));
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().expect("a value"));
        }
        let peer = peer.parse().expect("an address");
        Proxies::new(&blocks, false)
            .client(peer, &headers)
            .to_string()
    }

    #[test]
    fn a_proxy_that_is_trusted_tells_the_client() {
        for (lines, expected) in [
            (&[][..], "10.0.0.1"),
            (&["192.0.2.7"], "192.0.2.7"),
            (&["192.0.2.7, 10.0.0.2"], "192.0.2.7"),
            (&["192.0.2.7", "10.0.0.2"], "192.0.2.7"),
            (
                &["198.51.100.1, 192.0.2.7, 10.0.0.2 ,10.0.0.3"],
                "192.0.2.7",
            ),
            (&["198.51.100.1", "192.0.2.7"], "192.0.2.7"),
            (&["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
            (&["::ffff:192.0.2.7"], "192.0.2.7"),
            (&["192.0.2.7:4711"], "192.0.2.7"),
            (&["[2001:db9::7]:4711, [2001:db8::1]"], "2001:db9::7"),
            (&["192.0.2.7, unknown"], "10.0.0.1"),
            (&["192.0.2.7, 10.0.0.2, _hidden, 10.0.0.3"], "10.0.0.3"),
            (&["192.0.2.7,"], "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", lines), expected, "{lines:?}");
            assert_eq!(client("::ffff:10.0.0.1", lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn nobody_else_is_believed() {
        for peer in ["192.0.2.1", "11.0.0.1", "::1"] {
            assert_eq!(client(peer, &["198.51.100.1"]), peer);
        }
        let none = Proxies::default();
        let mut headers = HeaderMap::new();
        headers.append(FORWARDED_FOR, "192.0.2.7".parse().expect("a value"));
        let peer = "127.0.0.1".parse().expect("an address");
        assert_eq!(none.client(peer, &headers), peer);
    }
}
