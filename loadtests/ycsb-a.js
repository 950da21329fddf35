// YCSB A, a session store: half reads, half updates of records in unequal demand.
import { workload } from './lib/workload.js';
import { zipfian } from './lib/random.js';

const mix = workload({
  name: 'ycsb-a',
  question: 'half reads, half updates',
  shares: { read: 0.5, update: 0.5 },
  law: zipfian,
});
export const { options, setup, run, teardown, handleSummary } = mix;
