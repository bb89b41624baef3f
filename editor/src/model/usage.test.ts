import { expect, test } from "vitest";
import { pointsOfLink, type Usage } from "./usage";

// As in tests/core/test_usage.py: the engine ranks alike.
const USAGE: Usage = {
  types: {},
  links: {
    "load.vae": {
      "decode.vae": { "": 9, sd1: 2 },
      "encode.vae": { "": 8 },
      "compare.vae": { sd1: 3 },
    },
    "open.vae": { "decode.vae": { "": 8 } },
    "own.vae": { "decode.vae": { sd1: 3 } },
    "encode.out": { "sample.positive": { "": 2, sd1: 9 } },
    "ask.out": { "sample.positive": { shapes: 2 } },
  },
};

function best(side: "input" | "output", port: string, family: string | null, others: string[]) {
  const points = (other: string) => pointsOfLink(USAGE, { side, port, family }, other);
  return others.toSorted((a, b) => points(b) - points(a));
}

test.each([null, "sd1", "shapes"])("%s says nothing of links that are mostly of none", (family) => {
  const inputs = ["compare.vae", "encode.vae", "decode.vae"];
  expect(best("output", "load.vae", family, inputs)).toEqual(inputs.toReversed());
  const outputs = ["own.vae", "open.vae", "load.vae"];
  expect(best("input", "decode.vae", family, outputs)).toEqual(outputs.toReversed());
});

test("a family tells what is used with it from what is used more with others", () => {
  const outputs = ["ask.out", "encode.out"];
  expect(best("input", "sample.positive", "shapes", outputs)).toEqual(outputs);
  expect(best("input", "sample.positive", "sd1", outputs)).toEqual(outputs.toReversed());
});
