//! The parts of a board that ours use: plain data, built by chained calls.
//!
//! Never contains Grafana's JSON (`grafana` owns it) or the content of the boards (`boards` owns
//! it). The types require a unit for each panel and a legend for each query.

/// What a number means, which decides how it is shown.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Count,
    PerSecond,
    RequestsPerSecond,
    Seconds,
    Days,
    Bytes,
    BytesPerSecond,
    /// A fraction of one, shown in per cent.
    Ratio,
    /// 1 or 0, shown as words.
    YesNo,
}

/// How a panel draws.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One number with a graph of its recent values behind it.
    Stat,
    Time,
    /// Stacked lines, whose sum has a meaning.
    Stacked,
    Bars,
    Heatmap,
    Table,
}

/// One PromQL expression of a panel.
pub(crate) struct Query {
    pub(crate) expression: &'static str,
    /// The legend of its lines, or the heading of its column.
    pub(crate) legend: &'static str,
    /// Set where it differs from the panel's unit: in columns of a table.
    pub(crate) unit: Option<Unit>,
}

/// The colour changes at this value.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) from: f64,
    pub(crate) color: &'static str,
}

pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) unit: Unit,
    pub(crate) shape: Shape,
    /// In columns of Grafana's grid, which is 24 wide.
    pub(crate) width: u32,
    pub(crate) queries: Vec<Query>,
    /// The colour below the first step, then the steps upwards. No steps, no thresholds.
    pub(crate) base: &'static str,
    pub(crate) steps: Vec<Step>,
    /// Whether the axis includes the first step even when all values are far below it.
    pub(crate) to_threshold: bool,
    /// Whether the panel queries the exemplars of its histograms.
    pub(crate) exemplars: bool,
    /// The service whose slow traces its data links search for.
    pub(crate) traces: Option<&'static str>,
    /// The board with more detail.
    pub(crate) see: Option<&'static str>,
    /// For a table: the label that names a row, and the heading of its column.
    pub(crate) row: Option<(&'static str, &'static str)>,
}

impl Panel {
    pub(crate) fn new(shape: Shape, title: &'static str, unit: Unit, about: &'static str) -> Self {
        Self {
            title,
            about,
            unit,
            shape,
            width: if shape == Shape::Stat { 4 } else { 8 },
            queries: Vec::new(),
            base: "green",
            steps: Vec::new(),
            to_threshold: false,
            exemplars: false,
            traces: None,
            see: None,
            row: None,
        }
    }

    pub(crate) fn query(mut self, expression: &'static str, legend: &'static str) -> Self {
        self.queries.push(Query { expression, legend, unit: None });
        self
    }

    pub(crate) fn column(
        mut self,
        heading: &'static str,
        unit: Unit,
        expression: &'static str,
    ) -> Self {
        self.queries.push(Query { expression, legend: heading, unit: Some(unit) });
        self
    }

    /// Each value of this label is a row of the table.
    pub(crate) fn row_by(mut self, label: &'static str, heading: &'static str) -> Self {
        self.row = Some((label, heading));
        self
    }

    pub(crate) fn wide(mut self, width: u32) -> Self {
        self.width = width;
        self
    }

    /// Warning at and above this value.
    pub(crate) fn warn(self, from: f64) -> Self {
        self.step(from, "orange")
    }

    /// Critical at and above this value.
    pub(crate) fn bad(self, from: f64) -> Self {
        self.step(from, "red")
    }

    /// Critical below this value.
    pub(crate) fn bad_below(mut self, value: f64) -> Self {
        self.base = "red";
        self.step(value, "green")
    }

    fn step(mut self, from: f64, color: &'static str) -> Self {
        self.steps.push(Step { from, color });
        self
    }

    pub(crate) fn up_to_threshold(mut self) -> Self {
        self.to_threshold = true;
        self
    }

    pub(crate) fn exemplars(mut self) -> Self {
        self.exemplars = true;
        self
    }

    pub(crate) fn traces(mut self, service: &'static str) -> Self {
        self.traces = Some(service);
        self
    }

    pub(crate) fn see(mut self, board: &'static str) -> Self {
        self.see = Some(board);
        self
    }
}

/// The panels under one heading.
pub(crate) struct Row {
    pub(crate) title: &'static str,
    pub(crate) panels: Vec<Panel>,
}

/// A variable that the reader sets at the top of a board, in addition to the data sources: one or
/// several values of a label.
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    pub(crate) heading: &'static str,
    pub(crate) metric: &'static str,
    pub(crate) label: &'static str,
}

pub(crate) struct Board {
    /// Also the name of its file, and the path of its address after `/d/`.
    pub(crate) uid: &'static str,
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) variables: &'static [&'static Variable],
    pub(crate) rows: Vec<Row>,
}

impl Board {
    /// The file name under `dashboards/`.
    pub(crate) fn file(&self) -> String {
        format!("{}.json", self.uid.strip_prefix("ringkv-").unwrap_or(self.uid))
    }
}
