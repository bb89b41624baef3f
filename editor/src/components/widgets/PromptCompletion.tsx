/** Proposals under a prompt while it is typed. */
import { type KeyboardEvent, type RefObject, useId, useMemo, useState } from "react";
import { cx, Popover } from "@/components/ui";
import proposals from "@/components/ui/Proposals.module.css";
import { t } from "@/i18n";
import { numeral } from "@/i18n/format";
import {
  type EmbeddingSource,
  firstMeant,
  isWhole,
  loraTitle,
  NO_SOURCES,
  type Proposal,
  proposalsFor,
  taken,
} from "@/model/promptCompletion";
import { isComposing } from "@/store/composing";
import styles from "./PromptCompletion.module.css";
import { useWidgetServices } from "./services";
import type { LoraControl } from "./types";

interface Options {
  readonly area: RefObject<HTMLTextAreaElement | null>;
  readonly text: string;
  /** The text with a proposal in it, and where the caret belongs then. */
  readonly onTake: (text: string, caret: number, proposal: Proposal) => void;
  /** Without it no LoRAs are proposed. */
  readonly loras: LoraControl | undefined;
}

interface Opened {
  readonly caret: number;
  /** By its key, and not by typing on. */
  readonly asked: boolean;
}

/**
 * Proposals for the text before the caret. Typing opens the list with nothing chosen, so that Enter
 * begins a line as ever; Tab takes the first then, but behind a word that is whole, where it leaves
 * the field as ever. Asked for by Ctrl+Space, the first is chosen.
 */
export function usePromptCompletion({ area, text, onTake, loras }: Options) {
  const { completions } = useWidgetServices();
  const [sources, setSources] = useState(NO_SOURCES);
  const [opened, setOpened] = useState<Opened | null>(null);
  const [active, setActive] = useState(-1);
  const id = useId();
  const found = useMemo(
    () => (opened === null ? [] : proposalsFor(text, opened.caret, sources, opened.asked)),
    [opened, text, sources],
  );
  const isOpen = found.length > 0;
  const close = () => setOpened(null);
  const load = () =>
    void completions().then(
      (all) =>
        setSources({
          ...all,
          loras: loras?.areMeant() ? all.loras : [],
          embeddings: loras?.areWordsTaught() ? all.embeddings : all.embeddings.map(asWord),
        }),
      () => undefined,
    );

  function open(asked: boolean) {
    setOpened({ caret: area.current?.selectionStart ?? 0, asked });
    setActive(asked ? 0 : -1);
  }

  function take(proposal: Proposal) {
    const { text: next, caret } = taken(text, proposal);
    close();
    onTake(next, caret, proposal);
  }

  /** Whether a key was for the list. */
  function pressed(event: KeyboardEvent<HTMLTextAreaElement>): boolean {
    const { key, ctrlKey, metaKey, altKey, shiftKey } = event;
    if (ctrlKey && key === " ") {
      load();
      open(true);
      return true;
    }
    if (!isOpen || ctrlKey || metaKey || altKey || shiftKey) return false;
    const isMeant = key === "Tab" && !isWhole(text, opened?.caret ?? 0, sources);
    const chosen = found[active] ?? (isMeant ? firstMeant(text, found) : undefined);
    if (key === "Escape") close();
    else if (key === "ArrowDown") setActive((active + 1) % found.length);
    else if (key === "ArrowUp") setActive(active <= 0 ? found.length - 1 : active - 1);
    else if ((key === "Tab" || key === "Enter") && chosen !== undefined) take(chosen);
    else return false;
    return true;
  }

  return {
    pressed,
    close,
    load,
    typed: (next: string) => {
      // An input method has proposals of its own there, and the letters aren't what is meant yet.
      const isMeant = next.length > text.length || isOpen;
      if (isMeant && !isComposing()) open(false);
      else close();
    },
    composed: () => open(false),
    moved: () => {
      if (opened !== null && area.current?.selectionStart !== opened.caret) close();
    },
    field: {
      "aria-autocomplete": "list",
      "aria-haspopup": "listbox",
      "aria-controls": isOpen ? id : undefined,
      "aria-activedescendant": isOpen && active >= 0 ? `${id}-${active}` : undefined,
    } as const,
    list: isOpen && area.current && (
      <ProposalList
        id={id}
        anchor={area.current}
        found={found}
        active={active}
        onTake={take}
        onClose={close}
      />
    ),
  };
}

/** Where nothing can teach it, a textual inversion is as good as any word. */
function asWord({ word }: EmbeddingSource): EmbeddingSource {
  return { word, file: null };
}

/** What a proposal is; of a tag, how often it is used and the alias by which it was found. */
function kindOf({ kind, embedding, tag }: Proposal): string {
  if (tag === undefined) return t(`widgets.proposal.${embedding ? "taught" : kind}`);
  const number = numeral(tag.tag.count);
  if (tag.alias === null) return t("widgets.proposal.tagUsed", { number });
  return t("widgets.proposal.tagAlias", { number, alias: tag.alias });
}

interface ListProps {
  readonly id: string;
  readonly anchor: Element;
  readonly found: readonly Proposal[];
  readonly active: number;
  readonly onTake: (proposal: Proposal) => void;
  readonly onClose: () => void;
}

function ProposalList({ id, anchor, found, active, onTake, onClose }: ListProps) {
  return (
    <Popover anchor={anchor} label={t("widgets.proposals")} takesFocus={false} onClose={onClose}>
      <div
        id={id}
        role="listbox"
        aria-label={t("widgets.proposals")}
        className={cx(proposals.list, styles.steady)}
      >
        {found.map((proposal, index) => (
          // biome-ignore lint/a11y/useFocusableInteractive: the field has the focus and moves through the options
          <div
            key={`${proposal.kind}/${proposal.lora?.name ?? proposal.text}`}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === active}
            className={proposals.option}
            // The field keeps the focus.
            onPointerDown={(event) => {
              event.preventDefault();
              onTake(proposal);
            }}
          >
            <span className={proposals.text}>
              {proposal.lora ? loraTitle(proposal.lora) : proposal.text}
            </span>
            <small>{kindOf(proposal)}</small>
          </div>
        ))}
      </div>
      <span role="status" className={styles.count}>
        {t("widgets.proposalCount", { count: found.length })}
      </span>
    </Popover>
  );
}
