import { describe, expect, it } from "vitest";
import { ExactNumber } from "./json";
import { countOf, gridOf, placeKey, placesOf, sweepOf, tagsAt, titleWith } from "./sweeps";

const AXES = [
  { target: "sample.cfg", values: [1, 4.5, 9] },
  { target: "positive.text", values: ["a fox,\nred", "a = b"] },
];

/** The jobs of a sweep, as the server lists them. */
function jobsOf(axes = AXES) {
  const sweep = { id: "abc", axes };
  return placesOf(axes).map((place, index) => ({
    id: `job_${index}`,
    tags: ["editor:doc", ...tagsAt(sweep, place)],
  }));
}

describe("a sweep", () => {
  it("has a job for each combination, the first input running fastest", () => {
    expect(placesOf(AXES)).toEqual([
      ...[
        [0, 0],
        [1, 0],
        [2, 0],
      ],
      ...[
        [0, 1],
        [1, 1],
        [2, 1],
      ],
    ]);
    expect(countOf(AXES)).toBe(6);
    expect(countOf([])).toBe(0);
  });

  it("is known by its jobs' tags", () => {
    expect(jobsOf().map(({ tags }) => sweepOf(tags))).toEqual(Array(6).fill("abc"));
    expect(sweepOf(["editor:doc"])).toBeNull();
  });

  it("has its values in the titles of what its jobs ran", () => {
    expect(titleWith("Apple", jobsOf()[1]?.tags ?? [])).toBe("Apple · cfg 4.5 · text a fox, red");
    const alike = [
      { target: "a.seed", values: [1] },
      { target: "b.seed", values: [2] },
    ];
    expect(titleWith("", tagsAt({ id: "x", axes: alike }, [0, 0]))).toBe("a.seed 1 · b.seed 2");
    expect(titleWith("Apple", ["editor:doc"])).toBe("Apple");
  });

  it("is a grid again, whatever the order of its jobs", () => {
    const { axes, jobs } = gridOf(jobsOf().toReversed());
    expect(axes).toEqual([
      { target: "sample.cfg", labels: ["1", "4.5", "9"] },
      { target: "positive.text", labels: ["a fox, red", "a = b"] },
    ]);
    expect(jobs.get(placeKey([2, 1]))).toBe("job_5");
  });

  it("leaves out what it has no job for", () => {
    const { axes, jobs } = gridOf(jobsOf().slice(1, 2));
    expect(axes[0]?.labels).toEqual(["", "4.5"]);
    expect([...jobs]).toEqual([["1,0", "job_1"]]);
  });

  it("tells values apart that are cut to fit into a tag", () => {
    const long = "a very long prompt ".repeat(40);
    const axes = [{ target: "positive.text", values: [`${long}1`, `${long}2`] }];
    const jobs = jobsOf(axes);
    expect(jobs.flatMap(({ tags }) => tags).every((tag) => tag.length <= 256)).toBe(true);
    expect(gridOf(jobs).jobs.size).toBe(2);
  });

  it("keeps the digits of large seeds", () => {
    const axes = [{ target: "sample.seed", values: [new ExactNumber("18446744073709551615")] }];
    expect(gridOf(jobsOf(axes as never)).axes[0]?.labels).toEqual(["18446744073709551615"]);
  });
});
