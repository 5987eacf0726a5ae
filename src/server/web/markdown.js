// Markdown to DOM nodes. Text enters the document by createTextNode only, and no attribute but a
// checked link target comes from it: whatever a model writes, it cannot become markup.

const MAX_DEPTH = 12;

function element(name, className, ...children) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

// ---- Blocks -------------------------------------------------------------------------------------

const FENCE = /^( {0,3})(`{3,}|~{3,})\s*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$/;
const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const QUOTE = /^ {0,3}>[ ]?/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])(?:([ \t]+)(.*)|)$/;
const TABLE_RULE = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;

const isBlank = (line) => line.trim() === '';
const indentOf = (line) => line.length - line.trimStart().length;

function beginsBlock(line) {
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line);
}

// Lines to a list of {type, source, …}; `source` is what a block is made of, so that one that did not
// change is not drawn again.
export function parseBlocks(text) {
  return blocksOf(text.replace(/\r\n?/g, '\n').replace(/\t/g, '    ').split('\n'), 0);
}

function blocksOf(lines, depth) {
  const blocks = [];
  let at = 0;
  const add = (begin, block) => {
    block.source = lines.slice(begin, at).join('\n');
    blocks.push(block);
  };
  while (at < lines.length) {
    const begin = at;
    const line = lines[at];
    if (isBlank(line)) {
      at += 1;
      continue;
    }
    const fence = FENCE.exec(line);
    if (fence) {
      at += 1;
      const body = [];
      const closing = new RegExp(`^ {0,3}\\${fence[2][0]}{${fence[2].length},}\\s*$`);
      while (at < lines.length && !closing.test(lines[at])) {
        body.push(lines[at].slice(Math.min(indentOf(lines[at]), fence[1].length)));
        at += 1;
      }
      const closed = at < lines.length;
      if (closed) at += 1;
      add(begin, {type: 'code', language: fence[3].trim().split(/\s+/)[0], text: body.join('\n'), closed});
      continue;
    }
    const heading = HEADING.exec(line);
    if (heading) {
      at += 1;
      add(begin, {type: 'heading', level: heading[1].length, text: heading[2] || ''});
      continue;
    }
    if (RULE.test(line)) {
      at += 1;
      add(begin, {type: 'rule'});
      continue;
    }
    if (QUOTE.test(line)) {
      const inner = [];
      while (at < lines.length && !isBlank(lines[at]) &&
             (QUOTE.test(lines[at]) || !(beginsBlock(lines[at]) || ITEM.test(lines[at])))) {
        inner.push(lines[at].replace(QUOTE, ''));
        at += 1;
      }
      add(begin, {type: 'quote', blocks: nested(inner, depth)});
      continue;
    }
    const item = ITEM.exec(line);
    if (item && (item[1].length < 4 || depth > 0)) {
      const list = {type: 'list', ordered: /\d/.test(item[2]), start: parseInt(item[2], 10), items: [], loose: false};
      at = takeList(lines, at, list, depth);
      add(begin, list);
      continue;
    }
    if (at + 1 < lines.length && line.includes('|') && TABLE_RULE.test(lines[at + 1])) {
      const head = cellsOf(line);
      const rule = cellsOf(lines[at + 1]);
      if (head.length === rule.length) {
        at += 2;
        const rows = [];
        while (at < lines.length && !isBlank(lines[at]) && lines[at].includes('|')) {
          rows.push(cellsOf(lines[at]));
          at += 1;
        }
        const align = rule.map((cell) => (cell.endsWith(':') ? (cell.startsWith(':') ? 'center' : 'end') : 'start'));
        add(begin, {type: 'table', head, rows, align});
        continue;
      }
    }
    const paragraph = [];
    while (at < lines.length && !isBlank(lines[at])) {
      const next = lines[at];
      if (at > begin && (beginsBlock(next) || startsList(next))) break;
      paragraph.push(next.trimStart());
      at += 1;
    }
    add(begin, {type: 'paragraph', text: paragraph.join('\n')});
  }
  return blocks;
}

function nested(lines, depth) {
  if (depth >= MAX_DEPTH) return [{type: 'paragraph', text: lines.join('\n'), source: ''}];
  return blocksOf(lines, depth + 1);
}

// A list may end a paragraph only if it cannot be a number that begins a line of text.
function startsList(line) {
  const item = ITEM.exec(line);
  return item !== null && item[4] !== undefined && item[4] !== '' && (!/\d/.test(item[2]) || parseInt(item[2], 10) === 1);
}

function takeList(lines, at, list, depth) {
  const base = indentOf(lines[at]);
  const itemAt = (line) => {
    const item = ITEM.exec(line);
    const fits = item && item[1].length >= base && item[1].length <= base + 3 &&
      /\d/.test(item[2]) === list.ordered && !RULE.test(line);
    return fits ? item : null;
  };
  while (at < lines.length) {
    const item = itemAt(lines[at]);
    if (!item) break;
    const width = item[1].length + item[2].length + Math.min((item[3] || ' ').length, 4);
    const inner = [item[4] || ''];
    at += 1;
    let gap = false;
    while (at < lines.length) {
      const line = lines[at];
      if (isBlank(line)) {
        gap = true;
        inner.push('');
        at += 1;
        continue;
      }
      const indent = indentOf(line);
      const deeper = indent >= width || (indent > base + 1 && ITEM.test(line));
      if (!deeper && (gap || ITEM.test(line) || beginsBlock(line))) break;
      if (deeper && gap && !ITEM.test(line)) list.loose = true;
      gap = false;
      inner.push(line.slice(Math.min(indent, width)));
      at += 1;
    }
    while (inner.length > 1 && inner[inner.length - 1] === '') inner.pop();
    if (gap && at < lines.length && itemAt(lines[at])) list.loose = true;
    const task = /^\[([ xX])\] +/.exec(inner[0]);
    if (task) inner[0] = inner[0].slice(task[0].length);
    list.items.push({blocks: nested(inner, depth), task: task ? task[1] !== ' ' : null});
  }
  return at;
}

function cellsOf(line) {
  const cells = [];
  let cell = '';
  const text = line.trim().replace(/^\|/, '');
  for (let i = 0; i < text.length; i += 1) {
    if (text[i] === '\\' && text[i + 1] === '|') {
      cell += '|';
      i += 1;
    } else if (text[i] === '|') {
      cells.push(cell.trim());
      cell = '';
    } else {
      cell += text[i];
    }
  }
  if (cell.trim() !== '' || !text.endsWith('|')) cells.push(cell.trim());
  return cells;
}

// ---- Text within blocks -------------------------------------------------------------------------

// Only what leads to a page or a letter; javascript:, data: and the like stay text.
export function safeLink(target) {
  if (!/^(?:https?:\/\/|mailto:)/i.test(target)) return null;
  try {
    return new URL(target).href;
  } catch {
    return null;
  }
}

function link(target, children) {
  const href = safeLink(target);
  if (href === null) return null;
  const node = element('a', '', ...children);
  node.href = href;
  node.target = '_blank';
  node.rel = 'noopener noreferrer nofollow';
  return node;
}

const SPECIAL = /[\\`*_~[!<\nh]/g;

export function inline(text, depth = 0) {
  const out = [];
  let plain = '';
  const flush = () => {
    if (plain) out.push(document.createTextNode(plain));
    plain = '';
  };
  let at = 0;
  while (at < text.length) {
    SPECIAL.lastIndex = at;
    const found = SPECIAL.exec(text);
    const next = found ? found.index : text.length;
    plain += text.slice(at, next);
    at = next;
    if (!found) break;
    const taken = depth < MAX_DEPTH ? special(text, at, depth) : null;
    if (taken === null) {
      plain += text[at];
      at += 1;
    } else if (typeof taken.node === 'string') {
      plain += taken.node;
      at = taken.end;
    } else {
      if (taken.trim) plain = plain.replace(/ +$/, '');
      flush();
      out.push(taken.node);
      at = taken.end;
    }
  }
  flush();
  return out;
}

// What begins at a special character: {node, end}, null if it is a character like others.
function special(text, at, depth) {
  switch (text[at]) {
    case '\\':
      if (text[at + 1] === '\n') return {node: element('br'), end: at + 2};
      return at + 1 < text.length && /[!-/:-@[-`{-~]/.test(text[at + 1]) ? {node: text[at + 1], end: at + 2} : null;
    case '\n':
      return /  $/.test(text.slice(Math.max(0, at - 2), at)) ? {node: element('br'), end: at + 1, trim: true} : null;
    case '`':
      return codeSpan(text, at);
    case '*':
    case '_':
    case '~':
      return emphasis(text, at, depth);
    case '!':
      // A picture would be loaded from another host: its description becomes a link.
      return text[at + 1] === '[' ? bracketLink(text, at + 1, depth) : null;
    case '[':
      return bracketLink(text, at, depth);
    case '<': {
      const auto = /^<((?:https?:\/\/|mailto:)[^\s<>]+)>/i.exec(text.slice(at, at + 2048));
      const node = auto && link(auto[1], [auto[1]]);
      return node ? {node, end: at + auto[0].length} : null;
    }
    default: {
      if (!text.startsWith('http', at) || (at > 0 && /[\w/]/.test(text[at - 1]))) return null;
      const auto = /^https?:\/\/[^\s<>"`]+/.exec(text.slice(at, at + 2048));
      if (!auto) return null;
      let url = auto[0].replace(/[.,;:!?'*_~\\]+$/, '');
      while (url.endsWith(')') && url.split(')').length > url.split('(').length) url = url.slice(0, -1);
      const node = link(url, [url]);
      return node ? {node, end: at + url.length} : null;
    }
  }
}

function codeSpan(text, at) {
  const ticks = /^`+/.exec(text.slice(at, at + 64))[0];
  let end = at + ticks.length;
  for (;;) {
    end = text.indexOf(ticks, end);
    if (end < 0) return {node: ticks, end: at + ticks.length};
    let length = ticks.length;
    while (text[end + length] === '`') length += 1;
    if (length === ticks.length) break;
    end += length;
  }
  let code = text.slice(at + ticks.length, end).replace(/\n/g, ' ');
  if (/^ .*[^ ].* $/.test(code)) code = code.slice(1, -1);
  return {node: element('code', '', code), end: end + ticks.length};
}

function emphasis(text, at, depth) {
  const mark = text[at];
  const count = /^(?:\*+|_+|~+)/.exec(text.slice(at, at + 8))[0].length;
  const skip = {node: mark.repeat(count), end: at + count};
  const after = text[at + count];
  if (after === undefined || /\s/.test(after)) return skip;
  if (mark === '_' && at > 0 && /[\p{L}\p{N}]/u.test(text[at - 1])) return skip;
  if (mark === '~' && count !== 2) return skip;
  for (let size = Math.min(count, 3); size > 0; size -= 1) {
    const end = closing(text, at + count, mark, size);
    if (end < 0) continue;
    const extra = mark.repeat(count - size);
    const children = inline(text.slice(at + count, end), depth + 1);
    let node = mark === '~' ? element('del', '', ...children)
      : size === 1 ? element('em', '', ...children)
      : element('strong', '', ...children);
    if (size === 3) node = element('em', '', node);
    if (!extra) return {node, end: end + size};
    const both = document.createDocumentFragment();
    both.append(extra, node);
    return {node: both, end: end + size};
  }
  return skip;
}

// Where a run of exactly fitting marks closes what began before `from`; code spans are jumped over.
function closing(text, from, mark, size) {
  const limit = Math.min(text.length, from + 4000);
  for (let i = from; i < limit; i += 1) {
    const c = text[i];
    if (c === '\\') {
      i += 1;
    } else if (c === '`') {
      const span = codeSpan(text, i);
      i = span.end - 1;
    } else if (c === mark) {
      let length = 1;
      while (text[i + length] === mark) length += 1;
      const after = text[i + length];
      const opens = /\s/.test(text[i - 1]);
      const within = mark === '_' && after !== undefined && /[\p{L}\p{N}]/u.test(after);
      if (length >= size && (length === size || size !== 1 || length === 3) && !opens && !within) return i;
      i += length - 1;
    }
  }
  return -1;
}

function bracketLink(text, at, depth) {
  let level = 0;
  let end = -1;
  const limit = Math.min(text.length, at + 1000);
  for (let i = at; i < limit; i += 1) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === '[') level += 1;
    else if (text[i] === ']' && (level -= 1) === 0) {
      end = i;
      break;
    }
  }
  if (end < 0 || text[end + 1] !== '(') return null;
  const target = /^\(\s*(?:<([^<>\n]*)>|((?:[^\s()\\]|\\.|\([^\s()]*\))*))(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/
    .exec(text.slice(end + 1, end + 2050));
  if (!target) return null;
  const node = link(target[1] ?? target[2], inline(text.slice(at + 1, end), depth + 1));
  return node ? {node, end: end + 1 + target[0].length} : null;
}

// ---- Drawing ------------------------------------------------------------------------------------

const CELL_ALIGN = {start: '', center: 'align-center', end: 'align-end'};

// `code` makes the node of a block of code from its text and language.
function draw(block, code) {
  switch (block.type) {
    case 'code':
      return code(block.text, block.language);
    case 'heading':
      // The page has its own first level.
      return element(`h${Math.min(block.level + 1, 6)}`, '', ...inline(block.text));
    case 'rule':
      return element('hr');
    case 'quote':
      return element('blockquote', '', ...block.blocks.map((inner) => draw(inner, code)));
    case 'list': {
      const list = element(block.ordered ? 'ol' : 'ul');
      if (block.ordered && block.start !== 1) list.start = block.start;
      for (const item of block.items) {
        const row = element('li', item.task === null ? '' : 'task');
        if (item.task !== null) {
          const box = element('input');
          box.type = 'checkbox';
          box.checked = item.task;
          box.disabled = true;
          row.append(box);
        }
        for (const inner of item.blocks) {
          if (inner.type === 'paragraph' && !block.loose) row.append(...inline(inner.text));
          else row.append(draw(inner, code));
        }
        list.append(row);
      }
      return list;
    }
    case 'table': {
      const row = (cells, name) => element('tr', '', ...block.head.map((_, i) =>
        element(name, CELL_ALIGN[block.align[i]], ...inline(cells[i] || ''))));
      return element('div', 'table', element('table', '',
        element('thead', '', row(block.head, 'th')),
        element('tbody', '', ...block.rows.map((cells) => row(cells, 'td')))));
    }
    default:
      return element('p', '', ...inline(block.text));
  }
}

// Draws a text that grows: what is drawn already stays, with what the reader has selected in it.
export class MarkdownView {
  constructor(root, code) {
    this.root = root;
    this.code = code;
    this.drawn = [];
  }

  update(text) {
    const blocks = parseBlocks(text);
    let same = 0;
    while (same < blocks.length && same < this.drawn.length &&
           blocks[same].type === this.drawn[same].type && blocks[same].source === this.drawn[same].source) {
      same += 1;
    }
    for (const old of this.drawn.splice(same)) old.node.remove();
    for (const block of blocks.slice(same)) {
      const node = draw(block, this.code);
      this.root.append(node);
      this.drawn.push({type: block.type, source: block.source, node});
    }
  }
}
