// For admins: the server in the hospital's network. Its node, what came, what is quarantined, and what goes out.
import { me } from "../../api/client";
import { t } from "../../i18n";
import { Arrivals } from "./arrivals";
import { EarlierStudies } from "./earlier-studies";
import { KeptApart } from "./kept-apart";
import { NodeState } from "./node-state";
import { Outbound } from "./outbound";
import { RuleTrial } from "./rule-trial";
import "./archive.css";

export default function ArchivePage() {
  return (
    <div class="page archive">
      <h1>{t("nav.archive")}</h1>
      {me.value?.role === "admin" ? (
        <>
          <NodeState />
          <KeptApart />
          <Outbound />
          <RuleTrial />
          <EarlierStudies />
          <Arrivals />
        </>
      ) : (
        <p>{t("archive.admins")}</p>
      )}
    </div>
  );
}
