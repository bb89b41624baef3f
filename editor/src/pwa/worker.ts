/** The service worker: built by itself into `sw.js`, see scripts/serviceWorker.ts. */
import { startShell, type WorkerScope } from "./shell";

/** The build puts them here. */
declare const __BUILD__: string;
declare const __FILES__: readonly string[];

startShell(self as unknown as WorkerScope, { build: __BUILD__, files: __FILES__ });
