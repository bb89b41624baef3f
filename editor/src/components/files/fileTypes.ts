/** Files of the person's own machine: chosen, read and written, with lasting access where there is such a thing. */

/** What a browser that gives access to files has; TypeScript's own types don't know it yet. */
interface FileAccess {
  showOpenFilePicker?(options: object): Promise<FileSystemFileHandle[]>;
  showSaveFilePicker?(options: object): Promise<FileSystemFileHandle>;
}

export interface ChosenFile {
  readonly file: File;
  readonly handle: FileSystemFileHandle | null;
}

const OPENED =
  ".json,.png,.webp,.jpg,.jpeg,.avif,.gif,.mp4,.mov,.webm,.mkv,.wav,.flac,.ogg,.mp3,.glb,.ply,.obj,.sdf,.pdb";

function access(): FileAccess {
  return window as FileAccess;
}

/** Ask for files that may hold workflows; none if the person called it off. */
export async function chooseFiles(): Promise<readonly ChosenFile[]> {
  const pick = access().showOpenFilePicker;
  if (!pick) return chooseByInput();
  const types = [
    {
      description: "nodegraph",
      accept: {
        "application/json": [".json"],
        "image/png": [".png"],
        "image/webp": [".webp"],
        "image/jpeg": [".jpg", ".jpeg"],
        "image/avif": [".avif"],
        "video/mp4": [".mp4"],
        "video/quicktime": [".mov"],
        "image/gif": [".gif"],
        "video/webm": [".webm"],
        "video/x-matroska": [".mkv"],
        "audio/wav": [".wav"],
        "audio/flac": [".flac"],
        "audio/ogg": [".ogg"],
        "audio/mpeg": [".mp3"],
        "model/gltf-binary": [".glb"],
        "model/ply": [".ply"],
        "model/obj": [".obj"],
        "chemical/x-mdl-sdfile": [".sdf"],
        "chemical/x-pdb": [".pdb"],
      },
    },
  ];
  const handles = await uncancelled(pick.call(window, { multiple: true, types }));
  return Promise.all(
    (handles ?? []).map(async (handle) => ({ file: await handle.getFile(), handle })),
  );
}

function chooseByInput(): Promise<readonly ChosenFile[]> {
  const input = document.createElement("input");
  input.type = "file";
  input.multiple = true;
  input.accept = OPENED;
  return new Promise((resolve) => {
    input.onchange = () =>
      resolve([...(input.files ?? [])].map((file) => ({ file, handle: null })));
    input.oncancel = () => resolve([]);
    input.click();
  });
}

/** Whether the browser can write into a file that the person chose. */
export function canWriteFiles(): boolean {
  return access().showSaveFilePicker !== undefined;
}

/** Ask for a file to write to; null if the person called it off. */
export async function chooseTarget(name: string): Promise<FileSystemFileHandle | null> {
  const pick = access().showSaveFilePicker;
  if (!pick) return null;
  const types = [{ description: "JSON", accept: { "application/json": [".json"] } }];
  return uncancelled(pick.call(window, { suggestedName: name, types }));
}

async function uncancelled<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (fault) {
    if (fault instanceof DOMException && fault.name === "AbortError") return null;
    throw fault;
  }
}

export async function writeTo(handle: FileSystemFileHandle, text: string): Promise<void> {
  const stream = await handle.createWritable();
  try {
    await stream.write(text);
  } catch (fault) {
    // What was there stays: only closing puts the new content in its place.
    await stream.abort().catch(() => undefined);
    throw fault;
  }
  await stream.close();
}

/** A name for a file: letters, digits and a few signs that every system allows. */
export function fileName(title: string, ending: string): string {
  const plain = title
    .normalize("NFC")
    .replace(/[^\p{L}\p{N} _.-]+/gu, " ")
    .trim()
    .replace(/\s+/g, "_")
    .replace(/^[._-]+|[._-]+$/g, "")
    .slice(0, 80);
  return `${plain.toLowerCase() || "workflow"}.${ending}`;
}
