/** Changes as people say them. */
import { t } from "@/i18n";
import type { Change } from ".";

/** In a line, the first ones of many are told. */
const MOST = 2;

export function changeText({ says, values, scope }: Change): string {
  const text = t(`history.${says}`, values);
  return scope === null ? text : t("history.within", { block: scope, text });
}

/** A line that says what was done; "" if nothing was that there are words for. */
export function changesText(changes: readonly Change[]): string {
  const told = changes.slice(0, MOST).map(changeText);
  const left = changes.length - told.length;
  return [...told, ...(left > 0 ? [t("history.more", { count: left })] : [])].join(" · ");
}
