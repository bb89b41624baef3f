import { beforeEach, describe, expect, it } from "vitest";
import { askText, choose, confirm, DEFAULT_PANELS, useUi } from "./ui";

beforeEach(() => useUi.setState({ panel: DEFAULT_PANELS, dialog: null, question: null }));

describe("panels", () => {
  it("are shown, hidden by their own button, and remembered", () => {
    const { togglePanel, resizePanel } = useUi.getState();
    togglePanel("left", "palette");
    resizePanel("left", 300.4);
    expect(useUi.getState().panel).toMatchObject({ left: "palette", leftSize: 300 });
    expect(JSON.parse(localStorage.getItem("nodegraph.panels") ?? "")).toMatchObject({
      left: "palette",
    });
    togglePanel("left", "history");
    expect(useUi.getState().panel.left).toBe("history");
    togglePanel("left", "history");
    expect(useUi.getState().panel.left).toBeNull();
  });

  it("help opens on its topic", () => {
    useUi.getState().showHelp("KSampler");
    expect(useUi.getState()).toMatchObject({ helpTopic: "KSampler", panel: { right: "help" } });
  });
});

describe("questions", () => {
  const question = { title: "Sure?", confirm: "Yes" };

  it("are answered yes or no", async () => {
    const yes = confirm(question);
    useUi.getState().question?.answer("confirm");
    expect(await yes).toBe(true);
    const no = confirm(question);
    useUi.getState().question?.answer(null);
    expect(await no).toBe(false);
    expect(useUi.getState().question).toBeNull();
  });

  it("are called off by the next one", async () => {
    const first = choose(question);
    const second = askText({ ...question, text: { label: "Name", value: "" } });
    expect(await first).toBeNull();
    useUi.getState().question?.answer("apple");
    expect(await second).toBe("apple");
  });
});

it("asking twice to focus one node is two requests", () => {
  const request = { document: "d", path: [], node: "n", port: null };
  useUi.getState().requestFocus(request);
  const first = useUi.getState().focusRequest;
  useUi.getState().requestFocus(request);
  expect(useUi.getState().focusRequest).not.toEqual(first);
});
