import "@testing-library/jest-dom/vitest";
import "fake-indexeddb/auto";
import { cleanup, configure } from "@testing-library/react";
import { afterEach } from "vitest";
import { queries } from "@/store/queries";

// A busy machine is no fault.
configure({ asyncUtilTimeout: 30_000 });

afterEach(() => {
  cleanup();
  queries.clear();
});
