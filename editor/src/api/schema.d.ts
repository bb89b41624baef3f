// Made by scripts/schema.mjs from the server's /openapi.json; don't edit.

/** That it is. */
export interface Alive {
  status: string;
}

/** What became of a run of an app. */
export interface AppAnswer {
  job: JobEntry;
  /** Files by the node that gave them; None if it hasn't finished. */
  outputs: Record<string, OutputFile[]> | null;
}

/** A saved workflow as an app. */
export interface AppDetail {
  name: string;
  title: string;
  description: string;
  /** Of the saved workflow. */
  version: number;
  /** Of the saved workflow. */
  digest: string;
  /** JSON Schema of the values that it takes. */
  parameters: Record<string, unknown>;
  /** Why some of it can't be used. */
  problems: Finding[];
  /** The nodes that give files. */
  outputs: AppOutputEntry[];
  /** Where the server has it. */
  href: string;
}

/** An app in a list: a saved workflow that can be run by its name. */
export interface AppItem {
  name: string;
  title: string;
  description: string;
  /** Names of what people vary. */
  parameters: string[];
  /** Where the server has it. */
  href: string;
}

/** Some apps, by name. */
export interface AppList {
  items: AppItem[];
  /** Cursor of the next page; null on the last page. */
  next: string | null;
}

/** A node of an app that gives files. */
export interface AppOutputEntry {
  node: string;
  /** For people. */
  label: string;
  /** The node's. */
  type: string;
}

/** A file that a job gave, in a list of the files of many. */
export interface ArtifactEntry {
  name: string;
  /** That wrote it. */
  node: string;
  /** What it is to people. */
  kind: string;
  media_type: string;
  /** Bytes. */
  size: number;
  /** blake3 of the bytes. */
  digest: string;
  job: string;
  /** Unix time at which it was written. */
  created: number;
  /** Pixels, of an image or video; None where that isn't known. */
  width: number | null;
  /** Pixels, of an image or video; None where that isn't known. */
  height: number | null;
  /** Where the server has it. */
  href: string;
  /** Where it has a small image of it; None if it shows none. */
  thumbnail: string | null;
  /** Whether it was there already: an earlier job made it, and this one found it. */
  existed: boolean;
  job_name: string;
  /** How many jobs gave the same bytes. */
  jobs: number;
  /**
   * The job that made it; another one than `job` where that found it. None if it isn't in the
   * history any more, or isn't the caller's.
   */
  made_by: string | null;
}

/** Some artifacts, the newest first. */
export interface ArtifactList {
  items: ArtifactEntry[];
  /** Cursor of the next page; null on the last page. */
  next: string | null;
}

/**
 * What may come in one request.
 *
 * Attributes:
 * body: Bytes of a request's body, but for uploads.
 * upload: Bytes of an uploaded file.
 * pixels: Of an uploaded image.
 * json_depth: Levels of lists and objects within each other.
 * json_values: Values in one JSON body.
 * nodes: Of a workflow, those of its blocks included.
 * frame: Bytes of a websocket frame.
 * waiting: Bytes of events that wait for all who follow them; whom most waits for is hung up
 * on first.
 * idle_seconds: That a client may let pass within a request, sending or reading nothing.
 * head_seconds: That a request's head may take.
 * connections: Open at a time.
 * address_connections: The same of one address, but for trusted proxies.
 */
export interface BodyLimits {
  body: number;
  upload: number;
  pixels: number;
  json_depth: number;
  json_values: number;
  nodes: number;
  frame: number;
  waiting: number;
  idle_seconds: number;
  head_seconds: number;
  connections: number;
  address_connections: number;
}

/**
 * How a node uses the subgraph that one of its inputs names.
 *
 * Attributes:
 * inputs: The subgraph's inputs that the node itself gives, and the node's input that each
 * takes its values from; empty for values of the node's own making, which the subgraph
 * need not take. Its other inputs are inputs of the node too, if `passes_on`.
 * outputs: The outputs that the subgraph must have, and the node's outputs that are made of
 * each; none for those that only the node itself looks at.
 * passes_on: The node's function takes further inputs and hands them on.
 */
export interface BodySpec {
  inputs: Record<string, string>;
  outputs: Record<string, string[]>;
  passes_on: boolean;
}

/** What a file says besides what it shows. */
export interface CarriedTexts {
  /**
   * By name: `workflow`, as JSON, and `nodegraph`, the version that wrote it; what other programs
   * wrote, such as `prompt`. Empty where there are none.
   */
  texts: Record<string, string>;
}

