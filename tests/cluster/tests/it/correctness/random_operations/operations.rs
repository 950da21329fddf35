//! One worker: draws an operation, sends it to a gateway, and compares the answer with its model.

use anyhow::{Context, ensure};
use bytes::Bytes;
use rand::Rng;
use rand::rngs::StdRng;
use reqwest::{Method, RequestBuilder};
use ringkv_cluster_tests::{Answer, Gateway, PathForm, send};

use super::model::{Entry, Keys, Present, value};

/// The condition of a drawn write or read, and whether it holds.
struct Condition {
    header: Option<(&'static str, String)>,
    holds: bool,
}

/// A worker with its own keys.
pub(super) struct Worker {
    keys: Keys,
    gateways: Vec<Gateway>,
    rng: StdRng,
    requests: u64,
}

impl Worker {
    pub(super) fn new(keys: Keys, gateways: Vec<Gateway>, rng: StdRng) -> Self {
        Self { keys, gateways, rng, requests: 0 }
    }

    /// One random operation on one random key.
    pub(super) async fn step(&mut self) -> anyhow::Result<()> {
        let index = self.rng.random_range(0..self.keys.entries.len());
        let entry = self.keys.entries[index].clone();
        let present = match self.rng.random_range(0..100) {
            0..45 => self.put(&entry).await.context("put")?,
            45..60 => self.delete(&entry).await.context("delete")?,
            60..68 => self.put_again(&entry).await.context("repeated put")?,
            68..74 => {
                self.head(&entry).await.context("head")?;
                entry.present
            }
            _ => {
                self.get(&entry).await.context("get")?;
                entry.present
            }
        };
        self.keys.entries[index].present = present;
        Ok(())
    }

    /// Checks every key through every gateway.
    pub(super) async fn final_check(&mut self) -> anyhow::Result<()> {
        for entry in &self.keys.entries {
            for gateway in &self.gateways {
                let answer = send(gateway.on_key(Method::GET, &entry.key, PathForm::Path)).await?;
                check_found(&answer, entry).with_context(|| format!("key {:?}", entry.key))?;
            }
        }
        Ok(())
    }

    async fn put(&mut self, entry: &Entry) -> anyhow::Result<Option<Present>> {
        let condition = self.condition(entry);
        let return_previous = self.rng.random_range(0..5) == 0;
        let content_type = [None, Some("text/plain"), Some("application/vnd.ringkv+x; v=1")]
            [self.rng.random_range(0..3)];
        let value = value(&mut self.rng);
        let mut request = self.request(Method::PUT, entry).body(value.clone());
        request = with(request, &condition);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        if return_previous {
            request = request.query(&[("return", "previous")]);
        }
        let answer = send(request).await?;
        if !condition.holds {
            return refused(answer, entry);
        }
        match (&entry.present, return_previous) {
            (None, _) => ensure!(answer.status == 201, "create: {}", answer.shown()),
            (Some(_), false) => ensure!(answer.status == 204, "replace: {}", answer.shown()),
            (Some(before), true) => check_previous(&answer, before)?,
        }
        Ok(Some(written(&answer, entry, value, content_type)?))
    }

    /// Sends the same write twice with one idempotency key: it applies once.
    async fn put_again(&mut self, entry: &Entry) -> anyhow::Result<Option<Present>> {
        let id = format!("{:032x}", self.rng.random::<u128>());
        let value = value(&mut self.rng);
        let first = self.request(Method::PUT, entry).header("idempotency-key", &id);
        let first = send(first.body(value.clone())).await?;
        ensure!(first.is_success(), "first: {}", first.shown());
        let second = self.request(Method::PUT, entry).header("idempotency-key", &id);
        let second = send(second.body(value.clone())).await?;
        ensure!(second.status == first.status, "{} then {}", first.shown(), second.shown());
        ensure!(first.revision()? == second.revision()?, "{first:?} then {second:?}");
        Ok(Some(written(&first, entry, value, None)?))
    }

    async fn delete(&mut self, entry: &Entry) -> anyhow::Result<Option<Present>> {
        let matching = self.rng.random_range(0..3) == 0;
        let condition = if matching { self.if_match(entry) } else { Condition::none() };
        let answer = send(with(self.request(Method::DELETE, entry), &condition)).await?;
        if entry.present.is_none() {
            // An absent key is 404; with a condition that asks for a revision it is 412.
            let wanted = if condition.header.is_some() { 412 } else { 404 };
            ensure!(answer.status == wanted, "delete of an absent key: {}", answer.shown());
            return Ok(None);
        }
        if !condition.holds {
            return refused(answer, entry);
        }
        ensure!(answer.status == 204, "delete: {}", answer.shown());
        Ok(None)
    }

