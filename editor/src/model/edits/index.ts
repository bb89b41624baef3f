/** Everything that can be done to a workflow; each gives a new one and leaves its input alone. */
export {
  addGroup,
  addNote,
  freeId,
  itemsInGroup,
  type NewGroup,
  type NewNote,
  removeGroup,
  removeNote,
  updateGroup,
  updateNote,
} from "./boxes";
export * from "./comments";
export { type DuplicateOptions, duplicate } from "./duplicate";
export { setInput } from "./inputs";
export { connect, disconnect, moveLink, shortLink } from "./links";
export * from "./looks";
export { clearPrecision, type Meta, setMeta, setRequirement } from "./meta";
export { nodePreset, withPreset } from "./nodePresets";
export {
  addNode,
  freeNodeName,
  type NewNode,
  renameNode,
  setAlways,
  setLabel,
  setMode,
  setNote,
} from "./nodes";
export * from "./parameters";
export { clearGraph, type RemoveOptions, removeItems, removeNodes } from "./remove";
export { addReroute, moveReroute, removeReroute } from "./reroutes";
export { retype } from "./retype";
