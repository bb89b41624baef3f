/** A server that answers what a test says. */
import { vi } from "vitest";

/** An address without its host, and what was sent with it. */
type Answer = (
  address: string,
  init: RequestInit & { readonly method: string; readonly headers: Headers },
) => Response | Promise<Response>;

/** Answer all requests of the page; one without a body is answered before anything else happens. */
export function stubServer(answer: Answer): void {
  vi.stubGlobal("fetch", (input: Request | string, init?: RequestInit) => {
    const isAddress = typeof input === "string";
    const request = new Request(isAddress ? new URL(input, location.origin) : input, init);
    const { pathname, search } = new URL(request.url);
    const { method, headers, keepalive, signal } = request;
    const answered = (body: string | null) =>
      answer(pathname + search, { method, headers, keepalive, signal, ...(body && { body }) });
    return request.body === null ? answered(null) : request.text().then(answered);
  });
}
