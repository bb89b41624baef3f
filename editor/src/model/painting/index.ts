/** The painting canvas of a graph, read and edited. */
export { readCanvas } from "./reading";
export * from "./types";
