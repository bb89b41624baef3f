import { afterEach, expect, test, vi } from "vitest";
import { stubServer } from "@/test/answers";
import { eventually } from "@/test/eventually";
import { knownSize, rememberSize } from "./pictureSizes";

afterEach(() => void vi.unstubAllGlobals());

function value(letter: string): string {
  return `upload:${letter.repeat(64)}/a.png`;
}

test("a size is known once it is said, or the server has told it", async () => {
  let items: readonly object[] = [{ digest: "a".repeat(64), width: 640, height: 480 }];
  let times = 0;
  stubServer(async () => {
    times += 1;
    return new Response(JSON.stringify({ items, next: null }));
  });
  expect(knownSize("photo.png")).toBeNull();
  expect(knownSize(value("a"))).toBeNull();
  await eventually(() => expect(knownSize(value("a"))).toEqual({ width: 640, height: 480 }));
  rememberSize(value("b"), { width: 8, height: 8 });
  expect(knownSize(value("b"))).toEqual({ width: 8, height: 8 });
  // What is uploaded later is asked about, and what nobody knows only once.
  items = [{ digest: "c".repeat(64), width: 1, height: 2 }];
  expect(knownSize(value("c"))).toBeNull();
  await eventually(() => expect(knownSize(value("c"))).toEqual({ width: 1, height: 2 }));
  expect(times).toBe(2);
  expect(knownSize(value("d"))).toBeNull();
  expect(knownSize(value("d"))).toBeNull();
  await eventually(() => expect(times).toBe(3));
});
