// Requests to the gateways, and what is counted about them.
//
// Owns the addresses (BASE_URL, several separated by commas, taken in turn), the name each
// operation has in the series, and the three outcomes of a request that failed. The key never
// becomes part of a name: the series stay as many as there are operations.

import http from 'k6/http';
import { Counter, Gauge } from 'k6/metrics';

import { count, text } from './env.js';

export const GATEWAYS = text('BASE_URL', 'http://localhost:8080')
  .split(',')
  .map((address) => address.trim().replace(/\/+$/, ''));

/** The deadline that each request sets for the gateway; unset: the gateway's own (5 s). */
const TIMEOUT_MS = count('TIMEOUT_MS', 0, 0);
/** Longer than any such deadline, so that the gateway's answer arrives first. */
const ANSWER_TIMEOUT = '40s';
const HEADERS = {
  'Content-Type': 'application/octet-stream',
  ...(TIMEOUT_MS > 0 ? { 'KV-Timeout-Ms': String(TIMEOUT_MS) } : {}),
};
/** Failures a client describes on the console; the rest is in the counters. */
const SHOWN_MAX = 2;

/** Certainly without effect: 4xx, 503, 507. */
const notApplied = new Counter('errors_not_applied');
/** Without an outcome, so that a write may have applied: 504, or no answer. */
const unknown = new Counter('errors_unknown');
/** Wall clock at each answer; its span is the time that rates are counted over. */
const clock = new Gauge('clock_ms');

const expectations = new Map();
let turn = __VU;
let shown = 0;

/** The next gateway in turn. */
export function nextGateway() {
  turn += 1;
  return GATEWAYS[turn % GATEWAYS.length];
}

/**
 * Sends one request for a key. `name` is the operation's name in the series, `expected` the
 * statuses that are no failure.
 *
 * Returns `{ok, status, headers, body, duration_ms}`; `ok` is whether the status was expected.
 */
export function send(method, key, name, expected, { value = null, headers = {}, query = '' } = {}) {
  const url = `${nextGateway()}/kv/${key}${query}`;
  const answer = http.request(method, url, value, parameters(name, expected, headers));
  return noted(answer, name, expected);
}

/** Sends the requests `[method, key, value, headers]` at once, each through the next gateway. */
export function sendAll(requests, name, expected) {
  const calls = requests.map(([method, key, value = null, headers = {}]) => ({
    method,
    url: `${nextGateway()}/kv/${key}`,
    body: value,
    params: parameters(name, expected, headers),
  }));
  return http.batch(calls).map((answer) => noted(answer, name, expected));
}

/** Reads a page that is not a key, such as /topology, from a gateway: the next, unless named. */
export function page(path, name, gateway = nextGateway()) {
  return noted(http.get(`${gateway}${path}`, parameters(name, [200], {})), name, [200]);
}

export function read(key, name = 'read', expected = [200]) {
  return send('GET', key, name, expected);
}

export function write(key, value, name = 'write', headers = {}) {
  return send('PUT', key, name, [201, 204], { value, headers });
}

/** The problem document of an answer; empty when it has none. */
export function problem({ headers, body }) {
  const isProblem = (headers['Content-Type'] || '').startsWith('application/problem+json');
  return isProblem ? JSON.parse(body) : {};
}

function parameters(name, expected, headers) {
  return {
    headers: { ...HEADERS, ...headers },
    tags: { name },
    timeout: ANSWER_TIMEOUT,
    responseCallback: expectation(expected),
  };
}

function expectation(expected) {
  const id = expected.join();
  if (!expectations.has(id)) {
    expectations.set(id, http.expectedStatuses(...expected));
  }
  return expectations.get(id);
}

function noted({ status, headers, body, error, timings }, name, expected) {
  clock.add(Date.now());
  const ok = expected.includes(status);
  const answer = { ok, status, headers, body, duration_ms: timings.duration };
  // Requests that k6 itself aborts at the end of a run say nothing about the cluster.
  if (!ok && !error.includes('context canceled')) {
    (status === 0 || status === 504 ? unknown : notApplied).add(1);
    show(answer, name, error);
  }
  return answer;
}

function show(answer, name, error) {
  shown += 1;
  if (shown > SHOWN_MAX) {
    return;
  }
  const { code = error, detail = '' } = problem(answer);
  const trace = answer.headers['Kv-Trace-Id'];
  const where = trace ? `, trace ${trace}` : '';
  console.warn(`client ${__VU}: ${name}: ${answer.status} ${code} ${detail}${where}`);
}
