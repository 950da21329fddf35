// Refuses to start a run on gateways that cannot serve it.

import { sleep } from 'k6';
import http from 'k6/http';

import { number } from './env.js';
import { GATEWAYS } from './gateway.js';

const LIMIT_S = number('READY_SECONDS', 10);
const PAUSE_S = 0.2;

/** Waits until every gateway is ready; ends the run with the reason of one that is not in time. */
export function awaitReady() {
  const end = Date.now() + LIMIT_S * 1000;
  for (const gateway of GATEWAYS) {
    for (;;) {
      const answer = http.get(`${gateway}/readyz`, { tags: { name: 'ready' }, timeout: '5s' });
      if (answer.status === 200) {
        break;
      }
      if (Date.now() > end) {
        const reason = answer.body || answer.error || `status ${answer.status}`;
        throw new Error(`${gateway} is not ready after ${LIMIT_S} s: ${reason}`);
      }
      sleep(PAUSE_S);
    }
  }
}
