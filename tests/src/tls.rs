//! TLS in front of a plain server, with a certificate authority of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{WantsServerCert, WebPkiClientVerifier};
use rustls::{ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A TLS server on a free port of 127.0.0.1 that passes everything on.
#[derive(Debug)]
pub struct Tls {
    address: SocketAddr,
    authority: String,
    client: Option<(String, String)>,
    accepting: JoinHandle<()>,
}

impl Tls {
    /// Starts one in front of `target`, with a certificate for 127.0.0.1 that nobody knows but its own authority.
    pub async fn start(target: SocketAddr) -> Self {
        let (acceptor, authority) = acceptor();
        Self::serve(target, acceptor, authority, None).await
    }

    /// The same, for clients with a certificate that it made itself and no others: [`Tls::client`].
    pub async fn start_mutual(target: SocketAddr) -> Self {
        let (acceptor, authority, client) = mutual();
        Self::serve(target, acceptor, authority, Some(client)).await
    }

    async fn serve(
        target: SocketAddr,
        acceptor: TlsAcceptor,
        authority: String,
        client: Option<(String, String)>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut client) = acceptor.accept(client).await else {
                        return;
                    };
                    let Ok(mut server) = TcpStream::connect(target).await else {
                        return;
                    };
                    // However it ends, it is over.
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self {
            address,
            authority,
            client,
            accepting,
        }
    }

    /// `https://HOST:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The authority's certificate in PEM.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl Tls {
    /// The client's certificate and its key, in PEM.
    pub fn client(&self) -> (&str, &str) {
        let (certificate, key) = self.client.as_ref().expect("it asks for certificates");
        (certificate, key)
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What answers TLS for 127.0.0.1, and the certificate in PEM of an authority that nobody else has.
pub(crate) fn acceptor() -> (TlsAcceptor, String) {
    let made = Made::new();
    let config = Made::versions().with_no_client_auth();
    (made.accept(config), made.authority)
}

/// The same, which asks for a certificate; and one, with its key.
fn mutual() -> (TlsAcceptor, String, (String, String)) {
    let made = Made::new();
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, &made.issuer).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(made.root.clone()).expect("an authority");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .expect("a verifier");
    let config = Made::versions().with_client_cert_verifier(verifier);
    let client = (certificate.pem(), key.serialize_pem());
    (made.accept(config), made.authority, client)
}

/// An authority, and what it made for 127.0.0.1.
struct Made {
    authority: String,
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Made {
    fn new() -> Self {
        let authority_key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params
            .self_signed(&authority_key)
            .expect("a certificate authority");
        let issuer = Issuer::new(params, authority_key);
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()])
            .and_then(|params| params.signed_by(&key, &issuer))
            .expect("a certificate");
        Self {
            authority: authority.pem(),
            root: authority.der().clone(),
            issuer,
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
        }
    }

    fn versions() -> ConfigBuilder<ServerConfig, WantsVerifier> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("its versions")
    }

    fn accept(&self, config: ConfigBuilder<ServerConfig, WantsServerCert>) -> TlsAcceptor {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let config = config
            .with_single_cert(vec![self.certificate.clone()], key)
            .expect("a server");
        TlsAcceptor::from(Arc::new(config))
    }
}
