// YCSB F, a user database: records are read, changed and written back.
import { workload } from './lib/workload.js';
import { zipfian } from './lib/random.js';

const mix = workload({
  name: 'ycsb-f',
  question: 'half reads, half read-modify-writes',
  shares: { read: 0.5, modify: 0.5 },
  law: zipfian,
});
export const { options, setup, run, teardown, handleSummary } = mix;
