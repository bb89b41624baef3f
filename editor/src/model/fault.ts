/** An edit that can't be done; the code says why, the names say of what. */
export type EditFaultCode =
  | "bad-name"
  | "name-taken"
  | "no-such-node"
  | "no-such-subgraph"
  | "not-a-subgraph"
  | "recursive-subgraph"
  | "goes-outside-and-back"
  | "nothing-selected"
  | "still-used"
  | "would-cycle";

export class EditFault extends Error {
  constructor(
    readonly code: EditFaultCode,
    readonly names: readonly string[] = [],
  ) {
    super(`${code}: ${names.join(", ")}`);
    this.name = "EditFault";
  }
}
