// What jobs carry: random letters, for the server compresses long values.

/** How many different payloads there are: more than rows on a page, for the server can compress the pages of its WAL. */
const DIFFERENT = 256;
const AROUND = JSON.stringify({ text: "" }).length;

const made = new Map();

/** The payload of the job with a number, so many bytes as JSON text. The same in each run. */
export function payloads(bytes) {
  if (!made.has(bytes)) {
    let state = 1;
    const letter = () => {
      // A linear congruence, of which the high bits are random enough for this.
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return String.fromCharCode(97 + (state >>> 16) % 26);
    };
    const text = () => Array.from({ length: Math.max(0, bytes - AROUND) }, letter).join("");
    made.set(bytes, Array.from({ length: DIFFERENT }, () => ({ text: text() })));
  }
  const all = made.get(bytes);
  return (task) => all[task % DIFFERENT];
}