    async fn get(&mut self, entry: &Entry) -> anyhow::Result<()> {
        let request = self.request(Method::GET, entry);
        let cached = entry.present.as_ref().filter(|_| self.rng.random_range(0..6) == 0);
        let Some(present) = cached else { return check_found(&send(request).await?, entry) };
        let request = request.header("if-none-match", format!("\"{}\"", present.revision));
        let answer = send(request).await?;
        ensure!(answer.status == 304 && answer.body.is_empty(), "cached: {}", answer.shown());
        Ok(())
    }

    async fn head(&mut self, entry: &Entry) -> anyhow::Result<()> {
        let answer = send(self.request(Method::HEAD, entry)).await?;
        let Some(present) = &entry.present else {
            ensure!(answer.status == 404, "head of an absent key: {}", answer.status);
            return Ok(());
        };
        ensure!(answer.status == 200 && answer.body.is_empty(), "head: {}", answer.shown());
        ensure!(answer.revision()? == present.revision, "revision: {answer:?}");
        let length = present.value.len().to_string();
        ensure!(answer.header("content-length") == length, "length: {answer:?}");
        Ok(())
    }

    /// A request on the key through a random gateway, in a random form.
    fn request(&mut self, method: Method, entry: &Entry) -> RequestBuilder {
        self.requests += 1;
        let gateway = &self.gateways[self.rng.random_range(0..self.gateways.len())];
        let form = if self.rng.random_bool(0.25) { PathForm::Base64 } else { PathForm::Path };
        gateway.on_key(method, &entry.key, form)
    }

    fn condition(&mut self, entry: &Entry) -> Condition {
        match self.rng.random_range(0..10) {
            0..6 => Condition::none(),
            6..8 => Condition {
                header: Some(("if-none-match", "*".to_owned())),
                holds: entry.present.is_none(),
            },
            _ => self.if_match(entry),
        }
    }

    /// The present revision or a different one, with equal probability.
    fn if_match(&mut self, entry: &Entry) -> Condition {
        let revision = entry.present.as_ref().map_or(1, |present| present.revision);
        let right = self.rng.random_bool(0.5);
        let asked = if right { revision } else { revision + 1 };
        Condition {
            header: Some(("if-match", format!("\"{asked}\""))),
            holds: right && entry.present.is_some(),
        }
    }
}

impl Condition {
    fn none() -> Self {
        Self { header: None, holds: true }
    }
}

fn with(request: RequestBuilder, condition: &Condition) -> RequestBuilder {
    match &condition.header {
        Some((name, value)) => request.header(*name, value),
        None => request,
    }
}

fn check_found(answer: &Answer, entry: &Entry) -> anyhow::Result<()> {
    let Some(present) = &entry.present else {
        ensure!(answer.status == 404, "absent key: {}", answer.shown());
        ensure!(answer.header("content-type") == "application/problem+json", "{answer:?}");
        return Ok(());
    };
    ensure!(answer.status == 200, "present key: {}", answer.shown());
    ensure!(answer.body == present.value, "another value: {}", answer.shown());
    ensure!(answer.revision()? == present.revision, "another revision: {answer:?}");
    let etag = format!("\"{}\"", present.revision);
    ensure!(answer.header("etag") == etag, "another ETag: {answer:?}");
    if let Some(content_type) = present.content_type {
        ensure!(answer.header("content-type") == content_type, "another type: {answer:?}");
    }
    Ok(())
}

fn check_previous(answer: &Answer, before: &Present) -> anyhow::Result<()> {
    ensure!(answer.status == 200, "replace, previous wanted: {}", answer.shown());
    ensure!(answer.body == before.value, "another previous value: {}", answer.shown());
    let revision = answer.header("kv-previous-revision");
    ensure!(revision == before.revision.to_string(), "another previous revision: {answer:?}");
    Ok(())
}

fn refused(answer: Answer, entry: &Entry) -> anyhow::Result<Option<Present>> {
    ensure!(answer.status == 412, "condition does not hold: {}", answer.shown());
    let problem: serde_json::Value = serde_json::from_slice(&answer.body)?;
    ensure!(problem["outcome"] == "not_applied", "{problem}");
    Ok(entry.present.clone())
}

/// The record of the key after a write that was acknowledged with `answer`.
fn written(
    answer: &Answer,
    entry: &Entry,
    value: Bytes,
    content_type: Option<&'static str>,
) -> anyhow::Result<Present> {
    let revision = answer.revision()?;
    let before = entry.present.as_ref().map_or(0, |present| present.revision);
    ensure!(revision > before, "revision {revision} after {before}");
    Ok(Present { value, revision, content_type })
}
