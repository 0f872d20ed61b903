// The scan page: reads the scan, wires its parts, and answers the keyboard.

import { prefs, taxonomy, whoami } from "../api.js";
import { t } from "../labels.js";
import { startAddress } from "./address.js";
import { startBreaks } from "./breaks.js";
import { nudge, resetThreshold, startControls } from "./controls.js";
import { showCoverage } from "./coverage.js";
import { showHead } from "./head.js";
import { startKeys, toggleHelp } from "./keys.js";
import { measure, move, moveToEnd, startList } from "./list.js";
import { follow, readItems, readScan } from "./live.js";
import { announce, startNotices, tell } from "./notices.js";
import { focusNote, judge, startPanel, takeBack, takeEarlier } from "./panel.js";
import { startPrint } from "./print.js";
import { startProposals, takeAll } from "./proposals.js";
import { applyPrefs, goTo, hide, isRevealed, reveal, startStage, step, stop, toggleLoop, togglePlay } from "./stage.js";
import { classOf, emit, goneNow, isOpen, on, select, state } from "./state.js";
import { checkGone } from "./stills.js";
import { startTimeline, zoom } from "./timeline.js";
import { readVerdicts } from "./verdicts.js";

const root = document;
const warning = root.querySelector("#warn");

const keyboard = [
  { keys: ["j"], codes: ["KeyJ"], shown: ["J"], label: "scan.key.next", held: true, run: () => move(1) },
  { keys: ["k"], codes: ["KeyK"], shown: ["K"], label: "scan.key.previous", held: true, run: () => move(-1) },
  { keys: ["y"], codes: ["KeyY"], shown: ["Y"], label: "scan.key.confirmed", run: () => judge("confirmed") },
  { keys: ["n"], codes: ["KeyN"], shown: ["N"], label: "scan.key.wrong", run: () => judge("wrong") },
  { keys: ["u"], codes: ["KeyU"], shown: ["U"], label: "scan.key.unsure", run: () => judge("unsure") },
  { keys: ["o"], codes: ["KeyO"], shown: ["O"], label: "scan.key.other_class", run: () => judge("other_class") },
  { keys: ["e"], codes: ["KeyE"], shift: false, shown: ["E"], label: "scan.key.earlier", run: takeEarlier },
  { keys: ["e"], codes: ["KeyE"], shift: true, shown: ["Shift", "E"], label: "scan.key.earlier_all", run: takeAll },
  { keys: ["c"], codes: ["KeyC"], shown: ["C"], label: "scan.key.note", run: focusNote },
  { keys: ["z"], codes: ["KeyZ"], shown: ["Z"], label: "scan.key.undo", run: takeBack },
  { keys: ["r"], codes: ["KeyR"], shown: ["R"], label: "scan.key.reveal", run: askToReveal },
  { keys: ["ArrowRight"], shift: false, shown: ["→"], label: "scan.key.frame_on", held: true, run: () => step(1) },
  { keys: ["ArrowLeft"], shift: false, shown: ["←"], label: "scan.key.frame_back", held: true, run: () => step(-1) },
  { keys: ["ArrowRight"], shift: true, shown: ["Shift", "→"], label: "scan.key.second_on", held: true, run: () => goTo(state.time + 1) },
  { keys: ["ArrowLeft"], shift: true, shown: ["Shift", "←"], label: "scan.key.second_back", held: true, run: () => goTo(state.time - 1) },
  { keys: [" "], shown: ["Space"], label: "scan.key.play", run: togglePlay },
  { keys: ["l"], codes: ["KeyL"], shown: ["L"], label: "scan.key.loop", run: toggleLoop },
  { keys: ["["], codes: ["BracketLeft"], shown: ["["], label: "scan.key.lower", held: true, run: () => nudge(-1) },
  { keys: ["]"], codes: ["BracketRight"], shown: ["]"], label: "scan.key.higher", held: true, run: () => nudge(1) },
  { keys: ["\\"], codes: ["Backslash"], shown: ["\\"], label: "scan.key.as_scanned", run: resetThreshold },
  { keys: ["Home"], shown: ["Home"], label: "scan.key.first", run: () => moveToEnd(-1) },
  { keys: ["End"], shown: ["End"], label: "scan.key.last", run: () => moveToEnd(1) },
  { keys: ["+", "="], shown: ["+"], label: "scan.key.zoom_in", held: true, run: () => zoom(0.5) },
  { keys: ["-"], shown: ["−"], label: "scan.key.zoom_out", held: true, run: () => zoom(2) },
  { keys: ["Escape"], shown: ["Esc"], label: "scan.key.hide", run: calm },
  { keys: ["?"], codes: ["Slash"], shown: ["?"], label: "scan.key.help", run: toggleHelp },
];

function calm() {
  hide();
  stop();
}

function askToReveal() {
  if (state.gone) return;
  if (isRevealed()) hide();
  else if (state.prefs.warn) warning.showModal();
  else reveal();
}

function problem(error) {
  if (error.code === "not_found") checkGone();
  tell("problem", error.detail ?? error.message, "danger");
}

function onGone() {
  document.body.classList.add("gone");
  tell("gone", t("scan.gone"), "danger", { sticky: true });
  announce(t("scan.gone"));
  state.items = [];
  state.weak = null;
  state.selected = null;
  state.verdicts = new Map();
  state.proposals = new Map();
  emit("items");
}

function speakSelection() {
  const { selected } = state;
  if (!selected) return;
  announce(
    t("scan.selected", {
      class: classOf(selected.cls).name,
      place: state.shown.indexOf(selected) + 1,
      count: state.shown.length,
      confidence: selected.confidence.toFixed(2),
    }),
  );
}

function wire() {
  startNotices(root);
  startTimeline(root);
  startList(root);
  startStage(root);
  startPanel(root);
  startControls(root);
  startPrint(root);
  startProposals(root);
  startKeys(root, keyboard);
  const press = { play: togglePlay, loop: toggleLoop, reveal: askToReveal, back: () => step(-1), on: () => step(1), keys: toggleHelp };
  for (const [id, run] of Object.entries(press)) root.querySelector(`#${id}`).addEventListener("click", run);
  warning.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    warning.close();
    if (event.submitter?.value === "yes") reveal();
  });
  on("scan", () => {
    showHead(root);
    showCoverage(root);
  });
  on("go_to", select);
  on("timeline", goTo);
  on("gone", onGone);
  on("selected", ({ seek }) => seek && speakSelection());
  // Others may have judged meanwhile, or removed the scan.
  document.addEventListener("visibilitychange", () => document.hidden || readVerdicts().catch(checkGone));
}

async function begin() {
  wire();
  // Known before the first verdict, which then goes out at once.
  whoami().catch(() => null);
  try {
    [state.prefs, state.taxonomy] = await Promise.all([prefs(), taxonomy(), readScan(), readItems()]);
  } catch (error) {
    if (error.code === "not_found") goneNow();
    else {
      root.querySelector("#name").textContent = t("scan.not_read");
      problem(error);
    }
    return;
  }
  applyPrefs();
  measure();
  state.threshold = state.prefs.threshold;
  emit("items");
  emit("scan");
  startAddress();
  startBreaks(state.prefs.break_minutes);
  readVerdicts().catch(problem);
  follow(problem);
  document.body.dataset.ready = isOpen() ? "running" : "done";
}

begin();
