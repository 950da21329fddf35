// How much load until it breaks? An open load that goes up by STEP_RATE iterations a second every
// DURATION, at most STEPS times, until a step is too slow or has errors: then the run ends, with
// exit code 99, and the summary names the last rate that held.
import exec from 'k6/execution';

import { count, duration, number, seconds } from './lib/env.js';
import { RUN, options as optionsOf } from './lib/load.js';
import { zipfian } from './lib/random.js';
import { clear, keyOf, prepare, readOrWrite } from './lib/records.js';
import { summary } from './lib/summary.js';

const NAME = 'breakpoint';
const STEP_RATE = count('STEP_RATE', 200);
const STEPS = count('STEPS', 20);
const STEP_S = seconds('DURATION', '10s');
const VUS = count('VUS', 200);
const P99_MS = number('P99_MS', 250);
const ERROR_RATE = number('ERROR_RATE', 0.001);
const RECORDS = count('RECORDS', 1000);
const VALUE_BYTES = count('VALUE_BYTES', 256);

const RATES = Array.from({ length: STEPS }, (_, index) => (index + 1) * STEP_RATE);

/** A step is measured from its middle on: its first answers are not representative. */
function limits(rate, index) {
  const delayAbortEval = duration((index + 0.5) * STEP_S);
  const limit = (threshold) => [{ threshold, abortOnFail: true, delayAbortEval }];
  return {
    [`http_req_duration{step:${rate}}`]: limit(`p(99)<${P99_MS}`),
    [`http_req_failed{step:${rate}}`]: limit(`rate<=${ERROR_RATE}`),
  };
}

export const options = optionsOf({
  scenarios: {
    [NAME]: {
      executor: 'ramping-arrival-rate',
      exec: 'run',
      preAllocatedVUs: VUS,
      timeUnit: '1s',
      startRate: STEP_RATE,
      // To the rate at once, then on it for the length of the step.
      stages: RATES.flatMap((target) => [
        { target, duration: '0s' },
        { target, duration: duration(STEP_S) },
      ]),
      gracefulStop: '20s',
      tags: RUN,
    },
  },
  operations: ['read', 'write'],
  // The steps have limits of their own; the whole run has no further limit.
  p99: 20_000,
  errors: 1,
  thresholds: {
    ...Object.assign({}, ...RATES.map(limits)),
    // No client was free: what started late would look faster than it is.
    dropped_iterations: [{ threshold: `count<${STEP_RATE}`, abortOnFail: true }],
  },
});
export const handleSummary = summary({
  name: NAME,
  question: 'how much load until it breaks?',
  parts: RATES.map(String),
  partSeconds: STEP_S,
  conclude,
});

/** The last rate whose step ran to its end within all limits. */
function conclude({ parts, thresholds }) {
  const broken = RATES.findIndex(
    (rate) =>
      !parts[rate] ||
      parts[rate].per_second < rate * 0.9 ||
      thresholds.some(({ metric, ok }) => metric.endsWith(`{step:${rate}}`) && !ok),
  );
  const held = RATES[(broken === -1 ? STEPS : broken) - 1] || 0;
  const words = broken === -1 ? 'and did not break' : `and broke at ${RATES[broken]}`;
  return { held_per_second: held, words: `held ${held} iterations a second ${words}` };
}

export function setup() {
  return prepare(NAME, RECORDS, VALUE_BYTES);
}

export function run({ prefix }) {
  const step = Math.floor((Date.now() - exec.scenario.startTime) / (STEP_S * 1000));
  exec.vu.metrics.tags.step = String(RATES[Math.min(step, STEPS - 1)]);
  const key = keyOf(prefix, zipfian(RECORDS));
  readOrWrite(key, VALUE_BYTES);
}

export function teardown({ prefix }) {
  clear(prefix, RECORDS);
}
