// graphile-worker, with the batching that the page on performance of its documentation describes.

import { Logger, makeWorkerUtils, run, runMigrations } from "graphile-worker";
import { drive, versionOf } from "./driver.mjs";

const TASK = "noop";
/** What `addJobs` is given at once. One call with 50,000 is not faster. */
const CHUNK = 10_000;
/** Its own default. 64 callers get less done with as many connections: notifying commits wait for one another. */
const CONNECTIONS = 10;
/** One for each of two cores. */
const PROCESSES = 2;
/** As its benchmark has it. */
const CONCURRENCY = 24;
/** Its benchmark has 500, for four processes; a fetch waits until the queue is empty, so fewer fetches are better. */
const LOCAL_QUEUE = 2_000;

/** Warnings and errors alone, for it logs each job. */
const logger = new Logger((scope) => (level, message) => {
  if (level === "error" || level === "warning") {
    console.error(`${scope.label ?? "core"}: ${message}`);
  }
});

await drive({
  script: import.meta.url,
  info: {
    system: "graphile-worker",
    version: versionOf("graphile-worker"),
    history: "deleted",
    configuration:
      `Node.js ${process.version}; the drain by ${PROCESSES} processes with ${CONCURRENCY} concurrent jobs each, a localQueue of ` +
      `${LOCAL_QUEUE}, and completeJobBatchDelay and failJobBatchDelay 0, as the page on performance of its documentation advises, ` +
      `but with a larger queue, which was faster here; addJobs with ${CHUNK} jobs a call; at most ${CONNECTIONS} connections for ` +
      "single jobs, its default, for more make them slower.",
  },
  setup: (url) => runMigrations({ connectionString: url, logger }),
  chunk: CHUNK,
  async producer(url, callers) {
    const maxPoolSize = Math.max(2, Math.min(callers, CONNECTIONS));
    const utils = await makeWorkerUtils({ connectionString: url, maxPoolSize, logger });
    return {
      one: (payload) => utils.addJob(TASK, payload),
      many: (payloads) => utils.addJobs(payloads.map((payload) => ({ identifier: TASK, payload }))),
      close: () => utils.release(),
    };
  },
  processes: PROCESSES,
  worker: (url, started) =>
    run({
      taskList: { [TASK]: () => void started(1) },
      crontab: "",
      noHandleSignals: true,
      logger,
      preset: {
        worker: {
          connectionString: url,
          concurrentJobs: CONCURRENCY,
          maxPoolSize: CONCURRENCY + 1,
          localQueue: { size: LOCAL_QUEUE },
          completeJobBatchDelay: 0,
          failJobBatchDelay: 0,
        },
      },
    }),
  left: "SELECT count(*) FROM graphile_worker._private_jobs",
});
