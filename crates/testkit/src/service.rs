//! Web services of the fakes, each on a thread of its own, so that a test that blocks does not stop them.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use axum::{
    Router,
    body::Body,
    response::{IntoResponse, Response},
};
use futures::stream;
use tokio::sync::oneshot;

/// A port that is taken, before anybody answers there.
pub(crate) struct Port {
    listener: TcpListener,
    /// Its address.
    pub address: SocketAddr,
}

/// A service; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Service {
    _end: oneshot::Sender<()>,
}

impl Port {
    /// A free one of this host.
    pub fn free() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Answers by these routes.
    pub fn serve(self, routes: Router) -> io::Result<Service> {
        let (end, ended) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(self.listener) else { return };
                tokio::select! {
                    _ = axum::serve(listener, routes) => {}
                    _ = ended => {}
                }
            });
        });
        Ok(Service { _end: end })
    }
}

/// An answer that breaks off.
pub(crate) fn broken() -> Response {
    Body::from_stream(stream::iter([Err::<Vec<u8>, _>(io::Error::other("told so"))])).into_response()
}
