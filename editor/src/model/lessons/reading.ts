/** Reading a lesson from JSON, with everything that is wrong in it at once. */
import { isList, isObject, type Json, type JsonObject, numberOf } from "../json";
import { targetOf } from "../links";
import {
  type Goal,
  type Lesson,
  type LessonStep,
  PARTS,
  type Part,
  type Pointer,
  type Texts,
} from "./lesson";

/** What is wrong with a lesson, a sentence for each problem. */
export class LessonFault extends Error {
  override readonly name = "LessonFault";

  constructor(readonly problems: readonly string[]) {
    super(problems.join("; "));
  }
}

/** The number of the form that this editor reads; a later one may say what it doesn't know. */
export const LESSON_FORMAT = 1;

/** The lesson that JSON holds; throws a `LessonFault`. */
export function lessonFromJson(json: Json | undefined): Lesson {
  const reader = new Reader();
  const lesson = reader.lesson(json);
  if (lesson === null || reader.problems.length > 0) throw new LessonFault(reader.problems);
  return lesson;
}

const LANGUAGE = /^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$/;
const BOUNDS = ["below", "above"] as const;

class Reader {
  readonly problems: string[] = [];

  lesson(json: Json | undefined): Lesson | null {
    if (!isObject(json)) return this.wrong("the lesson", "is no JSON object");
    if (json.get("lesson") !== LESSON_FORMAT) {
      return this.wrong("lesson", `must be ${LESSON_FORMAT}, the number of the format`);
    }
    this.refuseOthers(json, "the lesson", ["lesson", "title", "summary", "order", "steps"]);
    const steps = json.get("steps");
    if (!isList(steps) || steps.length === 0) {
      return this.wrong("steps", "must be a list of at least one step");
    }
    return {
      title: this.texts(json.get("title"), "title"),
      summary: this.texts(json.get("summary"), "summary"),
      steps: steps.map((step, index) => this.step(step, `steps[${index}]`)),
    };
  }

  private step(json: Json, place: string): LessonStep {
    if (!isObject(json)) {
      this.wrong(place, "is no JSON object");
      return { title: {}, text: {}, at: null, until: [], showsRun: false };
    }
    this.refuseOthers(json, place, ["title", "text", "at", "until", "shows_run"]);
    const until = json.get("until") ?? [];
    return {
      title: this.texts(json.get("title"), `${place}.title`),
      text: this.texts(json.get("text"), `${place}.text`),
      at: this.pointer(json.get("at"), `${place}.at`),
      until: isList(until)
        ? until.flatMap((goal, index) => this.goal(goal, `${place}.until[${index}]`) ?? [])
        : (this.wrong(`${place}.until`, "must be a list") ?? []),
      showsRun: json.get("shows_run") === true,
    };
  }

  private texts(json: Json | undefined, place: string): Texts {
    if (!isObject(json) || typeof json.get("en") !== "string") {
      this.wrong(place, 'must be texts by language, with "en" among them');
      return {};
    }
    const found: Record<string, string> = {};
    for (const [language, text] of json) {
      if (!LANGUAGE.test(language) || typeof text !== "string" || text === "") {
        this.wrong(`${place}.${language}`, "must be a text under the tag of a language");
      } else found[language] = text;
    }
    return found;
  }

  private pointer(json: Json | undefined, place: string): Pointer | null {
    if (json === undefined || json === null) return null;
    if (!isObject(json)) return this.wrong(place, "is no JSON object");
    this.refuseOthers(json, place, ["node", "input", "part"]);
    const [node, input, part] = [json.get("node"), json.get("input"), json.get("part")];
    if (part !== undefined) {
      if (node === undefined && isPart(part)) return { kind: "part", part };
      return this.wrong(place, `\`part\` must be one of ${PARTS.join(", ")}, without a node`);
    }
    const isNamed = typeof node === "string" && node !== "";
    if (!isNamed || (input !== undefined && typeof input !== "string")) {
      return this.wrong(place, "must name a node, a node and its input, or a part of the page");
    }
    return { kind: "node", node, input: input ?? null };
  }

  private goal(json: Json, place: string): Goal | null {
    if (!isObject(json)) return this.wrong(place, "is no JSON object");
    this.refuseOthers(json, place, GOAL_KEYS);
    if (json.get("run") === true) return { kind: "run" };
    if (json.get("download") === true) return { kind: "download" };
    const select = json.get("select");
    if (typeof select === "string") return { kind: "select", node: select };
    const written = json.get("input");
    const input = typeof written === "string" ? targetOf(written) : null;
    if (input === null) {
      return this.wrong(place, "must be a run, a download, a selected node, or an `input`");
    }
    if (json.get("changed") === true) return { kind: "changed", input };
    const value = json.get("is");
    if (value !== undefined) return { kind: "is", input, value };
    for (const kind of BOUNDS) {
      const bound = numberOf(json.get(kind));
      if (bound !== null) return { kind, input, bound };
    }
    return this.wrong(place, "says of its input neither `changed`, `is`, `below` nor `above`");
  }

  private refuseOthers(json: JsonObject, place: string, known: readonly string[]): void {
    for (const key of json.keys()) {
      if (!known.includes(key)) {
        this.wrong(place, `has no \`${key}\`; there are ${known.join(", ")}`);
      }
    }
  }

  private wrong(place: string, what: string): null {
    this.problems.push(`${place}: ${what}`);
    return null;
  }
}

const GOAL_KEYS = ["run", "download", "select", "input", "changed", "is", "below", "above"];

function isPart(value: Json): value is Part {
  return typeof value === "string" && (PARTS as readonly string[]).includes(value);
}
