// Sizes of files in words.
import { formatNumber } from "../../i18n";

/** Return bytes as megabytes (a million bytes), as stores of apps count them. */
export function formatSize(bytes: number): string {
  return `${formatNumber(bytes / 1e6, 1)} MB`;
}
