// The few steps of the DOM that every part takes. Text goes in as text: an id is never markup.

export const $ = (id) => document.getElementById(id);

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Only a text that changed is written, so that a poll does not disturb a selection or a screen reader.
export function say(id, text) {
  const node = $(id);
  if (node.textContent !== text) node.textContent = text;
}

export function trouble(id, error) {
  const node = $(id);
  node.hidden = error === null;
  say(id, error === null ? '' : error.message);
}
