// What the drivers of this folder share: arguments, the workloads, and the one line with the figures. The rules are
// those of the drivers in Rust, in `../driver`.

import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { realtime } from "./clock.mjs";
import { Left } from "./left.mjs";
import { payloads } from "./payload.mjs";
import { serve, Workers } from "./workers.mjs";

/** The calls of each caller that open the connections and fill the caches, before the clock starts. */
const SINGLE_WARM_UP = 8;
/** The jobs that do so for `latency`. */
const LATENCY_WARM_UP = 10;
/** The pause between a job and the next, for the worker to go to sleep. */
const IDLE_MS = 20;
/** How long the worker has, from its start, until it is one that has nothing to do. */
const SETTLED_MS = 2_000;
/** When to end with fewer samples than asked for. */
const LONGEST_MS = 60_000;
/** How often the database is asked once the handlers have counted all jobs. */
const ASK_MS = 20;

/**
 * Does what the command line asks for.
 *
 * @typedef {object} System
 * @property {object} info what the system is, and how it was set
 * @property {string} script the driver's own `import.meta.url`
 * @property {(url: string) => Promise<unknown>} setup installs the schema
 * @property {number} chunk how many jobs its bulk call creates at once
 * @property {(url: string, callers: number) => Promise<Producer>} producer
 * @property {number} processes how many processes drain a backlog
 * @property {(url: string, started: (jobs: number) => void, load: "drain" | "latency") => Promise<{stop(): unknown}>}
 *   worker starts handlers that do nothing but call `started`
 * @property {string} left a statement that counts the jobs that are not done
 *
 * @typedef {object} Producer
 * @property {(payload: object) => Promise<unknown>} one creates one job, and returns when it is durable
 * @property {(payloads: object[]) => Promise<unknown>} many creates them by the bulk call
 * @property {() => Promise<unknown>} [wakeWorkers] from now on, jobs wake idle workers, where that is an option
 * @property {() => unknown} close
 *
 * @param {System} system
 */
export async function drive(system) {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      tasks: { type: "string", default: "1000" },
      callers: { type: "string", default: "8" },
      seconds: { type: "string", default: "1" },
      samples: { type: "string", default: "100" },
      payload: { type: "string", default: "100" },
    },
  });
  const sizes = Object.fromEntries(Object.entries(values).map(([name, text]) => [name, size(name, text)]));
  const url = process.env.DATABASE_URL;
  const [name, load] = positionals;
  if (name === "worker") {
    return serve((started) => system.worker(url, started, load), load);
  }
  const workload = workloads[name];
  if (!workload) {
    throw new Error(`there is no workload ${name}, but ${Object.keys(workloads).join(", ")}`);
  }
  console.log(JSON.stringify(await workload(system, url, sizes)));
}

/** The version of a dependency: `package.json` names each exactly. */
export function versionOf(dependency) {
  return createRequire(import.meta.url)("./package.json").dependencies[dependency];
}

function size(name, text) {
  const number = Number(text);
  if (!(number > 0)) {
    throw new Error(`--${name} is a number above 0, not ${text}`);
  }
  return number;
}

const workloads = { info: (system) => system.info, setup, single, bulk, seed: bulk, drain, latency };

async function setup(system, url) {
  await system.setup(url);
  return { n: 0 };
}

/** Callers that create one job after the other, each waiting until it is durable. */
async function single(system, url, { callers, seconds, payload }) {
  const producer = await system.producer(url, callers);
  const job = payloads(payload);
  const each = (call) => Promise.all(Array.from({ length: callers }, (_, caller) => call(caller)));
  await each(async (caller) => {
    for (let i = 0; i < SINGLE_WARM_UP; i++) {
      await producer.one(job(caller + i));
    }
  });
  const times = [];
  const begin = performance.now();
  const end = begin + seconds * 1000;
  await each(async (caller) => {
    for (let before = begin; before < end; ) {
      await producer.one(job(caller + times.length));
      const after = performance.now();
      times.push(after - before);
      before = after;
    }
  });
  const took = performance.now() - begin;
  await producer.close();
  return { n: times.length, seconds: took / 1000, ...percentiles(times) };
}

/** One caller that creates all jobs by the bulk call. */
async function bulk(system, url, { tasks, payload }) {
  const producer = await system.producer(url, 1);
  const all = Array.from({ length: tasks }, (_, task) => payloads(payload)(task));
  const begin = performance.now();
  for (let at = 0; at < tasks; at += system.chunk) {
    await producer.many(all.slice(at, at + system.chunk));
  }
  const took = performance.now() - begin;
  await producer.close();
  return { n: tasks, seconds: took / 1000 };
}

/** Workers that run the jobs that wait, until the database says that all are done. */
async function drain(system, url, { tasks }) {
  const left = await Left.connect(url, system.left);
  const waiting = await left.count();
  if (waiting !== tasks) {
    throw new Error(`the database counts ${waiting} before the drain, not ${tasks}`);
  }
  const workers = new Workers(fileURLToPath(system.script), "drain", system.processes);
  await workers.ready();
  const begin = performance.now();
  workers.go();
  await workers.handled(tasks);
  await left.none(ASK_MS);
  const took = performance.now() - begin;
  await workers.stop();
  await left.close();
  if (workers.count !== tasks) {
    throw new Error(`${workers.count} handlers ran for ${tasks} jobs`);
  }
  return { n: tasks, seconds: took / 1000 };
}

/** How long a job waits for a worker in another process that has nothing else to do, one job at a time. */
async function latency(system, url, { samples, payload }) {
  const producer = await system.producer(url, 1);
  await producer.wakeWorkers?.();
  const workers = new Workers(fileURLToPath(system.script), "latency", 1);
  await workers.ready();
  workers.go();
  await sleep(SETTLED_MS);
  const job = payloads(payload);
  const times = [];
  const begin = performance.now();
  for (let i = 0; i < LATENCY_WARM_UP + samples; i++) {
    await sleep(IDLE_MS);
    const created = realtime();
    await producer.one(job(i));
    await workers.handled(i + 1);
    if (i >= LATENCY_WARM_UP) {
      times.push(workers.startedAt - created);
    }
    if (performance.now() - begin > LONGEST_MS && times.length > 0) {
      break;
    }
  }
  await workers.stop();
  await producer.close();
  return { n: times.length, ...percentiles(times) };
}

function percentiles(times) {
  const sorted = Float64Array.from(times).sort();
  const at = (percent) => sorted[Math.max(1, Math.ceil((sorted.length * percent) / 100)) - 1];
  return { p50_ms: at(50), p99_ms: at(99) };
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
