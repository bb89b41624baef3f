import { createContext, useContext } from "react";

/** A file that an input may name. */
export interface FileChoice {
  /** What the input is given. */
  readonly value: string;
  readonly name: string;
  readonly detail: string;
  /** Address of a small picture. */
  readonly picture: string | null;
}

export interface ModelChoice extends FileChoice {
  /** Why it can't be used. */
  readonly problem: string | null;
}

/**
 * What widgets need of the world around them. The editor makes it from its stores, a test by hand.
 * Those called use… are hooks, so that only the widgets that need them follow their changes.
 */
export interface WidgetServices {
  /** Null while they are read. */
  readonly useModels: (kind: string) => readonly ModelChoice[] | null;
  readonly useSubgraphs: () => readonly string[];
  readonly recentFiles: (kind: string) => Promise<readonly FileChoice[]>;
  readonly upload: (file: File, onProgress: (part: number) => void) => Promise<FileChoice>;
  /** Where the picture that a value names can be seen, if anywhere. */
  readonly pictureOf: (value: string, size: "small" | "full") => string | null;
  /** Opens the mask painter; `done` is told the value of the masked copy. */
  readonly paintMask: (
    picture: { address: string; name: string },
    done: (value: string) => void,
  ) => void;
}

const NOTHING: WidgetServices = {
  useModels: () => [],
  useSubgraphs: () => [],
  recentFiles: () => Promise.resolve([]),
  upload: () => Promise.reject(new Error("there is no server to upload to")),
  pictureOf: () => null,
  paintMask: () => undefined,
};

const Context = createContext<WidgetServices>(NOTHING);

export const WidgetServicesProvider = Context.Provider;

export function useWidgetServices(): WidgetServices {
  return useContext(Context);
}
