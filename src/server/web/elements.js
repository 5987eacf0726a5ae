// Small makers of nodes that all parts of the page use.

const SVG = 'http://www.w3.org/2000/svg';

export const byId = (id) => document.getElementById(id);

export function make(name, className, ...children) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

export function iconButton(name, label, action, className = '') {
  const button = make('button', `icon-button ${className}`.trim(), icon(name));
  button.type = 'button';
  button.title = label;
  button.setAttribute('aria-label', label);
  button.addEventListener('click', action);
  return button;
}

export function setIcon(button, name) {
  button.querySelector('use').setAttribute('href', `#i-${name}`);
}

// Without a secure context (plain http on another host) browsers offer only the old way.
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = make('textarea', 'visually-hidden');
    area.value = text;
    (document.querySelector('dialog[open]') || document.body).append(area);
    area.select();
    const copied = document.execCommand('copy');
    area.remove();
    return copied;
  }
}

export function copyButton(label, text) {
  const button = iconButton('copy', label, async () => {
    const copied = await copyText(text());
    setIcon(button, copied ? 'check' : 'alert');
    announce(copied ? 'Copied' : 'Copying failed');
    setTimeout(() => setIcon(button, 'copy'), 1600);
  });
  return button;
}

// Says something to those who listen to the page.
export function announce(text) {
  byId('status').textContent = text;
}

export function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], {type}));
  const link = make('a');
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

export function codeBlock(text, language) {
  const code = make('code', '', text);
  const head = make('div', 'code-head', make('span', '', language || 'text'), copyButton('Copy code', () => text));
  const pre = make('pre', '', code);
  pre.tabIndex = 0;
  return make('div', 'code', head, pre);
}