/** What may be changed of a job that waits. */
export interface Change {
  priority: number;
}

/** Whether a workflow can run, and everything that is wrong with it. */
export interface Checked {
  valid: boolean;
  problems: Finding[];
}

/** How many jobs were cancelled. */
export interface Cleared {
  cancelled: number;
}

/** What each client may have in the queue. See `nodegraph.jobs.queue.Limits`. */
export interface ClientLimits {
  waiting: number;
  running: number | null;
  bytes: number;
}

/**
 * Workers of a cluster that are alike.
 *
 * Attributes:
 * device: That they compute on.
 * gpus, cpus, memory: That a node sets aside for each; for a device but the CPU, one GPU.
 * resources: Others of a node, by the names and in the numbers that it was started with.
 * labels: What a node's labels must be.
 * min_workers, max_workers: How many there are to be; not given, as for all.
 */
export interface ClusterKind {
  device: string;
  gpus: number | null;
  cpus: number;
  memory: number;
  resources: Record<string, number>;
  labels: Record<string, string>;
  min_workers: number | null;
  max_workers: number | null;
}

/** How many jobs were deleted. */
export interface Deleted {
  deleted: number;
}

/** Something that is another way here than in ComfyUI. */
export interface Difference {
  /** That it is about; empty if it is about all. */
  node: string;
  message: string;
}

/** Where the server keeps its files, in bytes. */
export interface Disk {
  total: number;
  free: number;
}

/** Something that happened to a job. */
export interface EventEntry {
  /** Its id. */
  job: string;
  /** Whose it is. */
  client: string;
  /** The job's at that time. */
  attempt: number;
  /** What happened, such as `node.finished`; docs/websocket.md lists the kinds. */
  kind: string;
  /** The node it happened to, if any. */
  node: string | null;
  /** What else there is to say; plain values. */
  data: Record<string, unknown>;
  /**
   * Its number, which grows from event to event of all jobs; None for what is of the moment only:
   * progress and previews.
   */
  seq: number;
  /** In the attempt's run; None for what the queue tells. */
  number: number | null;
  /** Unix time; None of what is of the moment. */
  at: number;
  /** Since the attempt's run started. */
  seconds: number | null;
}

/** Some events, in order. */
export interface EventList {
  items: EventEntry[];
  /** Ask for those `after` this number next, and miss none. */
  last: number;
  /** Whether there were no more at that moment. */
  complete: boolean;
}

/** One finding about a workflow, a file or a value. */
export interface Finding {
  /** Stable name of the kind of fault, such as `unknown-node-type`. */
  code: string;
  /** What is wrong, in one sentence without the place. */
  message: string;
  /** Name of the node in the workflow. */
  node?: string | null;
  /** Type of that node. */
  node_type?: string | null;
  /** Input or output port. */
  port?: string | null;
  /** What was found, as text. */
  given?: string | null;
  /** What is allowed, as text. */
  expected?: string | null;
  /** The next step that mends it. */
  hint?: string | null;
}

/** A workflow of ComfyUI: its document, or the texts of an image or video that carries it. */
export interface ImportWish {
  /** Content of the file: the API format, or the UI format of version 0.4 or 1.0. */
  document?: Record<string, unknown> | null;
  /** Metadata by name: `workflow`, `prompt`, or `comment` with both. */
  texts?: Record<string, string> | null;
}

/** A file of the server's inputs folder. */
export interface InputFileEntry {
  /** What an input of a workflow that takes a file is given, to read this one. */
  path: string;
  /** By its suffix. */
  media_type: string;
  /** Bytes. */
  size: number;
  /** Unix time. */
  modified: number;
  /** Where the server has it. */
  href: string;
}

/** The newest files of the inputs folder, the newest first. */
export interface InputList {
  /** Shown only to clients that may run jobs. */
  items: InputFileEntry[];
  next: string | null;
}

/**
 * A typed input.
 *
 * Attributes:
 * type: Type expression, such as ``Image`` or ``list[int]``.
 * required: It must be linked or given.
 * nullable: ``null`` is allowed and means "not given".
 * lazy: It is evaluated only if the node asks for it.
 * default: Used where nothing is given.
 * json_schema: JSON Schema of a literal; None for types that can only be linked.
 * widget: How an editor shows it: ``multiline``, ``seed``, ``file:image``, ``pack:curve`` for
 * the pack's own ``widgets/curve.js``; empty for the type's usual one.
 * step: Step of a number's widget.
 * advanced, group: Where an editor puts it.
 * help: One sentence.
 * body: For an input that names a subgraph which the node runs.
 * passed_on: It is an input of that subgraph; the node's function takes it as one of its
 * ``**inputs``, if it is given.
 */
