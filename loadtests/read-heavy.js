// How many reads does the cluster serve? Every record is in equal demand.
import { workload } from './lib/workload.js';

const mix = workload({
  name: 'read-heavy',
  question: 'how many reads does it serve?',
  shares: { read: 0.99, update: 0.01 },
});
export const { options, setup, run, teardown, handleSummary } = mix;
