// The rows of the library, one a scan.

import { timecode } from "./api.js";
import { element } from "./element.js";
import { bytes, moment, share } from "./format.js";
import { t } from "./labels.js";

const OPEN_STATES = ["queued", "running"];

export function isOpen(scan) {
  return OPEN_STATES.includes(scan.state);
}

// The row of a scan: {item, box}, `item` for the list and `box` the checkbox that selects it.
export function makeRow(scan) {
  const { name } = scan.clip;
  const box = element("input", { type: "checkbox", aria: { label: t("library.select", { name }) } });
  const parts = {
    state: element("span", { class: "state" }),
    facts: element("p", { class: "muted facts" }),
    meter: element("progress", { max: 1, aria: { label: t("library.progress_of", { name }) } }),
    running: element("p", { class: "muted time" }),
    // In English, and begins with the clip's name.
    why: element("p", { class: "why", lang: "en", dir: "ltr" }),
    chips: element("ul", { class: "chips" }),
    judged: element("p", { class: "muted" }),
  };
  const link = element("a", { class: "name", href: `/scans/${scan.id}`, text: name, dir: "auto" });
  const head = element("div", { class: "line" }, link, parts.state);
  const words = element("div", { class: "words" }, head, parts.facts, parts.meter, parts.running, parts.why, parts.chips, parts.judged);
  return { item: element("li", { class: "scan", data: { id: scan.id } }, element("label", { class: "pick" }, box), words), box, parts };
}

export function showRow({ item, parts }, scan, classes) {
  item.dataset.state = scan.state;
  set(parts.state, t(`state.${scan.state}`));
  const { duration_s: length, samples, appearances, position_s: at } = scan.progress;
  const facts = [moment(scan.created_at), bytes(scan.clip.bytes)];
  if (length) facts.push(t("library.length", { length: timecode(length) }));
  facts.push(scan.options.plan);
  set(parts.facts, facts.join(" · "));
  const running = scan.state === "running";
  parts.meter.hidden = parts.running.hidden = !running;
  if (running) {
    if (length) parts.meter.value = share(scan.progress);
    else parts.meter.removeAttribute("value");
    const words = length ? t("library.progress", { at: timecode(at), length: timecode(length) }) : "";
    set(parts.running, [words, t("library.samples", { count: samples }), t("library.found", { count: appearances })].filter(Boolean).join(" · "));
  }
  parts.why.hidden = !scan.error;
  set(parts.why, scan.error?.message ?? "");
  showChips(parts.chips, scan, classes);
  const found = Object.values(scan.classes ?? {}).reduce((sum, count) => sum + count, 0);
  parts.judged.hidden = !found && scan.state !== "done";
  set(parts.judged, found ? t("library.judged", { reviewed: scan.reviewed ?? 0, count: found }) : t("library.nothing"));
}

function showChips(list, scan, classes) {
  const found = Object.entries(scan.classes ?? {});
  list.hidden = found.length === 0;
  const now = JSON.stringify(found);
  if (list.dataset.found === now) return;
  list.dataset.found = now;
  list.replaceChildren(
    ...found.map(([id, count]) => {
      const { name, colour } = classes.get(id) ?? { name: id, colour: "" };
      const chip = element("li", { class: "chip", text: t("library.chip", { class: name, count }) });
      chip.style.setProperty("--class", colour);
      return chip;
    }),
  );
}

function set(part, text) {
  if (part.textContent !== text) part.textContent = text;
}