export interface InputSpec {
  name: string;
  type: string;
  required: boolean;
  nullable: boolean;
  lazy: boolean;
  default: unknown;
  json_schema: Record<string, unknown> | null;
  widget: string;
  step: number | null;
  advanced: boolean;
  group: string;
  help: string;
  body: BodySpec | null;
  passed_on: boolean;
}

/** A job with all that is kept of it. */
export interface JobDetail {
  id: string;
  /** Whose it is. */
  client: string;
  name: string;
  state: "queued" | "running" | "finished" | "failed" | "cancelled";
  /** Whether it waits until it is let go. */
  held: boolean;
  /** What a running job's worker is asked to do: `cancel`, `pause` or nothing. */
  wanted: "cancel" | "pause" | null;
  /** -100 to 100; the highest goes first. */
  priority: number;
  /** Unix time. */
  created: number;
  /** Unix time at which the last attempt began. */
  started: number | null;
  /** Unix time at which it ended. */
  finished: number | null;
  /** How often a worker has begun it. */
  attempt: number;
  /** How often its worker died. */
  deaths: number;
  /** That has it or had it last. */
  worker: string | null;
  tags: string[];
  /** Digest of its text. */
  workflow: string;
  parameters: Record<string, unknown>;
  /** Nodes that are wanted; None for all that write something. */
  targets: string[] | null;
  options: Record<string, unknown>;
  /** What was foreseen, if that was asked for. */
  plan: Record<string, unknown> | null;
  /** What it gave; None unless it has finished. */
  outputs: JobOutputs | null;
  /**
   * The first problem of one that failed, with all of them under `problems`, and what nodes had
   * warned of before under `warnings`, as in `outputs`.
   */
  error: Record<string, unknown> | null;
  /** Why it failed, if it did. */
  fault: JobFault | null;
  links: JobLinks;
}

/** A job, without what was asked for and what came of it. */
export interface JobEntry {
  id: string;
  /** Whose it is. */
  client: string;
  name: string;
  state: "queued" | "running" | "finished" | "failed" | "cancelled";
  /** Whether it waits until it is let go. */
  held: boolean;
  /** What a running job's worker is asked to do: `cancel`, `pause` or nothing. */
  wanted: "cancel" | "pause" | null;
  /** -100 to 100; the highest goes first. */
  priority: number;
  /** Unix time. */
  created: number;
  /** Unix time at which the last attempt began. */
  started: number | null;
  /** Unix time at which it ended. */
  finished: number | null;
  /** How often a worker has begun it. */
  attempt: number;
  /** How often its worker died. */
  deaths: number;
  /** That has it or had it last. */
  worker: string | null;
  tags: string[];
  /** Why it failed, if it did. */
  fault: JobFault | null;
  links: JobLinks;
}

/** Why a job failed, in short. */
export interface JobFault {
  code: string;
  message: string;
  /** At which it did, if it was one. */
  node: string | null;
}

/** Where there is more of a job. */
export interface JobLinks {
  self: string;
  workflow: string;
  events: string;
}

/** Some jobs. */
export interface JobList {
  items: JobEntry[];
  /** Cursor of the next page; null on the last page. */
  next: string | null;
}

/** What a job gave. */
export interface JobOutputs {
  files: OutputFile[];
  /** Digests of what nodes gave, by `node.port`. */
  outputs: Record<string, string>;
  /** How many nodes `ran` and were `cached`. */
  nodes: Record<string, number>;
  seconds: number;
  /** Its record in the server's store, for `nodegraph runs`. */
  run: string;
  /**
   * What nodes said of their results, now or when what came from the cache was computed; of very
   * many the first.
   */
  warnings: NodeWarning[];
  [more: string]: unknown;
}

/** A job to be. */
export interface JobWish {
  /** The content of a workflow file, or the name of a saved workflow. */
  workflow: SavedReference | Record<string, unknown>;
  /** Values of the workflow's named parameters. */
  parameters?: Record<string, unknown>;
  /** Nodes to run, with the nodes that they need. Default: all nodes that write a result. */
  targets?: string[] | null;
  /** Display name; without one, the workflow's title. */
  name?: string;
  /** Tags to find the job by. */
  tags?: string[];
  /** Jobs with the highest priority run before all others. Default: `0`. */
  priority?: number;
  /** Hold the job until it is released. Default: `false`. */
  held?: boolean;
  options?: RunOptions;
  /** Plan the job first, and store the plan with it. This takes longer. Default: `false`. */
  plan?: boolean;
}

