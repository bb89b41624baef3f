/** What mends a problem, as buttons: the likeliest with a mark. */
import { Wrench } from "lucide-react";
import { useMemo } from "react";
import type { Finding } from "@/api/schema";
import { Button } from "@/components/ui";
import { useCatalogue } from "@/store/catalogue";
import { useActive } from "@/store/documents";
import { mendsFor } from "./mending";

interface Props {
  readonly finding: Finding;
  readonly tabIndex?: number;
  /** Before it is mended: what shows the problem may close. */
  readonly onMend?: () => void;
}

const MOST = 2;

export function MendButtons({ finding, tabIndex = 0, onMend }: Props) {
  const types = useCatalogue((catalogue) => catalogue.types);
  const workflow = useActive((_document, found) => found);
  const mends = useMemo(() => mendsFor(finding, types, workflow), [finding, types, workflow]);
  return mends.slice(0, MOST).map(({ label, key, run }, index) => (
    <Button
      key={key}
      size="s"
      variant={index === 0 ? "secondary" : "ghost"}
      icon={index === 0 ? Wrench : undefined}
      tabIndex={tabIndex}
      onClick={(event) => {
        event.stopPropagation();
        onMend?.();
        run();
      }}
    >
      {label}
    </Button>
  ));
}
