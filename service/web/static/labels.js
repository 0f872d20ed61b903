// The words of the page, in the language that the server chose for it.

const table = JSON.parse(document.getElementById("labels").textContent);

// The page's language, for dates and numbers.
export const language = document.documentElement.lang;

// The label of a key with its {values}; the key itself where there is none, so that a gap is seen.
export function t(key, values = {}) {
  return (table[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

export function has(key) {
  return key in table;
}
