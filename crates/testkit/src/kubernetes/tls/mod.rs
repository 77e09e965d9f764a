//! The fake behind TLS. Its certificate is good for 127.0.0.1 alone, and its CA for tests alone: the key of the CA was thrown away.

use std::{io, net::SocketAddr, sync::Arc};

use axum::serve::Listener;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The CA of the fake's certificate, in PEM.
pub const CA: &str = include_str!("ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("server.pem");
const KEY: &[u8] = include_bytes!("server.key");

/// Connections that have come to terms.
pub(crate) struct TlsListener {
    plain: TcpListener,
    acceptor: TlsAcceptor,
}

impl TlsListener {
    pub fn new(plain: TcpListener) -> anyhow::Result<Self> {
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE)?;
        let key = PrivateKeyDer::from_pem_slice(KEY)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = config.with_no_client_auth().with_single_cert(vec![certificate], key)?;
        Ok(Self { plain, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    /// A client that does not trust us is of no interest.
    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.plain.accept().await else { continue };
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.plain.local_addr()
    }
}
