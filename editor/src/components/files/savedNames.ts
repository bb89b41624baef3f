/** Names of saved workflows: files' names that every system allows, by the rules of the server. */
import { t } from "@/i18n";

const LONGEST = 120;
const ALLOWED = /^[\p{L}\p{M}\p{Nd} \-_.()+,=@'!&]+$/u;
const RESERVED = /^(con|prn|aux|nul|conin\$|conout\$|clock\$|com\d|lpt\d)(\.|$)/i;

/** What is wrong with a name; null if nothing is. The server has the last word. */
export function nameFault(name: string): string | null {
  const plain = name.trim();
  if (plain === "") return t("files.nameEmpty");
  if (plain.length > LONGEST) return t("files.nameLong", { most: LONGEST });
  if (!ALLOWED.test(plain)) return t("files.nameSigns");
  if (/^[.-]|\.$/.test(plain) || RESERVED.test(plain)) return t("files.nameReserved");
  return null;
}

/** A name that nothing is wrong with, from a title. */
export function suggestedName(title: string): string {
  const plain = title
    .normalize("NFC")
    .replace(/[^\p{L}\p{M}\p{Nd} \-_.()+,=@'!&]+/gu, " ")
    .replace(/\s+/g, " ")
    .replace(/^[.\s-]+|[.\s]+$/g, "")
    .slice(0, 80)
    .trim();
  return nameFault(plain) === null ? plain : "";
}
