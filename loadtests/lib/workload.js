// Mixes of reads and writes over a set of records, as YCSB defines them (B. F. Cooper et al.,
// "Benchmarking cloud serving systems with YCSB", 2010).
//
// Owns the operations and their proportions. A script sets the shares, which add to 1, and the
// distribution by which records are chosen. RECORDS records are written before and deleted after the
// run.

import { check } from 'k6';
import exec from 'k6/execution';
import { Rate, Trend } from 'k6/metrics';

import { count } from './env.js';
import { read, write } from './gateway.js';
import { options, steady } from './load.js';
import { latest, random, uniform } from './random.js';
import { clear, isValueOf, keyOf, prepare, valueOf } from './records.js';
import { summary } from './summary.js';

const RECORDS = count('RECORDS', 1000);
const VALUE_BYTES = count('VALUE_BYTES', 1000);
/** An insert that takes longer may be read before it is there; such reads are counted. */
const SETTLE_MS = 250;

/** Reads of a record whose insert another client had not finished yet. */
const ahead = new Rate('reads_ahead_of_insert');
/** A read and the write that follows from it, together. */
const modification = new Trend('read_modify_write_ms', true);

/** All that a k6 script exports, for one mix. */
export function workload({ name, question, shares, law = uniform }) {
  const { read: reads = 0, update: updates = 0, insert: inserts = 0, modify = 0 } = shares;
  const operations = ['read', 'update', 'insert'].filter(
    (operation) => shares[operation] || (modify && operation !== 'insert'),
  );
  const notes = {
    ...(modify ? { read_modify_write_ms: 'read-modify-writes, in ms' } : {}),
    ...(inserts ? { reads_ahead_of_insert: 'reads of what was not inserted yet' } : {}),
  };

  return {
    options: options({
      scenarios: { [name]: steady() },
      operations,
      thresholds: inserts ? { reads_ahead_of_insert: ['rate<0.01'] } : {},
    }),

    setup() {
      return prepare(name, RECORDS, VALUE_BYTES);
    },

    run({ prefix }) {
      if (inserts) {
        return readLatestOrInsert(prefix, inserts);
      }
      const key = keyOf(prefix, law(RECORDS));
      const draw = random();
      if (draw < reads) {
        readOwn(key);
      } else if (draw < reads + updates) {
        update(key);
      } else {
        const started = Date.now();
        readOwn(key);
        update(key);
        modification.add(Date.now() - started);
      }
    },

    teardown({ prefix }) {
      clear(prefix, RECORDS);
    },

    handleSummary: summary({ name, question, notes }),
  };
}

function readOwn(key) {
  const answer = read(key);
  check(answer, { 'a read returns its own record': ({ body }) => isValueOf(key, body) });
}

function update(key) {
  write(key, valueOf(key, VALUE_BYTES), 'update');
}

/**
 * Clients of k6 share nothing, yet all must know which record is the newest. So every n-th
 * iteration of the whole run is an insert and its number says of which record: inserts have
 * numbers without gaps, and the number of an iteration tells how many came before it.
 */
function readLatestOrInsert(prefix, share) {
  const every = Math.round(1 / share);
  const iteration = exec.scenario.iterationInTest;
  const inserted = (at) => RECORDS + Math.floor(at / every);
  if (iteration % every === every - 1) {
    const key = keyOf(prefix, inserted(iteration));
    write(key, valueOf(key, VALUE_BYTES), 'insert');
    return;
  }
  const number = latest(inserted(settled(iteration)));
  const key = keyOf(prefix, number);
  if (number < RECORDS) {
    readOwn(key);
    return;
  }
  const answer = read(key, 'read', [200, 404]);
  ahead.add(answer.status === 404);
  if (answer.status !== 404) {
    check(answer, { 'a read returns its own record': ({ body }) => isValueOf(key, body) });
  }
}

let over = 0;
let mark = { at: 0, iteration: 0 };

/** An iteration that began SETTLE_MS ago or earlier, or 0: inserts before it should be there. */
function settled(iteration) {
  const now = Date.now();
  if (now >= mark.at + SETTLE_MS) {
    over = mark.iteration;
    mark = { at: now, iteration };
  }
  return over;
}
