// What was looked at, in plain words, and where the clip and the scan come from.

import { timecode } from "../api.js";
import { element } from "../element.js";
import { t } from "../labels.js";
import { isOpen, state } from "./state.js";

const MOST_ROWS = 100;

export function showCoverage(root) {
  const { coverage, error } = state.scan;
  const words = root.querySelector("#coverage-words");
  const tables = root.querySelector("#coverage-tables");
  words.replaceChildren(...sentences(coverage, error).map((text) => element("p", { text })));
  tables.replaceChildren(...(coverage ? details(coverage) : []));
}

function sentences(coverage, error) {
  if (error) return [t("scan.failed", { why: error.message })];
  if (!coverage) return [t(isOpen() ? "scan.coverage.later" : "scan.coverage.none")];
  const said = isOpen() ? [t("scan.coverage.so_far")] : [];
  const { samples, guarantee_s: guarantee, longest_gap_s: gap, longest_gap_at_s: gapAt } = coverage;
  if (!samples) said.push(t("scan.coverage.nothing"));
  else if (guarantee === 0) said.push(t("scan.coverage.every", { count: samples }));
  else said.push(t("scan.coverage.promise", { seconds: roundedUp(guarantee), count: samples }));
  if (gapAt !== null) said.push(t("scan.coverage.gap", { seconds: gap.toFixed(2), at: timecode(gapAt) }));
  if (coverage.shots !== null) {
    said.push(
      coverage.shots_unsampled
        ? t("scan.coverage.shots_missed", { count: coverage.shots, missed: coverage.shots_unsampled })
        : t("scan.coverage.shots", { count: coverage.shots }),
    );
    if (coverage.unseen_count) said.push(t("scan.coverage.shots_hidden", { seconds: coverage.promise_s }));
  }
  const lost = coverage.undecoded.reduce((sum, each) => sum + each.to_s - each.from_s, 0);
  said.push(lost > 0 ? t("scan.coverage.lost", { seconds: lost.toFixed(1) }) : t("scan.coverage.whole"));
  if (coverage.smallest_object_px) {
    said.push(t("scan.coverage.smallest", { px: Math.round(coverage.smallest_object_px) }));
  }
  said.push(t("scan.coverage.means"));
  return said;
}

// Up, so that the promise is never better than what was measured.
function roundedUp(seconds) {
  return (Math.ceil(seconds * 100 - 1e-9) / 100).toFixed(2);
}

function details(coverage) {
  const found = [];
  const add = (title, rows, what) => rows.length && found.push(table(title, rows, what));
  add(t("scan.coverage.undecoded"), coverage.undecoded, (each) => each.reason);
  add(t("scan.coverage.unseen"), coverage.unseen, () => "");
  add(t("scan.coverage.left_out"), coverage.left_out, (each) => each.what);
  const words = document.createElement("details");
  words.append(element("summary", { text: t("scan.coverage.report_words") }));
  for (const text of [coverage.statement, coverage.not_found_means]) {
    const line = element("p", { text });
    line.lang = "en";
    line.dir = "ltr";
    words.append(line);
  }
  return [...found, words];
}

function table(title, rows, what) {
  const box = document.createElement("details");
  box.append(element("summary", { text: `${title} (${rows.length})` }));
  const sheet = document.createElement("table");
  const hasWhy = rows.some((each) => what(each));
  const columns = [t("scan.from"), t("scan.to"), ...(hasWhy ? [t("scan.why")] : [])];
  const head = sheet.createTHead().insertRow();
  for (const each of columns) {
    const cell = element("th", { text: each });
    cell.scope = "col";
    head.append(cell);
  }
  const body = sheet.createTBody();
  for (const each of rows.slice(0, MOST_ROWS)) {
    const row = body.insertRow();
    for (const text of [timecode(each.from_s), timecode(each.to_s), ...(hasWhy ? [what(each)] : [])]) {
      row.insertCell().textContent = text;
    }
  }
  box.append(sheet);
  if (rows.length > MOST_ROWS) box.append(element("p", { text: t("scan.more_rows", { count: rows.length - MOST_ROWS }) }));
  return box;
}
