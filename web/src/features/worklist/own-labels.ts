// The labels that the reader gave to studies. Nobody else sees them.
import { effect, signal } from "@preact/signals";
import { api, body, me } from "../../api/client";
import type { components } from "../../api/schema";

export const ownLabels = signal<components["schemas"]["OwnLabelOut"][]>([]);

effect(() => {
  if (me.value === null) ownLabels.value = [];
});

export async function loadOwnLabels(): Promise<void> {
  ownLabels.value = await body(api.GET("/api/labels"));
}
