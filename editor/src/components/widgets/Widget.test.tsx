import { act, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { describe, expect, it, vi } from "vitest";
import { input } from "@/model/fixtures/specs";
import { ExactNumber, type Json, writeJson } from "@/model/json";
import type { InputSpec } from "@/model/spec";
import { followComposing } from "@/store/composing";
import { eventually } from "@/test/eventually";
import { type WidgetServices, WidgetServicesProvider } from "./services";
import type { SeedMode } from "./types";
import { Widget } from "./Widget";

function inputOf(more: Partial<InputSpec>): InputSpec {
  return input("input", "str", { required: false, json_schema: { type: "string" }, ...more });
}

const STEPS = inputOf({
  type: "int",
  default: 20,
  json_schema: { type: "integer", minimum: 1, maximum: 100 },
});
const CFG = inputOf({
  type: "float",
  default: 7.5,
  step: 0.1,
  json_schema: { type: "number", minimum: 0, maximum: 100 },
});
const SEED = inputOf({
  type: "int",
  default: 0,
  widget: "seed",
  json_schema: { type: "integer", minimum: 0, maximum: 2 ** 64 },
});
const PROMPT = inputOf({ name: "text", widget: "multiline", required: true });

const services: WidgetServices = {
  useModels: () => [
    { value: "tiny", name: "tiny", detail: "sd1", picture: null, problem: null },
    { value: "big", name: "big", detail: "sdxl", picture: null, problem: "it is damaged" },
  ],
  useSubgraphs: () => ["repaint"],
  secrets: async () => [{ name: "openai", hosts: ["api.openai.com"] }],
  recentFiles: async () => [
    { value: "upload:1/cat.png", name: "cat.png", detail: "4 × 4", picture: null },
  ],
  results: async () => [
    {
      digest: "4",
      name: "fox.png",
      detail: "8 × 8",
      picture: null,
      take: async () => "upload:4/fox.png",
    },
  ],
  completions: async () => ({
    prompts: ["a red apple, soft light"],
    embeddings: [],
    loras: [],
    tags: [],
    words: ["red", "reddish", "redwood"],
  }),
  upload: async (file) => ({
    value: `upload:2/${file.name}`,
    name: file.name,
    detail: "",
    picture: null,
  }),
  inputFiles: async () => [],
  usePicture: (value) =>
    value.startsWith("upload:") ? { small: `/${value}`, full: `/${value}` } : null,
  paintMask: (_, done) => done("upload:3/masked.png"),
};

let count = 0;

/** A widget in a form that remembers its value, as the editor does. */
function show(input: InputSpec, value?: Json, more: Partial<WidgetServices> = {}) {
  const onChange = vi.fn<(value: Json | undefined) => void>();
  const id = `field-${count++}`;
  let give: (value: Json | undefined) => void = () => undefined;
  function Form() {
    const [now, setNow] = useState(value);
    const [mode, onMode] = useState<SeedMode>("fixed");
    give = setNow;
    return (
      <WidgetServicesProvider value={{ ...services, ...more }}>
        <label htmlFor={id}>Field</label>
        <Widget
          input={input}
          value={now}
          id={id}
          seed={{ mode, onMode }}
          onChange={(next) => {
            onChange(next);
            setNow(next);
          }}
        />
      </WidgetServicesProvider>
    );
  }
  const view = render(<Form />);
  const last = () => {
    const next = onChange.mock.lastCall?.[0];
    return next === undefined ? undefined : writeJson(next).trim();
  };
  return { onChange, last, id, give: (next: Json) => give(next), ...view };
}

describe("what another person changes meanwhile", () => {
  it("leaves a number alone that is being typed, shows theirs on leaving, and says so", async () => {
    const { last, give } = show(STEPS, 30);
    const field = screen.getByLabelText("Field");
    await userEvent.clear(field);
    await userEvent.type(field, "4");
    act(() => give(70));
    expect(field).toHaveValue("4");
    await userEvent.type(field, "2");
    // Whoever wrote last has it.
    expect([last(), (field as HTMLInputElement).value]).toEqual(["42", "42"]);
    act(() => give(70));
    await userEvent.tab();
    expect(field).toHaveValue("70");
    expect(screen.getByRole("status")).toHaveTextContent("Someone else has changed this value");
    expect(last()).toBe("42");
  });

  it("is shown in a number that nobody types in any more", async () => {
    vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] });
    const { give } = show(STEPS, 30);
    const field = screen.getByLabelText("Field");
    fireEvent.change(field, { target: { value: "4" } });
    act(() => give(70));
    expect(field).toHaveValue("4");
    act(() => void vi.advanceTimersByTime(5100));
    expect(field).toHaveValue("70");
    act(() => give(71));
    expect(field).toHaveValue("71");
    vi.useRealTimers();
  });

  it("leaves the caret of a prompt at its letters", async () => {
    const { give } = show(PROMPT, "a cat");
    const field = screen.getByLabelText<HTMLTextAreaElement>("Field");
    await userEvent.click(field);
    field.setSelectionRange(3, 5);
    act(() => give("a very black cat sits"));
    expect(field).toHaveValue("a very black cat sits");
    expect(field.value.slice(field.selectionStart, field.selectionEnd)).toBe("at");
  });
});

