/**
 * A producer over HTTP, with the `fetch` of Node alone: it has the words of texts counted, and waits for the numbers.
 *
 *     npm run build && PGMILL_URL=http://localhost:8080/api node dist/producer.js words "to be or not to be"
 *
 * Each task has an idempotency key: if it is not known whether a task was created, creating it once more creates no second one.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

const SERVER = process.env.PGMILL_URL ?? "http://localhost:8080/api";
const TOKEN = process.env.PGMILL_TOKEN;

type Task = { id: number; status: string; result?: unknown };
class Refused extends Error {
  constructor(readonly status: number, body: string) {
    super(`${status} ${body}`);
  }
}

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (TOKEN) headers.Authorization = `Bearer ${TOKEN}`;
  const response = await fetch(SERVER + path, { method, headers, body: body === undefined ? null : JSON.stringify(body) });
  if (!response.ok) throw new Refused(response.status, await response.text());
  return (await response.json()) as T;
}

/** Tries again while the server is away or busy. */
async function patiently<T>(what: () => Promise<T>, tries = 5): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await what();
    } catch (error) {
      if ((error instanceof Refused && error.status < 500) || attempt === tries) throw error;
      await sleep(1000 * 2 ** (attempt - 1));
    }
  }
}

async function ensureQueue(queue: string): Promise<void> {
  await call("POST", "/queue", { queue, ttl: "1h", retries: 5, retry_delay: "1s" }).catch((error) => {
    if (!(error instanceof Refused && error.status === 409)) throw error; // It is there already.
  });
}

async function result(id: number): Promise<Task> {
  for (; ; await sleep(200)) {
    const task = await patiently(() => call<Task>("GET", `/task/${id}`));
    if (!["new", "retry", "retained"].includes(task.status)) return task;
  }
}

const [queue, ...texts] = process.argv.slice(2);
if (!queue) throw new Error("usage: producer QUEUE TEXT...");
await patiently(() => ensureQueue(queue));
const seconds = Number(process.env.SECONDS ?? 0);
const tasks = texts.map((text) => ({ queue, payload: { text, seconds }, key: randomUUID() }));
const created = await patiently(() => call<{ body: Task[] }>("POST", "/task", tasks));
created.body.forEach((task, index) => console.log(`task ${task.id}: ${texts[index]}`));
for (const task of created.body) {
  const ended = await result(task.id);
  console.log(`task ${ended.id}: ${ended.status} ${JSON.stringify(ended.result)}`);
}
