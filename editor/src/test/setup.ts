import "@testing-library/jest-dom/vitest";
import "fake-indexeddb/auto";
import { cleanup, configure } from "@testing-library/react";
import { afterEach, beforeAll, expect } from "vitest";
import { queries } from "@/store/queries";

// A busy machine is no fault.
configure({ asyncUtilTimeout: 30_000 });

// As on a page that somebody has moved the pointer over. Only .tsx files draw anything.
beforeAll(async () => {
  if (expect.getState().testPath?.endsWith(".tsx"))
    await (await import("@/components/ui/late")).loadKit();
}, 120_000);
afterEach(() => {
  cleanup();
  queries.clear();
});
