// What the database says of how many jobs are not done.

import pg from "pg";

/** After how long the rest is taken for lost. */
const STALLED_MS = 60_000;

export class Left {
  #client;
  #statement;

  constructor(client, statement) {
    this.#client = client;
    this.#statement = statement;
  }

  /** Asks by a statement that returns one `bigint`. */
  static async connect(url, statement) {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    return new Left(client, statement);
  }

  async count() {
    const { rows } = await this.#client.query({ text: this.#statement, rowMode: "array" });
    return Number(rows[0][0]);
  }

  /** Asks until there are none left. */
  async none(every) {
    const begin = performance.now();
    for (let left; (left = await this.count()) > 0; ) {
      if (performance.now() - begin > STALLED_MS) {
        throw new Error(`all handlers ran, but the database counts ${left} that are not done`);
      }
      await new Promise((resolve) => setTimeout(resolve, every));
    }
  }

  close() {
    return this.#client.end();
  }
}
