// Does the cluster survive a sudden load, and does it recover at once? An open load of RATE a
// second, then SPIKE_RATE, then RATE again; each part is DURATION long and has its own limits.
// In the spike a request may be refused as not applied (503), but none may end unknown.

import { count, duration, number, seconds } from './lib/env.js';
import { RUN, arrivals, options as optionsOf, shown } from './lib/load.js';
import { zipfian } from './lib/random.js';
import { clear, keyOf, prepare, readOrWrite } from './lib/records.js';
import { summary } from './lib/summary.js';

const NAME = 'spike';
const RATE = count('RATE', 100);
const SPIKE_RATE = count('SPIKE_RATE', RATE * 10);
const PART_S = seconds('DURATION', '15s');
const VUS = count('VUS', 50);
const RECORDS = count('RECORDS', 1000);
const VALUE_BYTES = count('VALUE_BYTES', 256);
const P99_MS = number('P99_MS', 250);
/** What the spike left in the queues may take this long to drain. */
const PAUSE_S = 2;

function part(start, rate) {
  return {
    executor: 'constant-arrival-rate',
    ...arrivals(VUS),
    exec: 'run',
    rate,
    timeUnit: '1s',
    startTime: duration(start),
    duration: duration(PART_S),
    gracefulStop: '20s',
    tags: RUN,
  };
}

export const options = optionsOf({
  scenarios: {
    before: part(0, RATE),
    spike: part(PART_S, SPIKE_RATE),
    after: part(2 * PART_S + PAUSE_S, RATE),
  },
  operations: ['read', 'write'],
  // No limit of its own for the whole run: the parts have theirs.
  p99: 20_000,
  errors: number('SPIKE_ERROR_RATE', 0.05),
  thresholds: {
    'http_req_failed{scenario:before}': ['rate==0'],
    'http_req_failed{scenario:after}': ['rate==0'],
    'http_req_duration{scenario:before}': [`p(99)<${P99_MS}`],
    ...shown('scenario:spike'),
    'http_req_duration{scenario:after}': [`p(99)<${P99_MS}`],
    'dropped_iterations{scenario:after}': ['count==0'],
    errors_unknown: ['count==0'],
  },
});
export const handleSummary = summary({
  name: NAME,
  question: 'does it stand a crowd, and recover?',
  parts: ['before', 'spike', 'after'],
  partSeconds: PART_S,
  notes: { dropped_iterations: 'iterations without a free client' },
});

export function setup() {
  return prepare(NAME, RECORDS, VALUE_BYTES);
}

export function run({ prefix }) {
  const key = keyOf(prefix, zipfian(RECORDS));
  readOrWrite(key, VALUE_BYTES);
}

export function teardown({ prefix }) {
  clear(prefix, RECORDS);
}
