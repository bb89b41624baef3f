import { expect, test, vi } from "vitest";
import { answerTo, newAnswerTo, outdate, question } from "./queries";

interface Asked {
  readonly answer: (value: string) => void;
  readonly refuse: (fault: Error) => void;
  readonly signal: AbortSignal;
}

/** A question, and the times that it was asked. */
function arranged() {
  const asked: Asked[] = [];
  const list = question(
    ["list"],
    (signal) =>
      new Promise<string>((answer, refuse) => {
        asked.push({ answer, refuse, signal });
      }),
  );
  return { list, asked };
}

test("several who want an answer at once share a request, and later ones what it brought", async () => {
  const { list, asked } = arranged();
  const both = Promise.all([answerTo(list), answerTo(list)]);
  await vi.waitUntil(() => asked.length > 0);
  asked[0]?.answer("a");
  expect(await both).toEqual(["a", "a"]);
  expect(await answerTo(list)).toBe("a");
  expect(asked).toHaveLength(1);
});

test("what changes while a request is under way is asked again, by whoever waits", async () => {
  const { list, asked } = arranged();
  const first = answerTo(list);
  await vi.waitUntil(() => asked.length === 1);
  const second = newAnswerTo(list);
  await vi.waitUntil(() => asked.length === 2);
  expect(asked[0]?.signal.aborted).toBe(true);
  asked[0]?.answer("old");
  asked[1]?.answer("new");
  expect(await Promise.all([first, second])).toEqual(["new", "new"]);
  expect(asked).toHaveLength(2);
});

test("an answer that is outdated is asked for when it is wanted, not before", async () => {
  const { list, asked } = arranged();
  const first = answerTo(list);
  await vi.waitUntil(() => asked.length === 1);
  asked[0]?.answer("a");
  await first;
  await outdate(["list"]);
  expect(asked).toHaveLength(1);
  const second = answerTo(list);
  await vi.waitUntil(() => asked.length === 2);
  asked[1]?.answer("b");
  expect(await second).toBe("b");
});

test("a fault is told to all who wait, and the next one asks again", async () => {
  const { list, asked } = arranged();
  const both = Promise.allSettled([answerTo(list), answerTo(list)]);
  await vi.waitUntil(() => asked.length === 1);
  asked[0]?.refuse(new Error("away"));
  expect((await both).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  const next = answerTo(list);
  await vi.waitUntil(() => asked.length === 2);
  asked[1]?.answer("back");
  expect(await next).toBe("back");
});
