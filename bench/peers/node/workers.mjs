// Worker processes: the driver started again, with pipes to talk through. A process says `ready` when its modules are
// loaded, starts its workers when told `go`, tells of the handlers that were called, and stops when its input ends.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { realtime } from "./clock.mjs";

/** How often a process that drains tells how many handlers were called. */
const TELL_MS = 2;
/** After how long without a handler being called the rest is taken for lost. */
const STALLED_MS = 60_000;

/** The processes, as the driver sees them. */
export class Workers {
  /** How many handlers were called. */
  count = 0;
  /** When the last of them was called, where that is told. */
  startedAt;

  #children;
  #ready = 0;
  #failed;
  #stopping = false;
  #changed = () => {};

  constructor(script, load, processes) {
    const start = () => spawn(process.execPath, [script, "worker", load], { stdio: ["pipe", "pipe", "inherit"] });
    this.#children = Array.from({ length: processes }, start);
    for (const child of this.#children) {
      child.on("exit", (code, signal) => this.#gone(signal ?? code));
      createInterface({ input: child.stdout }).on("line", (line) => this.#hear(line));
    }
  }

  /** Waits until all processes have loaded their modules. */
  ready() {
    return this.#until(() => this.#ready === this.#children.length);
  }

  /** Has all processes start their workers. */
  go() {
    for (const child of this.#children) {
      child.stdin.write("go\n");
    }
  }

  /** Waits until so many handlers were called. */
  handled(jobs) {
    return this.#until(() => this.count >= jobs);
  }

  /** Stops the workers, and waits for their processes to end. */
  async stop() {
    this.#stopping = true;
    const running = this.#children.filter((child) => child.exitCode === null);
    await Promise.all(running.map((child) => {
      const gone = new Promise((resolve) => child.on("close", resolve));
      child.stdin.end();
      return gone;
    }));
    if (this.#failed) {
      throw this.#failed;
    }
  }

  #hear(line) {
    if (line === "ready") {
      this.#ready += 1;
    } else {
      const [jobs, at] = line.split(" ").map(Number);
      this.count += jobs;
      this.startedAt = at;
    }
    this.#changed();
  }

  #gone(how) {
    if (how !== 0 || !this.#stopping) {
      this.#failed = new Error(`a worker process ended with ${how}`);
      this.#changed();
    }
  }

  async #until(condition) {
    while (!condition()) {
      if (this.#failed) {
        throw this.#failed;
      }
      await new Promise((resolve, reject) => {
        const lost = setTimeout(() => reject(new Error("the workers got nothing to do")), STALLED_MS);
        this.#changed = () => {
          clearTimeout(lost);
          resolve();
        };
      });
    }
  }
}

/** What such a process does. `start` starts the workers, and is given what their handlers have to call. */
export async function serve(start, load) {
  const orders = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  process.stdout.write("ready\n");
  if ((await orders.next()).done) {
    return;
  }
  const tell = load === "latency" ? tellEach() : tellOften();
  const workers = await start(tell.started);
  await orders.next();
  await workers.stop();
  tell.stop();
}

/** Each handler at once, with the time at which it was called. */
function tellEach() {
  return {
    started: (jobs) => process.stdout.write(`${jobs} ${realtime()}\n`),
    stop: () => {},
  };
}

/** How many handlers were called since the last time, so that telling costs nothing beside them. */
function tellOften() {
  let jobs = 0;
  const tell = () => {
    if (jobs > 0) {
      process.stdout.write(`${jobs}\n`);
      jobs = 0;
    }
  };
  const timer = setInterval(tell, TELL_MS);
  return {
    started: (more) => (jobs += more),
    stop: () => {
      clearInterval(timer);
      tell();
    },
  };
}
