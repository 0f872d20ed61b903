// Making elements; whatever is said by users comes in as text.

// element("a", { class: "name", href: "/", text: "…", aria: { label: "…" }, data: { id: "…" } }, child, …)
export function element(tag, { text, class: names, aria = {}, data = {}, ...properties } = {}, ...children) {
  const made = document.createElement(tag);
  if (names) made.className = names;
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(aria)) made.setAttribute(`aria-${name}`, value);
  Object.assign(made.dataset, data);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}
