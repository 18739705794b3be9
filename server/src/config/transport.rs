//! Who may reach the server, and how: TLS, authentication, and the addresses that need both.

use std::{net::SocketAddr, path::PathBuf};

use clap::{ArgAction, Args, ValueEnum, builder::BoolishValueParser};

use http::{HeaderValue, Uri};
use ipnet::IpNet;

use crate::net::{origin::Proxies, tls::Files};
use tidegate_domain::policy::parse_block;

/// How yes is said.
pub(super) const TRUE: [&str; 6] = ["true", "t", "yes", "y", "on", "1"];

/// TLS and authentication, as they were asked for.
#[derive(Clone, Debug, Default, Args)]
pub struct Transport {
    /// The server's certificate and those above it, PEM. With a key: TLS; both are read again when they change.
    #[arg(
        long,
        env = "TIDEGATE_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub tls_cert: Option<PathBuf>,
    /// The private key of the certificate, PEM without a password.
    #[arg(
        long,
        env = "TIDEGATE_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_key: Option<PathBuf>,
    /// Authorities of client certificates, PEM: every client must show one that they signed.
    #[arg(
        long,
        env = "TIDEGATE_TLS_CLIENT_CA",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_client_ca: Option<PathBuf>,
    /// Whether callers must prove who they are; unless set: off on a loopback address, required on any other.
    #[arg(long, env = "TIDEGATE_AUTH", value_enum)]
    pub auth: Option<Auth>,
    /// Allows an address that others can reach without TLS and authentication.
    #[arg(
        long,
        env = "TIDEGATE_INSECURE",
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value = "false",
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        hide_possible_values = true
    )]
    pub insecure: bool,
    /// Addresses or CIDR blocks of proxies that are believed when x-forwarded-for says whom they speak for; none unless
    /// set. Whoever else sends that header is taken for themselves.
    #[arg(
        long,
        env = "TIDEGATE_TRUSTED_PROXIES",
        value_name = "CIDR",
        value_delimiter = ',',
        value_parser = parse_block
    )]
    pub trusted_proxies: Vec<IpNet>,
    /// Each connection of a trusted proxy begins with a header of the PROXY protocol, version 2.
    #[arg(
        long,
        env = "TIDEGATE_PROXY_PROTOCOL",
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value = "false",
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        hide_possible_values = true,
        requires_ifs = TRUE.map(|it| (it, "trusted_proxies"))
    )]
    pub proxy_protocol: bool,
    /// Who may ask the server for its contract by reflection.
    #[arg(long, env = "TIDEGATE_REFLECTION", value_enum, default_value_t)]
    pub reflection: Reflection,
    /// Origins of web pages that may call over gRPC-Web, such as `https://console.example.com`; none unless
    /// set.
    #[arg(
        long,
        env = "TIDEGATE_CORS_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ',',
        value_parser = origin
    )]
    pub cors_origin: Vec<HeaderValue>,
}

impl Transport {
    /// The proxies that are trusted.
    pub fn proxies(&self) -> Proxies {
        Proxies::new(&self.trusted_proxies, self.proxy_protocol)
    }

    /// The files of TLS; `None` without TLS.
    pub fn files(&self) -> Option<Files> {
        Some(Files {
            certificate: self.tls_cert.clone()?,
            key: self.tls_key.clone()?,
            client_ca: self.tls_client_ca.clone(),
        })
    }
}

/// Whether callers must prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Auth {
    /// Whoever reaches the port may do everything.
    Off,
    /// Every call needs a token.
    Required,
}

impl Auth {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Required => "required",
        }
    }

    /// What holds when nothing else was said: off where only this machine can call.
    pub const fn unless_set(listen: SocketAddr) -> Self {
        if is_loopback(listen) {
            Self::Off
        } else {
            Self::Required
        }
    }
}

/// Who may ask for the contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Reflection {
    /// Whoever reaches the port.
    Open,
    /// Whoever may call: where the server requires authentication it takes a token.
    #[default]
    Authenticated,
    /// Nobody.
    Off,
}

/// An origin, exactly as browsers name it: anything else would never match.
fn origin(text: &str) -> Result<HeaderValue, String> {
    const FORM: &str = "must be a scheme, a host and, unless it is the usual one, a port, in lower case and without a \
                        path, such as https://console.example.com";
    let uri: Uri = text.parse().map_err(|_| FORM)?;
    let (scheme, authority) = (uri.scheme_str(), uri.authority());
    let (Some(scheme @ ("http" | "https")), Some(authority)) = (scheme, authority) else {
        return Err(FORM.to_owned());
    };
    let usual_port = if scheme == "http" { 80 } else { 443 };
    let is_as_browsers_say = text == format!("{scheme}://{authority}")
        && text == text.to_lowercase()
        && !authority.as_str().contains(['@', '*'])
        && authority.port_u16() != Some(usual_port);
    if !is_as_browsers_say {
        return Err(FORM.to_owned());
    }
    HeaderValue::from_str(text).map_err(|_| FORM.to_owned())
}

