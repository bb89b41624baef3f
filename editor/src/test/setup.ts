import "@testing-library/jest-dom/vitest";
import "fake-indexeddb/auto";
import { cleanup, configure } from "@testing-library/react";
import { afterEach } from "vitest";

// A busy machine is no fault.
configure({ asyncUtilTimeout: 30_000 });

afterEach(cleanup);
