// What an app does with a server, by types that openapi-typescript made: `node client.js URL`.
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

declare const process: { argv: string[] };

const client = createClient<paths>({ baseUrl: process.argv[2] });

const uploaded = await client.POST("/api/v1/uploads", {
  params: { query: { name: "apple.json" } },
  body: "{}",
  bodySerializer: () => new Blob([JSON.stringify({ format: "nodegraph/1", nodes: {} })]),
  headers: { "Content-Type": "application/octet-stream" },
});

const node = { type: "sums:Show", inputs: { value: 2 } };
const submitted = await client.POST("/api/v1/jobs", {
  body: { workflow: { format: "nodegraph/1", nodes: { show: node } } },
});

const run = await client.POST("/api/v1/apps/{name}", {
  params: { path: { name: "sum" }, header: { prefer: "wait=0" } },
  body: { b: 5 },
});

const types = await client.GET("/api/v1/node-types/summaries", {
  params: { query: { pack: "sums" } },
});

const refused = await client.POST("/api/v1/apps/{name}", {
  params: { path: { name: "gone" } },
});
// An error leaves out what it has nothing to say of.
const nodeOf: string | null | undefined = refused.error?.problems[0]?.node;

console.log(
  JSON.stringify({
    upload: uploaded.data?.name,
    job: submitted.data?.state,
    app: typeof run.data === "object" ? run.data.job.name : null,
    types: types.data?.items.map((item) => item.type),
    refused: refused.error?.status,
    node: nodeOf ?? null,
  }),
);
