// The models that answered, as the dashboard lists them: each by a name of its own, with the number of its answers.
import { formatNumber } from "../../i18n";
import { nameAmong } from "../../model-names";
import type { ModelCount } from "./types";

/** Return each model's identifier and text. A model that is no longer on the server is called by its identifier. */
export function listModelOptions(models: readonly ModelCount[]): { id: string; text: string }[] {
  const named = models.map(({ id, name, version }) => ({ identity: id, name: name ?? id, version: version ?? "" }));
  return models.map(({ id, name, answers }, index) => {
    const model = named[index];
    return { id, text: `${name && model ? nameAmong(model, named) : id} (${formatNumber(answers, 0)})` };
  });
}
