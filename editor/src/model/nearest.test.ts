import { expect, test } from "vitest";
import { nearestFirst } from "./nearest";

const SAMPLERS = ["ddim", "dpm_2", "dpmpp_2m", "dpmpp_2m_sde", "euler", "euler_ancestral", "lcm"];

test.each([
  ["eular", "euler"],
  ["dpmpp 2m sde", "dpmpp_2m_sde"],
  ["dpmpp2m", "dpmpp_2m"],
  ["euler a", "euler"],
  ["LCM", "lcm"],
])("%s is most like %s", (name, nearest) => {
  expect(nearestFirst(name, SAMPLERS)[0]).toBe(nearest);
});

test("what is like none of them leaves all in their order", () => {
  for (const name of ["", "?", "zzz"]) expect(nearestFirst(name, SAMPLERS)).toEqual(SAMPLERS);
});
