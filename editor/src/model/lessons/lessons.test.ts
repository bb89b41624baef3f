import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { languages } from "@/i18n";
import { fromPlain, readJson } from "../json";
import { readWorkflow, type Workflow } from "../workflow";
import { type Facts, isReached } from "./goals";
import { type Goal, nodesNamed, textIn } from "./lesson";
import { placeCard, visiblePart } from "./place";
import { advanced, BEGUN, isUnderWay, readProgress, wentBack } from "./progress";
import { LessonFault, lessonFromJson } from "./reading";

const WORKFLOWS = join(import.meta.dirname, "../../../../workflows");
const NAMES = readdirSync(join(WORKFLOWS, "lessons")).map((file) => file.replace(/\.json$/, ""));
const textOf = (...path: string[]) => readFileSync(join(WORKFLOWS, ...path), "utf8");

describe.each(NAMES)("the lesson %s", (name) => {
  const lesson = lessonFromJson(readJson(textOf("lessons", `${name}.json`)));

  it("has four to eight steps, of which some are things to do", () => {
    expect(lesson.steps.length).toBeGreaterThanOrEqual(4);
    expect(lesson.steps.length).toBeLessThanOrEqual(8);
    expect(lesson.steps.some(({ until }) => until.length > 0)).toBe(true);
  });

  it("speaks of nodes of its workflow", () => {
    const { nodes } = readWorkflow(textOf(`${name}.json`));
    expect([...nodesNamed(lesson)].filter((node) => !nodes.has(node))).toEqual([]);
  });

  it("says everything in each language of the editor, differently", () => {
    const texts = [lesson.title, lesson.summary, ...lesson.steps.flatMap((s) => [s.title, s.text])];
    for (const each of texts) expect(Object.keys(each).sort()).toEqual(languages().toSorted());
    for (const { text } of lesson.steps) expect(new Set(Object.values(text)).size).toBe(6);
  });

  it("asks for nothing that is so already", () => {
    const opened = readWorkflow(textOf(`${name}.json`));
    const facts = { opened, now: opened, runs: [], downloads: 0, selected: new Set<string>() };
    for (const { until } of lesson.steps) expect(isReached(until, facts)).toBe(false);
  });
});

/** A workflow with one node that has two values. */
function workflow(cfg: number, text = "a"): Workflow {
  const nodes = { sample: { type: "KSampler", inputs: { cfg, text } } };
  return readWorkflow(JSON.stringify({ format: "nodegraph/1", nodes }));
}

function facts(now: Workflow, more: Partial<Facts> = {}): Facts {
  return { opened: workflow(4), now, runs: [], downloads: 0, selected: new Set(), ...more };
}

const CFG = { node: "sample", port: "cfg" };
const RUN: Goal = { kind: "run" };

describe("a step", () => {
  it("without goals is only read", () => {
    expect(isReached([], facts(workflow(1)))).toBe(false);
  });

  it("wants a value, however the number is written", () => {
    const goal: Goal = { kind: "is", input: CFG, value: 1 };
    expect(isReached([goal], facts(workflow(4)))).toBe(false);
    expect(isReached([goal], facts(workflow(1)))).toBe(true);
  });

  it("wants another value than the lesson began with", () => {
    const goal: Goal = { kind: "changed", input: { node: "sample", port: "text" } };
    expect(isReached([goal], facts(workflow(1)))).toBe(false);
    expect(isReached([goal], facts(workflow(4, "b")))).toBe(true);
  });

  it("wants a number on one side of a bound", () => {
    const below: Goal = { kind: "below", input: CFG, bound: 4 };
    const above: Goal = { kind: "above", input: CFG, bound: 4 };
    expect([below, above].map((goal) => isReached([goal], facts(workflow(4))))).toEqual([
      false,
      false,
    ]);
    expect(isReached([below], facts(workflow(3)))).toBe(true);
    expect(isReached([above], facts(workflow(5)))).toBe(true);
  });

  it("with a run counts the values that were run, not those that stand there now", () => {
    const goals: Goal[] = [{ kind: "is", input: CFG, value: 1 }, RUN];
    expect(isReached(goals, facts(workflow(1), { runs: [workflow(4)] }))).toBe(false);
    expect(isReached(goals, facts(workflow(4), { runs: [workflow(4), workflow(1)] }))).toBe(true);
  });

  it("wants a download, or a selected node", () => {
    expect(isReached([{ kind: "download" }], facts(workflow(4), { downloads: 1 }))).toBe(true);
    const select: Goal = { kind: "select", node: "sample" };
    expect(isReached([select], facts(workflow(4)))).toBe(false);
    expect(isReached([select], facts(workflow(4), { selected: new Set(["sample"]) }))).toBe(true);
  });
});

