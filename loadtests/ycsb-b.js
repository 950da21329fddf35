// YCSB B, tags of photos: reads with a few updates, of records in unequal demand.
import { workload } from './lib/workload.js';
import { zipfian } from './lib/random.js';

const mix = workload({
  name: 'ycsb-b',
  question: 'reads, and some updates',
  shares: { read: 0.95, update: 0.05 },
  law: zipfian,
});
export const { options, setup, run, teardown, handleSummary } = mix;
