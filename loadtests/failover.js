// What do clients notice when a node dies? The operator kills a storage node that leads groups while
// this runs, and may restart it. Writers write and read back; each write is sent, with one
// Idempotency-Key, until it is acknowledged. At the end every acknowledged write must be there.
//
// The run fails when requests failed (ERROR_RATE), when a write took longer than RECOVERY_S, when
// an acknowledged write is lost, and when no group changed its leader: then nothing was tested.
import { check, sleep } from 'k6';
import exec from 'k6/execution';
import { Counter, Trend } from 'k6/metrics';

import { count, duration, number, seconds } from './lib/env.js';
import { GATEWAYS, page, read, sendAll, write } from './lib/gateway.js';
import { RUN, options as optionsOf } from './lib/load.js';
import { awaitReady } from './lib/readiness.js';
import { isValueOf, keyOf, newPrefix, valueOf } from './lib/records.js';
import { summary } from './lib/summary.js';

const NAME = 'failover';
const VUS = count('VUS', 16);
const RUN_S = seconds('DURATION', '30s');
const RECOVERY_S = number('RECOVERY_S', 5);
const VALUE_BYTES = count('VALUE_BYTES', 256);
/** Between two rounds of a writer: a steady load of some hundred writes a second is enough. */
const PAUSE_S = 0.02;
/** The deadline after which a write without acknowledgement is abandoned, so that the run ends. */
const PATIENCE_S = 2 * RECOVERY_S;
/** For reading back all that was acknowledged, and deleting it. */
const CLOSING_S = 60;
const BATCH = 20;

/** From the first attempt at a write to its acknowledgement: the longest is the time to recover. */
const acknowledgement = new Trend('seconds_to_acknowledgement');
const acknowledged = new Counter('acknowledged_writes');
const verified = new Counter('verified_writes');
const lost = new Counter('lost_writes');
const moved = new Counter('leaders_moved');

export const options = optionsOf({
  scenarios: {
    writers: {
      executor: 'per-vu-iterations',
      exec: 'writeThenVerify',
      vus: VUS,
      iterations: 1,
      maxDuration: duration(RUN_S + PATIENCE_S + CLOSING_S),
      tags: RUN,
    },
    watcher: {
      executor: 'constant-vus',
      exec: 'watch',
      vus: 1,
      duration: duration(RUN_S),
      tags: RUN,
    },
  },
  operations: ['write', 'read', 'verify', 'topology'],
  // The effect of an outage on the times of requests is measured by the time to recover.
  p99: 20_000,
  thresholds: {
    seconds_to_acknowledgement: [`max<${RECOVERY_S}`],
    acknowledged_writes: ['count>0'],
    lost_writes: ['count==0'],
    leaders_moved: ['count>0'],
    'iterations{scenario:writers}': [`count==${VUS}`],
  },
});
export const handleSummary = summary({
  name: NAME,
  question: 'what do clients notice when a node dies?',
  notes: {
    seconds_to_acknowledgement: 'seconds to acknowledgement',
    acknowledged_writes: 'acknowledged writes',
    verified_writes: 'of them read back at the end',
    lost_writes: 'lost',
    leaders_moved: 'groups whose leader changed',
  },
  conclude: ({ values, error_rate: errors }) => {
    const recovery = values.seconds_to_acknowledgement.max || 0;
    const share = `${(errors * 100).toFixed(3)} % of the requests failed`;
    const words = `the longest write took ${recovery.toFixed(2)} s; ${share}`;
    return { recovery_seconds: recovery, words };
  },
});

export function setup() {
  awaitReady();
  return { prefix: newPrefix(NAME) };
}

/** The one iteration of a writer: the whole run, then the check of all acknowledgements. */
export function writeThenVerify({ prefix }) {
  const own = `${prefix}/${exec.vu.idInTest}`;
  const end = exec.scenario.startTime + RUN_S * 1000;
  const kept = [];
  for (let number = 0; Date.now() < end; number += 1) {
    const key = keyOf(own, number);
    if (writeUntilAcknowledged(key)) {
      kept.push(key);
      const { ok, body } = read(key);
      check(body, { 'a read returns what was just written': () => !ok || isValueOf(key, body) });
    }
    sleep(PAUSE_S);
  }
  if (verify(kept)) {
    for (const keys of batches(kept)) {
      sendAll(keys.map((key) => ['DELETE', key]), 'clear', [204, 404]);
    }
  }
}

function writeUntilAcknowledged(key) {
  const value = valueOf(key, VALUE_BYTES);
  const started = Date.now();
  const elapsed = () => (Date.now() - started) / 1000;
  let isAcknowledged = false;
  while (!isAcknowledged && elapsed() < PATIENCE_S) {
    isAcknowledged = write(key, value, 'write', { 'Idempotency-Key': key }).ok;
  }
  acknowledgement.add(elapsed());
  acknowledged.add(isAcknowledged ? 1 : 0);
  return isAcknowledged;
}

/**
 * A key that cannot be read is not lost, but neither is it verified. With the first such key the
 * check ends: what is behind it would take as long to be refused. Tells whether all could be read.
 */
function verify(keys) {
  for (const some of batches(keys)) {
    const answers = sendAll(some.map((key) => ['GET', key]), 'verify', [200, 404]);
    const isThere = ({ status, body }, index) => status === 200 && isValueOf(some[index], body);
    verified.add(answers.filter(isThere).length);
    lost.add(answers.filter((answer, index) => answer.ok && !isThere(answer, index)).length);
    check(answers, { 'acknowledged writes are there at the end': (all) => all.every(isThere) });
    if (answers.some(({ ok }) => !ok)) {
      return false;
    }
  }
  return true;
}

function batches(keys) {
  const size = Math.ceil(keys.length / BATCH);
  return Array.from({ length: size }, (_, n) => keys.slice(n * BATCH, (n + 1) * BATCH));
}

let leaders = new Map();

/** Counts the groups whose leader, as the first gateway knows it, is another than before. */
export function watch() {
  const { ok, body } = page('/topology', 'topology', GATEWAYS[0]);
  if (ok) {
    const known = JSON.parse(body).groups.filter(({ leader }) => leader !== null);
    const isNew = ({ id, leader }) => leaders.has(id) && leaders.get(id) !== leader;
    moved.add(known.filter(isNew).length);
    leaders = new Map([...leaders, ...known.map(({ id, leader }) => [id, leader])]);
  }
  sleep(0.2);
}
