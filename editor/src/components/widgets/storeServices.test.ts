import { renderHook } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import type { ModelEntry } from "@/api/schema";
import { useCatalogue } from "@/store/catalogue";
import { modelEntry } from "@/test/models";
import { storeServices } from "./storeServices";

const WHOLE = modelEntry("fruit.safetensors");
const MODELS: readonly ModelEntry[] = [
  WHOLE,
  { ...WHOLE, name: "ink.safetensors", family: null, part: "a LoRA", use: "lora" },
  {
    ...WHOLE,
    name: "word.safetensors",
    family: null,
    part: "a textual inversion",
    use: "embedding",
  },
];

afterEach(() => useCatalogue.setState({ models: null }));

function offered(kind: string) {
  return renderHook(() => storeServices.useModels(kind)).result.current;
}

test("each kind of input is offered the files of its kind", () => {
  useCatalogue.setState({ models: [...MODELS] });
  expect(offered("model")?.map((choice) => choice.name)).toEqual(["fruit.safetensors"]);
  expect(offered("lora")?.map((choice) => choice.detail)).toEqual(["a LoRA · 2.0 GB"]);
  expect(offered("embedding")?.map((choice) => choice.value)).toEqual(["word.safetensors"]);
});

test("remote models are told as such, and by name until they were looked at", () => {
  const far = { ...WHOLE, is_remote: true };
  useCatalogue.setState({ models: [far, { ...far, bytes: 0, is_looked_at: false }] });
  expect(offered("model")?.map((choice) => choice.detail)).toEqual([
    "sd1 · file · 2.0 GB · remote, downloaded when it is needed",
    "remote, not checked yet",
  ]);
});

test("the same models are the same choices", () => {
  useCatalogue.setState({ models: [...MODELS] });
  expect(offered("lora")).toBe(offered("lora"));
});