/** A page elsewhere, for people to open. */
export interface LinkEntry {
  title: string;
  url: string;
  /** Whether it is what was asked for; else one may find it there. */
  exact: boolean;
}

/** Memory, in bytes. */
export interface Memory {
  /** Of the machine. */
  total: number;
  available: number;
  /** Of the server's own process. */
  server: number;
}

/** A model on the server. */
export interface ModelEntry {
  /** What `LoadModel` takes, or `node`. */
  name: string;
  /** `diffusers`, `checkpoint` or `embedded`. */
  kind: "diffusers" | "checkpoint" | "embedded";
  /** None if it can't be used, or fits several. */
  family: string | null;
  /** On disk, or at the place of remote ones. */
  bytes: number;
  /** Why it can't be used; None if it can. */
  problem: string | null;
  /** Where the server has a small image of it; None if there is none. */
  thumbnail: string | null;
  /** What it is by itself, such as the transformer of a model; None of whole models. */
  part: string | null;
  /** The type of the node that takes it; None if it can't be used. */
  node: string | null;
  /** The kind of file, of inputs with such a widget, that it is. */
  use: "model" | "lora" | "embedding";
  /** Whether it lies in a bucket or a shared folder, and is fetched when it is needed. */
  is_remote: boolean;
  /**
   * False of a remote one of which only the name is known yet; the server looks at it, and tells
   * `models.changed` then.
   */
  is_looked_at: boolean;
  /**
   * Of a LoRA, what prompts say for what it was taught, as its file has it; None if that doesn't
   * say.
   */
  trigger_words: string | null;
}

/** The models. */
export interface ModelList {
  items: ModelEntry[];
  next: string | null;
  /** Folders for more models, shown only to admins. */
  folders: string[];
}

/** Words of prompts. */
export interface ModelWords {
  /** The most common first; empty if none are known. */
  words: string[];
}

/** Right before another one of its client and priority. */
export interface MoveBefore {
  before: string;
}

/** Before or behind all others of its client and priority. */
export interface MoveToEnd {
  to: "first" | "last";
}

/** A file of weights that isn't there. */
export interface NeededModel {
  name: string;
  /** Of a models folder, where it would go; empty if that isn't known. */
  folder: string;
  /** Where it can be had, as the workflow's file says it; empty if it doesn't. */
  url: string;
}

/** A node type: what editors and checks need to know of it. */
export interface NodeType {
  type: string;
  pack: string;
  version: number;
  label: string;
  category: string;
  summary: string;
  help: string;
  inputs: InputSpec[];
  outputs: OutputSpec[];
  lane: "gpu" | "cpu" | "io";
  is_async: boolean;
  deterministic: boolean;
  output: boolean;
  output_files: boolean;
  numerics: boolean;
  continues: string[];
  deprecated: string;
  experimental: boolean;
  tags: string[];
  facts: Record<string, Record<string, string>>;
  /** What the workflow does; null if there is no description. */
  example: NodeTypeExample | null;
  /** JSON Schema of the node's `inputs` in a workflow, links included. */
  inputs_schema: Record<string, unknown>;
}

/** A small workflow that shows what a node type does. */
export interface NodeTypeExample {
  /** Path of the workflow on the server. */
  href: string;
  /** Path of an example image on the server; null if there is none. */
  picture: string | null;
  /** Files that the workflow reads, which must be uploaded. */
  needs: string[];
  /** Folders that the workflow reads; `POST` to `…/example/folders` copies them. */
  folders: string[];
}

/** All node types there are. */
export interface NodeTypeList {
  items: NodeType[];
  next: string | null;
  port_types: PortTypeEntry[];
  /** Widgets and panels that packs add to the editor. */
  frames: PackFrame[];
  /** Versions of the packs by name. */
  packs: Record<string, string>;
  /** Problems of packs; other packs still work. */
  problems: string[];
  /** The most used node types, to be suggested first. */
  usage: NodeTypeUsage;
  /**
   * Packs that are still being read: their node types may still appear. An empty name means the
   * built-in nodes.
   */
  unread: string[];
}

