// Does every call of the API work as the README says? One or two clients make every call; what is
// written through one gateway is read through the next.
import { check } from 'k6';
import exec from 'k6/execution';

import { page, problem, read, send } from './lib/gateway.js';
import { options as optionsOf, steady } from './lib/load.js';
import { awaitReady } from './lib/readiness.js';
import { keyOf, newPrefix } from './lib/records.js';
import { summary } from './lib/summary.js';

const NAME = 'smoke';
const PAGES = ['/topology', '/limits', '/openapi.json', '/livez', '/metrics'];

export const options = optionsOf({
  scenarios: { [NAME]: steady({ vus: 2, seconds: '5s' }) },
  operations: [
    'create', 'read', 'head', 'not modified', 'replace', 'exchange', 'delete', 'page',
  ],
});
export const handleSummary = summary({ name: NAME, question: 'does every call work?' });

export function setup() {
  awaitReady();
  return { prefix: newPrefix(NAME) };
}

/** Creates, reads, changes and deletes one record. */
export function run({ prefix }) {
  const key = keyOf(prefix, exec.scenario.iterationInTest);
  const created = create(key);
  readBack(key, created);
  replace(key, created);
  remove(key);
  const path = PAGES[exec.scenario.iterationInTest % PAGES.length];
  check(page(path, 'page'), { 'every page is there': ({ ok }) => ok });
}

function create(key) {
  const headers = { 'Content-Type': 'text/plain', 'KV-Meta-Origin': NAME };
  const created = send('PUT', key, 'create', [201], { value: 'hello', headers });
  check(created, {
    'a new key returns 201 and a revision': ({ ok, headers: got }) =>
      ok && got.Etag === `"${got['Kv-Revision']}"`,
  });
  return created;
}

function readBack(key, { headers: { Etag: etag } }) {
  check(read(key), {
    'a read returns bytes, type, metadata and revision as written': ({ body, headers }) =>
      body === 'hello' &&
      headers['Content-Type'] === 'text/plain' &&
      headers['Kv-Meta-Origin'] === NAME &&
      headers.Etag === etag,
  });
  check(send('HEAD', key, 'head', [200]), {
    'HEAD returns the same without the bytes': ({ body, headers }) =>
      !body && headers['Content-Length'] === '5' && headers.Etag === etag,
  });
  const known = { headers: { 'If-None-Match': etag } };
  check(send('GET', key, 'not modified', [304], known), {
    'a reader who has the revision gets 304': ({ ok }) => ok,
  });
}

function replace(key, { headers: { Etag: etag } }) {
  const unchanged = { 'If-Match': etag };
  const replaced = send('PUT', key, 'replace', [204], { value: 'again', headers: unchanged });
  check(replaced, {
    'a replaced value has a higher revision': ({ ok, headers }) =>
      ok && Number(headers['Kv-Revision']) > Number(etag.replace(/"/g, '')),
  });
  const previous = { value: 'bye', query: '?return=previous' };
  const exchanged = send('PUT', key, 'exchange', [200], previous);
  check(exchanged, {
    'an exchange returns the previous value': ({ body, headers }) =>
      body === 'again' && `"${headers['Kv-Previous-Revision']}"` === replaced.headers.Etag,
  });
}

function remove(key) {
  check(send('DELETE', key, 'delete', [204]), { 'a delete returns 204': ({ ok }) => ok });
  check(read(key, 'read', [404]), {
    'a deleted key is a problem document': (answer) =>
      answer.ok && problem(answer).code === 'key_not_found',
  });
}
