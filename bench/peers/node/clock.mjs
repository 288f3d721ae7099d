// The wall clock with microseconds. `Date.now()` has milliseconds alone, and what a process adds to its own
// `performance.now()` in order to reach it is not exact enough to compare two processes by.

const EDGES = 5;

const offset = Math.max(...Array.from({ length: EDGES }, edge));

/** Waits for the millisecond to change. Being interrupted makes the answer smaller, never larger. */
function edge() {
  const before = Date.now();
  let now = before;
  while (now === before) {
    now = Date.now();
  }
  return now - performance.now();
}

/** Milliseconds since 1970, the same in all processes of this machine. */
export function realtime() {
  return offset + performance.now();
}
