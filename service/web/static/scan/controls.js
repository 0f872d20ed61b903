// The controls above the list: threshold, classes, what is reviewed, overlays; and the line that counts.

import { get } from "../api.js";
import { t } from "../labels.js";
import { weakItemsOf } from "./outline.js";
import { api, classOf, isOpen, on, state } from "./state.js";
import { applyFilters, setThreshold } from "./threshold.js";

const STEP = 0.05;
let parts;
let weakRead = null;

export function startControls(root) {
  const find = (id) => root.querySelector(`#${id}`);
  parts = {
    slider: find("threshold"), value: find("threshold-value"), reset: find("threshold-reset"), chips: find("classes"),
    review: find("review"), overlays: find("overlays"), overlaysLine: find("overlays-line"), count: find("count"),
    reviewed: find("reviewed"),
  };
  parts.slider.addEventListener("input", () => choose(Number(parts.slider.value)));
  parts.slider.addEventListener("pointerenter", readWeak);
  parts.slider.addEventListener("focus", readWeak);
  parts.reset.addEventListener("click", () => choose(null));
  parts.review.addEventListener("change", () => {
    state.review = parts.review.value;
    applyFilters();
  });
  parts.overlays.addEventListener("change", () => {
    state.overlays = parts.overlays.checked;
    applyFilters();
  });
  // A threshold chosen while the scan ran leaves out what is known at its end only.
  on("scan", () => state.threshold !== null && readWeak());
  on("items", drawChips);
  on("shown", say);
  on("verdicts", () => (state.review === "all" ? say() : applyFilters()));
  say();
}

function choose(value) {
  setThreshold(value);
  if (value !== null && state.weak === null) readWeak();
}

export function nudge(direction) {
  const now = state.threshold ?? 0.5;
  choose(Math.min(1, Math.max(0, Math.round((now + direction * STEP) * 100) / 100)));
}

export function resetThreshold() {
  choose(null);
}

// What the scan's own threshold left out; read once, when it may be wanted.
export function readWeak() {
  if (weakRead || isOpen() || !state.scan || state.gone) return weakRead;
  weakRead = get(`${api}/weak`).then(
    (answer) => {
      state.weak = weakItemsOf(answer);
      state.weakCount = answer.count;
      if (state.threshold !== null) applyFilters();
    },
    () => {
      weakRead = null;
    },
  );
  return weakRead;
}

function say() {
  const { threshold, shown, items } = state;
  parts.slider.value = threshold ?? 0;
  parts.review.value = state.review;
  parts.overlays.checked = state.overlays;
  parts.value.textContent = threshold === null ? t("scan.as_scanned") : threshold.toFixed(2);
  parts.slider.setAttribute("aria-valuetext", parts.value.textContent);
  parts.reset.disabled = threshold === null;
  const weak = shown.reduce((sum, each) => sum + (each.weak ? 1 : 0), 0);
  const counted = t("scan.appearances_of", { shown: shown.length - weak, count: items.length });
  const said = [counted];
  if (weak) said.push(t("scan.and_weak", { count: weak }));
  if (weak && state.weakCount > state.weak.length) said.push(t("scan.weak_cut", { known: state.weak.length, all: state.weakCount }));
  parts.count.textContent = said.join(" ");
  const judged = items.reduce((sum, each) => sum + (state.verdicts.get(each.number)?.mine ? 1 : 0), 0);
  parts.reviewed.textContent = t("scan.reviewed", { judged, all: items.length });
  const overlays = items.filter((each) => each.overlay).length;
  parts.overlaysLine.hidden = overlays === 0;
  parts.overlaysLine.querySelector("span").textContent = t("scan.show_overlays", { count: overlays });
}

function drawChips() {
  const counts = new Map();
  for (const item of state.items) counts.set(item.cls, (counts.get(item.cls) ?? 0) + 1);
  const known = [...parts.chips.children].map((each) => each.dataset.class).join();
  if (known !== [...counts.keys()].join()) parts.chips.replaceChildren(...[...counts.keys()].map(newChip));
  for (const chip of parts.chips.children) {
    const { name } = classOf(chip.dataset.class);
    chip.style.setProperty("--class", classOf(chip.dataset.class).colour);
    chip.setAttribute("aria-pressed", !state.hiddenClasses.has(chip.dataset.class));
    chip.querySelector("span").textContent = `${name} ${counts.get(chip.dataset.class)}`;
  }
}

function newChip(cls) {
  const chip = document.createElement("button");
  chip.type = "button";
  chip.className = "chip";
  chip.dataset.class = cls;
  chip.append(document.createElement("span"));
  chip.addEventListener("click", () => {
    const { hiddenClasses } = state;
    if (!hiddenClasses.delete(cls)) hiddenClasses.add(cls);
    chip.setAttribute("aria-pressed", !hiddenClasses.has(cls));
    applyFilters();
  });
  return chip;
}
