/** The connection to the server: whether it stands, who one is, and the socket itself. */
import { create } from "zustand";
import { api } from "@/api/client";
import { loginPlace, onLoginNeeded } from "@/api/http";
import { EventSocket, type SocketState, socketAddress, type Welcome } from "@/api/socket";
import { t } from "@/i18n";
import { dismissNoticeOf, notify } from "./notices";

export interface Caller {
  readonly name: string;
  readonly scopes: readonly string[];
}

export interface Connection {
  readonly state: SocketState;
  /** Null until it was open once. */
  readonly caller: Caller | null;
  /** Of nodegraph on the server; null until it was open once. */
  readonly version: string | null;
  /** Whether the server wants somebody to log in before it goes on. */
  readonly needsLogin: boolean;
  /** Tries since it was lost. */
  readonly failures: number;
  /** Why it was lost, in the server's words; empty if it didn't say. */
  readonly reason: string;
}

const UNKNOWN: Connection = {
  state: "connecting",
  caller: null,
  version: null,
  needsLogin: false,
  failures: 0,
  reason: "",
};

export const useConnection = create<Connection>()(() => UNKNOWN);

let current: EventSocket | null = null;

/** The socket; it need not be open for requests to be given to it. */
export function socket(): EventSocket {
  current ??= new EventSocket({ url: socketAddress() });
  return current;
}

/** Have another one, for tests; null for that of the page. */
export function setSocket(other: EventSocket | null): void {
  current?.stop();
  current = other;
}

/** Connect, and keep connected; gives what ends it. */
export function startConnection(): () => void {
  const found = socket();
  const stops = [
    found.on("state", (state, why) => {
      useConnection.setState({ state, failures: why?.failures ?? 0, reason: why?.reason ?? "" });
      if (state === "lost" && why !== null) lost(why.failures);
    }),
    found.on("welcome", welcomed),
    onLoginNeeded(loginNeeded),
    onBack(() => found.retryNow()),
  ];
  found.start();
  return () => {
    for (const stop of stops) stop();
    found.stop();
  };
}

/** Tries after which a server isn't just starting anew. */
const AWAY = 6;

/** Whether the server is away for longer: it was before the page, or won't come back at once. */
export function isOffline({ state, version, failures }: Connection): boolean {
  return state === "lost" && (version === null || failures >= AWAY || !navigator.onLine);
}

/** Whether the caller may do what a scope allows; true until the server has said. */
export function mayRun(connection: Connection): boolean {
  const scopes = connection.caller?.scopes;
  return scopes === undefined || scopes.includes("run") || scopes.includes("admin");
}

/** Whether the caller may get, change and remove models; true until the server has said. */
export function mayManageModels(connection: Connection): boolean {
  const scopes = connection.caller?.scopes;
  return scopes === undefined || scopes.includes("models") || scopes.includes("admin");
}

/** Whether the caller may decide on the server's own folders; false until the server has said. */
export function isAdmin({ caller }: Connection): boolean {
  return caller?.scopes.includes("admin") ?? false;
}

/** Go and log in; what is open is kept. */
export function logIn(): void {
  window.location.assign(loginPlace());
}

function welcomed(welcome: Welcome): void {
  const { caller, version } = welcome;
  useConnection.setState({ caller, version, needsLogin: false });
  dismissNoticeOf(LOGIN);
}

/** A browser doesn't say that a websocket was refused for want of a login: so ask otherwise. */
function lost(failures: number): void {
  if (failures === 1 || failures % 5 === 0)
    api.GET("/queue", { params: { query: { limit: 1 } } }).catch(() => {});
}

const LOGIN = "login";

function loginNeeded(): void {
  if (useConnection.getState().needsLogin) return;
  useConnection.setState({ needsLogin: true });
  const action = { label: t("connection.logIn"), run: logIn };
  notify({
    kind: "warning",
    title: t("notices.login"),
    detail: t("notices.loginMend"),
    action,
    lasts: null,
    key: LOGIN,
  });
}

/** When the network or the page is there again, there is no reason to wait. */
function onBack(retry: () => void): () => void {
  const onVisible = () => {
    if (document.visibilityState === "visible") retry();
  };
  window.addEventListener("online", retry);
  document.addEventListener("visibilitychange", onVisible);
  return () => {
    window.removeEventListener("online", retry);
    document.removeEventListener("visibilitychange", onVisible);
  };
}