describe("a number", () => {
  it("is typed, and told with its point if it is a float", async () => {
    const { last } = show(CFG);
    await userEvent.type(screen.getByLabelText("Field"), "4");
    expect(last()).toBe("4.0");
  });

  it("shows the default without writing it, and goes back to it when it is emptied", async () => {
    const { last } = show(STEPS, 30);
    const field = screen.getByLabelText("Field");
    await userEvent.clear(field);
    await userEvent.tab();
    expect(last()).toBeUndefined();
    expect(field).toHaveAttribute("placeholder", "20");
    expect(field).not.toBeInvalid();
  });

  it("tells at the field what is wrong, keeps the text, and leaves the value alone", async () => {
    const { onChange } = show(STEPS, 30);
    const field = screen.getByLabelText("Field");
    await userEvent.type(field, "00");
    await userEvent.tab();
    expect(field).toHaveValue("3000");
    expect(field).toBeInvalid();
    expect(field).toHaveAccessibleDescription("The maximum is 100.");
    expect(onChange).not.toHaveBeenCalled();
  });

  it("gives a wrong text up on Escape", async () => {
    show(STEPS, 30);
    const field = screen.getByLabelText("Field");
    await userEvent.type(field, "x{Escape}");
    expect(field).toHaveValue("30");
    expect(field).not.toBeInvalid();
  });

  it("keeps a wrong text when its card goes away and comes back", async () => {
    const { id, unmount } = show(STEPS, 30);
    await userEvent.type(screen.getByLabelText("Field"), "x");
    unmount();
    render(<Widget input={STEPS} value={30} id={id} label="Again" onChange={() => undefined} />);
    expect(screen.getByRole("spinbutton", { name: "Again" })).toHaveValue("30x");
  });

  it("steps by arrow keys from the default on", async () => {
    const { last } = show(CFG);
    await userEvent.type(screen.getByLabelText("Field"), "{ArrowUp}");
    expect(last()).toBe("7.6");
    await userEvent.keyboard("{Shift>}{ArrowDown}{/Shift}");
    expect(last()).toBe("6.6");
    await userEvent.keyboard("{Control>}{ArrowUp}{/Control}");
    expect(last()).toBe("6.61");
  });

  it("steps no further than its range goes", async () => {
    const { last } = show(STEPS, 11);
    await userEvent.type(screen.getByLabelText("Field"), "{PageDown}{PageDown}");
    expect(last()).toBe("1");
  });

  it("has a slider that keys move by one step", async () => {
    const { last } = show(STEPS, 30);
    screen.getByRole("slider").focus();
    await userEvent.keyboard("{ArrowRight}");
    expect(last()).toBe("31");
    fireEvent.change(screen.getByRole("slider"), { target: { value: "1000" } });
    expect(last()).toBe("100");
  });

  it("is dragged sideways", () => {
    const { last } = show(STEPS, 30);
    const field = screen.getByLabelText("Field");
    field.setPointerCapture = () => undefined;
    fireEvent.pointerDown(field, { clientX: 0, button: 0, pointerType: "mouse" });
    fireEvent.pointerMove(field, { clientX: 20 });
    fireEvent.pointerUp(field);
    expect(last()).toBe("35");
  });

  it("follows an undo", async () => {
    const { give } = show(STEPS, 30);
    const field = screen.getByLabelText("Field");
    await userEvent.clear(field);
    await userEvent.type(field, "12");
    give(30);
    expect(await screen.findByDisplayValue("30")).toBe(field);
  });
});

