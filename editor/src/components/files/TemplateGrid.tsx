import { ImageOff, LayoutTemplate, PackageOpen } from "lucide-react";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import type { TemplateItem } from "@/api/schema";
import { Badge, Button, EmptyState, Spinner } from "@/components/ui";
import { t } from "@/i18n";
import { useCatalogue } from "@/store/catalogue";
import { toldOf } from "@/store/notices";
import { matches } from "./matches";
import { openTemplate } from "./opening";
import styles from "./TemplateGrid.module.css";

interface Props {
  readonly query: string;
  readonly onOpened: () => void;
}

/** The gallery's workflows with what they make; a click opens one. */
export function TemplateGrid({ query, onOpened }: Props) {
  const templates = useCatalogue((catalogue) => catalogue.templates);
  const [fault, setFault] = useState<unknown>(null);
  const [opening, setOpening] = useState<string | null>(null);
  const load = () => {
    setFault(null);
    useCatalogue.getState().loadTemplates().catch(setFault);
  };
  useEffect(load, []); // asked for anew when it is shown
  if (templates === null) {
    if (fault === null) return <Spinner label={t("files.loading")} />;
    return (
      <EmptyState icon={LayoutTemplate} title={toldOf(fault)?.title ?? ""}>
        <Button onClick={load}>{t("files.again")}</Button>
      </EmptyState>
    );
  }
  const found = templates.filter(({ name, title, description, parameters }) =>
    matches(query, [title, name, description, ...parameters]),
  );
  if (found.length === 0)
    return <EmptyState icon={LayoutTemplate} title={t("files.noTemplates")} />;
  const open = async (name: string) => {
    setOpening(name);
    const id = await openTemplate(name);
    setOpening(null);
    if (id !== null) onOpened();
  };
  return <Cards templates={sorted(found)} opening={opening} onOpen={(name) => void open(name)} />;
}

/** The one to start with stands first. */
function sorted(templates: readonly TemplateItem[]): readonly TemplateItem[] {
  const rank = ({ name }: TemplateItem) => (name === "text_to_image" ? 0 : 1);
  return [...templates].sort((a, b) => rank(a) - rank(b) || a.title.localeCompare(b.title));
}

interface CardsProps {
  readonly templates: readonly TemplateItem[];
  readonly opening: string | null;
  readonly onOpen: (name: string) => void;
}

function Cards({ templates, opening, onOpen }: CardsProps) {
  const list = useRef<HTMLUListElement>(null);
  return (
    <ul ref={list} className={styles.grid} onKeyDown={(event) => moveFocus(event, list.current)}>
      {templates.map((template) => (
        <li key={template.name}>
          <Card
            template={template}
            isBusy={opening === template.name}
            onOpen={() => onOpen(template.name)}
          />
        </li>
      ))}
    </ul>
  );
}

interface CardProps {
  readonly template: TemplateItem;
  readonly isBusy: boolean;
  readonly onOpen: () => void;
}

function Card({ template, isBusy, onOpen }: CardProps) {
  const { name, title, description, parameters, needs, href } = template;
  const [hasPicture, setHasPicture] = useState(true);
  const packs = needs.filter((file) => file.endsWith(".py"));
  return (
    <button type="button" className={styles.card} aria-busy={isBusy} onClick={onOpen}>
      <span className={styles.frame}>
        {hasPicture ? (
          <img
            src={`${href}/picture`}
            alt=""
            loading="lazy"
            className={styles.picture}
            onError={() => setHasPicture(false)}
          />
        ) : (
          <ImageOff aria-hidden size={24} className={styles.none} />
        )}
      </span>
      <span className={styles.text}>
        <strong>{title || name}</strong>
        <span className={styles.words}>{description}</span>
        <span className={styles.badges}>
          {packs.map((file) => (
            <Badge key={file} tone="warn">
              <PackageOpen aria-hidden size={11} /> {t("files.needsPack", { file })}
            </Badge>
          ))}
          {parameters.map((parameter) => (
            <Badge key={parameter}>{parameter}</Badge>
          ))}
        </span>
      </span>
    </button>
  );
}

/** Arrow keys go from card to card, up and down by what is seen above and below. */
function moveFocus(event: KeyboardEvent, list: HTMLElement | null): void {
  const cards = [...(list?.querySelectorAll("button") ?? [])];
  const now = cards.findIndex((card) => card.matches(":focus"));
  const top = (index: number) => cards[index]?.offsetTop;
  const columns = Math.max(1, cards.filter((_, index) => top(index) === top(0)).length);
  const steps: Record<string, number> = {
    ArrowLeft: -1,
    ArrowRight: 1,
    ArrowUp: -columns,
    ArrowDown: columns,
  };
  const next = now < 0 ? undefined : cards[now + (steps[event.key] ?? cards.length)];
  if (!next) return;
  event.preventDefault();
  next.focus();
}
