import { act, renderHook } from "@testing-library/react";
import { beforeEach, describe, expect, it } from "vitest";
import type { Finding } from "@/api/schema";
import { arrange } from "@/components/panels/testing";
import { askAbout, useQuietly } from "./asked";
import { useDocuments } from "./documents";
import { NO_PLAN, usePlan } from "./plan";

const lacking = { code: "missing-input", message: "is missing", node: "a", port: "x" } as Finding;
const wrong = { code: "wrong-type", message: "is wrong", node: "a", port: "y" } as Finding;

beforeEach(() => {
  arrange();
  usePlan.setState({ ...NO_PLAN, state: "invalid" });
});

describe("useQuietly", () => {
  it("is quiet of what lacks until somebody asks, and of what lacks later", () => {
    const { result } = renderHook(useQuietly);
    expect(result.current(lacking)).toBe(true);
    expect(result.current(wrong)).toBe(false);
    act(() => askAbout(useDocuments.getState().active, [lacking]));
    expect(result.current(lacking)).toBe(false);
    expect(result.current({ ...lacking, node: "later" })).toBe(true);
  });

  it("is quiet of all that keeps nothing else from running", () => {
    const { result } = renderHook(useQuietly);
    act(() => usePlan.setState({ state: "partial" }));
    expect(result.current(wrong)).toBe(true);
    act(() => askAbout(useDocuments.getState().active, [wrong]));
    expect(result.current(wrong)).toBe(false);
  });
});
