// Do the parts the other scripts are made of do what they say? Sends nothing.
import { check } from 'k6';

import { seconds } from './lib/env.js';
import { latest, uniform, weight, zipfian } from './lib/random.js';
import { isValueOf, valueOf } from './lib/records.js';

const RECORDS = 1000;
const DRAWS = 100_000;

export const options = { thresholds: { checks: ['rate==1'] } };

export default function selfTest() {
  check(draw(uniform), {
    'uniform: all records alike': (counts) => counts.every((n) => near(n, DRAWS / RECORDS)),
  });
  check(draw(zipfian), {
    'zipfian: each rank has its weight': (counts) =>
      counts.every((n, index) => near(n, expected(index + 1))),
    'zipfian: the first record gets an eighth': ([first]) => near(first, DRAWS * 0.1293),
  });
  // Of two, the second gets 1 to 2^0.99. Where the law is rounded, and not exact, it shows here.
  check(draw(zipfian, 2), {
    'zipfian: of two records the second gets a third': ([, second]) =>
      Math.abs(second / DRAWS - 0.33488) < 0.0035,
  });
  check(draw(latest), {
    'latest: the newest record comes first': (counts) =>
      counts.reverse().every((n, index) => near(n, expected(index + 1))),
  });
  check(valueOf('key', 64_001), {
    'a value has its length and tells its key': (value) =>
      value.length === 64_001 && isValueOf('key', value) && !isValueOf('other', value),
  });
  check(null, {
    'durations are read as k6 reads them': () =>
      ['90s', '1h30m', '500ms', '1.5m'].map(given).join() === '90,5400,0.5,90',
    'what is no duration is refused': () =>
      ['5', '5 s', 's', '5s-', '1d'].every(refuses),
  });
}

function draw(law, records = RECORDS) {
  const counts = new Array(records).fill(0);
  for (let n = 0; n < DRAWS; n += 1) {
    counts[law(records)] += 1;
  }
  return counts;
}

const weights = Array.from({ length: RECORDS }, (_, index) => weight(index + 1));
const total = weights.reduce((sum, one) => sum + one);

function expected(rank) {
  return (DRAWS * weight(rank)) / total;
}

/** Within six standard deviations: for a thousand ranks, wrong once in half a million runs. */
function near(found, wanted) {
  return Math.abs(found - wanted) < 6 * Math.sqrt(wanted);
}

function given(text) {
  return seconds('NOT_SET', text);
}

function refuses(text) {
  try {
    given(text);
    return false;
  } catch (error) {
    return true;
  }
}
