// pg-boss, with jobs in batches: created by `insert`, its call for many, and fetched and completed by workers that go on
// at once while batches are full.

import { PgBoss } from "pg-boss";
import { drive, versionOf } from "./driver.mjs";

const QUEUE = "noop";
/** What `insert` is given at once. One call with 50,000 is not faster. */
const CHUNK = 10_000;
/** Two fetches at once keep the other core at work; a second process costs more than it gets done. */
const CONCURRENCY = 2;
const BATCH = 4_000;
/** The least that it takes. */
const POLL_S = 0.5;

await drive({
  script: import.meta.url,
  info: {
    system: "pg-boss",
    version: versionOf("pg-boss"),
    history: "kept",
    configuration:
      `Node.js ${process.version}; the drain by one process with batchSize ${BATCH}, localConcurrency ${CONCURRENCY} and ` +
      `burstWhenBatchFull, which fetches on without a pause; insert with ${CHUNK} jobs a call; a connection for each caller; ` +
      "LISTEN/NOTIFY (notify, useListenNotify) for the pickup alone, for it makes creation slower.",
  },
  async setup(url) {
    const boss = await start(url, { supervise: false });
    await boss.createQueue(QUEUE);
    await boss.stop();
  },
  chunk: CHUNK,
  async producer(url, callers) {
    const boss = await start(url, { max: callers, supervise: false, migrate: false });
    return {
      one: (payload) => boss.send(QUEUE, payload),
      many: (payloads) => boss.insert(QUEUE, payloads.map((data) => ({ data }))),
      wakeWorkers: () => boss.updateQueue(QUEUE, { notify: true }),
      close: () => boss.stop(),
    };
  },
  processes: 1,
  async worker(url, started, load) {
    const boss = await start(url, { useListenNotify: load === "latency", migrate: false });
    const options = {
      batchSize: BATCH,
      localConcurrency: CONCURRENCY,
      burstWhenBatchFull: true,
      pollingIntervalSeconds: POLL_S,
    };
    await boss.work(QUEUE, options, async (jobs) => void started(jobs.length));
    return boss;
  },
  left: "SELECT count(*) FROM pgboss.job WHERE state <> 'completed'",
});

async function start(url, options) {
  const boss = new PgBoss({ connectionString: url, schedule: false, ...options });
  boss.on("error", (error) => {
    console.error(error);
    process.exit(1);
  });
  return boss.start();
}