/** What a list shows of a node type. */
export interface NodeTypeSummary {
  /** Name of the node type in workflows. */
  type: string;
  /** Pack of the node type; empty for the built-in nodes. */
  pack: string;
  /** Display name. */
  label: string;
  category: string;
  /** One sentence on what the node does. */
  summary: string;
  /** More search words. */
  tags: string[];
  /** Replacement; empty if the node is not deprecated. */
  deprecated: string;
  experimental: boolean;
  /** Path of the full node type on the server, with its inputs and outputs. */
  href: string;
}

/** Summaries of some node types, by name. */
export interface NodeTypeSummaryList {
  items: NodeTypeSummary[];
  /** Cursor of the next page; null on the last page. */
  next: string | null;
}

/** In how many of the workflows that come with nodegraph something occurs. */
export interface NodeTypeUsage {
  /** By node type. */
  types: Record<string, number>;
  /**
   * By output, then by input, then by the model family of what the link carries; an empty name
   * where it is not known.
   */
  links: Record<string, Record<string, Record<string, number>>>;
}

/** What a node said of its results, that keeps nothing from running. */
export interface NodeWarning {
  /** None where it is of no single one. */
  node: string | null;
  message: string;
}

/** A file that a job gave. */
export interface OutputFile {
  name: string;
  /** That wrote it. */
  node: string;
  /** What it is to people. */
  kind: string;
  media_type: string;
  /** Bytes. */
  size: number;
  /** blake3 of the bytes. */
  digest: string;
  /** Pixels, of an image or video; None where that isn't known. */
  width: number | null;
  /** Pixels, of an image or video; None where that isn't known. */
  height: number | null;
  /** Where the server has it. */
  href: string;
  /** Where it has a small image of it; None if it shows none. */
  thumbnail: string | null;
  /** Whether it was there already: an earlier job made it, and this one found it. */
  existed: boolean;
}

/**
 * A typed output.
 *
 * Attributes:
 * nullable: The value may be None.
 */
export interface OutputSpec {
  name: string;
  type: string;
  nullable: boolean;
  help: string;
}

/** A widget or panel that a pack brings into the editor. */
export interface PackFrame {
  pack: string;
  kind: "widget" | "panel";
  name: string;
  /** A panel's title; empty for a widget. */
  label: string;
  help: string;
  /** Page for a sandboxed frame without an origin. Its path changes with the pack's file. */
  href: string;
}

/** What a run would do. */
export interface PlanEntry {
  valid: boolean;
  /**
   * What would become of each node: whether it runs or is in the cache, with the expected time,
   * memory and weights, and how it has room on its device: `fit` is `whole`, `parts` if its weights
   * come in parts (`transfer_seconds` of its time), `small` if its work is done in tiles or one by
   * one too, `none` if it is likely to run out of memory, and empty if that isn't known; of a hit
   * that wrote files also these, in `files`, as far as the caller has them.
   */
  nodes: Record<string, unknown>;
  /** Of the whole run; `room`: bytes that there are for it, by device. */
  totals: Record<string, unknown>;
  /** Nodes and models that there aren't. */
  missing: Record<string, unknown>;
  problems: Finding[];
  /**
   * Nodes that a run would compute; of a workflow that something is wrong with, those that it
   * leaves alone: what a job may name as its `targets`.
   */
  targets: string[];
  /** What doesn't keep it from running, but is worth knowing. */
  warnings: Finding[];
  [more: string]: unknown;
}

/** A type that links carry. */
export interface PortTypeEntry {
  name: string;
  /** Color of its ports and links. */
  color: string;
  /** Types whose ports also accept it. */
  parents: string[];
  description: string;
}

/** What is wrong with a request, as RFC 9457 has it. */
export interface ProblemDetails {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance?: string | null;
  /** All problems that were found, not only the first. */
  problems: Finding[];
}

/** A Python script. */
export interface PythonScript {
  text: string;
}

/** The queue, as far as one may see it. */
export interface QueueEntry {
  /** Whether no more jobs are begun. */
  paused: boolean;
  /** Of one's own jobs; of everybody's for who may administer. */
  counts: StateCounts;
  /** In the order in which they will be begun, as far as that is known now. */
  upcoming: JobEntry[];
}

/** How the queue is. */
export interface QueueState {
  paused: boolean;
  counts: StateCounts;
  /** Why it can't be written to; None if it can. */
  fault: string | null;
}

