/**
 * A worker over HTTP, with the `fetch` of Node alone: it counts the words of texts.
 *
 *     npm run build && PGMILL_URL=http://localhost:8080/api node dist/worker.js words
 *
 * Replace `handle`. A task is held under a lease, which is extended while `handle` runs. A worker that dies or stands
 * still loses it, and the task goes to another one; what this one reports afterwards is refused, and nothing is done twice.
 */
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

const SERVER = process.env.PGMILL_URL ?? "http://localhost:8080/api";
const TOKEN = process.env.PGMILL_TOKEN;
const LEASE = Number(process.env.LEASE ?? 30); // seconds
const stopping = new AbortController();

type Payload = { text: string; seconds?: number };
type Task = { id: number; attempt: number; lease: string; payload: Payload; status: string };
class Refused extends Error {
  constructor(readonly status: number, body: string) {
    super(`${status} ${body}`);
  }
}

async function handle(payload: Payload, signal: AbortSignal): Promise<unknown> {
  await sleep(1000 * (payload.seconds ?? 0), undefined, { signal });
  return { words: payload.text.split(/\s+/).filter(Boolean).length };
}

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (TOKEN) headers.Authorization = `Bearer ${TOKEN}`;
  const response = await fetch(SERVER + path, { method, headers, body: body === undefined ? null : JSON.stringify(body) });
  if (!response.ok) throw new Refused(response.status, await response.text());
  return (await response.json()) as T;
}

/** Tries again while the server is away, but not for longer than the lease: then the task is another worker's. */
async function patiently<T>(what: () => Promise<T>): Promise<T> {
  for (const until = Date.now() + 1000 * LEASE; ; await sleep(1000)) {
    try {
      return await what();
    } catch (error) {
      if ((error instanceof Refused && error.status < 500) || Date.now() > until) throw error;
    }
  }
}

async function run(task: Task): Promise<void> {
  const { id, lease } = task;
  const lost = new AbortController();
  const beat = setInterval(async () => {
    await call("POST", `/task/${id}/heartbeat`, { lease, extend: `${LEASE}s` }).catch((error) => {
      if (error instanceof Refused && error.status < 500) lost.abort(error);
    });
  }, (1000 * LEASE) / 3);
  console.log(`task ${id}: attempt ${task.attempt}`);
  const report = await handle(task.payload, lost.signal)
    .then((result) => ({ result }), (error) => ({ fail: true, result: String(error) }))
    .finally(() => clearInterval(beat));
  try {
    const ended = await patiently(() => call<Task>("PATCH", `/task/${id}`, { lease, ...report }));
    console.log(`task ${id}: ${ended.status}`);
  } catch (error) {
    console.log(`task ${id}: lost: ${error}`); // Another attempt has it, or it has ended: this one counts for nothing.
  }
}

for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => stopping.abort());
const query = new URLSearchParams({ worker: `node-${hostname()}-${process.pid}`, n: "1", wait: "5s", lease: `${LEASE}s` });
process.argv.slice(2).forEach((queue) => query.append("queue", queue));
while (!stopping.signal.aborted) {
  try {
    for (const task of (await call<{ body?: Task[] }>("PUT", `/task?${query}`)).body ?? []) await run(task);
  } catch (error) {
    console.log(`the server is away: ${error}`);
    await sleep(1000);
  }
}
