import type { Json } from "@/model/json";
import type { EmbeddingSource, LoraSource } from "@/model/promptCompletion";
import type { InputSpec } from "@/model/spec";

/** What happens to a seed after each run. */
export type SeedMode = "fixed" | "random" | "increment" | "decrement";

export interface SeedControl {
  readonly mode: SeedMode;
  readonly onMode: (mode: SeedMode) => void;
}

/** What prompts do with LoRAs and textual inversions, which nodes put on models. */
export interface LoraControl {
  /** Whether there is, or may come to be, a model that the prompt leads. */
  readonly areMeant: () => boolean;
  /** Put one on that model, and give the prompt a text, as one step to undo. */
  readonly put: (lora: LoraSource, text: string) => void;
  /** Whether the text encoder that reads the prompt can be taught words. */
  readonly areWordsTaught: () => boolean;
  /** Teach it one, in the same way. */
  readonly teach: (embedding: EmbeddingSource, text: string) => void;
  /** Take that step back. */
  readonly undo: () => void;
}

/** What every widget is given. It knows nothing of documents or stores. */
export interface WidgetProps {
  readonly input: InputSpec;
  /** The literal; undefined where nothing is given, so that the default counts. */
  readonly value: Json | undefined;
  readonly onChange: (value: Json | undefined) => void;
  /** A gesture has ended: what comes next is another step to undo. */
  readonly onPause?: (() => void) | undefined;
  /** Of the element that a label points to; unique on the page. */
  readonly id: string;
  readonly disabled?: boolean;
  /** What others (the plan, a run) say is wrong with the value. */
  readonly problem?: string | null;
  /** Its name where no visible label with `htmlFor` names it. */
  readonly label?: string | undefined;
  /** Of a picture: a copy with a painted mask is given; without it that is a change like others. */
  readonly onMasked?: ((value: string) => void) | undefined;
  /** Of a seed: what happens to it after a run. Without it the seed stays as it is. */
  readonly seed?: SeedControl | undefined;
  /** Of a prompt: without it no LoRAs are proposed. */
  readonly loras?: LoraControl | undefined;
  /** What stands in an empty prompt; without it, that it describes what is generated. */
  readonly hint?: string | undefined;
}

/** What the parts of a widget are told of it, besides its props. */
export interface Marks {
  readonly "aria-invalid"?: true;
  readonly "aria-describedby"?: string;
  readonly "aria-label"?: string;
}