/**
 * How often one client may ask: a token's, or an address's without one.
 *
 * Attributes:
 * requests_per_second: In the long run.
 * burst: At once.
 * failures_per_minute: Wrong tokens from one address, in the long run.
 * failure_burst: The same, at once.
 */
export interface RateLimits {
  requests_per_second: number;
  burst: number;
  failures_per_minute: number;
  failure_burst: number;
}

/** What there is once node packs were looked at anew. */
export interface Refreshed {
  /** How many there are. */
  node_types: number;
  /** What is wrong with packs. */
  problems: string[];
}

/**
 * What is kept, and for how long; none for no limit.
 *
 * Attributes:
 * seconds, count, failed_seconds, failed_count: Of ended jobs, the last two of failed ones.
 * upload_seconds: After which an upload goes that nothing has used since.
 * upload_bytes: Of all uploads together; those unused for longest go to make room.
 * every: Seconds between two looks at what is to go.
 */
export interface Retention {
  seconds: number | null;
  count: number | null;
  failed_seconds: number | null;
  failed_count: number | null;
  upload_seconds: number | null;
  upload_bytes: number;
  every: number;
}

/** What is given is changed; null takes a limit away. */
export interface RetentionChange {
  seconds?: number | null;
  count?: number | null;
  failed_seconds?: number | null;
  failed_count?: number | null;
}

/** How to run it. */
export interface RunOptions {
  /** Seconds of run time after which the job is cancelled. */
  deadline?: number | null;
  /** Find nodes that change their inputs; slow. */
  check_mutation?: boolean | null;
  /** Seconds without news after which a node counts as stalled, for all nodes or by node. */
  stall_seconds?: number | Record<string, number> | null;
}

/** How a workflow is kept. */
export interface SavedAs {
  /** 1 is the first; grows with each change. */
  version: number;
  /** Of its text; its ETag, and what a change is made to, see `Workflows.save`. */
  digest: string;
  /** Unix time. */
  saved: number;
  /** Bytes of its text. */
  size: number;
  /** Where the server has it. */
  href: string;
  name: string;
}

/** A saved workflow in a list. */
export interface SavedItem {
  name: string;
  title: string;
  description: string;
  /** Of its text; its ETag. */
  digest: string;
  /** Unix time of the last change. */
  saved: number;
  /** Names of what people vary. */
  parameters: string[];
  /** How many there are. */
  nodes: number;
  /** Why its file can't be read; None if it can. */
  problem: string | null;
  /** Where the server has it. */
  href: string;
}

/** Some saved workflows, by name. */
export interface SavedList {
  items: SavedItem[];
  /** Cursor of the next page; null on the last page. */
  next: string | null;
}

/**
 * A workflow that is saved on the server.
 *
 * Attributes:
 * saved: Its name.
 * version: Number of the version; the newest if not given.
 */
export interface SavedReference {
  saved: string;
  version?: number | null;
}

/** A state of a saved workflow. */
export interface SavedVersion {
  /** 1 is the first; grows with each change. */
  version: number;
  /** Of its text; its ETag, and what a change is made to, see `Workflows.save`. */
  digest: string;
  /** Unix time. */
  saved: number;
  /** Bytes of its text. */
  size: number;
  /** Where the server has it. */
  href: string;
}

/** A workflow that a script is to build. */
export interface ScriptWish {
  /** The content of a workflow file. */
  workflow: Record<string, unknown>;
}

