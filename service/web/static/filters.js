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
  for (const [name, value] of given) if (form.elements[name]) form.elements[name].value = value;
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
  return () => queryOf(form);
}

function queryOf(form) {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value !== "") query.append(name, value);
  return query;
}
