//! Certificates for a test's own servers and clients: valid for `localhost`, trusted only by
//! programs that are configured with the authority.

use anyhow::Context as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// A certificate authority that exists as long as this value.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::new(Vec::new()).context("describe an authority")?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().context("make a key")?;
        Ok(Self(CertifiedIssuer::self_signed(params, key).context("make an authority")?))
    }

    /// Its certificate, in PEM.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `localhost`, signed by this authority, and its key, in PEM.
    pub(crate) fn issue(&self) -> anyhow::Result<(String, String)> {
        let key = KeyPair::generate().context("make a key")?;
        let params = CertificateParams::new(vec!["localhost".to_owned()]).context("name a host")?;
        let certificate = params.signed_by(&key, &self.0).context("sign a certificate")?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}
