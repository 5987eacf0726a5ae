// A conversation is a tree of messages: editing one, or asking for an answer again, begins a branch
// beside the old one. Plain data, as it is stored and exported.

export const newId = () => {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
};

export function newConversation(system = '') {
  const now = Date.now();
  return {id: newId(), title: '', system, created: now, updated: now, messages: {}, roots: [], chosen: {}};
}

const childrenOf = (conversation, id) => (id === null ? conversation.roots : conversation.messages[id].children);

// Adds a message under `parent` (null: the first one) and chooses its branch.
export function addMessage(conversation, parent, role, content = '') {
  const message = {id: newId(), parent, role, content, created: Date.now(), children: []};
  conversation.messages[message.id] = message;
  childrenOf(conversation, parent).push(message.id);
  choose(conversation, message.id);
  return message;
}

export function choose(conversation, id) {
  conversation.chosen[conversation.messages[id].parent ?? 'root'] = id;
  conversation.updated = Date.now();
}

// The messages of the chosen branches, first to last.
export function path(conversation) {
  const all = [];
  let parent = null;
  for (;;) {
    const children = childrenOf(conversation, parent);
    if (children.length === 0) return all;
    const chosen = conversation.chosen[parent ?? 'root'];
    const id = children.includes(chosen) ? chosen : children[children.length - 1];
    all.push(conversation.messages[id]);
    parent = id;
  }
}

// The branches beside a message, itself among them.
export const siblings = (conversation, id) => childrenOf(conversation, conversation.messages[id].parent);

// What the model gets to read for an answer under `parent`.
export function requestMessages(conversation, parent) {
  const messages = [];
  for (let id = parent; id !== null; id = conversation.messages[id].parent) {
    const {role, content} = conversation.messages[id];
    messages.unshift({role, content});
  }
  if (conversation.system.trim()) messages.unshift({role: 'system', content: conversation.system});
  return messages;
}

export function titleOf(conversation) {
  if (conversation.title) return conversation.title;
  const first = path(conversation)[0];
  const text = first ? first.content.trim().replace(/\s+/g, ' ') : '';
  if (!text) return 'New chat';
  const characters = Array.from(text);
  return characters.length > 48 ? `${characters.slice(0, 47).join('')}…` : text;
}

export function toMarkdown(conversation) {
  const parts = [`# ${titleOf(conversation)}`];
  if (conversation.system.trim()) parts.push(`**System**\n\n${conversation.system.trim()}`);
  for (const {role, content} of path(conversation)) {
    parts.push(`**${role === 'user' ? 'You' : 'Assistant'}**\n\n${content.trim()}`);
  }
  return `${parts.join('\n\n')}\n`;
}
