//! TLS before a service of this host that speaks none: the certificate is the one of the fakes, good for 127.0.0.1 alone.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use axum::serve::Listener;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

pub use crate::kubernetes::CA;
use crate::kubernetes::TlsListener;

/// See the module. It ends when it is dropped.
pub struct TlsFront {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl TlsFront {
    /// Before a port of 127.0.0.1, on a free port of it.
    pub async fn before(port: u16) -> anyhow::Result<Self> {
        let plain = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = plain.local_addr()?;
        let mut listener = TlsListener::new(plain)?;
        let task = tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await;
                tokio::spawn(async move {
                    let mut service = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
                    copy_bidirectional(&mut client, &mut service).await?;
                    io::Result::Ok(())
                });
            }
        });
        Ok(Self { address, task })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}
