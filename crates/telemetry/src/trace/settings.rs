//! Settings of tracing: the standard `OTEL_*` variables of the environment.
//!
//! Tracing is off until a collector is named. What the exporter and the batch processor read by
//! themselves (headers, timeouts, delays) is not repeated here; docs/tracing.md lists all of it.

use super::limits::Limits;
use super::sampler::Sampler;
use super::tls::Tls;
use super::variable::{InvalidVariable, invalid};

/// Spans that wait for the collector, by default and at most.
const QUEUE_DEFAULT: usize = 2_048;
const QUEUE_MAX: usize = 1 << 20;

/// Where traces go and which requests are traced. The default is nowhere.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub(super) on: Option<On>,
}

#[derive(Clone, Debug)]
pub(super) struct On {
    pub(super) endpoint: String,
    pub(super) tls: Tls,
    pub(super) sampler: Sampler,
    pub(super) queue_max: usize,
    pub(super) limits: Limits,
    pub(super) service_name: Option<String>,
}

impl Settings {
    /// The settings of this process's environment.
    ///
    /// # Errors
    /// Names the first variable that cannot be used, and what it may be.
    pub fn from_env() -> Result<Self, InvalidVariable> {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidVariable> {
        // By the specification an empty variable is one that is not set.
        let get =
            |name: &str| variable(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let flag = |name: &'static str| match get(name) {
            None => Ok(false),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
            Some(value) => invalid(name, value, "true or false"),
        };
        let exporter = match get("OTEL_TRACES_EXPORTER").as_deref() {
            None | Some("otlp") => true,
            Some("none") => false,
            Some(other) => return invalid("OTEL_TRACES_EXPORTER", other, "otlp or none"),
        };
        let endpoint = get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
            .or_else(|| get("OTEL_EXPORTER_OTLP_ENDPOINT"))
            .filter(|_| exporter);
        let disabled = flag("OTEL_SDK_DISABLED")?;
        let Some(endpoint) = endpoint.filter(|_| !disabled) else { return Ok(Self::default()) };
        for name in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
            if let Some(other) = get(name).filter(|protocol| protocol != "grpc") {
                return invalid(name, other, "grpc, the only one there is");
            }
        }
        Ok(Self {
            on: Some(On {
                endpoint,
                tls: Tls::read(get)?,
                sampler: sampler(get("OTEL_TRACES_SAMPLER"), get("OTEL_TRACES_SAMPLER_ARG"))?,
                queue_max: queue_max(get("OTEL_BSP_MAX_QUEUE_SIZE"))?,
                limits: Limits::read(get)?,
                service_name: get("OTEL_SERVICE_NAME"),
            }),
        })
    }
}

fn sampler(name: Option<String>, share: Option<String>) -> Result<Sampler, InvalidVariable> {
    let share = match share {
        None => 1.0,
        Some(text) => match text.parse() {
            Ok(share) if (0.0..=1.0).contains(&share) => share,
            _ => return invalid("OTEL_TRACES_SAMPLER_ARG", text, "a share from 0 to 1"),
        },
    };
    Ok(match name.as_deref() {
        None | Some("parentbased_always_on") => Sampler::new(1.0, true),
        Some("parentbased_always_off") => Sampler::new(0.0, true),
        Some("parentbased_traceidratio") => Sampler::new(share, true),
        Some("always_on") => Sampler::new(1.0, false),
        Some("always_off") => Sampler::new(0.0, false),
        Some("traceidratio") => Sampler::new(share, false),
        Some(other) => {
            let allowed = "always_on, always_off or traceidratio, alone or behind parentbased_";
            return invalid("OTEL_TRACES_SAMPLER", other, allowed);
        }
    })
}

fn queue_max(text: Option<String>) -> Result<usize, InvalidVariable> {
    let Some(text) = text else { return Ok(QUEUE_DEFAULT) };
    match text.parse() {
        Ok(spans) if (1..=QUEUE_MAX).contains(&spans) => Ok(spans),
        _ => invalid("OTEL_BSP_MAX_QUEUE_SIZE", text, "a number from 1 to 1048576"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");

    fn read(set: &[(&str, &str)]) -> Result<Option<On>, String> {
        let get = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Settings::read(get).map(|settings| settings.on).map_err(|error| error.to_string())
    }

    #[test]
    fn tracing_is_off_until_a_collector_is_named() {
        let off = |set: &[(&str, &str)]| read(set).unwrap().is_none();
        assert!(off(&[]));
        assert!(off(&[("OTEL_TRACES_SAMPLER", "always_on")]));
        assert!(off(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]));
        assert!(off(&[ENDPOINT, ("OTEL_SDK_DISABLED", "true")]));
        assert!(off(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]));
        assert!(!off(&[ENDPOINT, ("OTEL_SDK_DISABLED", "false")]));
    }

    #[test]
    fn the_endpoint_of_traces_comes_before_the_one_of_all_signals() {
        let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4317");
        assert_eq!(read(&[ENDPOINT, traces]).unwrap().unwrap().endpoint, "http://traces:4317");
    }

    #[test]
    fn samplers_go_by_their_standard_names() {
        let share = ("OTEL_TRACES_SAMPLER_ARG", "0.25");
        let sampler = |name| {
            read(&[ENDPOINT, share, ("OTEL_TRACES_SAMPLER", name)]).unwrap().unwrap().sampler
        };
        assert_eq!(read(&[ENDPOINT]).unwrap().unwrap().sampler, Sampler::new(1.0, true));
        assert_eq!(sampler("parentbased_traceidratio"), Sampler::new(0.25, true));
        assert_eq!(sampler("traceidratio"), Sampler::new(0.25, false));
        assert_eq!(sampler("parentbased_always_off"), Sampler::new(0.0, true));
        assert_eq!(sampler("always_on"), Sampler::new(1.0, false));
    }

    #[test]
    fn a_bad_variable_is_refused_with_its_name_and_what_it_may_be() {
        for (variable, value, message) in [
            ("OTEL_TRACES_SAMPLER", "some", "OTEL_TRACES_SAMPLER: `some` is not always_on"),
            ("OTEL_TRACES_SAMPLER_ARG", "1.5", "OTEL_TRACES_SAMPLER_ARG: `1.5` is not a share"),
            ("OTEL_SDK_DISABLED", "yes", "OTEL_SDK_DISABLED: `yes` is not true or false"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "OTEL_EXPORTER_OTLP_PROTOCOL: `http/js"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "OTEL_BSP_MAX_QUEUE_SIZE: `0` is not a number"),
        ] {
            let error = read(&[ENDPOINT, (variable, value)]).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
