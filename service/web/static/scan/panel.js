// The panel of the selected appearance: what it is, the verdict buttons, what others said, the note.

import { timecode } from "../api.js";
import { keep, recall } from "../kept.js";
import { t } from "../labels.js";
import { classOf, emit, isOpen, on, state } from "./state.js";
import { proposalOf, proposalWords } from "./proposals.js";
import { give, isSending, mineOf, undo } from "./verdicts.js";
import { move } from "./list.js";
import { announce } from "./notices.js";

const GO_ON = "ordnance.scan.go_on";
const drafts = new Map();
let parts, dialog;

export function startPanel(root) {
  const find = (id) => root.querySelector(`#${id}`);
  parts = {
    panel: find("panel"), title: find("panel-title"), facts: find("panel-facts"), others: find("panel-others"),
    note: find("note"), goOn: find("go-on"), wait: find("panel-wait"), buttons: [...root.querySelectorAll("[data-verdict]")],
    undo: find("undo"), save: find("note-save"), earlier: find("panel-earlier"), take: find("take-earlier"),
  };
  dialog = find("other-class");
  parts.goOn.checked = recall(GO_ON) !== "no";
  parts.goOn.addEventListener("change", () => keep(GO_ON, parts.goOn.checked ? "yes" : "no"));
  for (const button of parts.buttons) {
    button.addEventListener("click", () => judge(button.dataset.verdict));
    button.addEventListener("keydown", (event) => event.repeat && event.key === "Enter" && event.preventDefault());
  }
  parts.undo.addEventListener("click", takeBack);
  parts.take.addEventListener("click", takeEarlier);
  parts.note.addEventListener("input", () => state.selected && drafts.set(state.selected.number, parts.note.value));
  parts.note.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      saveNote();
      parts.panel.focus();
    } else if (event.key === "Escape") parts.panel.focus();
  });
  parts.save.addEventListener("click", saveNote);
  window.addEventListener("beforeunload", (event) => (isUnsaved() || isSending()) && event.preventDefault());
  dialog.querySelector("form").addEventListener("submit", onOtherClass);
  dialog.querySelector("[value=cancel]").addEventListener("click", () => dialog.close());
  on("selected", show);
  on("verdicts", show);
  on("shown", show);
  on("scan", show);
  on("gone", show);
}

function isUnsaved() {
  return !state.gone && [...drafts].some(([number, text]) => text !== (state.verdicts.get(number)?.mine?.note ?? ""));
}

function canJudge() {
  return Boolean(state.selected?.number) && !isOpen() && !state.gone;
}

export function judge(verdict, cls = null) {
  const item = state.selected;
  if (!canJudge()) {
    announce(t(isOpen() ? "scan.wait_for_end" : "scan.no_verdict_here"));
    return;
  }
  if (verdict === "other_class" && !cls) {
    openOther(item);
    return;
  }
  giveWithDraft(item, verdict, cls);
  if (parts.goOn.checked) move(1);
}

// A note whose verdict was not saved is a draft again, unless another one was begun meanwhile.
async function giveWithDraft(item, verdict, cls, note = null) {
  const draft = drafts.get(item.number);
  drafts.delete(item.number);
  const isSaved = await give(item, verdict, { cls, note: draft ?? note });
  if (isSaved || draft === undefined || drafts.has(item.number)) return;
  drafts.set(item.number, draft);
  show();
}

// The verdict that was given on another scan of the clip becomes mine here.
export function takeEarlier() {
  const proposal = canJudge() ? proposalOf(state.selected) : null;
  if (!proposal?.verdict) {
    announce(t("scan.earlier.none_here"));
    return;
  }
  giveWithDraft(state.selected, proposal.verdict, proposal.class, proposal.note);
  if (parts.goOn.checked) move(1);
}

export function takeBack() {
  const number = undo(state.selected);
  const item = number === null ? null : state.items.find((each) => each.number === number);
  if (item && item !== state.selected) emit("go_to", item);
}

export function focusNote() {
  if (canJudge()) parts.note.focus();
}

function saveNote() {
  const item = state.selected;
  const mine = mineOf(item);
  if (!canJudge()) return;
  if (!mine) {
    parts.wait.textContent = t("scan.note_waits");
    parts.wait.hidden = false;
    announce(parts.wait.textContent);
    return;
  }
  drafts.set(item.number, parts.note.value);
  giveWithDraft(item, mine.verdict, mine.class);
}

function openOther(item) {
  const choice = dialog.querySelector("select");
  choice.replaceChildren(
    ...[...state.taxonomy.values()]
      .filter((each) => each.id !== item.cls)
      .map((each) => new Option(each.name, each.id)),
  );
  const mine = mineOf(item);
  if (mine?.class) choice.value = mine.class;
  dialog.showModal();
  choice.focus();
}

function onOtherClass(event) {
  event.preventDefault();
  dialog.close();
  judge("other_class", dialog.querySelector("select").value);
}

function show() {
  const item = state.selected;
  const able = canJudge();
  const mine = mineOf(item);
  for (const button of [...parts.buttons, parts.save]) button.disabled = !able;
  for (const button of parts.buttons) button.setAttribute("aria-pressed", mine?.verdict === button.dataset.verdict);
  parts.note.disabled = !able;
  parts.wait.hidden = able || !item;
  if (!item) {
    const isEmpty = state.scan?.state === "done" && !state.items.length;
    parts.title.textContent = t(isEmpty ? "library.nothing" : "scan.choose_one");
    parts.facts.textContent = "";
    parts.earlier.hidden = true;
    parts.others.replaceChildren();
    return;
  }
  parts.wait.textContent = t(item.weak ? "scan.no_verdict_here" : "scan.wait_for_end");
  const place = state.shown.indexOf(item);
  const { name, colour } = classOf(item.cls);
  parts.panel.style.setProperty("--class", colour);
  parts.title.textContent = item.weak ? t("scan.weak_name", { class: name }) : name;
  parts.facts.textContent = t("scan.facts", {
    place: place < 0 ? "–" : place + 1,
    count: state.shown.length,
    from: timecode(item.first),
    to: timecode(item.last),
    best: timecode(item.best),
    confidence: item.confidence.toFixed(2),
  });
  if (document.activeElement !== parts.note) parts.note.value = drafts.get(item.number) ?? mine?.note ?? "";
  showEarlier(able ? proposalOf(item) : null);
  showOthers(item, mine);
}

function showEarlier(proposal) {
  parts.earlier.hidden = proposal === null;
  if (proposal === null) return;
  parts.earlier.querySelector("span").textContent = proposalWords(proposal);
  parts.take.hidden = proposal.verdict === null;
}

function showOthers(item, mine) {
  const found = item.number === null ? undefined : state.verdicts.get(item.number);
  const lines = (found?.list ?? []).map((each) => {
    const line = document.createElement("li");
    const who = each.mine ? t("scan.you") : each.reviewer;
    const said = t(`scan.verdict.${each.verdict}`, { class: classOf(each.class ?? "").name });
    const name = document.createElement("bdi");
    name.textContent = who;
    line.append(name, `: ${said}`);
    if (each.note) {
      const note = document.createElement("q");
      note.dir = "auto";
      note.textContent = each.note;
      line.append(" ", note);
    }
    return line;
  });
  if (found?.state === "disagreed") {
    const warning = document.createElement("li");
    warning.className = "disagreed";
    warning.textContent = t("scan.disagreed");
    lines.unshift(warning);
  }
  parts.others.replaceChildren(...lines);
  parts.others.hidden = !lines.length;
  parts.undo.disabled = !mine && state.gone;
}
