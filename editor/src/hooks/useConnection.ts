/** The connection as components need it. */
import { mayRun, useConnection } from "@/store/connection";

/** Whether the caller may run and change anything. */
export function useMayRun(): boolean {
  return useConnection(mayRun);
}

/** Whether the server can be asked just now. */
export function useIsConnected(): boolean {
  return useConnection((state) => state.state === "open");
}
