/**
 * The path below which a proxy offers the server, as the server tells the page; empty for none.
 * See "Below a path" in docs/operations.md.
 */
export function rootPath(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="root-path"]')?.content ?? "";
}

/** What the browser keeps under a name, apart from that of other servers of the same host. */
export function ownName(name: string): string {
  return name + rootPath();
}