/**
 * Settings of one server.
 *
 * Attributes:
 * host: Address to listen at. Any but a loopback one needs a token.
 * port: 0 for any that is free.
 * workers: Processes that run jobs; one for each device if not given. 0 takes jobs in and
 * runs none.
 * devices: Of the workers, in turn; all cards, or else that of the other settings, if none is
 * given.
 * warm: Whether workers load the libraries of models before a job needs them. Without that
 * they start sooner and stay small, and the first such job takes seconds longer.
 * help_jobs: Whether workers without a job compute along with one that another worker has, if
 * it has branches or lists; a job that waits goes before.
 * cluster: Address of the Ray cluster that workers run on: ``auto`` for the one of this
 * machine, which is started if there is none; ``HOST:PORT``; ``ray://HOST:10001``.
 * cluster_min_workers, cluster_max_workers: How many workers there are to be there; at most
 * as many as there is room for, if not given.
 * cluster_idle_seconds: Without a job, after which a worker there is ended.
 * cluster_kinds: What workers there are to be like, by names for them. If none is given, they
 * are of one kind, ``worker``, or of one for each of `devices`.
 * root_path: Path below which a proxy offers the server, such as ``/studio``, whether or not
 * it takes the path away before it hands a request on.
 * allowed_hosts: Names under which it is reached, besides loopback ones: those of a reverse
 * proxy, for example. With any of them, a token is needed too.
 * allowed_origins: Pages elsewhere that may use it, such as ``https://studio.example``.
 * trusted_proxies: Addresses whose ``X-Forwarded-*`` headers are believed.
 * limits, rates, retention, uploads, clients: See there.
 * queue: Address of a PostgreSQL database that keeps the jobs, for several servers; not given,
 * a file in the home folder does.
 * shared_files: URL of a bucket or mounted folder by which servers of one queue on several
 * machines share uploads and what jobs gave; not given, these lie in the home folder.
 * most_waiting: Jobs that may wait in all.
 * stall_seconds: Without an event while a node runs, after which its worker is restarted;
 * none to wait for ever.
 * cancel_seconds: For a running job to stop, once it was cancelled or its deadline has passed;
 * then its worker is restarted.
 * worker_memory: Bytes of a worker's memory above which it is restarted; 0 for no limit. Not
 * given, 85 % of the machine's memory, or of what its container may take, divided
 * among the workers.
 * merge_jobs: Jobs that a worker may run at once where their samplings share batches, which
 * the setting `merge_steps` has to allow; 1 runs them one after the other.
 * shutdown_seconds: That running jobs get to reach their next checkpoint.
 * least_free: Bytes of free disk below which the server says that it isn't ready.
 * session_seconds: After which a browser that has logged in has to do so again.
 * open_metrics: Whether the figures for monitoring are told to everybody who can reach the
 * server; else to those who may read.
 * log_format: ``json`` writes one object a line.
 * log_level: The least that is logged. Refused requests always are.
 */
export interface ServerSettings {
  host: string;
  port: number;
  workers: number | null;
  devices: string[];
  warm: boolean;
  help_jobs: boolean;
  cluster: string | null;
  cluster_min_workers: number;
  cluster_max_workers: number | null;
  cluster_idle_seconds: number;
  cluster_kinds: Record<string, ClusterKind>;
  root_path: string;
  allowed_hosts: string[];
  allowed_origins: string[];
  trusted_proxies: string[];
  limits: BodyLimits;
  rates: RateLimits;
  retention: Retention;
  uploads: UploadLimits;
  clients: ClientLimits;
  queue: string | null;
  shared_files: string | null;
  most_waiting: number;
  stall_seconds: number | null;
  cancel_seconds: number;
  worker_memory: number | null;
  merge_jobs: number;
  shutdown_seconds: number;
  least_free: number;
  session_seconds: number;
  open_metrics: boolean;
  log_format: "text" | "json";
  log_level: "debug" | "info" | "warning" | "error";
}

/** What may be changed while the server runs. */
export interface SettingsChange {
  /** Rules for how long ended jobs are kept. */
  retention?: RetentionChange | null;
}

/** Where to get a model or a node pack. */
export interface SourceEntry {
  /** `model` or `pack`. */
  kind: "model" | "pack";
  /** As it was asked for. */
  name: string;
  /** What to do, one after the other. */
  steps: string[];
  links: LinkEntry[];
}

/** Where to get models and node packs. */
export interface SourceList {
  items: SourceEntry[];
  next: string | null;
}

/** How many jobs there are in each state. */
export interface StateCounts {
  queued: number;
  running: number;
  finished: number;
  failed: number;
  cancelled: number;
  /** Of those that are queued. */
  held: number;
}

/** The server and the machine that it runs on. */
export interface SystemEntry {
  /** Of nodegraph. */
  version: string;
  python: string;
  platform: string;
  /** Unix time. */
  started: number;
  /** Seconds. */
  uptime: number;
  /** That workers compute on. */
  devices: string[];
  workers: WorkerEntry[];
  /** Bytes. */
  memory: Memory;
  /** Bytes. */
  disk: Disk;
  queue: QueueState;
  /** Versions of the node packs by name. */
  packs: Record<string, string>;
  /** How many there are. */
  node_types: number;
  /** What is wrong with node packs. */
  problems: string[];
}

/** A workflow that comes with the server, to start from. */
export interface TemplateItem {
  name: string;
  title: string;
  description: string;
  /** Names of what people vary. */
  parameters: string[];
  /** Files that it reads, which have to be brought along; see `Templates.file`. */
  needs: string[];
  /** Node types that it uses. */
  types: string[];
  /** Where the server has an image of what it makes; None if there is none. */
  picture: string | null;
  /** Where the server has it. */
  href: string;
}

