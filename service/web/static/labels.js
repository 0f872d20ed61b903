// The words of the page, in the language that the server chose for it.

const table = JSON.parse(document.getElementById("labels").textContent);

// The page's language, for dates and numbers.
export const language = document.documentElement.lang;

const plurals = new Intl.PluralRules(language);

// The label of a key with its {values}, in the form that its `count` asks for where it has several; the key itself where
// there is none, so that a gap is seen.
export function t(key, values = {}) {
  const label = table[key] ?? key;
  const text = typeof label === "string" ? label : (label[plurals.select(values.count)] ?? label.other);
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

export function has(key) {
  return key in table;
}
