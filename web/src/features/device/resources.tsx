// What the networks take on this device: time, memory, place. The published phone app measured the same.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { formatNumber, t } from "../../i18n";
import { classifiers, keptSize, loaded, shown, wasAsked } from "./device-state";
import { formatSize } from "./size";

interface Measuring {
  measureUserAgentSpecificMemory?: () => Promise<{ bytes: number }>;
  memory?: { usedJSHeapSize: number };
}

/** `open`: without the fold, where a heading stands above. */
export function Resources({ open = false }: { open?: boolean }) {
  /** Bytes; undefined while the browser measures, which may take until its next collection of garbage. */
  const memory = useSignal<number | null | undefined>(null);
  const { answered, waited } = shown.value ?? {};
  useEffect(() => {
    const measuring = performance as unknown as Measuring;
    // Page and worker together; browsers answer it only where no other page shares their memory.
    if (!self.crossOriginIsolated || !measuring.measureUserAgentSpecificMemory) return;
    let current = true;
    memory.value = undefined;
    measuring.measureUserAgentSpecificMemory().then(
      ({ bytes }) => {
        if (current) memory.value = bytes;
      },
      () => {
        if (current) memory.value = null; // not measurable here, which the page then says
      },
    );
    return () => {
      current = false;
    };
  }, [answered]);
  const rows: [string, string][] = [
    [t("device.res.kept"), formatSize(keptSize())],
    [t("device.res.networks"), String(classifiers().length)],
  ];
  if (loaded.value) {
    rows.push([t("device.res.load"), t("device.ms", { n: formatNumber(loaded.value.milliseconds, 0) })]);
    rows.push([t("device.res.threads"), String(loaded.value.threads)]);
  }
  if (answered) {
    rows.push([t("device.res.decode"), t("device.ms", { n: formatNumber(answered.times.decode, 0) })]);
    if (wasAsked(answered))
      rows.push([t("device.res.pipeline"), t("device.ms", { n: formatNumber(answered.times.pipeline, 0) })]);
  }
  if (waited) rows.push([t("device.res.waited"), t("device.ms", { n: formatNumber(waited, 0) })]);
  rows.push([t("device.res.memory"), describeMemory(memory.value)]);
  const table = (
    <table class="small">
      <tbody>
        {rows.map(([name, value]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
  if (open) return table;
  return (
    <details class="device-resources">
      <summary>{t("device.resources")}</summary>
      {table}
    </details>
  );
}

function describeMemory(bytes: number | null | undefined): string {
  if (bytes === undefined) return t("device.res.measuring");
  return bytes === null ? t("device.res.unknown") : formatSize(bytes);
}