/** The workflows that come with nodegraph. */
export interface TemplateList {
  items: TemplateItem[];
  next: string | null;
}

/** A workflow of ComfyUI, as it is here. */
export interface Translated {
  /** As its file would say it. */
  workflow: Record<string, unknown>;
  /** What it was: `api`, `0.4` or `1.0`. */
  format: string;
  /** How many it had, those of blocks included. */
  nodes: number;
  /** Nodes that are kept as placeholders. */
  untranslated: UntranslatedNode[];
  /** Files of weights that aren't there. */
  models: NeededModel[];
  /** Images and the like that aren't there. */
  files: string[];
  /** Kinds of models that aren't known here. */
  families: string[];
  /** What isn't as it was. */
  differences: Difference[];
  /** What else keeps it from running. */
  problems: Finding[];
}

/** A node of ComfyUI that nothing here stands for, and that is kept as a placeholder. */
export interface UntranslatedNode {
  /** Its name here; in a block, after the block's and a slash. */
  node: string;
  /** ComfyUI's. */
  type: string;
  /** What brings it there; empty if the file doesn't say. */
  pack: string;
  /** Types here that may do what it does. */
  stand_ins: string[];
  /** Why it isn't translated. */
  reason: string;
}

/** A file that was brought to the server. */
export interface UploadEntry {
  /** blake3 of the bytes. */
  digest: string;
  /** Made safe. */
  name: string;
  /** By its bytes. */
  media_type: string;
  /** Bytes. */
  size: number;
  /** What an input of a workflow that takes a file is given, to read this one. */
  value: string;
  /** Pixels, of an image. */
  width: number | null;
  /** Pixels, of an image. */
  height: number | null;
  /** Unix time. */
  created: number;
  /** Unix time when it was last needed. */
  used: number;
  /** Where the server has it. */
  href: string;
}

/**
 * What may be brought.
 *
 * Attributes:
 * types: Of files, as their bytes tell. Weights are taken only where they are named here.
 */
export interface UploadLimits {
  types: ("png" | "jpeg" | "webp" | "gif" | "mp4" | "webm" | "mkv" | "wav" | "flac" | "ogg" | "mp3" | "glb" | "ply" | "obj" | "sdf" | "pdb" | "workflow" | "safetensors")[];
}

/** Some uploads, the newest first. */
export interface UploadList {
  items: UploadEntry[];
  /** Cursor of the next page; null on the last page. */
  next: string | null;
}

/** The versions of a saved workflow that are kept, the newest first. */
export interface VersionList {
  items: SavedVersion[];
  next: string | null;
}

/** A worker process. */
export interface WorkerEntry {
  name: string;
  /** A `planner` answers questions and takes no jobs. */
  role: string;
  state: string;
  device: string;
  /** How often it was started again after a death. */
  restarts: number;
  pid: number | null;
  /** That it has, if the caller may see it; of several the first. */
  job: string | null;
  /** That began last in that job. */
  node: string | null;
  /** Bytes. */
  memory: number | null;
  /** Bytes. */
  device_memory: number | null;
  /** Seconds since then. */
  last_heartbeat: number | null;
  /** Seconds until then, if it is dead. */
  next_start: number | null;
  /** Of what it computes with. */
  versions: Record<string, string> | null;
  /**
   * The machine of a cluster that it runs on; empty as long as it waits for one, none for a worker
   * of the server's own machine.
   */
  host: string | null;
  /** Names of the models that it holds in memory. */
  weights: string[];
  /** Why it died last, until it is ready again. */
  fault: string | null;
  /** The job of another worker that it computes along with, as it has none itself. */
  helps: string | null;
  /** All that it runs at once, as far as the caller may see them. */
  jobs: string[];
  /** Jobs that it has brought to an end. */
  done: number;
  /** Jobs an hour, by what it did in the last ten minutes; none if it is new. */
  per_hour: number | null;
}

/** A workflow with values of its parameters. */
export interface WorkflowWish {
  /** The content of a workflow file, or the name of a saved workflow. */
  workflow: SavedReference | Record<string, unknown>;
  /** Values of the workflow's named parameters. */
  parameters?: Record<string, unknown>;
  /** Nodes to run, with the nodes that they need. Default: all nodes that write a result. */
  targets?: string[] | null;
}
