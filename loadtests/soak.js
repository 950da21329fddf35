// Does it stay as fast as it was at the start? A steady load for an hour (DURATION) in which
// records come, change and go. Each client remembers what its writes took in the first tenth of the
// run; in the last tenth it compares.
import { check } from 'k6';
import exec from 'k6/execution';
import { Trend } from 'k6/metrics';

import { count, number } from './lib/env.js';
import { read, send, write } from './lib/gateway.js';
import { options as optionsOf, steady } from './lib/load.js';
import { below, random } from './lib/random.js';
import { clear, isValueOf, keyOf, prepare, valueOf } from './lib/records.js';
import { summary } from './lib/summary.js';

const NAME = 'soak';
const RECORDS = count('RECORDS', 10_000);
const VALUE_BYTES = count('VALUE_BYTES', 256);
/** How many times its time at the start a write may take at the end, in the median. */
const SLOWDOWN = number('SLOWDOWN', 2);
/** Times that a client remembers of the start. */
const REMEMBERED_MAX = 1000;

const slowdown = new Trend('slowdown');
const atStart = [];
let usual = 0;

export const options = optionsOf({
  scenarios: { [NAME]: steady({ vus: 8, seconds: '1h' }) },
  operations: ['read', 'write', 'delete'],
  thresholds: { slowdown: [`med<${SLOWDOWN}`] },
});
export const handleSummary = summary({
  name: NAME,
  question: 'does it stay as fast as it was?',
  notes: { slowdown: 'time of a write at the end, by that at the start' },
});

export function setup() {
  return prepare(NAME, RECORDS, VALUE_BYTES);
}

export function run({ prefix }) {
  const key = keyOf(prefix, below(RECORDS));
  const draw = random();
  if (draw < 0.5) {
    const { ok, status, body } = read(key, 'read', [200, 404]);
    const isRight = () => ok && (status === 404 || isValueOf(key, body));
    check(body, { 'a read returns its own record': isRight });
  } else if (draw < 0.9) {
    compare(write(key, valueOf(key, VALUE_BYTES)).duration_ms);
  } else {
    send('DELETE', key, 'delete', [204, 404]);
  }
}

function compare(took) {
  const { progress } = exec.scenario;
  if (progress < 0.1) {
    if (atStart.length < REMEMBERED_MAX) {
      atStart.push(took);
    }
  } else if (progress > 0.9 && atStart.length > 0) {
    usual = usual || median(atStart);
    slowdown.add(took / usual);
  }
}

function median(times) {
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length / 2)];
}

export function teardown({ prefix }) {
  clear(prefix, RECORDS);
}
