import { expect, test } from "vitest";
import { sweepTag } from "@/model/sweeps";
import { documentOf, homeOf, tagOf } from "./jobs";

test("a job of a sweep is of a document whose values aren't its own", () => {
  expect(homeOf([tagOf("one")])).toBe("one");
  const swept = [tagOf("one"), sweepTag("many")];
  expect(documentOf(swept)).toBe("one");
  expect(homeOf(swept)).toBeNull();
});
