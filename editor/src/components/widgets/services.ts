import { createContext, useContext } from "react";
import { NO_SOURCES, type PromptSources } from "@/model/promptCompletion";

/** A file that an input may name. */
export interface FileChoice {
  /** What the input is given. */
  readonly value: string;
  readonly name: string;
  readonly detail: string;
  /** Address of a small picture. */
  readonly picture: string | null;
}

export interface PictureAddresses {
  readonly small: string;
  readonly full: string;
}

export interface ResultChoice extends Omit<FileChoice, "value"> {
  /** Of its bytes. */
  readonly digest: string;
  readonly take: () => Promise<string>;
}

export interface ModelChoice extends FileChoice {
  /** Why it can't be used. */
  readonly problem: string | null;
}

export interface SecretChoice {
  readonly name: string;
  /** Hosts that it may be sent to. */
  readonly hosts: readonly string[];
}

/**
 * What widgets need of the world around them. The editor makes it from its stores, a test by hand.
 * Those called use… are hooks, so that only the widgets that need them follow their changes.
 */
export interface WidgetServices {
  /** Null while they are read. */
  readonly useModels: (kind: string) => readonly ModelChoice[] | null;
  readonly useSubgraphs: () => readonly string[];
  /** Names of the server's secrets, never their values. */
  readonly secrets: () => Promise<readonly SecretChoice[]>;
  readonly recentFiles: (kind: string) => Promise<readonly FileChoice[]>;
  /** What lies in the server's inputs folder. */
  readonly inputFiles: (kind: string) => Promise<readonly FileChoice[]>;
  /** What workflows gave that an input of a kind can read; `take` makes it a value. */
  readonly results: (kind: string) => Promise<readonly ResultChoice[]>;
  /** What prompts can be completed with. */
  readonly completions: () => Promise<PromptSources>;
  readonly upload: (file: File, onProgress: (part: number) => void) => Promise<FileChoice>;
  /** Where the picture that a value names can be seen; null if nowhere. */
  readonly usePicture: (value: string) => PictureAddresses | null;
  /** Opens the mask painter; `done` is told the value of the masked copy. */
  readonly paintMask: (
    picture: { address: string; name: string },
    done: (value: string) => void,
  ) => void;
}

const NOTHING: WidgetServices = {
  useModels: () => [],
  useSubgraphs: () => [],
  secrets: () => Promise.resolve([]),
  recentFiles: () => Promise.resolve([]),
  inputFiles: () => Promise.resolve([]),
  results: () => Promise.resolve([]),
  completions: () => Promise.resolve(NO_SOURCES),
  upload: () => Promise.reject(new Error("there is no server to upload to")),
  usePicture: () => null,
  paintMask: () => undefined,
};

const Context = createContext<WidgetServices>(NOTHING);

export const WidgetServicesProvider = Context.Provider;

export function useWidgetServices(): WidgetServices {
  return useContext(Context);
}
