//! TLS to the server: whom we trust, and why somebody is not trusted.

use std::{
    error::Error,
    io::{self, Read, Write},
    net::TcpStream,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    CertificateError, ClientConfig, ClientConnection, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use rustls_platform_verifier::Verifier;

/// The system's certificates and those of a file (PEM) are trusted.
pub(super) fn config(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut more = Vec::new();
    if let Some(file) = ca_file {
        let said = |why: String| format!("the certificates of hive: {}: {why}", file.display());
        let pem = std::fs::read(file).map_err(|error| said(error.to_string()))?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        more = found.map_err(|error| said(error.to_string()))?;
        if more.is_empty() {
            return Err(said("it holds no PEM certificates".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = if more.is_empty() {
        Verifier::new(Arc::clone(&provider))
    } else {
        Verifier::new_with_extra_roots(more, Arc::clone(&provider))
    };
    let broken = |error: rustls::Error| format!("TLS cannot be had: {error}");
    let verifier = verifier.map_err(broken)?;
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(broken)?;
    // "Dangerous" is any verifier that is not rustls's own; this one checks chain, name and time by rustls's means.
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Ok(config.with_no_client_auth())
}

/// What of TLS is behind an error, for a person; nothing when it is another kind of error.
pub(super) fn why(error: &(dyn Error + 'static), host: &str) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner =
            error.downcast_ref::<io::Error>().and_then(io::Error::get_ref).map(|inner| inner as &(dyn Error + 'static));
        let of_tls =
            |error: &(dyn Error + 'static)| error.downcast_ref::<rustls::Error>().map(|error| words(error, host));
        if let Some(words) = of_tls(error).or_else(|| inner.and_then(of_tls)) {
            return Some(words);
        }
        next = inner.or_else(|| error.source());
    }
    None
}

fn words(error: &rustls::Error, host: &str) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its certificate is from nobody whom this host trusts: the setting hive.ca_file names a file with its CA"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            format!("its certificate is for another name than '{host}': write the name of the certificate in hive.url")
        }
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate is over".to_owned()
        }
        rustls::Error::InvalidMessage(_) => "it does not speak TLS here: is ;ssl=true right?".to_owned(),
        other => format!("TLS did not come about: {other}"),
    }
}

/// A stream under TLS, of which there may be two handles, one to read and one to write.
#[derive(Clone)]
pub(super) struct Tls(Arc<Mutex<StreamOwned<ClientConnection, TcpStream>>>);

impl Tls {
    /// Comes to terms with a server that is called so. The error is for the user.
    pub fn open(mut stream: TcpStream, config: ClientConfig, host: &str) -> Result<Self, String> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("'{host}' is no name for TLS"))?;
        let mut tls = ClientConnection::new(Arc::new(config), name).map_err(|error| words(&error, host))?;
        while tls.is_handshaking() {
            if let Err(error) = tls.complete_io(&mut stream) {
                return Err(why(&error, host).unwrap_or_else(|| {
                    format!("it broke off before TLS came about ({error}): does it speak TLS here (;ssl=true)?")
                }));
            }
        }
        Ok(Self(Arc::new(Mutex::new(StreamOwned::new(tls, stream)))))
    }
}

impl Read for Tls {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).read(buf)
    }
}

impl Write for Tls {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}
