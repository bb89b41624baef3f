import "@testing-library/jest-dom/vitest";
import "fake-indexeddb/auto";
import { cleanup, configure } from "@testing-library/react";
import { afterEach, beforeAll } from "vitest";
import { loadKit } from "@/components/ui/late";

// A busy machine is no fault.
configure({ asyncUtilTimeout: 30_000 });

// As on a page that somebody has moved the pointer over.
beforeAll(loadKit);
afterEach(cleanup);
