/** The workflow file: as a value, read and written. */
export { readWorkflow, WorkflowFault, workflowFromJson } from "./reading";
export {
  CPU_PRECISION,
  cpuPrecisionOf,
  emptyNode,
  emptySubgraph,
  emptyWorkflow,
  FORMAT,
  isNodeName,
  isUnread,
  type Mode,
  NOTHING,
  type NodeEntry,
  type Nodes,
  type Parameter,
  type Subgraph,
  type SubgraphInput,
  type Workflow,
} from "./value";
export { workflowToJson, writeWorkflow } from "./writing";