describe("reading", () => {
  const text = { en: "a" };
  const whole = { lesson: 1, title: text, summary: text, steps: [{ title: text, text }] };
  const problems = (json: unknown) => {
    try {
      lessonFromJson(fromPlain(json));
      return [];
    } catch (fault) {
      return fault instanceof LessonFault ? fault.problems : ["another fault"];
    }
  };

  it("takes the least that a lesson is", () => {
    expect(problems(whole)).toEqual([]);
  });

  it("says everything that is wrong at once", () => {
    const steps = [
      { title: text, text: {}, at: { part: "moon" } },
      { title: text, text, until: [{ input: "a.b" }, { runs: true }], colour: 1 },
    ];
    const found = problems({ ...whole, steps });
    expect(found).toHaveLength(6);
    expect(found.join("\n")).toMatch(/text.*"en"/);
    expect(found.join("\n")).toMatch(/moon|one of canvas/);
    expect(found.join("\n")).toMatch(/colour/);
  });

  it("refuses a later format and what is no lesson", () => {
    expect(problems({ ...whole, lesson: 2 })[0]).toMatch(/must be 1/);
    expect(problems(null)[0]).toMatch(/no JSON object/);
    expect(problems({ ...whole, steps: [] })[0]).toMatch(/at least one/);
  });

  it("falls back to English", () => {
    expect(textIn({ en: "a", de: "b" }, "de")).toBe("b");
    expect(textIn({ en: "a", de: "b" }, "fr")).toBe("a");
  });
});

describe("progress", () => {
  it("goes on, back, and ends after the last step", () => {
    const second = advanced(BEGUN, 2);
    expect(second).toEqual({ step: 1, done: [0], isFinished: false });
    expect(isUnderWay(second)).toBe(true);
    expect(wentBack(second)).toEqual({ step: 0, done: [0], isFinished: false });
    const end = advanced(second, 2);
    expect(end).toEqual({ step: 1, done: [0, 1], isFinished: true });
    expect(isUnderWay(end)).toBe(false);
  });

  it("is read without what has another form", () => {
    const good = { step: 1, done: [0], isFinished: false };
    expect(readProgress({ good, bad: { step: "1" }, none: null })).toEqual({ good });
    expect(readProgress("nothing")).toEqual({});
  });
});

describe("the card", () => {
  const card = { width: 300, height: 150 };
  const area = { left: 0, top: 40, width: 1000, height: 660 };
  const isClear = (target: Parameters<typeof visiblePart>[0]) =>
    visiblePart({ ...placeCard(target, card, area), ...card }, target) === null;

  it("covers nothing of what it points at while there is room", () => {
    for (let left = 0; left <= 900; left += 90)
      for (let top = 40; top <= 600; top += 70)
        expect(isClear({ left, top, width: 100, height: 60 })).toBe(true);
    expect(isClear({ left: 0, top: 40, width: 44, height: 660 })).toBe(true);
  });

  it("stays in its area, also beside something that fills it", () => {
    for (const target of [null, { left: -50, top: 0, width: 1200, height: 800 }]) {
      const { left, top } = placeCard(target, card, area);
      expect(left).toBeGreaterThanOrEqual(0);
      expect(top).toBeGreaterThanOrEqual(40);
      expect(left + card.width).toBeLessThanOrEqual(1000);
      expect(top + card.height).toBeLessThanOrEqual(700);
    }
  });
});
