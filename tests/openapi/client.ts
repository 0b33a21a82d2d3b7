// A client that was generated from the API description drives a full sync: every path, parameter,
// body and answer below is typed by it, so that a description that is wrong does not compile.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Run = components["schemas"]["Run"];

const [url, lake] = process.argv.slice(2) as [string, string];
const api = createClient<paths>({ baseUrl: url });

interface Answer<T> {
  data?: T;
  error?: components["schemas"]["Problem"];
  response: Response;
}

function done<T>(what: string, answer: Answer<T>): T {
  if (answer.error)
    throw new Error(`${what}: ${answer.error.status} ${answer.error.code}: ${answer.error.detail}`);
  if (answer.data === undefined) throw new Error(`${what}: ${answer.response.status} without a body`);
  return answer.data;
}

function same(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`${what} is ${String(actual)}, not ${String(expected)}`);
}

const names = done("connectors", await api.GET("/v1/connectors", { params: { query: { kind: "source" } } }));
same("a sample source is offered", names.items.some((c) => c.name === "sample"), true);

const source = done("source", await api.POST("/v1/sources", {
  body: { name: "shop", connector: "sample", config: { rows: 300 } },
}));
if (!("id" in source)) throw new Error("a source that was created has an id");
done("destination", await api.PUT("/v1/destinations/{destination}", {
  params: { path: { destination: "lake" } },
  body: { connector: "file", config: { path: lake, format: "ndjson" } },
}));
const check = done("check", await api.POST("/v1/sources/{source}/check", { params: { path: { source: source.id } } }));
if (!("checked_at" in check)) throw new Error("the check took too long");
same("the check", check.status, "succeeded");
const found = done("discover", await api.POST("/v1/sources/{source}/discover", { params: { path: { source: "shop" } } }));
if (!("diff" in found)) throw new Error("discovery took too long");
same("a key", found.streams.find((s) => s.name === "users")?.primary_key[0], "id");

done("connection", await api.PUT("/v1/connections/{connection}", {
  params: { path: { connection: "shop-to-lake" } },
  body: {
    source: "shop",
    destination: "lake",
    streams: [{ name: "users", sync_mode: "incremental", destination_sync_mode: "append" }],
  },
}));
let run = done("run", await api.POST("/v1/connections/{connection}/runs", {
  params: { path: { connection: "shop-to-lake" } },
  body: { note: "by a generated client" },
})) as Run;
while (!["succeeded", "failed", "cancelled"].includes(run.status))
  run = done("wait", await api.GET("/v1/runs/{run}", { params: { path: { run: run.id }, query: { wait: 10 } } }));
same("the run", run.status, "succeeded");
same("rows", run.stats?.records_committed, 300);
same("rows of the stream", run.stats?.streams[0]?.counts.inserted, 300);

const log = await api.GET("/v1/runs/{run}/logs", { params: { path: { run: run.id } }, parseAs: "text" });
const last = done("log", log).trimEnd().split("\n").at(-1) ?? "";
same("the last event", (JSON.parse(last) as components["schemas"]["LogEvent"]).type, "end");

const problem = await api.GET("/v1/runs/{run}", { params: { path: { run: 999999 } } });
same("the code of a problem", problem.error?.code, "not_found");
console.log(`${run.stats?.records_committed ?? 0} rows by a generated client`);
