//! Asks a running server whether it serves, for those who can only run a program.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use axum::body::Body;
use http::{Request, StatusCode};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

/// Longest wait for the answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks the server whose `--metrics-listen` is `listen`.
///
/// # Errors
/// When it does not serve, or does not answer in time.
pub async fn ask(listen: SocketAddr) -> anyhow::Result<()> {
    let address = reachable(listen);
    let status = timeout(PATIENCE, status(address)).await;
    let status = status
        .unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {PATIENCE:?}")))
        .with_context(|| format!("{address} cannot be asked"))?;
    ensure!(
        status == StatusCode::OK,
        "{address} does not serve: {status}"
    );
    Ok(())
}

async fn status(address: SocketAddr) -> anyhow::Result<StatusCode> {
    let stream = TcpStream::connect(address).await?;
    let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/readyz").header("host", address.to_string());
    let answer = requests.send_request(request.body(Body::empty())?);
    tokio::select! {
        answer = answer => Ok(answer?.status()),
        ended = connection => {
            ended?;
            anyhow::bail!("it hung up")
        }
    }
}

/// Every address of the machine is none to connect to.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_asked_on_the_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:9464", "127.0.0.1:9464"),
            ("[::]:9464", "[::1]:9464"),
            ("192.0.2.1:1", "192.0.2.1:1"),
        ] {
            let listen = listen.parse().expect("an address");
            assert_eq!(reachable(listen).to_string(), asked);
        }
    }
}