describe("a seed", () => {
  it("keeps 64 bits exactly", async () => {
    const { last } = show(SEED, new ExactNumber("18446744073709551614"));
    const field = screen.getByLabelText("Field");
    expect(field).toHaveValue("18446744073709551614");
    await userEvent.type(field, "{ArrowUp}");
    expect(last()).toBe("18446744073709551615");
    await userEvent.keyboard("{ArrowUp}");
    expect(last()).toBe("18446744073709551615");
  });

  it("is too large one beyond 64 bits", async () => {
    show(SEED, 1);
    const field = screen.getByLabelText("Field");
    await userEvent.clear(field);
    await userEvent.type(field, "18446744073709551616");
    expect(field).toBeInvalid();
    expect(field).toHaveAccessibleDescription(/18446744073709551615/);
  });

  it("is drawn anew, and told what happens with each run", async () => {
    const { onChange } = show(SEED, 1);
    await userEvent.click(screen.getByRole("button", { name: "New random seed" }));
    expect(Number.isSafeInteger(onChange.mock.lastCall?.[0])).toBe(true);
    await userEvent.click(screen.getByRole("button", { name: "Seed on each run: Fixed" }));
    await userEvent.click(screen.getByRole("menuitemcheckbox", { name: /Increment/ }));
    expect(screen.getByRole("button", { name: "Seed on each run: Increment" })).toBeVisible();
  });
});

describe("a prompt", () => {
  it("weighs the word at the caret by arrow keys", async () => {
    const { last } = show(PROMPT, "a red apple");
    const field = screen.getByLabelText<HTMLTextAreaElement>("Field");
    field.focus();
    field.setSelectionRange(3, 3);
    await userEvent.keyboard("{Control>}{ArrowUp}{/Control}");
    expect(last()).toBe('"a (red:1.1) apple"');
    await userEvent.keyboard("{Control>}{ArrowUp}{/Control}");
    expect(last()).toBe('"a (red:1.2) apple"');
    await userEvent.keyboard("{Control>}{ArrowDown}{ArrowDown}{/Control}");
    expect(last()).toBe('"a red apple"');
  });

  it("takes lines and leaves plain arrow keys alone", async () => {
    const { last } = show(PROMPT, "");
    await userEvent.type(screen.getByLabelText("Field"), "one{Enter}two{ArrowUp}");
    expect(last()).toBe('"one\\ntwo"');
  });
});

describe("a prompt's proposals", () => {
  const type = async (text: string) => {
    const shown = show(PROMPT, "");
    const user = userEvent.setup();
    await user.click(screen.getByLabelText("Field"));
    await user.keyboard(text);
    return { ...shown, user };
  };
  const options = () => screen.queryAllByRole("option").map((each) => each.textContent);

  it("are taken by Tab, or by Enter once one is chosen", async () => {
    const { last, user } = await type("a blue re");
    expect(options()).toEqual(["redword", "reddishword", "redwoodword"]);
    await user.keyboard("dd{Tab}");
    expect(last()).toBe('"a blue reddish"');
    expect(screen.getByLabelText("Field")).toHaveFocus();
    await user.keyboard(" re{ArrowDown}{ArrowDown}{ArrowDown}");
    const chosen = screen.getByLabelText("Field").getAttribute("aria-activedescendant") ?? "";
    expect(document.getElementById(chosen)).toHaveTextContent("redwood");
    await user.keyboard("{Enter}");
    expect(last()).toBe('"a blue reddish redwood"');
  });

  it("leave Enter alone until one is chosen, and Tab once they are closed", async () => {
    const { last } = await type("re{Enter}re{Escape}{Tab}");
    expect(last()).toBe('"re\\nre"');
    expect(screen.getByLabelText("Field")).not.toHaveFocus();
    expect(options()).toEqual([]);
  });

  it("let Tab leave the field behind a whole word", async () => {
    const { last } = await type("a red{Tab}");
    expect(last()).toBe('"a red"');
    expect(screen.getByLabelText("Field")).not.toHaveFocus();
  });

  it("don't cover those of an input method, and come once its words are taken", async () => {
    const unfollow = followComposing();
    const { user } = await type("a blue re");
    expect(options()).toHaveLength(3);
    const field = screen.getByLabelText("Field");
    fireEvent.compositionStart(field);
    await user.keyboard("d");
    expect(options()).toEqual([]);
    fireEvent.compositionEnd(field);
    expect(options()).toHaveLength(2);
    unfollow();
  });

  it("are earlier prompts where it is empty and Ctrl+Space asks", async () => {
    const { last, user } = await type("{Control>} {/Control}");
    expect(options()).toEqual(["a red apple, soft lightearlier prompt"]);
    await user.keyboard("{Enter}");
    expect(last()).toBe('"a red apple, soft light"');
    await user.click(screen.getByLabelText("Field"));
    expect(options()).toEqual([]);
  });
});

