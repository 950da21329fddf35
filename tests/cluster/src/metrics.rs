//! Reads a service's metrics for tests: one scrape per call, without a cache.

use anyhow::Context;

/// The page of the service that shows its metrics at `address` (`host:port`), in the format that
/// the media type `accept` asks for.
///
/// # Errors
/// No service answers there, or the answer is not a page.
pub async fn metrics_page(address: &str, accept: &str) -> anyhow::Result<String> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let request = http.get(format!("http://{address}/metrics")).header("accept", accept);
    Ok(request.send().await?.error_for_status()?.text().await?)
}

/// The value of one series, named with all its labels.
///
/// # Errors
/// See [`metrics_page`]; also if the page does not have the series.
pub async fn metric(address: &str, series: &str) -> anyhow::Result<f64> {
    let page = metrics_page(address, "text/plain").await?;
    let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    Ok(value.with_context(|| format!("no {series} at {address}"))?.parse()?)
}
