// Forms that narrow a list down. What is chosen is the page's own address, so that it can be kept and shared.

import { taxonomy } from "./api.js";
import { element } from "./element.js";

const WAIT_MS = 300;

export async function fillClasses(select) {
  for (const each of (await taxonomy()).values()) select.append(element("option", { value: each.id, text: each.name }));
}

// Calls `changed` whenever the form asks for something else. Returns a function that gives what it asks for.
export function startFilters(form, changed) {
  const given = new URLSearchParams(location.search);
  for (const [name, value] of given) {
    const field = form.elements.namedItem(name);
    if (field) field.value = value;
  }
  let timer = 0;
  let before = String(queryOf(form));

  const look = () => {
    clearTimeout(timer);
    const query = queryOf(form);
    if (String(query) === before || !form.reportValidity()) return;
    before = String(query);
    history.replaceState(null, "", before ? `?${before}` : location.pathname);
    changed();
  };
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, WAIT_MS);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    look();
  });
  form.addEventListener("reset", () => setTimeout(look, 0));
  return () => withMoments(queryOf(form));
}

// Days are those of the clock by which the pages show when scans were made, not those of UTC.
function withMoments(query) {
  for (const [name, later] of [["since", 0], ["until", 1]]) {
    const [year, month, day] = (query.get(name) ?? "").split("-").map(Number);
    if (day) query.set(name, new Date(year, month - 1, day + later).toISOString());
  }
  return query;
}

function queryOf(form) {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value !== "") query.append(name, value);
  return query;
}
