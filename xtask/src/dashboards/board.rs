//! What a board is made of, as far as ours need it: plain data, built up by chained calls.
//!
//! Knows nothing of Grafana's JSON (that is `grafana`) and nothing of what the boards show (that is
//! `boards`). A panel cannot be made without a unit, nor a query without a legend.

/// What a number means, and so how it is shown.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Count,
    PerSecond,
    RequestsPerSecond,
    Seconds,
    Days,
    Bytes,
    BytesPerSecond,
    /// A part of one, shown as per cent.
    Ratio,
    /// 1 or 0, shown as words.
    YesNo,
}

/// How a panel draws.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One number with its recent course behind it.
    Stat,
    Time,
    /// Lines on top of each other: their sum means something.
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
    /// Where it differs from the panel's: columns of a table.
    pub(crate) unit: Option<Unit>,
}

/// From this value on the colour changes.
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
    /// In Grafana's grid, 24 wide.
    pub(crate) width: u32,
    pub(crate) queries: Vec<Query>,
    /// The colour below the first step, then the steps upwards. No steps, no thresholds.
    pub(crate) base: &'static str,
    pub(crate) steps: Vec<Step>,
    /// Whether its axis reaches up to the first step even when all values are far below.
    pub(crate) to_threshold: bool,
    /// Whether the points of its histograms' exemplars are asked for.
    pub(crate) exemplars: bool,
    /// The service whose slow traces its data links search for.
    pub(crate) traces: Option<&'static str>,
    /// The board with more about it.
    pub(crate) see: Option<&'static str>,
    /// For a table: the label that names a row, with the heading it is given.
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

    /// Worth a look from here on.
    pub(crate) fn warn(self, from: f64) -> Self {
        self.step(from, "orange")
    }

    /// Wrong from here on.
    pub(crate) fn bad(self, from: f64) -> Self {
        self.step(from, "red")
    }

    /// Wrong below this value.
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

/// Panels under one heading.
pub(crate) struct Row {
    pub(crate) title: &'static str,
    pub(crate) panels: Vec<Panel>,
}

/// What the reader chooses at the top of a board, beside the data sources: one or several values
/// of a label.
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    pub(crate) heading: &'static str,
    pub(crate) metric: &'static str,
    pub(crate) label: &'static str,
}

pub(crate) struct Board {
    /// Also the name of its file, and of its address behind `/d/`.
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
