import { beforeEach, describe, expect, test } from "vitest";
import { setMeta } from "@/model/edits";
import { emptyWorkflow } from "@/model/workflow";
import {
  currentWorkflow,
  type Document,
  documentById,
  isDirty,
  useDocuments,
} from "@/store/documents";
import { useNotices } from "@/store/notices";
import { useUi } from "@/store/ui";
import { stubServer } from "@/test/answers";
import { eventually } from "@/test/eventually";
import { save, saveOnServer } from "./saving";

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

let sent: Sent[] = [];
let answers: (() => Response)[] = [];

function saved(version: number): Response {
  const body = { name: "apple", version, digest: "d", saved: 0, size: 1, href: "/" };
  return new Response(JSON.stringify(body), { headers: { etag: `"v${version}"` } });
}

function refused(status: number): Response {
  return new Response(JSON.stringify({ status, title: "No", problems: [] }), { status });
}

beforeEach(() => {
  sent = [];
  answers = [];
  stubServer(async (path: string, init: RequestInit) => {
    const headers = new Headers(init.headers);
    sent.push({ method: init.method ?? "", path, headers, body: String(init.body) });
    return answers.shift()?.() ?? refused(500);
  });
  useDocuments.getState().restore([], null);
  useUi.setState({ dialog: null, question: null });
  useNotices.setState({ items: [] });
});

function changed(options = {}): string {
  const { open, change } = useDocuments.getState();
  const id = open(emptyWorkflow("Apple"), options);
  change("edit", (workflow) => setMeta(workflow, { description: "mine" }), { document: id });
  return id;
}

function answer(given: string): void {
  useUi.getState().question?.answer(given);
}

describe("saving", () => {
  test("under another name a workflow is called by it, once it is saved", async () => {
    const id = changed();
    const titleNow = () => currentWorkflow(documentById(id) as Document).title;
    answers = [() => refused(500), () => saved(1)];
    expect(await saveOnServer(id, "green apple", "new", "green apple")).toBe("not");
    expect(titleNow()).toBe("Apple");
    expect(await saveOnServer(id, "green apple", "new", "green apple")).toBe("saved");
    expect(JSON.parse(sent.at(-1)?.body ?? "").title).toBe("green apple");
    expect(titleNow()).toBe("green apple");
    expect(isDirty(documentById(id) as Document)).toBe(false);
  });

  test("a new document asks where", async () => {
    await save(changed());
    expect(useUi.getState().dialog?.name).toBe("saveAs");
    expect(sent).toEqual([]);
  });

  test("a saved one takes the place of the version that it was opened from", async () => {
    const id = changed({ savedName: "apple", savedEtag: '"v1"' });
    answers = [() => saved(2)];
    await save(id);
    expect(sent[0]?.headers.get("if-match")).toBe('"v1"');
    expect(sent[0]?.body).toContain('"description": "mine"');
    expect(documentById(id)).toMatchObject({ savedEtag: '"v2"' });
    const document = documentById(id);
    expect(document && isDirty(document)).toBe(false);
  });

  test("what was edited meanwhile stays unsaved", async () => {
    const id = changed({ savedName: "apple", savedEtag: '"v1"' });
    answers = [
      () => {
        const { change } = useDocuments.getState();
        change("later", (workflow) => setMeta(workflow, { title: "Later" }), { document: id });
        return saved(2);
      },
    ];
    await save(id);
    const document = documentById(id);
    expect(document && isDirty(document)).toBe(true);
  });

  test("twice at once saves one after the other, each over the last", async () => {
    const id = changed({ savedName: "apple", savedEtag: '"v1"' });
    answers = [() => saved(2), () => saved(3)];
    await Promise.all([save(id), save(id)]);
    expect(sent.map((item) => item.headers.get("if-match"))).toEqual(['"v1"', '"v2"']);
  });

  test("that fails is told and loses nothing", async () => {
    const id = changed({ savedName: "apple", savedEtag: '"v1"' });
    answers = [() => refused(507)];
    await save(id);
    expect(useNotices.getState().items[0]?.kind).toBe("error");
    const document = documentById(id);
    expect(document && isDirty(document)).toBe(true);
  });
});

describe("when somebody else saved meanwhile", () => {
  async function conflict(given: string): Promise<{ id: string; result: string }> {
    const id = changed({ savedName: "apple", savedEtag: '"v1"' });
    answers.unshift(() => refused(412));
    const saving = saveOnServer(id, "apple", '"v1"');
    await eventually(() => expect(useUi.getState().question).not.toBeNull());
    answer(given);
    return { id, result: await saving };
  }

  test("nothing is replaced without a word", async () => {
    const { result } = await conflict("none");
    expect(result).toBe("not");
    expect(sent).toHaveLength(1);
  });

  test("one's own may become the newest version", async () => {
    answers = [() => saved(3)];
    const { id, result } = await conflict("confirm");
    expect(result).toBe("saved");
    expect(sent[1]?.headers.has("if-match")).toBe(false);
    expect(documentById(id)?.savedEtag).toBe('"v3"');
  });

  test("theirs may be opened beside one's own", async () => {
    const text = '{"format": "nodegraph/1", "title": "Theirs"}';
    answers = [() => new Response(text, { headers: { etag: '"v2"' } })];
    const { id, result } = await conflict("open");
    expect(result).toBe("open");
    expect(documentById(id)?.savedName).toBeNull();
    expect(useDocuments.getState().documents).toHaveLength(2);
  });

  test("another name may be asked for", async () => {
    const { result } = await conflict("other");
    expect(result).toBe("other");
    expect(useUi.getState().dialog?.name).toBe("saveAs");
  });
});
