// One message on the page, and what can be done with it.

import {siblings} from './conversation.js';
import {codeBlock, copyButton, icon, iconButton, make} from './elements.js';
import {MarkdownView} from './markdown.js';

const ENDINGS = {
  length: 'The answer reached the limit of tokens.',
  content_filter: 'The answer was ended by a filter.',
  stopped: 'Stopped.',
  interrupted: 'The page was closed before the answer was complete.',
};

function seconds(value) {
  return value < 10 ? `${value.toFixed(2)} s` : `${value.toFixed(1)} s`;
}

export function statsText(stats) {
  if (!stats || stats.first === null) return '';
  const parts = [];
  const spent = (stats.last - stats.first) / 1000;
  // The first token came with the prompt: the others took the time.
  if (stats.tokens > 1 && spent > 0.05) parts.push(`${((stats.tokens - 1) / spent).toFixed(1)} tokens/s`);
  if (stats.tokens > 0) parts.push(`${stats.tokens} ${stats.tokens === 1 ? 'token' : 'tokens'}`);
  parts.push(`first after ${seconds((stats.first - stats.begin) / 1000)}`);
  return parts.join(' · ');
}

// `actions`: edit(message, text), regenerate(message), choose(id), retry(message).
export class MessageView {
  constructor(conversation, message, actions) {
    this.conversation = conversation;
    this.message = message;
    this.actions = actions;
    this.node = make('article', `message ${message.role}`);
    this.node.dataset.id = message.id;
    this.node.setAttribute('aria-label', message.role === 'user' ? 'You' : 'Assistant');
    this.foot = make('div', 'foot');
    if (message.role === 'user') {
      this.body = make('div', 'bubble', message.content);
      this.node.append(this.body, this.foot);
    } else {
      this.reasoningText = make('div', 'reasoning-text');
      this.reasoningLabel = make('span', '', 'Reasoning');
      this.reasoning = make('details', 'reasoning',
        make('summary', '', icon('chevron'), this.reasoningLabel), this.reasoningText);
      this.body = make('div', 'markdown');
      this.note = make('div', 'note');
      this.markdown = new MarkdownView(this.body, codeBlock);
      this.node.append(this.reasoning, this.body, this.note, this.foot);
    }
    this.update(false);
  }

  // Draws what the message has become; `running` while it is being written.
  update(running) {
    const {message} = this;
    this.running = running;
    if (message.role === 'assistant') {
      const reasoning = message.reasoning || '';
      this.reasoning.hidden = reasoning.trim() === '';
      if (this.reasoningText.textContent !== reasoning) this.reasoningText.textContent = reasoning;
      const thinking = running && message.content === '';
      this.reasoningLabel.textContent = thinking ? 'Reasoning …' : 'Reasoning';
      this.markdown.update(message.content);
      this.node.classList.toggle('running', running);
      this.node.classList.toggle('waiting', running && message.content === '' && reasoning === '');
      this.drawNote();
    }
    this.drawFoot();
  }

  drawNote() {
    const {message, note} = this;
    const key = JSON.stringify([message.error, message.ending, this.running]);
    if (this.noteKey === key) return;
    this.noteKey = key;
    note.replaceChildren();
    note.className = 'note';
    if (this.running) return;
    if (message.error) {
      note.className = 'note error';
      note.setAttribute('role', 'alert');
      const text = make('span', '', message.error.message);
      const retry = make('button', 'plain-button', 'Try again');
      retry.type = 'button';
      retry.addEventListener('click', () => this.actions.retry(message));
      note.append(icon('alert'), text, retry);
      this.countDown(text, message.error);
    } else {
      note.append(ENDINGS[message.ending || 'interrupted'] || '');
    }
  }

  // When the server says how long to wait, the wait is shown.
  countDown(text, error) {
    clearInterval(this.timer);
    if (!error.until) return;
    const show = () => {
      const left = Math.ceil((error.until - Date.now()) / 1000);
      text.textContent = left > 0 ? `${error.message} It asks to wait ${left} s.` : error.message;
      if (left <= 0 || !text.isConnected) clearInterval(this.timer);
    };
    this.timer = setInterval(show, 500);
    text.textContent = `${error.message} It asks to wait ${Math.max(0, Math.ceil((error.until - Date.now()) / 1000))} s.`;
  }

  drawFoot() {
    const {message, foot} = this;
    const stats = statsText(message.stats);
    const all = siblings(this.conversation, message.id);
    const key = JSON.stringify([this.running, all, stats]);
    if (this.footKey === key) return;
    const same = this.running && this.footKey !== undefined && this.statsNode;
    this.footKey = key;
    if (same && this.drawnRunning) {
      this.statsNode.textContent = stats;
      return;
    }
    this.drawnRunning = this.running;
    this.statsNode = make('span', 'stats', stats);
    foot.replaceChildren();
    if (all.length > 1 && !this.running) foot.append(this.branches(all));
    if (!this.running) {
      foot.append(copyButton('Copy message', () => message.content));
      if (message.role === 'user') {
        foot.append(iconButton('edit', 'Edit message', () => this.edit()));
      } else {
        foot.append(iconButton('again', 'Regenerate', () => this.actions.regenerate(message)));
      }
    }
    if (message.role === 'assistant') foot.append(this.statsNode);
  }

  branches(all) {
    const at = all.indexOf(this.message.id);
    const left = iconButton('left', 'Previous version', () => this.actions.choose(all[at - 1]));
    const right = iconButton('right', 'Next version', () => this.actions.choose(all[at + 1]));
    left.disabled = at === 0;
    right.disabled = at === all.length - 1;
    return make('span', 'branches', left, make('span', '', `${at + 1} / ${all.length}`), right);
  }

  edit() {
    const area = make('textarea', 'edit-field');
    area.value = this.message.content;
    area.setAttribute('aria-label', 'Edit message');
    const close = () => {
      form.replaceWith(this.body);
      this.foot.hidden = false;
    };
    const send = make('button', 'main-button', 'Send');
    send.type = 'submit';
    const cancel = make('button', 'plain-button', 'Cancel');
    cancel.type = 'button';
    cancel.addEventListener('click', close);
    const form = make('form', 'edit', area, make('div', 'row end', cancel, send));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (area.value.trim() === '') return;
      close();
      this.actions.edit(this.message, area.value);
    });
    area.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') {
        event.stopPropagation();
        close();
      } else if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    this.body.replaceWith(form);
    this.foot.hidden = true;
    area.rows = Math.min(12, Math.max(2, this.message.content.split('\n').length));
    area.focus();
    area.setSelectionRange(area.value.length, area.value.length);
  }
}
