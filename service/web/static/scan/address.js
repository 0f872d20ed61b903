// The page's address names the appearance that is chosen, so that it can be kept and shared.

import { isOpen, on, select, state } from "./state.js";
import { uncover } from "./threshold.js";

// Browsers take few changes of an address a second.
const PAUSE_MS = 300;
let timer = 0;

// Chooses the appearance that the address names, also later where somebody gives another one, else the first.
export function startAddress() {
  if (!goToNamed() && state.shown.length) select(state.shown[0]);
  addEventListener("hashchange", goToNamed);
  on("selected", ({ seek }) => {
    clearTimeout(timer);
    // Numbers are final at the end of the scan.
    if (seek && !isOpen()) timer = setTimeout(nameChosen, PAUSE_MS);
  });
}

function goToNamed() {
  const named = state.items.find(({ number }) => location.hash === `#${number}`);
  if (!named) return false;
  uncover(named);
  select(named);
  return true;
}

function nameChosen() {
  const number = state.selected?.number;
  history.replaceState(null, "", number ? `#${number}` : location.pathname);
}
