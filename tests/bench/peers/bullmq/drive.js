// Measures notify(): node drive.js INCIDENTS RECIPIENTS CALLERS CHANNELS PAUSE_MS; writes the result as JSON.
import { setTimeout as wait } from 'node:timers/promises';
import { close, notify } from './notify.js';

const [incidents, recipients, callers, channels, pauseMs] = process.argv.slice(2).map(Number);
const prefix = process.env.PREFIX ?? 'incident';
const names = ['email', 'slack', 'push'].slice(0, channels);
const calls = [];
let next = 0;

async function call() {
  while (next < incidents) {
    const number = next++;
    const people = Array.from({ length: recipients }, (_, each) => `${prefix}-${number}-${each}`);
    const began = performance.now();
    const committedAt = await notify(`${prefix}-${number}`, people, names);
    calls.push({
      address: people[0],
      began_at: (performance.timeOrigin + began) / 1000,
      committed_at: committedAt / 1000,
      took_s: (performance.now() - began) / 1000,
    });
    if (pauseMs) await wait(pauseMs);
  }
}

const callersOf = (work) => Promise.all(Array.from({ length: callers }, (_, caller) => work(caller)));
await callersOf((caller) => notify(`${prefix}-warm-${caller}`, [`${prefix}-warm-${caller}`], names)); // connects
const began = performance.now();
await callersOf(call);
const tookS = (performance.now() - began) / 1000;
await close();
process.stdout.write(JSON.stringify({ took_s: tookS, calls }) + '\n');
