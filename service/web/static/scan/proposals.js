// Verdicts on other scans of this clip that fit here: shown as proposals, taken over by a key or a button, never unasked.

import { get } from "../api.js";
import { t } from "../labels.js";
import { announce, tell } from "./notices.js";
import { api, classOf, emit, isOpen, on, state } from "./state.js";
import { areVerdictsKnown, mineOf, takeBackAll, takeOver } from "./verdicts.js";

let parts;
let isRead = false, isDeclined = false;
// Of the appearances whose verdicts were taken over, by number, when the server took each down.
let taken = new Map();

export function startProposals(root) {
  const find = (id) => root.querySelector(`#${id}`);
  parts = { box: find("earlier"), words: find("earlier-words"), all: find("take-all"), undo: find("undo-all"), close: find("earlier-close") };
  parts.all.addEventListener("click", takeAll);
  parts.undo.addEventListener("click", () => {
    const numbers = stillTaken();
    taken = new Map();
    takeBackAll(numbers);
  });
  parts.close.addEventListener("click", () => {
    isDeclined = true;
    taken = new Map();
    show();
  });
  on("scan", read);
  on("verdicts", () => {
    read();
    show();
  });
  on("gone", show);
}

// Once, when the scan has ended: before, its appearances may still be renumbered.
async function read() {
  if (isRead || isOpen() || state.gone || !state.scan || !areVerdictsKnown()) return;
  isRead = true;
  try {
    const { items } = await get(`${api}/proposals`);
    state.proposals = new Map(items.map((each) => [each.appearance, each]));
  } catch (problem) {
    tell("earlier", t("scan.earlier.not_read", { why: problem.detail ?? problem.message }), "danger");
    return;
  }
  if (!state.proposals.size) return;
  emit("verdicts");
  if (!parts.box.hidden) announce(parts.words.textContent);
}

// What is proposed for an appearance that has no verdict of mine; its `verdict` is null where earlier ones disagree.
export function proposalOf(item) {
  return item?.number && !mineOf(item) ? (state.proposals.get(item.number) ?? null) : null;
}

export function proposalWords({ verdict, class: cls, said }) {
  if (verdict === null) {
    const each = said.map((one) => `${one.reviewer}: ${verdictWords(one.verdict, one.class)}`);
    return t("scan.earlier.disagree", { said: each.join("; ") });
  }
  const names = [...new Set(said.map((one) => one.reviewer))];
  return t("scan.earlier.said", { verdict: verdictWords(verdict, cls), reviewers: names.join(", ") });
}

function verdictWords(verdict, cls) {
  return t(`scan.verdict.${verdict}`, { class: classOf(cls ?? "").name });
}

function waiting() {
  return state.items.filter((item) => proposalOf(item)?.verdict).map(proposalOf);
}

// Those on which nothing else was said since.
function stillTaken() {
  return [...taken].filter(([number, at]) => state.verdicts.get(number)?.mine?.at === at).map(([number]) => number);
}

function show() {
  const count = state.proposals.size ? waiting().length : 0;
  const still = stillTaken().length;
  const isTaken = still > 0;
  parts.box.hidden = state.gone || !(isTaken || (count && !isDeclined));
  parts.all.hidden = isTaken;
  parts.undo.hidden = !isTaken;
  parts.words.textContent = isTaken ? t("scan.earlier.taken", { count: still }) : t("scan.earlier.offer", { count });
}

export async function takeAll() {
  const wanted = state.gone ? [] : waiting();
  if (!wanted.length) {
    announce(t("scan.earlier.none"));
    return;
  }
  const given = await takeOver(wanted);
  taken = new Map(given.map(({ appearance, at }) => [appearance, at]));
  show();
  if (given.length) announce(parts.words.textContent);
}
