//! A web server of something else: at an address where somebody expects a service.

use std::{io, net::SocketAddr};

use axum::{Router, http::StatusCode, response::Html};

use crate::service::{Port, Service};

/// It answers whatever is asked with a page; it ends when it is dropped.
#[derive(Debug)]
pub struct WebPage {
    address: SocketAddr,
    _service: Service,
}

impl WebPage {
    /// Starts it on a free port, on a thread of its own. All its answers have this status.
    pub fn start(status: u16) -> io::Result<Self> {
        let status = StatusCode::from_u16(status).map_err(io::Error::other)?;
        let port = Port::free()?;
        let address = port.address;
        let page = move || async move { (status, Html("<html><title>nginx</title>Welcome</html>")) };
        let service = port.serve(Router::new().fallback(page))?;
        Ok(Self { address, _service: service })
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
