import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";
import { serviceWorker } from "./scripts/serviceWorker.ts";

const culling = fileURLToPath(
  new URL("./src/components/canvas/moving/culling.ts", import.meta.url),
);

/** What of a graph the canvas library draws is answered by the editor, where it is built. */
const ownCulling: Plugin = {
  name: "own-culling",
  enforce: "pre",
  apply: "build",
  resolveId: (source, importer) =>
    source === "@xyflow/system" && importer !== culling ? culling : null,
};

// The server forbids inline scripts and styles, so everything is built into files of its own.
export default defineConfig({
  // Parts of the page find each other wherever a proxy offers them.
  base: "./",
  plugins: [ownCulling, react(), serviceWorker()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  build: {
    outDir: "../nodegraph/server/static",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    sourcemap: false,
    rolldownOptions: {
      output: {
        // Small modules that many parts share would be a hundred files, each packed by itself.
        codeSplitting: {
          groups: [
            { name: "icons", test: /node_modules\/lucide-react/, minShareCount: 3, priority: 2 },
            // Parts that come later ask with React's hooks, which nothing needs at first.
            {
              name: "shared",
              test: /\/src\/(?!hooks\/useAnswer)/,
              minShareCount: 8,
              priority: 1,
            },
            // What is loaded right after the page, with the small parts that others use, too.
            {
              name: "graph",
              test: /\/src\/components\/(canvas\/Canvas|search\/SearchBox|panels\/AddNodeSearch)\.tsx/,
            },
          ],
        },
      },
    },
  },
  server: {
    proxy: {
      "/api": {
        target: process.env.NODEGRAPH_SERVER ?? "http://127.0.0.1:8420",
        ws: true,
        changeOrigin: true,
        // The server takes requests from its own pages only.
        headers: { origin: process.env.NODEGRAPH_SERVER ?? "http://127.0.0.1:8420" },
      },
    },
  },
  test: {
    restoreMocks: true,
    // A busy machine is no fault.
    testTimeout: 120_000,
    // One process for each core: by itself it leaves one for those who watch.
    maxWorkers: "100%",
    projects: [
      {
        extends: true,
        test: {
          name: "plain",
          environment: "node",
          setupFiles: ["src/test/examples.ts"],
          include: ["src/model/**/*.test.ts", "src/*.test.ts"],
        },
      },
      {
        extends: true,
        test: {
          name: "page",
          environment: "jsdom",
          setupFiles: ["src/test/examples.ts", "src/test/setup.ts"],
          include: ["src/*/**/*.test.{ts,tsx}"],
          exclude: ["src/model/**"],
        },
      },
    ],
  },
});
