//! The PROXY protocol: what a proxy says of the client before it passes on the client's bytes. Version 2 alone, since it says
//! how long it is.

use std::{io, net::SocketAddr};

use proxy_header::{ParseConfig, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The part of a header that says how long the rest is.
const FIRST: usize = 16;
/// Longest rest; what proxies add beside addresses takes some hundred bytes.
const REST_MAX: usize = 4 * 1024;
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

const VERSION_2: ParseConfig = ParseConfig {
    include_tlvs: false,
    allow_v1: false,
    allow_v2: true,
};

/// Reads the header and no byte more: the client's address, or `None` when the proxy speaks for itself.
pub(super) async fn client(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<SocketAddr>> {
    let mut header = vec![0; FIRST];
    stream.read_exact(&mut header).await?;
    let rest = usize::from(u16::from_be_bytes([header[14], header[15]]));
    if !header.starts_with(SIGNATURE) || rest > REST_MAX {
        return Err(no_header());
    }
    header.resize(FIRST + rest, 0);
    stream.read_exact(&mut header[FIRST..]).await?;
    let (header, _) = ProxyHeader::parse(&header, VERSION_2).map_err(|_| no_header())?;
    Ok(header.proxied_address().map(|it| it.source))
}

fn no_header() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no PROXY header of version 2")
}

#[cfg(test)]
mod tests {
    use proxy_header::ProxiedAddress;

    use super::*;

    async fn read(bytes: &[u8]) -> (io::Result<Option<SocketAddr>>, usize) {
        let mut rest = bytes;
        let client = client(&mut rest).await;
        (client, rest.len())
    }

    fn header(source: &str) -> Vec<u8> {
        let source: SocketAddr = source.parse().expect("an address");
        let mut bytes = Vec::new();
        let address = ProxiedAddress::stream(source, source);
        ProxyHeader::with_address(address)
            .encode_v2(&mut bytes)
            .expect("it fits");
        bytes
    }

    #[tokio::test]
    async fn a_header_is_read_and_no_byte_more() {
        for source in ["192.0.2.7:4711", "[2001:db8::7]:4711"] {
            let mut bytes = header(source);
            bytes.extend(b"PRI * HTTP/2.0");
            let (client, left) = read(&bytes).await;
            assert_eq!(client.expect("a header"), source.parse().ok());
            assert_eq!(left, 14);
        }
        let mut own = Vec::new();
        ProxyHeader::with_local()
            .encode_v2(&mut own)
            .expect("it fits");
        assert_eq!(read(&own).await.0.expect("a header"), None);
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        let good = header("192.0.2.7:4711");
        let mut endless = good.clone();
        endless[14..16].copy_from_slice(&[0xff, 0xff]);
        let mut other_version = good.clone();
        other_version[12] = 0x31;
        for bad in [
            &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
            b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n",
            &good[..20],
            &endless,
            &other_version,
            b"",
        ] {
            assert!(read(bad).await.0.is_err(), "{bad:?}");
        }
    }
}
