// The server as a DICOM node: its address, its encryption, and who may send.
import { api, body } from "../../api/client";
import { Badge } from "../../components/badge";
import { ProblemNote } from "../../components/problem";
import { formatNumber, t } from "../../i18n";
import { useLoaded } from "./loaded";

export function NodeState() {
  const { value, problem, load } = useLoaded(() => body(api.GET("/api/archive/node")));
  const node = value.value;
  return (
    <section aria-labelledby="archive-node" class="sheet">
      <h2 id="archive-node">{t("archive.node")}</h2>
      {problem.value !== null && <ProblemNote error={problem.value} onRetry={() => void load()} />}
      {node && !node.on && <p>{t("archive.node-off")}</p>}
      {node?.on && (
        <>
          <p>
            <Badge tone={node.listening ? "good" : "bad"}>
              {t(node.listening ? "archive.listening" : "archive.not-listening")}
            </Badge>
          </p>
          <dl class="archive-facts">
            <Fact name={t("archive.title")} value={node.title} mono />
            <Fact name={t("archive.address")} value={`${node.host}:${node.port}`} mono />
            <Fact name={t("archive.encryption")} value={t(`archive.encryption.${node.encryption}`)} />
            <Fact name={t("archive.models")} value={node.models.join(", ") || "–"} />
            <Fact name={t("archive.quiet")} value={quietTime(node.quiet_seconds)} />
          </dl>
          <h3>{t("archive.peers")}</h3>
          {node.peers.length === 0 ? (
            <p>{t("archive.peers-none")}</p>
          ) : (
            <ul class="archive-peers">
              {node.peers.map(({ title, address }) => (
                <li key={`${title}@${address}`}>
                  <strong>{title}</strong> <span class="mono soft">{address}</span>
                </li>
              ))}
            </ul>
          )}
        </>
      )}
    </section>
  );
}

function quietTime(seconds: number): string {
  return t("archive.seconds", { count: seconds, seconds: formatNumber(seconds, Number.isInteger(seconds) ? 0 : 1) });
}

function Fact({ name, value, mono }: { name: string; value: string; mono?: boolean }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class={mono ? "mono" : undefined}>{value}</dd>
    </div>
  );
}
