/** A problem of a node, and what mends it. */
import type { Point } from "./layout";
import type { Scope } from "./scope";
import type { NodeTypes } from "./spec";
import type { Workflow } from "./workflow";

/** What is wrong with a node, as the check tells it. */
export interface Finding {
  readonly code: string;
  readonly port?: string | null;
  readonly given?: string | null;
  readonly expected?: string | null;
  readonly hint?: string | null;
}

/** Where a person chooses how a problem is mended: a model's download, the field, another type. */
export type Choice = "models" | "field" | "types";

interface Offer {
  /** An i18n key with its values. */
  readonly label: string;
  readonly values: Readonly<Record<string, string>>;
}

/** One edit, which places a new node at the given point, or the dialog for a choice. */
export type Mend = Offer &
  ({ readonly edit: (workflow: Workflow, at?: Point) => Workflow } | { readonly opens: Choice });

export interface Situation {
  readonly workflow: Workflow;
  readonly types: NodeTypes;
  readonly scope: Scope;
  /** The node's name in that scope. */
  readonly node: string;
}
