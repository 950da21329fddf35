// YCSB C, a cache of profiles: nothing but reads, of records in unequal demand.
import { workload } from './lib/workload.js';
import { zipfian } from './lib/random.js';

const mix = workload({
  name: 'ycsb-c',
  question: 'nothing but reads',
  shares: { read: 1 },
  law: zipfian,
});
export const { options, setup, run, teardown, handleSummary } = mix;
