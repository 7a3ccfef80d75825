// Accepts incidents: inserts a row for each channel, then adds a job for each row.
import { Queue } from 'bullmq';
import pg from 'pg';

const CHANNELS = ['email', 'slack', 'push'];
const PRIORITY = 10;

export const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 20 });
export const queue = new Queue('notifications', {
  connection: { url: process.env.REDIS_URL },
  defaultJobOptions: {
    attempts: 5,
    backoff: { type: 'exponential', delay: 30_000 },
    priority: PRIORITY,
    removeOnComplete: true,
  },
});

/** Accept one incident; return the time of its commit in milliseconds since the epoch. */
export async function notify(incident, recipients, channels = CHANNELS) {
  const rows = recipients.flatMap((recipient) =>
    channels.map((channel) => ({ channel, address: recipient, body: `${incident}: orders db is down` })),
  );
  const { rows: inserted } = await pool.query({
    name: 'insert',
    text: `INSERT INTO notification (incident, channel, address, body)
           SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[]) RETURNING id`,
    values: [incident, rows.map((row) => row.channel), rows.map((row) => row.address), rows.map((row) => row.body)],
  });
  const committedAt = performance.timeOrigin + performance.now();
  await queue.addBulk(inserted.map(({ id }, number) => ({ name: rows[number].channel, data: { id } })));
  return committedAt;
}

export async function close() {
  await queue.close();
  await pool.end();
}
