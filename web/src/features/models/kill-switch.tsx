// For admins: the kill switch of a model, and the list of all its answers, which a recall needs.

import { useSignal } from "@preact/signals";
import { api, body } from "../../api/client";
import type { components } from "../../api/schema";
import type { ModelDetail } from "../../api/types";
import { ConfirmDialog } from "../../components/dialog";
import { ProblemNote } from "../../components/problem";
import { ScrollArea } from "../../components/scroll-area";
import { showToast } from "../../components/toast";
import { formatDateTime, t } from "../../i18n";
import { href } from "../../router";
import { decisionText } from "./figure-names";

type AnsweredStudy = components["schemas"]["AnsweredOut"];
const PAGE = 100;

export function KillSwitch({ model, onSwitched }: { model: ModelDetail; onSwitched: () => Promise<void> }) {
  const target = useSignal<"on" | "off" | null>(null);
  const reason = useSignal("");
  const setSwitch = async (on: boolean) => {
    await body(
      api.POST("/api/models/{model}/switch", {
        params: { path: { model: model.id } },
        body: { on, reason: reason.value.trim() },
      }),
    );
    showToast(t(on ? "model.switched-on" : "model.switched-off"));
    reason.value = "";
    await onSwitched();
  };
  return (
    <>
      <p>{t(model.on ? "model.switch-is-on" : "model.switch-is-off")}</p>
      <button
        type="button"
        class={model.on ? "danger" : ""}
        onClick={() => {
          target.value = model.on ? "off" : "on";
        }}
      >
        {t(model.on ? "model.switch-off" : "model.switch-on")}
      </button>
      {target.value && (
        <ConfirmDialog
          title={t(`model.switch-${target.value}`)}
          confirmLabel={t(`model.switch-${target.value}`)}
          onConfirm={() => setSwitch(target.value === "on")}
          ready={reason.value.trim().length >= 3}
          onClose={() => {
            target.value = null;
          }}
        >
          <p>{t(`model.switch-${target.value}-what`)}</p>
          <label class="field">
            <span>{t("model.reason")}</span>
            <textarea
              rows={3}
              required
              maxLength={1000}
              value={reason.value}
              onInput={(event) => {
                reason.value = event.currentTarget.value;
              }}
            />
          </label>
        </ConfirmDialog>
      )}
      {model.switches.length > 0 && (
        <>
          <h3>{t("model.switch-history")}</h3>
          <ul>
            {model.switches.map((one) => (
              <li key={one.at}>
                {formatDateTime(one.at)}: {t(one.on ? "model.on" : "model.off")}. <q>{one.reason}</q>{" "}
                <span class="soft small">({one.by})</span>
              </li>
            ))}
          </ul>
        </>
      )}
      <Recall model={model} />
    </>
  );
}

function Recall({ model }: { model: ModelDetail }) {
  const rows = useSignal<AnsweredStudy[] | null>(null);
  const complete = useSignal(false);
  const problem = useSignal<unknown>(null);
  const loadMore = async () => {
    try {
      const query = { limit: PAGE, offset: rows.value?.length ?? 0 };
      const page = await body(
        api.GET("/api/models/{model}/answered", { params: { path: { model: model.id }, query } }),
      );
      rows.value = [...(rows.value ?? []), ...page];
      complete.value = page.length < PAGE;
      problem.value = null;
    } catch (error) {
      problem.value = error;
    }
  };
  return (
    <>
      <h3>{t("model.answered")}</h3>
      <p>{t("model.answered-lead")}</p>
      {problem.value !== null && <ProblemNote error={problem.value} />}
      {rows.value?.length === 0 && <p>{t("model.answered-none")}</p>}
      {rows.value && rows.value.length > 0 && (
        <ScrollArea label={t("model.answered")}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t("frame.study")}</th>
                <th scope="col">{t("model.answered-at")}</th>
                <th scope="col">{t("model.answered-what")}</th>
                <th scope="col">{t("model.shown-to")}</th>
              </tr>
            </thead>
            <tbody>
              {rows.value.map((row) => (
                <tr key={row.prediction}>
                  <th scope="row">
                    <a href={href.study(row.study)}>{row.patient?.slice(0, 9) ?? row.study.slice(0, 8)}</a>
                  </th>
                  <td>{row.finished ? formatDateTime(row.finished) : "–"}</td>
                  <td>{decisionText(row.decision)}</td>
                  <td class="long">{row.shown_to.length > 0 ? row.shown_to.join(", ") : t("model.shown-nobody")}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </ScrollArea>
      )}
      {!complete.value && (
        <button type="button" onClick={() => void loadMore()}>
          {t(rows.value === null ? "model.answered-show" : "work.more")}
        </button>
      )}
    </>
  );
}
