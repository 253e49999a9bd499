// The viewer is loaded when a study is opened, so that the worklist stays light.
import type { ComponentType } from "preact";
import { lazy } from "preact/compat";
import { t } from "../i18n";
import type { OpenStudy } from "./state";

type Viewer = ComponentType<{ open: OpenStudy }>;

const made = import.meta.glob<{ default: Viewer }>("../viewer/viewer.tsx");
const load = Object.values(made)[0];

export const Picture = (load ? lazy(load) : Plain) as Viewer;

function Plain({ open }: { open: OpenStudy }) {
  const image = open.image.value;
  return image && <img class="plain-image" src={`/api/images/${image.id}/pixels`} alt={t("panel.image")} />;
}
