// How much load there is, and what a run must hold.
//
// Owns the settings DURATION, VUS, RATE, P99_MS and ERROR_RATE, which most scripts share. Without
// RATE the load is closed: VUS clients, each sending its next request when it has its answer. With
// RATE it is open: this many iterations start each second even if the cluster is slow, and waiting
// time counts.

import { count, duration, number, seconds } from './env.js';

/** Tag of everything a script does between its setup and its teardown. */
export const RUN = { phase: 'run' };

/** Thresholds that always hold: k6 keeps the series of a tag only when it has one. */
const SHOWN = 'max>=0';
const SHOWN_GAUGE = 'value>=0';

/** The load most scripts put on, with their own defaults. */
export function steady({ vus = 16, seconds: otherwise = '30s', exec = 'run' } = {}) {
  const clients = count('VUS', vus);
  const length = duration(seconds('DURATION', otherwise));
  const rate = count('RATE', 0, 0);
  const shape = rate > 0
    ? { executor: 'constant-arrival-rate', ...arrivals(clients), rate, timeUnit: '1s' }
    : { executor: 'constant-vus', vus: clients };
  return { ...shape, exec, duration: length, gracefulStop: '20s', tags: RUN };
}

/** Clients for an open load: as many as VUS at first, ten times that at most. */
export function arrivals(clients) {
  return { preAllocatedVUs: clients, maxVUs: clients * 10 };
}

/**
 * The options of a script: its scenarios, the operations its summary shows one by one, the highest
 * 99th percentile and share of failed requests, and thresholds of its own.
 */
export function options({
  scenarios,
  operations,
  p99 = number('P99_MS', 250),
  errors = number('ERROR_RATE', 0),
  thresholds = {},
}) {
  const limits = {
    'http_reqs{phase:run}': ['count>0'],
    'http_req_failed{phase:run}': [`rate<=${errors}`],
    'http_req_duration{phase:run}': [`p(99)<${p99}`],
    'clock_ms{phase:run}': [SHOWN_GAUGE],
    checks: ['rate==1'],
    ...thresholds,
  };
  for (const name of operations) {
    Object.assign(limits, shown(`name:${name}`, limits));
  }
  return {
    scenarios,
    thresholds: limits,
    // All that a summary needs, and `count` for the number of requests of an operation.
    summaryTrendStats: ['count', 'avg', 'med', 'p(95)', 'p(99)', 'max'],
    // Without `url` and `ip`, which would make a series of every key.
    systemTags: ['status', 'method', 'name', 'scenario', 'group', 'check', 'expected_response'],
    setupTimeout: '5m',
    teardownTimeout: '5m',
    batch: 64,
    batchPerHost: 64,
  };
}

/** Thresholds under which the summary shows the times of requests with this tag. */
export function shown(tag, limits = {}) {
  const series = `http_req_duration{${tag}}`;
  return { [series]: [...(limits[series] || []), SHOWN] };
}

/** Whether a threshold is there only to show its series. */
export function isOnlyShown(rule) {
  return rule === SHOWN || rule === SHOWN_GAUGE;
}
