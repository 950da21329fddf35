//! A strict reader of OpenMetrics 1.0 text: counters, gauges and histograms, with exemplars.
//!
//! Source: the OpenMetrics specification, "Text format" and the rules of each type.

use std::collections::BTreeSet;

/// One family with its samples.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) help: String,
    pub(super) samples: Vec<Sample>,
}

#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// The part of its name behind that of the family.
    ending: String,
    labels: Labels,
    pub(super) value: f64,
    /// Trace and value.
    pub(super) exemplar: Option<(String, f64)>,
}

impl Sample {
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// All families of a page, or what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Vec<Family>, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("it does not end with # EOF")?;
    check(body.is_empty() || body.ends_with('\n'), "a line does not end")?;
    let mut families: Vec<Family> = Vec::new();
    let mut lines = body.split_terminator('\n');
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').ok_or("a HELP without text")?;
            let kind = lines.next().and_then(|line| line.strip_prefix(&format!("# TYPE {name} ")));
            let kind = kind.ok_or(format!("{name}: TYPE does not follow HELP"))?.to_owned();
            let (help, rest) = unescape(help)?;
            check(rest.is_empty(), format!("{name}: a bare quote in its HELP"))?;
            families.push(Family { name: name.to_owned(), kind, help, samples: Vec::new() });
        } else {
            let family = families.last_mut().ok_or("a sample before any family")?;
            let sample = sample(line, family)?;
            family.samples.push(sample);
        }
    }
    families.iter().try_for_each(Family::check)?;
    let names: Vec<String> = families.iter().flat_map(Family::names).collect();
    let distinct: BTreeSet<&String> = names.iter().collect();
    check(distinct.len() == names.len(), "two families claim a name")?;
    Ok(families)
}

fn check(holds: bool, complaint: impl Into<String>) -> Result<(), String> {
    if holds { Ok(()) } else { Err(complaint.into()) }
}

fn sample(line: &str, family: &Family) -> Result<Sample, String> {
    let name = line.split(['{', ' ']).next().unwrap_or_default();
    let ending = name.strip_prefix(&family.name).ok_or(format!("{name} is no {}", family.name))?;
    check(family.endings().contains(&ending), format!("{name} in a {}", family.kind))?;
    let mut rest = &line[name.len()..];
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        (labels, rest) = self::labels(inside)?;
    }
    let rest = rest.strip_prefix(' ').ok_or(format!("{line}: no value"))?;
    let (value, exemplar) = match rest.split_once(" # ") {
        None => (rest, None),
        Some((value, exemplar)) => (value, Some(self::exemplar(exemplar)?)),
    };
    check(exemplar.is_none() || ending == "_bucket", format!("{line}: an exemplar"))?;
    Ok(Sample { ending: ending.to_owned(), labels, value: number(value)?, exemplar })
}

/// Names and values.
type Labels = Vec<(String, String)>;

/// The labels up to the closing brace, and what follows it.
fn labels(mut rest: &str) -> Result<(Labels, &str), String> {
    let mut labels = Labels::new();
    loop {
        let (name, after) = rest.split_once("=\"").ok_or("a label without a value")?;
        check(!name.is_empty() && name.chars().all(is_name), format!("{name:?} is no name"))?;
        check(labels.iter().all(|(known, _)| known != name), format!("{name} comes twice"))?;
        let (value, after) = unescape(after)?;
        labels.push((name.to_owned(), value));
        rest = after.strip_prefix('"').ok_or("a label's value does not end")?;
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Ok((labels, rest.strip_prefix('}').ok_or("the labels do not end")?)),
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The text up to a bare quote or the end, and what follows, from the quote on.
fn unescape(text: &str) -> Result<(String, &str), String> {
    let (mut plain, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((plain, &text[at..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => plain.push('\n'),
                Some((_, c @ ('\\' | '"'))) => plain.push(c),
                _ => return Err(format!("{text}: a bad escape")),
            },
            _ => plain.push(c),
        }
    }
    Ok((plain, ""))
}

fn exemplar(text: &str) -> Result<(String, f64), String> {
    let (labels, rest) = labels(text.strip_prefix('{').ok_or("an exemplar without labels")?)?;
    let length: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
    check(length <= 128, "the labels of an exemplar are too long")?;
    let mut numbers = rest.strip_prefix(' ').ok_or("an exemplar without a value")?.split(' ');
    let value = number(numbers.next().unwrap_or_default())?;
    number(numbers.next().ok_or("an exemplar without its time")?)?;
    check(numbers.next().is_none(), "more behind an exemplar")?;
    let [(name, trace)] = labels.try_into().map_err(|_| "labels of an exemplar")?;
    check(name == "trace_id", name)?;
    Ok((trace, value))
}

fn number(text: &str) -> Result<f64, String> {
    match text {
        "+Inf" => Ok(f64::INFINITY),
        "NaN" => Ok(f64::NAN),
        _ if text.contains(|c: char| c.is_ascii_alphabetic() && c != 'e') => {
            Err(format!("{text:?} is no number"))
        }
        _ => text.parse().map_err(|_| format!("{text:?} is no number")),
    }
}

impl Family {
    fn endings(&self) -> &'static [&'static str] {
        match self.kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[],
        }
    }

    /// Its own and those of its samples: no other family may have any of them.
    fn names(&self) -> Vec<String> {
        let endings = self.endings().iter().filter(|ending| !ending.is_empty());
        let samples = endings.map(|ending| format!("{}{ending}", self.name));
        std::iter::once(self.name.clone()).chain(samples).collect()
    }

    fn check(&self) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for sample in &self.samples {
            let twice = !seen.insert((&sample.ending, &sample.labels));
            check(!twice, format!("{}: a series comes twice", self.name))?;
        }
        match self.kind.as_str() {
            "counter" => {
                check(self.samples.iter().all(|one| one.value >= 0.0), "a counter below zero")
            }
            "histogram" => self.check_histogram(),
            _ => Ok(()),
        }
    }

    /// The samples of each histogram come together: buckets, sum, count.
    fn check_histogram(&self) -> Result<(), String> {
        let mut samples = self.samples.iter().peekable();
        while samples.peek().is_some() {
            let (mut bound, mut below) = (f64::NEG_INFINITY, 0.0);
            while let Some(bucket) = samples.next_if(|one| one.ending == "_bucket") {
                let le = number(bucket.label("le").ok_or("a bucket without le")?)?;
                check(le > bound && bucket.value >= below, "buckets out of order")?;
                if let Some((_, value)) = &bucket.exemplar {
                    check(*value > bound && *value <= le, "an exemplar of another bucket")?;
                }
                (bound, below) = (le, bucket.value);
            }
            check(bound == f64::INFINITY, "the last bucket is not +Inf")?;
            let sum = samples.next().filter(|one| one.ending == "_sum");
            sum.ok_or("a histogram without its sum")?;
            let count = samples.next().filter(|one| one.ending == "_count");
            check(
                count.is_some_and(|count| count.value == below),
                "the count is not that of +Inf",
            )?;
        }
        Ok(())
    }
}
