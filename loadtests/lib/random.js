// Which record the next request is for.
//
// Owns the random numbers of a client, which repeat with SEED, and the laws by which records are
// chosen. A law is a function from the number of records to an index below it; 0 is the record
// most in demand. ringkv hashes keys itself, so records next to each other in number are not next
// to each other in the cluster: nothing is scrambled here, as YCSB does.

import { count, number } from './env.js';

/** The exponent of YCSB: of 1000 records the first gets an eighth of all requests. */
const SKEW = number('SKEW', 0.99, 0.01);
const SEED = count('SEED', 1, 0);

/** Random numbers in [0, 1), for this client only (the generator is mulberry32). */
export const random = generator(SEED * 7919 + __VU * 104729);

function generator(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** A whole number in [0, end). */
export function below(end) {
  return Math.floor(random() * end);
}

/** Every record alike. */
export const uniform = below;

/**
 * The record of rank k with a weight of exactly k^-SKEW, for any current number of
 * records. Rejection-inversion: W. Hörmann and G. Derflinger, "Rejection-inversion to generate
 * variates from monotone discrete distributions", 1996.
 */
export function zipfian(records) {
  const lowest = area(1.5) - 1;
  const highest = area(records + 0.5);
  const always = 2 - inverseArea(area(2.5) - weight(2));
  for (;;) {
    const drawn = highest + random() * (lowest - highest);
    const at = inverseArea(drawn);
    const rank = Math.min(Math.max(Math.round(at), 1), records);
    if (rank - at <= always || drawn >= area(rank + 0.5) - weight(rank)) {
      return rank - 1;
    }
  }
}

/** Zipfian from the newest record backwards: what was inserted last is most in demand. */
export function latest(records) {
  return records - 1 - zipfian(records);
}

/** The weight of a rank, whole or not. */
export function weight(rank) {
  return Math.pow(rank, -SKEW);
}

/** The integral of `weight` from 1. */
function area(rank) {
  return SKEW === 1 ? Math.log(rank) : (Math.pow(rank, 1 - SKEW) - 1) / (1 - SKEW);
}

function inverseArea(value) {
  return SKEW === 1 ? Math.exp(value) : Math.pow(1 + value * (1 - SKEW), 1 / (1 - SKEW));
}
