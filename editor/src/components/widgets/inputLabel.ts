import { type InputSpec, portLabel } from "@/model/spec";

/** An input's name as a person reads it: `batch_size` is "Batch size". */
export function inputLabel(input: Pick<InputSpec, "name" | "label">): string {
  return readable(portLabel(input));
}

export function readable(name: string): string {
  const words = name.replaceAll("_", " ").trim();
  return words === "" ? name : words.charAt(0).toUpperCase() + words.slice(1);
}
