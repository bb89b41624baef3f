/** How models look where they have no image: by their kind and family. */
import {
  Blend,
  Box,
  Boxes,
  Brush,
  Eye,
  Layers,
  type LucideIcon,
  Maximize2,
  Package,
  ScanLine,
  Sparkles,
  TextCursorInput,
} from "lucide-react";
import { type LibraryModel, type ModelKind, modelKind } from "@/model/models";

const ICONS: Readonly<Record<ModelKind, LucideIcon>> = {
  model: Package,
  lora: Brush,
  embedding: Sparkles,
  denoiser: Box,
  encoder: TextCursorInput,
  vae: Layers,
  control: ScanLine,
  adapter: Blend,
  upscaler: Maximize2,
  vision: Eye,
  other: Boxes,
};

export function iconOf(model: Pick<LibraryModel, "node" | "use">): LucideIcon {
  return ICONS[modelKind(model)];
}

const SERIES = 8;

/** A color of the theme, the same for all models of a family. */
export function tintOf(family: string | null): string {
  if (family === null) return "var(--text-faint)";
  let sum = 7;
  for (const letter of family) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 997;
  return `var(--series-${(sum % SERIES) + 1})`;
}
