import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, it, vi } from "vitest";
import type { FileLineage, LineageItem } from "@/api/schema";
import { arrange, artifact } from "@/components/panels/testing";
import { queries } from "@/store/queries";
import { stubServer } from "@/test/answers";
import LineageView from "./LineageView";

const [subject, later] = [artifact(0), artifact(1)];
const upload = "f".repeat(64);

function item(key: string, changes: Partial<LineageItem>): LineageItem {
  const nothing = { detail: "", artifact: null, href: null, thumbnail: null };
  return { key, role: "input", name: "photo.png", ...nothing, ...changes };
}

function result(file: typeof subject): LineageItem {
  return item(file.digest, { role: "result", name: file.name, artifact: file });
}

const items = [
  result(subject),
  result(later),
  item(upload, { href: `/api/v1/uploads/${upload}` }),
  item("e".repeat(64), { role: "model", name: "sd/unet/model.safetensors", detail: "Vae" }),
  item("7", { role: "seed", name: "sample.seed" }),
];
const whole: FileLineage = {
  subject: subject.digest,
  items,
  made_from: ["f", "e"].map((digit) => ({ source: digit.repeat(64), result: subject.digest })),
  used_in: [{ source: subject.digest, result: later.digest }],
  related: [{ source: "7", results: [later.digest], has_more: false }],
  complete: true,
};
const ofUpload: FileLineage = {
  ...whole,
  subject: upload,
  made_from: [],
  used_in: [{ source: upload, result: later.digest }],
  related: [],
};
let answers: Record<string, FileLineage>;

beforeEach(() => {
  arrange();
  queries.clear();
  answers = { [subject.digest]: whole, [upload]: ofUpload };
  stubServer((address) => {
    const known = answers[address.split("/").at(-1) ?? ""];
    const body = JSON.stringify(known ?? { problems: [] });
    const headers = { "content-type": "application/json" };
    return new Response(body, { status: known === undefined ? 404 : 200, headers });
  });
});

it("names what a result was made from, used in, and what it shares", async () => {
  render(<LineageView artifact={subject} onOpen={vi.fn()} />);
  expect(await screen.findByRole("heading", { name: "Made from" })).toBeInTheDocument();
  expect(screen.getByText("sd/unet")).toBeInTheDocument();
  expect(screen.getByText("model · Vae")).toBeInTheDocument();
  expect(screen.getByRole("heading", { name: "Used in" })).toBeInTheDocument();
  expect(screen.getByRole("heading", { name: "Same seed: 7" })).toBeInTheDocument();
});

it("a click on a result goes there", async () => {
  const onOpen = vi.fn();
  render(<LineageView artifact={subject} onOpen={onOpen} />);
  await userEvent.click(await screen.findByRole("button", { name: /^apple_1\.png\s*result/ }));
  expect(onOpen).toHaveBeenCalledWith(later);
});

it("an input is followed, and there is a way back", async () => {
  render(<LineageView artifact={subject} onOpen={vi.fn()} />);
  const user = userEvent.setup();
  (await screen.findByRole("button", { name: /photo\.png/ })).focus();
  await user.keyboard("{Enter}");
  expect(await screen.findByRole("button", { name: "Back to apple_0.png" })).toBeInTheDocument();
  expect(screen.queryByRole("heading", { name: "Made from" })).toBeNull();
  await user.click(screen.getByRole("button", { name: "Back to apple_0.png" }));
  expect(await screen.findByRole("heading", { name: "Made from" })).toBeInTheDocument();
});

it("nothing leads from a model", async () => {
  render(<LineageView artifact={subject} onOpen={vi.fn()} />);
  await screen.findByText("sd/unet");
  expect(screen.queryByRole("button", { name: /sd\/unet/ })).toBeNull();
});

it("says so where nothing is known", async () => {
  answers[subject.digest] = { ...whole, made_from: [], used_in: [], related: [] };
  render(<LineageView artifact={subject} onOpen={vi.fn()} />);
  expect(await screen.findByText("No lineage is known for this file.")).toBeInTheDocument();
});

it("says so where the server has no answer", async () => {
  answers = {};
  render(<LineageView artifact={subject} onOpen={vi.fn()} />);
  expect(await screen.findByText("The lineage could not be loaded.")).toBeInTheDocument();
});