/// Others could reach the server, and read or do what they should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{listen} can be reached from elsewhere, and {}; do so, or listen on 127.0.0.1, or allow it with --insecure",
    self.remedy()
)]
pub struct Exposed {
    /// The address.
    pub listen: SocketAddr,
    /// Whether TLS is missing.
    pub tls: bool,
    /// Whether authentication is missing.
    pub auth: bool,
}

impl Exposed {
    const fn remedy(&self) -> &'static str {
        match (self.tls, self.auth) {
            (true, false) => "needs TLS: --tls-cert and --tls-key",
            (false, true) => "needs authentication: --auth required",
            (true, true) | (false, false) => {
                "needs TLS and authentication: --tls-cert, --tls-key and --auth required"
            }
        }
    }
}

/// Whether the server may listen there: on the loopback always, elsewhere only with TLS and authentication, unless the
/// operator takes the risk.
///
/// # Errors
/// Otherwise, with what is missing.
pub const fn exposure(
    listen: SocketAddr,
    tls: bool,
    authenticated: bool,
    insecure: bool,
) -> Result<(), Exposed> {
    if insecure || is_loopback(listen) || (tls && authenticated) {
        return Ok(());
    }
    Err(Exposed {
        listen,
        tls: !tls,
        auth: !authenticated,
    })
}

/// Whether only this machine reaches the address, however it is written.
const fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: [&str; 4] = [
        "127.0.0.1:1",
        "127.8.9.10:1",
        "[::1]:1",
        "[::ffff:127.0.0.1]:1",
    ];
    const FAR: [&str; 6] = [
        "0.0.0.0:1",
        "[::]:1",
        "10.0.0.1:1",
        "192.0.2.1:1",
        "[2001:db8::1]:1",
        "[::ffff:10.0.0.1]:1",
    ];

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_loopback_needs_nothing() {
        for listen in NEAR.map(address) {
            for choice in 0..8 {
                let (tls, auth, insecure) = (choice & 1 > 0, choice & 2 > 0, choice & 4 > 0);
                assert_eq!(exposure(listen, tls, auth, insecure), Ok(()), "{listen}");
            }
            assert_eq!(Auth::unless_set(listen), Auth::Off);
        }
    }

    #[test]
    fn anything_else_needs_tls_and_authentication_or_the_operators_word() {
        for listen in FAR.map(address) {
            assert_eq!(exposure(listen, true, true, false), Ok(()));
            assert_eq!(exposure(listen, false, false, true), Ok(()));
            for (tls, auth) in [(false, false), (false, true), (true, false)] {
                let missing = Exposed {
                    listen,
                    tls: !tls,
                    auth: !auth,
                };
                assert_eq!(exposure(listen, tls, auth, false), Err(missing));
            }
            assert_eq!(Auth::unless_set(listen), Auth::Required);
        }
    }

    #[test]
    fn an_origin_is_as_browsers_name_it() {
        for good in [
            "https://console.example.com",
            "https://console.example.com:8443",
            "http://localhost:5173",
            "http://[::1]:5173",
        ] {
            assert_eq!(origin(good), Ok(HeaderValue::from_static(good)));
        }
        for bad in [
            "*",
            "null",
            "",
            "console.example.com",
            "https://",
            "https://console.example.com/",
            "https://console.example.com/app",
            "https://console.example.com:443",
            "http://console.example.com:80",
            "https://Console.example.com",
            "https://*.example.com",
            "https://me@console.example.com",
            "ftp://console.example.com",
        ] {
            let refused = origin(bad).expect_err(bad);
            assert!(refused.contains("https://console.example.com"), "{refused}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let said = |tls, auth| {
            let exposed = exposure(address("0.0.0.0:1"), tls, auth, false);
            exposed.expect_err("it is exposed").to_string()
        };
        assert!(said(false, true).contains("needs TLS: --tls-cert"));
        assert!(said(true, false).contains("needs authentication: --auth required"));
        assert!(said(false, false).contains("needs TLS and authentication"));
        assert!(said(false, false).contains("--insecure"));
    }
}
