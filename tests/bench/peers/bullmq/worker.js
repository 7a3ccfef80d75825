// Carries notifications: marks a row SENDING, calls the provider, marks the row SENT.
import { Worker } from 'bullmq';
import pg from 'pg';
import { send } from './provider.js';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });

async function carry(job) {
  const { rows } = await pool.query({
    name: 'sending',
    text: `UPDATE notification SET state = 'SENDING' WHERE id = $1 AND state <> 'SENT' RETURNING channel, address, body`,
    values: [job.data.id],
  });
  if (rows.length === 0) return; // a repetition of a job that is done
  await send(rows[0].channel, rows[0].address, rows[0].body);
  await pool.query({
    name: 'sent',
    text: `UPDATE notification SET state = 'SENT', sent_at = now() WHERE id = $1`,
    values: [job.data.id],
  });
}

const worker = new Worker('notifications', carry, { connection: { url: process.env.REDIS_URL }, concurrency: 10 });
worker.on('failed', (job, error) => console.error(job?.id, error.message));
process.on('SIGTERM', async () => {
  await worker.close();
  await pool.end();
});
