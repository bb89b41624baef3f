/**
 * A workflow in a link: after the `#`, which browsers don't send to any server, compressed.
 */
import { deflateSync, Inflate } from "fflate";
import { t } from "@/i18n";
import { joinedBytes } from "./bytes";
import { readWorkflow, type Workflow, writeWorkflow } from "./workflow";

/** Characters of the longest link that is made; longer ones get cut off by mail and chat. */
export const LONGEST_LINK = 64_000;
/** Bytes of the largest workflow that is unpacked, as a short link can claim any size. */
const LARGEST = 16 * 1024 * 1024;

export class ShareFault extends Error {
  override readonly name = "ShareFault";
}

/** The link that opens this workflow in an editor at `address`. Throws ShareFault if it is too long. */
export function linkOfWorkflow(workflow: Workflow, address: string): string {
  const packed = deflateSync(new TextEncoder().encode(writeWorkflow(workflow)), { level: 9 });
  const link = `${address.split("#")[0]}#w=${toBase64Url(packed)}`;
  if (link.length > LONGEST_LINK) {
    throw new ShareFault(t("share.tooLong", { length: link.length, most: LONGEST_LINK }));
  }
  return link;
}

/** Whether the part of an address after `#` holds a workflow. */
export function holdsWorkflow(hash: string): boolean {
  return /^#?w=/.test(hash);
}

/** The workflow of a link's part after `#`; null if it holds none. Throws ShareFault or WorkflowFault. */
export function workflowOfLink(hash: string): Workflow | null {
  if (!holdsWorkflow(hash)) return null;
  const text = hash.replace(/^#?w=/, "").split("&")[0] ?? "";
  return readWorkflow(unpack(fromBase64Url(text)));
}

function unpack(packed: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(inflateBounded(packed, LARGEST));
  } catch (fault) {
    if (fault instanceof ShareFault) throw fault;
    throw new ShareFault(t("share.damaged"), { cause: fault });
  }
}

/** Unpack deflated bytes, giving up once there are more than `most`. */
function inflateBounded(packed: Uint8Array, most: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let size = 0;
  let finished = false;
  const inflate = new Inflate((part, final) => {
    size += part.length;
    if (size > most) throw new ShareFault(t("share.tooLarge"));
    parts.push(part);
    finished ||= final;
  });
  for (let at = 0; at < packed.length; at += 4096) {
    inflate.push(packed.subarray(at, at + 4096), at + 4096 >= packed.length);
  }
  if (!finished) throw new ShareFault(t("share.damaged"));
  return joinedBytes(parts, size);
}

function toBase64Url(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function fromBase64Url(text: string): Uint8Array {
  try {
    const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
  } catch (fault) {
    throw new ShareFault(t("share.damaged"), { cause: fault });
  }
}
