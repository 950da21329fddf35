// Are the promises kept while many clients want the same keys at once?
//
// - counting: compare-and-set increments by If-Match; at the end the counters add up exactly.
// - retrying: one Idempotency-Key sent many times applies once and always returns the first answer.
// - creating: of many writers with `If-None-Match: *` exactly one wins.
//
// Each of VUS clients does COUNT rounds of each; DURATION is the most that this may take.
import { check } from 'k6';
import exec from 'k6/execution';
import { Counter } from 'k6/metrics';

import { count, duration, seconds } from './lib/env.js';
import { problem, read, send, sendAll, write } from './lib/gateway.js';
import { RUN, options as optionsOf } from './lib/load.js';
import { awaitReady } from './lib/readiness.js';
import { clear, keyOf, newPrefix } from './lib/records.js';
import { summary } from './lib/summary.js';

const NAME = 'correctness';
const VUS = count('VUS', 8);
const COUNT = count('COUNT', 50);
const LIMIT = duration(seconds('DURATION', '2m'));
/** Few, so that clients are in each other's way. */
const COUNTERS = 3;
/** Senders of one write, and writers of one new key, at the same time. */
const AT_ONCE = 8;
/** Attempts at one increment or one unknown outcome, so that no client hangs for ever. */
const ATTEMPTS_MAX = 1000;

const conflicts = new Counter('conflicts');

function rounds(name) {
  const shape = { executor: 'per-vu-iterations', vus: VUS, iterations: COUNT };
  return { ...shape, exec: name, maxDuration: LIMIT, tags: RUN };
}

export const options = optionsOf({
  scenarios: {
    counting: rounds('increment'),
    retrying: rounds('retry'),
    creating: rounds('createOnce'),
  },
  operations: ['read counter', 'increment', 'write once', 'create once', 'read', 'write', 'delete'],
  // What is asked here is whether it is right; how fast is for the other scripts.
  p99: 20_000,
  thresholds: {
    'iterations{scenario:counting}': [`count==${VUS * COUNT}`],
    'iterations{scenario:retrying}': [`count==${VUS * COUNT}`],
    'iterations{scenario:creating}': [`count==${VUS * COUNT}`],
  },
});
export const handleSummary = summary({
  name: NAME,
  question: 'are the promises kept?',
  notes: { conflicts: 'increments that came too late and tried again' },
  conclude,
});

/** Counters of a run that was cut short do not add up, which is not an error of the cluster. */
function conclude({ thresholds }) {
  const short = thresholds.some(({ metric, ok }) => metric.startsWith('iterations{') && !ok);
  return short
    ? { words: 'not all rounds were done: the counters prove nothing; raise DURATION or lower COUNT' }
    : null;
}

export function setup() {
  awaitReady();
  const prefix = newPrefix(NAME);
  for (let counter = 0; counter < COUNTERS; counter += 1) {
    write(keyOf(prefix, counter), '0');
  }
  return { prefix };
}

/** Adds 1 to a counter by compare-and-set, however often it takes. */
export function increment({ prefix }) {
  const round = exec.scenario.iterationInTest;
  const key = keyOf(prefix, round % COUNTERS);
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const { ok, body, headers } = read(key, 'read counter');
    if (!ok) {
      continue;
    }
    const id = `${prefix}/${round}/${attempt}`;
    const written = writeOnce(key, String(Number(body) + 1), id, headers.Etag);
    if (written.ok && written.status !== 412) {
      check(written, {
        'an increment returns a higher revision': (answer) =>
          revision(answer.headers.Etag) > revision(headers.Etag),
      });
      return;
    }
    conflicts.add(1);
  }
  exec.test.abort(`an increment did not succeed in ${ATTEMPTS_MAX} attempts`);
}

/** Sends a conditional write until its outcome is known; the Idempotency-Key makes that safe. */
function writeOnce(key, value, id, etag) {
  const headers = { 'Idempotency-Key': id, 'If-Match': etag };
  let answer;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    answer = send('PUT', key, 'increment', [204, 412], { value, headers });
    if (answer.ok) {
      break;
    }
  }
  return answer;
}

export function retry({ prefix }) {
  const key = `${prefix}/retry/${exec.scenario.iterationInTest}`;
  const headers = { 'Idempotency-Key': key };
  const same = Array.from({ length: AT_ONCE }, () => ['PUT', key, 'first', headers]);
  const answers = sendAll(same, 'write once', [201]);
  const [{ headers: { Etag: first } }] = answers;
  check(answers, {
    'every sender of one write gets the first answer': (all) =>
      all.every((answer) => answer.ok && answer.headers.Etag === first),
    'all answers but one say that they repeat it': (all) =>
      all.filter((answer) => answer.headers['Kv-Repeated'] !== 'true').length === 1,
  });
  const second = write(key, 'second');
  const [late] = sendAll(same.slice(0, 1), 'write once', [201]);
  check(late, {
    'a late retry gets the first answer too': ({ ok, headers: got }) =>
      ok && got.Etag === first && got['Kv-Repeated'] === 'true',
  });
  check(read(key), {
    'a late retry changes nothing': ({ body, headers: got }) =>
      body === 'second' && got.Etag === second.headers.Etag,
  });
  const other = send('PUT', key, 'write once', [409], { value: 'other', headers });
  check(other, {
    'an Idempotency-Key is of one write only': (answer) =>
      problem(answer).code === 'idempotency_key_reused',
  });
  send('DELETE', key, 'delete', [204]);
}

export function createOnce({ prefix }) {
  const key = `${prefix}/create/${exec.scenario.iterationInTest}`;
  const headers = { 'If-None-Match': '*' };
  const from = (writer) => ['PUT', key, `writer ${writer}`, headers];
  const writers = Array.from({ length: AT_ONCE }, (_, writer) => from(writer));
  const answers = sendAll(writers, 'create once', [201, 412]);
  const winner = answers.findIndex(({ status }) => status === 201);
  const { Etag: etag } = (answers[winner] || answers[0]).headers;
  check(answers, {
    'a key is created by one writer only': (all) =>
      all.every(({ ok }) => ok) && all.filter(({ status }) => status === 201).length === 1,
  });
  check(read(key), {
    'the value is that of the writer whose PUT succeeded': ({ body, headers: got }) =>
      body === `writer ${winner}` && got.Etag === etag,
  });
  send('DELETE', key, 'delete', [204]);
}

function revision(etag) {
  return Number(String(etag).replace(/"/g, ''));
}

export function teardown({ prefix }) {
  const counters = Array.from({ length: COUNTERS }, (_, n) => Number(read(keyOf(prefix, n)).body));
  check(counters, {
    'the counters add up to the increments': (all) =>
      all.reduce((sum, value) => sum + value, 0) === VUS * COUNT,
  });
  clear(prefix, COUNTERS);
}
