// What a run leaves: a text to read on the console, and the same as JSON for machines.
//
// The JSON goes to SUMMARY_DIR, else to loadtests/results, as NAME.json.

import { text } from './env.js';
import { isOnlyShown } from './load.js';

const RESULTS = import.meta.resolve('../results/').replace('file://', '');

/**
 * The `handleSummary` of a script. `notes` maps further metrics to the words to show them by;
 * `parts` are the scenarios or steps to show one by one, each `partSeconds` long; `conclude` may
 * draw a conclusion, as `words` and numbers, from the rest of the report.
 */
export function summary({ conclude = () => null, notes = {}, ...script }) {
  return (data) => {
    const report = digest(script, notes, data);
    report.conclusion = conclude(report);
    const folder = text('SUMMARY_DIR', RESULTS).replace(/\/*$/, '/');
    return {
      stdout: render(report, notes),
      [`${folder}${report.name}.json`]: `${JSON.stringify(report, null, 2)}\n`,
    };
  };
}

function digest({ name, question, parts = [], partSeconds }, notes, { metrics, root_group: root }) {
  const span = valuesOf(metrics, 'clock_ms{phase:run}');
  const started = span.min || 0;
  // A run that ended within one answer has no span to count a rate over.
  const seconds = Math.max((span.max || 0) - started, 1) / 1000;
  const requests = valuesOf(metrics, 'http_reqs{phase:run}').count || 0;
  // Of a Rate metric, k6 counts the `true` as passes: here the requests that failed.
  const failed = valuesOf(metrics, 'http_req_failed{phase:run}').passes || 0;
  const rules = thresholds(metrics);
  return {
    name,
    question,
    passed: rules.every((rule) => rule.ok),
    started_ms: started,
    ended_ms: span.max || 0,
    seconds,
    requests,
    requests_per_second: requests / seconds,
    failed,
    error_rate: requests > 0 ? failed / requests : 0,
    errors_not_applied: valuesOf(metrics, 'errors_not_applied').count || 0,
    errors_unknown: valuesOf(metrics, 'errors_unknown').count || 0,
    operations: series(metrics, 'name', namesIn(metrics), seconds),
    parts: {
      ...series(metrics, 'scenario', parts, partSeconds),
      ...series(metrics, 'step', parts, partSeconds),
    },
    checks: checks(root),
    thresholds: rules,
    values: Object.fromEntries(
      Object.keys(notes).map((metric) => [metric, valuesOf(metrics, metric)]),
    ),
  };
}

function valuesOf(metrics, name) {
  return (metrics[name] || {}).values || {};
}

/** The operations that have a series of their own. */
function namesIn(metrics) {
  return Object.keys(metrics)
    .map((metric) => (/^http_req_duration\{name:(.*)\}$/.exec(metric) || [])[1])
    .filter((name) => name)
    .sort();
}

/** What requests with each of these values of a tag took. */
function series(metrics, tag, values, seconds) {
  const found = {};
  for (const value of values) {
    const times = valuesOf(metrics, `http_req_duration{${tag}:${value}}`);
    if (times.count > 0) {
      found[value] = {
        count: times.count,
        per_second: times.count / seconds,
        p50_ms: times.med,
        p95_ms: times['p(95)'],
        p99_ms: times['p(99)'],
        max_ms: times.max,
      };
    }
  }
  return found;
}

function thresholds(metrics) {
  return Object.keys(metrics).sort().flatMap((metric) =>
    Object.entries(metrics[metric].thresholds || {})
      .filter(([rule]) => !isOnlyShown(rule))
      .map(([rule, { ok }]) => ({ metric, rule, ok, found: found(metrics, metric, rule) })),
  );
}

/** The value a rule such as `p(99)<250` looked at. */
function found(metrics, metric, rule) {
  const [aggregate] = /^[a-z]+(\([\d.]+\))?/.exec(rule) || [];
  const value = valuesOf(metrics, metric)[aggregate];
  return value === undefined ? null : value;
}

/** By name, over all groups. */
function checks(group) {
  const all = {};
  for (const { name, passes, fails } of group.checks) {
    all[name] = { passed: passes, failed: fails };
  }
  return group.groups.reduce((found, inner) => ({ ...found, ...checks(inner) }), all);
}

function render(report, notes) {
  const checks = Object.entries(report.checks).map(([name, { passed, failed }]) =>
    line(failed === 0, `${name}: ${whole(passed)} of ${whole(passed + failed)}`),
  );
  const rules = report.thresholds.map(({ metric, rule, ok, found: value }) =>
    line(ok, `${metric}: ${rule}${value === null ? '' : `, was ${short(value)}`}`),
  );
  return [
    '',
    `${report.name}: ${report.passed ? 'passed' : 'FAILED'}   (${report.question})`,
    '',
    ...(report.requests === 0 ? ['  Nothing was measured: the error above says why.'] : []),
    `  ${whole(report.requests)} requests in ${report.seconds.toFixed(1)} s, ` +
      `${whole(report.requests_per_second)} a second; ${whole(report.failed)} failed` +
      ` (${report.errors_not_applied} not applied, ${report.errors_unknown} unknown)`,
    '',
    ...table('operation', report.operations),
    ...table('part', report.parts),
    ...(report.conclusion ? [`  ${report.conclusion.words}`, ''] : []),
    ...checks,
    ...rules,
    ...Object.entries(notes).map(([metric, words]) => note(words, report.values[metric])),
    '',
    `  on the boards: /d/ringkv-overview?from=${report.started_ms}&to=${report.ended_ms}`,
    '',
    '',
  ].join('\n');
}

function table(title, rows) {
  const cells = Object.entries(rows).map(([name, found]) => [
    name,
    whole(found.count),
    whole(found.per_second),
    ...[found.p50_ms, found.p95_ms, found.p99_ms, found.max_ms].map(ms),
  ]);
  if (cells.length === 0) {
    return [];
  }
  const heads = [title, 'count', 'a second', 'median', 'p95', 'p99', 'longest'];
  const row = ([name, ...rest]) =>
    `  ${name.padEnd(20)}${rest.map((cell) => cell.padStart(11)).join('')}`;
  return [...[heads, ...cells].map(row), ''];
}

function line(ok, words) {
  return `  ${ok ? 'ok    ' : 'FAILED'}  ${words}`;
}

/** Of a trend its middle and its end, of a rate how often it was so, of a counter the count. */
function note(words, values) {
  if (values.med !== undefined) {
    const [middle, end, last] = [values.med, values['p(99)'], values.max].map(short);
    return `          ${words}: median ${middle}, p99 ${end}, longest ${last}`;
  }
  const times = values.passes === undefined ? values.count : values.passes;
  return `          ${words}: ${short(times || 0)}`;
}

function whole(number) {
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, ',');
}

function ms(number) {
  return `${number.toFixed(number < 10 ? 2 : 0)} ms`;
}

function short(number) {
  return Number.isInteger(number) ? whole(number) : String(Number(number.toPrecision(3)));
}
