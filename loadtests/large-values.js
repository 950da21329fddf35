// What do large values cost? Values of three sizes up to the cluster's limit, written and read
// back, and one byte too many now and then.
import { check } from 'k6';
import exec from 'k6/execution';

import { count, number } from './lib/env.js';
import { page, problem, read, send, write } from './lib/gateway.js';
import { options as optionsOf, steady } from './lib/load.js';
import { below } from './lib/random.js';
import { awaitReady } from './lib/readiness.js';
import { clear, fill, isValueOf, keyOf, newPrefix, valueOf } from './lib/records.js';
import { summary } from './lib/summary.js';

const NAME = 'large-values';
/** Parts of the limit: 64 KiB, 256 KiB and 1 MiB where the limit is the default. */
const SIZES = { small: 1 / 16, medium: 1 / 4, largest: 1 };
const RECORDS = count('RECORDS', 30);
/** One in so many iterations tries what is too large. */
const REFUSED_EVERY = 20;

export const options = optionsOf({
  scenarios: { [NAME]: steady({ vus: 4 }) },
  operations: [
    ...Object.keys(SIZES).flatMap((size) => [`write ${size}`, `read ${size}`]),
    'refused',
  ],
  p99: number('P99_MS', 1500),
});
export const handleSummary = summary({ name: NAME, question: 'what do large values cost?' });

export function setup() {
  awaitReady();
  const prefix = newPrefix(NAME);
  const limit = JSON.parse(page('/limits', 'page').body).value_bytes_max;
  fill(prefix, RECORDS, Math.floor(limit * SIZES.small));
  return { prefix, limit };
}

export function run({ prefix, limit }) {
  const iteration = exec.scenario.iterationInTest;
  const key = keyOf(prefix, below(RECORDS));
  if (iteration % REFUSED_EVERY === REFUSED_EVERY - 1) {
    refuse(key, limit);
    return;
  }
  const names = Object.keys(SIZES);
  const size = names[iteration % names.length];
  const bytes = Math.floor(limit * SIZES[size]);
  write(key, valueOf(key, bytes), `write ${size}`);
  // Another client may have written the record meanwhile, with a value of another size.
  check(read(key, `read ${size}`), {
    'a large value comes back whole': ({ body, headers }) =>
      isValueOf(key, body) && body.length === Number(headers['Content-Length']),
  });
}

function refuse(key, limit) {
  const tooLarge = send('PUT', key, 'refused', [413], { value: valueOf(key, limit + 1) });
  check(tooLarge, {
    'a byte too many is refused, with the limit': (answer) =>
      answer.ok && problem(answer).limit === limit,
  });
}

export function teardown({ prefix }) {
  clear(prefix, RECORDS);
}
