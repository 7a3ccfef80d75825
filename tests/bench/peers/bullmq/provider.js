// The provider: does nothing, waits, or posts over HTTP; with EAR it reports each call with a datagram.
import { createSocket } from 'node:dgram';
import { setTimeout as wait } from 'node:timers/promises';

const provider = process.env.PROVIDER;
const ear = Number(process.env.EAR ?? 0);
const socket = ear ? createSocket('udp4').unref() : undefined;

function report(what, address) {
  socket?.send(`${what} ${address}`, ear, '127.0.0.1');
}

export async function send(channel, address, body) {
  report('call', address);
  if (provider.startsWith('sleep:')) {
    await wait(Number(provider.slice(6)));
  } else if (provider.startsWith('http:')) {
    const response = await fetch(provider, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ channel, to: address, text: body }),
      signal: AbortSignal.timeout(10_000),
    });
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`the provider answered ${response.status}`);
  }
  report('done', address);
}
