// The records of a run: their keys, their values, and how they come and go.
//
// A value starts with its own key, so that a reader can tell another record's value from its own;
// the rest is random text, which hardly compresses.

import { check } from 'k6';
import crypto from 'k6/crypto';
import encoding from 'k6/encoding';

import { read, sendAll, write } from './gateway.js';
import { random } from './random.js';
import { awaitReady } from './readiness.js';

/** Requests at once while filling and clearing. */
const BATCH = 20;

/** A prefix that no other run uses. */
export function newPrefix(name) {
  return `loadtest/${name}/${Date.now().toString(36)}`;
}

export function keyOf(prefix, number) {
  return `${prefix}/${number}`;
}

/** A value of `bytes` bytes for a key, another one at each call. */
export function valueOf(key, bytes) {
  const missing = bytes - key.length - 1;
  if (missing <= 0) {
    return `${key} `;
  }
  // Four letters of base64 for three bytes.
  const noise = crypto.randomBytes(Math.ceil((missing * 3) / 4));
  return `${key} ${encoding.b64encode(noise, 'rawurl').slice(0, missing)}`;
}

export function isValueOf(key, value) {
  return typeof value === 'string' && value.startsWith(`${key} `);
}

/** What most scripts begin with: a cluster that is ready and `count` records of this run. */
export function prepare(name, count, bytes) {
  awaitReady();
  const prefix = newPrefix(name);
  fill(prefix, count, bytes);
  return { prefix };
}

/** Reads the record or writes it, one as often as the other; under load a read may fail. */
export function readOrWrite(key, bytes) {
  if (random() < 0.5) {
    const { ok, body } = read(key);
    check(body, { 'a read returns its own record': () => !ok || isValueOf(key, body) });
  } else {
    write(key, valueOf(key, bytes));
  }
}

/** Writes the records 0 to `count` - 1. Ends the run when one cannot be written. */
export function fill(prefix, count, bytes) {
  for (let first = 0; first < count; first += BATCH) {
    const keys = numbers(first, Math.min(first + BATCH, count)).map((n) => keyOf(prefix, n));
    const requests = keys.map((key) => ['PUT', key, valueOf(key, bytes)]);
    if (sendAll(requests, 'fill', [201, 204]).some((answer) => !answer.ok)) {
      throw new Error('a record to start with could not be written: see the warning above');
    }
  }
}

/** Deletes the records 0 to `count` - 1, and what was inserted behind them until nothing is. */
export function clear(prefix, count) {
  for (let first = 0, found = true; first < count || found; first += BATCH) {
    const requests = numbers(first, first + BATCH).map((n) => ['DELETE', keyOf(prefix, n)]);
    found = sendAll(requests, 'clear', [204, 404]).some((answer) => answer.status === 204);
  }
}

function numbers(first, end) {
  return Array.from({ length: end - first }, (_, index) => first + index);
}
