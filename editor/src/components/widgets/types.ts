import type { Json } from "@/model/json";
import type { InputSpec } from "@/model/spec";

/** What happens to a seed after each run. */
export type SeedMode = "fixed" | "random" | "increment" | "decrement";

export interface SeedControl {
  readonly mode: SeedMode;
  readonly onMode: (mode: SeedMode) => void;
}

/** What every widget is given. It knows nothing of documents or stores. */
export interface WidgetProps {
  readonly input: InputSpec;
  /** The literal; undefined where nothing is given, so that the default counts. */
  readonly value: Json | undefined;
  readonly onChange: (value: Json | undefined) => void;
  /** Of the element that a label points to; unique on the page. */
  readonly id: string;
  readonly disabled?: boolean;
  /** What others (the plan, a run) say is wrong with the value. */
  readonly problem?: string | null;
  /** Its name where no visible label with `htmlFor` names it. */
  readonly label?: string | undefined;
  /** Of a seed: what happens to it after a run. Without it the seed stays as it is. */
  readonly seed?: SeedControl | undefined;
}

/** What the parts of a widget are told of it, besides its props. */
export interface Marks {
  readonly "aria-invalid"?: true;
  readonly "aria-describedby"?: string;
  readonly "aria-label"?: string;
}