describe("a choice", () => {
  const many = inputOf({ default: "b", json_schema: { enum: [..."abcdefgh"] } });

  it("of many is searched", async () => {
    const { last } = show(many);
    expect(screen.getByLabelText("Field")).toHaveTextContent("b");
    await userEvent.click(screen.getByLabelText("Field"));
    await userEvent.keyboard("g{Enter}");
    expect(last()).toBe('"g"');
  });

  it("of a few is a list, and keeps numbers apart from texts", async () => {
    const { last } = show(inputOf({ json_schema: { enum: [1, "1"] }, required: true }));
    await userEvent.selectOptions(
      screen.getByLabelText("Field"),
      screen.getAllByRole("option", { name: "1" })[0] as HTMLElement,
    );
    expect(last()).toBe("1");
  });

  it("that there isn't is told, not thrown away", () => {
    const { onChange } = show(inputOf({ json_schema: { enum: ["x", "y"] } }), "gone");
    expect(screen.getByLabelText("Field")).toBeInvalid();
    expect(screen.getByLabelText("Field")).toHaveValue("gone");
    expect(screen.getByText(/gone is not one of the choices: x, y/)).toBeVisible();
    expect(onChange).not.toHaveBeenCalled();
  });
});

describe("other values", () => {
  it("a toggle is switched by its label and by keys", async () => {
    const { last } = show(
      inputOf({ type: "bool", default: false, json_schema: { type: "boolean" } }),
    );
    await userEvent.click(screen.getByText("Field"));
    expect(last()).toBe("true");
    screen.getByRole("switch").focus();
    await userEvent.keyboard(" ");
    expect(last()).toBe("false");
  });

  it("a colour is written or picked", async () => {
    const { last } = show(inputOf({ widget: "color", default: "#ffffff" }));
    const field = screen.getByLabelText("Field");
    await userEvent.type(field, "F80");
    expect(last()).toBe('"#f80"');
    expect(screen.getByLabelText("Pick input")).toHaveValue("#ff8800");
    await userEvent.type(field, "z");
    expect(field).toHaveAccessibleDescription(/#rrggbb/);
    fireEvent.input(screen.getByLabelText("Pick input"), { target: { value: "#010203" } });
    expect(last()).toBe('"#010203"');
  });

  it("JSON says where it is broken, and keeps large numbers", async () => {
    const { last } = show(
      inputOf({ type: "list[int]", json_schema: { type: "array", items: { type: "integer" } } }),
    );
    const field = screen.getByLabelText("Field");
    await userEvent.type(field, "[[9007199254740993, ");
    expect(field).toBeInvalid();
    expect(field).toHaveAccessibleDescription(/Line 1, column \d+/);
    await userEvent.type(field, "2]");
    expect(last()).toBe("[9007199254740993, 2]");
    expect(field).not.toBeInvalid();
  });

  it("a sub-graph is picked from those of the workflow", async () => {
    const { last } = show(inputOf({ type: "Subgraph", widget: "subgraph", required: true }));
    await userEvent.click(screen.getByLabelText("Field"));
    await userEvent.click(screen.getByRole("option", { name: "repaint" }));
    expect(last()).toBe('"repaint"');
  });

  it("a model is picked, or named though it isn't there", async () => {
    const { last } = show(inputOf({ widget: "file:model", required: true }), "tiny");
    await userEvent.click(screen.getByLabelText("Field"));
    expect(screen.getByRole("option", { name: /big/ })).toHaveTextContent("it is damaged");
    await userEvent.keyboard("other.safetensors{Enter}");
    expect(last()).toBe('"other.safetensors"');
  });

  it.each(["lora", "embedding"])(
    "a file of kind %s is picked from those of its kind",
    async (kind) => {
      const name = `${kind}s/ink.safetensors`;
      const ink = { value: name, name, detail: "", picture: null, problem: null };
      const useModels = (asked: string) => (asked === kind ? [ink] : []);
      const { last } = show(inputOf({ widget: `file:${kind}`, required: true }), "", { useModels });
      await userEvent.click(screen.getByLabelText("Field"));
      await userEvent.click(screen.getByRole("option", { name: /ink/ }));
      expect(last()).toBe(JSON.stringify(name));
    },
  );

  it("a secret is picked by its name", async () => {
    const { last } = show(inputOf({ widget: "secret" }), "");
    await userEvent.click(screen.getByLabelText("Field"));
    const option = await screen.findByRole("option", { name: /openai/ });
    expect(option).toHaveTextContent("api.openai.com");
    await userEvent.click(option);
    expect(last()).toBe('"openai"');
  });

  it("an input that takes links only has no widget", () => {
    show(inputOf({ type: "Image", json_schema: null }));
    expect(screen.queryByLabelText("Field")).toBeNull();
  });
});

describe("a video", () => {
  it("is uploaded by drop; a picture isn't taken for one", async () => {
    const { last } = show(inputOf({ widget: "file:video", required: true }), "");
    const field = screen.getByLabelText("Field");
    const [dog, walk] = [
      new File(["x"], "dog.png", { type: "image/png" }),
      new File(["x"], "walk.mp4", { type: "video/mp4" }),
    ];
    fireEvent.drop(field, { dataTransfer: { files: [dog, walk], types: ["Files"] } });
    await eventually(() => expect(last()).toBe('"upload:2/walk.mp4"'));
    expect(document.querySelector("input[type=file]")).toHaveAttribute("accept", "video/*");
    expect(screen.queryByRole("button", { name: "Paint a mask" })).toBeNull();
  });
});

describe("a picture", () => {
  const IMAGE = inputOf({ widget: "file:image", required: true });
  const file = new File(["x"], "dog.png", { type: "image/png" });

  it("is uploaded by drop, by paste and by choosing a file", async () => {
    const { last } = show(IMAGE, "");
    const field = screen.getByLabelText("Field");
    fireEvent.drop(field, { dataTransfer: { files: [file], types: ["Files"] } });
    await eventually(() => expect(last()).toBe('"upload:2/dog.png"'));
    const cat = new File(["x"], "cat.png", { type: "image/png" });
    fireEvent.paste(field, { clipboardData: { files: [cat] } });
    await eventually(() => expect(last()).toBe('"upload:2/cat.png"'));
    const chooser = document.querySelector<HTMLInputElement>("input[type=file]");
    if (chooser !== null) fireEvent.change(chooser, { target: { files: [file] } });
    await eventually(() => expect(last()).toBe('"upload:2/dog.png"'));
  });

  it("that can't be uploaded says so and keeps the old one", async () => {
    const upload = () => Promise.reject(new Error("the file is too large"));
    const { onChange } = show(IMAGE, "apple.png", { upload });
    const field = screen.getByLabelText("Field");
    fireEvent.drop(field, { dataTransfer: { files: [file], types: ["Files"] } });
    expect(
      await screen.findByText(/Could not upload dog.png: the file is too large/),
    ).toBeVisible();
    expect(onChange).not.toHaveBeenCalled();
    expect(field).toHaveValue("apple.png");
  });

  it("is found among the uploads", async () => {
    const { last } = show(IMAGE, "");
    await userEvent.click(screen.getByRole("button", { name: "Choose a file" }));
    const picker = await screen.findByRole("dialog", { name: "Files" });
    await userEvent.click(await within(picker).findByRole("button", { name: /cat.png/ }));
    expect(last()).toBe('"upload:1/cat.png"');
  });

  it("is found in the inputs folder", async () => {
    const pear = { value: "fruit/pear.png", name: "fruit/pear.png", detail: "", picture: "/pear" };
    const { last } = show(IMAGE, "", {
      inputFiles: async () => [pear],
      usePicture: (value) => (value === pear.value ? { small: "/small", full: "/full" } : null),
    });
    await userEvent.click(screen.getByRole("button", { name: "Choose a file" }));
    const folder = await screen.findByRole("region", { name: "In the inputs folder" });
    await userEvent.click(within(folder).getByRole("button", { name: /pear.png/ }));
    expect(last()).toBe('"fruit/pear.png"');
    expect(screen.getByRole("img", { name: "Image pear.png" })).toHaveAttribute("src", "/small");
  });

  it("is found among what workflows gave", async () => {
    const { last } = show(IMAGE, "");
    await userEvent.click(screen.getByRole("button", { name: "Choose a file" }));
    const results = await screen.findByRole("region", { name: "Results" });
    await userEvent.click(within(results).getByRole("button", { name: /fox.png/ }));
    await waitFor(() => expect(last()).toBe('"upload:4/fox.png"'));
  });

  it("gets a mask painted on it, or says what is needed first", async () => {
    const { last, give } = show(IMAGE, "apple.png");
    await userEvent.click(screen.getByRole("button", { name: "Paint a mask" }));
    expect(screen.getByText(/Upload this one first/)).toBeVisible();
    give("upload:1/cat.png");
    await screen.findByRole("img", { name: "Image cat.png" });
    await userEvent.click(screen.getByRole("button", { name: "Paint a mask" }));
    expect(last()).toBe('"upload:3/masked.png"');
  });
});
