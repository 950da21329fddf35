//! How the connection to the collector is secured, when its endpoint is `https`.
//!
//! Reads the files that the `OTEL_EXPORTER_OTLP_*` variables name, once, at start. Without a
//! certificate of one's own to trust, Mozilla's are trusted, as they were when this was built.

use std::{fmt, fs};

use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};

use super::variable::{InvalidVariable, invalid};

const CERTIFICATE: [&str; 2] =
    ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
const CLIENT_CERTIFICATE: [&str; 2] =
    ["OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"];
const CLIENT_KEY: [&str; 2] =
    ["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"];

/// What PEM files begin each of their parts with.
const A_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
const A_KEY: &str = "PRIVATE KEY-----";

/// Contents of PEM files.
#[derive(Clone, Default)]
pub(super) struct Tls {
    trusted: Option<String>,
    /// Certificate and key.
    identity: Option<(String, String)>,
}

impl fmt::Debug for Tls {
    /// What there is, never what is in it: settings are written to the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("own_authority", &self.trusted.is_some())
            .field("own_certificate", &self.identity.is_some())
            .finish()
    }
}

impl Tls {
    pub(super) fn read(
        get: impl Fn(&'static str) -> Option<String>,
    ) -> Result<Self, InvalidVariable> {
        let path = |names: [&'static str; 2]| names.into_iter().find_map(|n| Some((n, get(n)?)));
        let file =
            |(name, path): (&'static str, String), part, allowed| match fs::read_to_string(&path) {
                Ok(text) if text.contains(part) => Ok(text),
                _ => invalid(name, path, allowed),
            };
        let certificate = |path| file(path, A_CERTIFICATE, "a file of PEM certificates to read");
        let key = |path| file(path, A_KEY, "a file with a PEM private key to read");
        let identity = match (path(CLIENT_CERTIFICATE), path(CLIENT_KEY)) {
            (None, None) => None,
            (Some(c), Some(k)) => Some((certificate(c)?, key(k)?)),
            (Some((name, path)), None) | (None, Some((name, path))) => {
                return invalid(name, path, "usable alone: client certificate and key go together");
            }
        };
        Ok(Self { trusted: path(CERTIFICATE).map(certificate).transpose()?, identity })
    }

    pub(super) fn config(&self) -> ClientTlsConfig {
        let config = match &self.trusted {
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            None => ClientTlsConfig::new().with_webpki_roots(),
        };
        match &self.identity {
            Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
            None => config,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_of_no_use_are_refused_by_the_variable_that_names_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (pem, key) = (path("ca.pem", A_CERTIFICATE), path("key.pem", A_KEY));
        let (empty, missing) =
            (path("empty", ""), folder.path().join("none").display().to_string());
        let read = |set: &[(&str, &String)]| {
            let get = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).clone());
            Tls::read(get).map_err(|error| error.to_string())
        };
        let whole = [(CERTIFICATE[0], &pem), (CLIENT_CERTIFICATE[1], &pem), (CLIENT_KEY[1], &key)];
        let tls = read(&whole).unwrap();
        assert!(tls.trusted.is_some() && tls.identity.is_some());
        assert!(!format!("{tls:?}").contains("BEGIN"), "what is in a file is shown");
        for bad in [&empty, &missing, &key] {
            let error = read(&[(CERTIFICATE[1], bad)]).unwrap_err();
            assert!(error.contains("OTEL_EXPORTER_OTLP_CERTIFICATE"), "{error}");
            assert!(error.contains(bad.as_str()), "{error}");
        }
        for alone in [CLIENT_CERTIFICATE[1], CLIENT_KEY[0]] {
            let error = read(&[(alone, &pem)]).unwrap_err();
            assert!(error.contains(alone) && error.contains("go together"), "{error}");
        }
    }
}
