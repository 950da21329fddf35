// How many writes does the cluster take? Every record is in equal demand.
import { workload } from './lib/workload.js';

const mix = workload({
  name: 'put-heavy',
  question: 'how many writes does it take?',
  shares: { read: 0.1, update: 0.9 },
});
export const { options, setup, run, teardown, handleSummary } = mix;
