// How does one hot key affect the others? HOT of all requests (nine in ten) go to one key; the other
// requests have limits of their own.
import { check } from 'k6';

import { count, number } from './lib/env.js';
import { read, write } from './lib/gateway.js';
import { options as optionsOf, steady } from './lib/load.js';
import { below, random } from './lib/random.js';
import { clear, isValueOf, keyOf, prepare, valueOf } from './lib/records.js';
import { summary } from './lib/summary.js';

const NAME = 'hot-key';
const HOT = number('HOT', 0.9);
const COLD_P99_MS = number('COLD_P99_MS', 250);
const RECORDS = count('RECORDS', 1000, 2);
const VALUE_BYTES = count('VALUE_BYTES', 256);

export const options = optionsOf({
  scenarios: { [NAME]: steady({ vus: 32 }) },
  operations: ['hot read', 'hot write', 'cold read', 'cold write'],
  p99: number('P99_MS', 500),
  thresholds: {
    'http_req_duration{name:cold read}': [`p(99)<${COLD_P99_MS}`],
    'http_req_duration{name:cold write}': [`p(99)<${COLD_P99_MS}`],
  },
});
export const handleSummary = summary({
  name: NAME,
  question: 'what does one hot key do to the others?',
});

export function setup() {
  return prepare(NAME, RECORDS, VALUE_BYTES);
}

export function run({ prefix }) {
  const isHot = random() < HOT;
  const key = keyOf(prefix, isHot ? 0 : 1 + below(RECORDS - 1));
  const kind = isHot ? 'hot' : 'cold';
  if (random() < 0.5) {
    const answer = read(key, `${kind} read`);
    check(answer, { 'a read returns its own record': ({ body }) => isValueOf(key, body) });
  } else {
    write(key, valueOf(key, VALUE_BYTES), `${kind} write`);
  }
}

export function teardown({ prefix }) {
  clear(prefix, RECORDS);
}
