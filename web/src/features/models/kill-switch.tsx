// The kill switch of a model, for admins, and the list of everyone whom it has answered: what a recall needs.

import { useSignal } from "@preact/signals";
import { api, body } from "../../api/client";
import type { components } from "../../api/schema";
import type { ModelDetail } from "../../api/types";
import { Confirm } from "../../components/dialog";
import { ProblemNote } from "../../components/problem";
import { Scroll } from "../../components/scroll-area";
import { say } from "../../components/toast";
import { moment, t } from "../../i18n";
import { href } from "../../router";
import { phraseOf } from "./figure-names";

type Answered = components["schemas"]["AnsweredOut"];
const PAGE = 100;

export function Switches({ model, switched }: { model: ModelDetail; switched: () => Promise<void> }) {
  const asking = useSignal<"on" | "off" | null>(null);
  const reason = useSignal("");
  const act = async (on: boolean) => {
    await body(
      api.POST("/api/models/{model}/switch", {
        params: { path: { model: model.id } },
        body: { on, reason: reason.value.trim() },
      }),
    );
    say(t(on ? "model.switched-on" : "model.switched-off"));
    reason.value = "";
    await switched();
  };
  return (
    <>
      <p>{t(model.on ? "model.switch-is-on" : "model.switch-is-off")}</p>
      <button
        type="button"
        class={model.on ? "danger" : ""}
        onClick={() => {
          asking.value = model.on ? "off" : "on";
        }}
      >
        {t(model.on ? "model.switch-off" : "model.switch-on")}
      </button>
      {asking.value && (
        <Confirm
          title={t(`model.switch-${asking.value}`)}
          doIt={t(`model.switch-${asking.value}`)}
          act={() => act(asking.value === "on")}
          ready={reason.value.trim().length >= 3}
          onClose={() => {
            asking.value = null;
          }}
        >
          <p>{t(`model.switch-${asking.value}-what`)}</p>
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
        </Confirm>
      )}
      {model.switches.length > 0 && (
        <>
          <h3>{t("model.switch-history")}</h3>
          <ul>
            {model.switches.map((one) => (
              <li key={one.at}>
                {moment(one.at)}: {t(one.on ? "model.on" : "model.off")}. <q>{one.reason}</q>{" "}
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
  const rows = useSignal<Answered[] | null>(null);
  const whole = useSignal(false);
  const problem = useSignal<unknown>(null);
  const more = async () => {
    try {
      const query = { limit: PAGE, offset: rows.value?.length ?? 0 };
      const found = await body(
        api.GET("/api/models/{model}/answered", { params: { path: { model: model.id }, query } }),
      );
      rows.value = [...(rows.value ?? []), ...found];
      whole.value = found.length < PAGE;
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
        <Scroll label={t("model.answered")}>
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
                  <td>{row.finished ? moment(row.finished) : "–"}</td>
                  <td>{phraseOf(row.decision)}</td>
                  <td class="long">{row.shown_to.length > 0 ? row.shown_to.join(", ") : t("model.shown-nobody")}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      {!whole.value && (
        <button type="button" onClick={() => void more()}>
          {t(rows.value === null ? "model.answered-show" : "work.more")}
        </button>
      )}
    </>
  );
}
