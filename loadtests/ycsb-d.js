// YCSB D, status messages: new records come in, and the newest are read most.
import { workload } from './lib/workload.js';

const mix = workload({
  name: 'ycsb-d',
  question: 'the newest records are read most',
  shares: { read: 0.95, insert: 0.05 },
});
export const { options, setup, run, teardown, handleSummary } = mix;
