/** Builds the service worker after the page: it carries the list of all files of the build. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build, type Plugin } from "vite";

const ENTRY = "src/pwa/worker.ts";

export function serviceWorker(): Plugin {
  let root = "";
  let folder = "";
  return {
    name: "nodegraph:service-worker",
    apply: "build",
    configResolved(config) {
      root = config.root;
      folder = join(config.root, config.build.outDir);
      if (config.build.outDir.startsWith("/")) folder = config.build.outDir;
    },
    async closeBundle() {
      const files = readdirSync(join(folder, "assets")).sort();
      const page = readFileSync(join(folder, "index.html"));
      // Names of files tell their content; the page has no hash in its name.
      const hash = createHash("sha256").update(page).update(files.join());
      await buildWorker(root, folder, {
        __BUILD__: JSON.stringify(hash.digest("hex").slice(0, 16)),
        __FILES__: JSON.stringify(files.map((name) => `assets/${name}`)),
      });
    },
  };
}

async function buildWorker(
  root: string,
  folder: string,
  define: Record<string, string>,
): Promise<void> {
  const made = await build({
    configFile: false,
    root,
    define,
    publicDir: false,
    logLevel: "warn",
    build: {
      write: false,
      minify: false,
      target: "es2022",
      lib: { entry: join(root, ENTRY), formats: ["iife"], name: "worker" },
    },
  });
  const [output] = Array.isArray(made) ? made : [made];
  if (output === undefined || !("output" in output)) throw new Error("no worker was built");
  writeFileSync(join(folder, "sw.js"), output.output[0].code);
}
