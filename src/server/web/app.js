// The page: conversations on the left, the chosen one on the right, answers as they are written.

import {ApiError, listModels, streamChat} from './api.js';
import {addMessage, choose, newConversation, path, requestMessages, titleOf, toMarkdown} from './conversation.js';
import {announce, byId, download, iconButton, make} from './elements.js';
import {MessageView} from './message_view.js';
import {Settings} from './settings.js';
import {ConversationStore, readSetting, writeSetting} from './store.js';

const input = byId('input');
const scroll = byId('scroll');
const narrow = window.matchMedia('(max-width: 760px)');

class Page {
  constructor(store, conversations) {
    this.store = store;
    this.settings = new Settings();
    this.conversations = new Map(conversations.map((one) => [one.id, one]));
    this.jobs = new Map();  // conversation id → what is being written in it
    this.views = new Map();  // message id → what shows it
    this.follow = true;  // the end stays in sight
    this.drawing = 0;
    byId('not-kept').hidden = store.lasting;
    this.listen();
    this.open(this.conversations.get(readSetting('open', '')) || newConversation(this.settings.system));
    this.loadModels();
  }

  listen() {
    byId('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      this.send();
    });
    input.addEventListener('input', () => this.fitInput());
    input.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.send();
      }
    });
    document.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || event.defaultPrevented || document.querySelector('dialog[open]')) return;
      if (document.body.classList.contains('sidebar-shown')) this.showSidebar(false);
      else this.stop();
    });
    byId('stop').addEventListener('click', () => this.stop());
    byId('new-chat').addEventListener('click', () => {
      this.open(newConversation(this.settings.system));
      this.showSidebar(false);
      input.focus();
    });
    byId('sidebar-open').addEventListener('click', () => this.showSidebar(true));
    byId('sidebar-close').addEventListener('click', () => this.showSidebar(false));
    byId('shade').addEventListener('click', () => this.showSidebar(false));
    narrow.addEventListener('change', () => this.showSidebar(false));
    scroll.addEventListener('scroll', () => this.noticeScroll(), {passive: true});
    byId('to-end').addEventListener('click', () => {
      this.follow = true;
      this.toEnd();
    });
    byId('system').addEventListener('input', (event) => {
      this.conversation.system = event.target.value;
      this.settings.setSystem(event.target.value);
      if (this.conversation.roots.length > 0) this.keep(this.conversation);
    });
    byId('model').addEventListener('change', (event) => writeSetting('model', event.target.value));
    byId('export-markdown').addEventListener('click', () => this.export('md'));
    byId('export-json').addEventListener('click', () => this.export('json'));
    this.showSidebar(false);
  }

  // ---- Conversations ----------------------------------------------------------------------------

  open(conversation) {
    this.conversation = conversation;
    writeSetting('open', conversation.id);
    byId('system').value = conversation.system;
    this.views.clear();
    byId('messages').replaceChildren();
    this.follow = true;
    this.drawList();
    this.draw();
  }

  async keep(conversation) {
    conversation.updated = Date.now();
    this.conversations.set(conversation.id, conversation);
    this.drawList();
    await this.store.save(conversation);
    byId('not-kept').hidden = this.store.lasting;
  }

  drawList() {
    const list = byId('conversations');
    const all = [...this.conversations.values()].sort((a, b) => b.updated - a.updated);
    const key = JSON.stringify(all.map((one) => [one.id, titleOf(one), one === this.conversation, this.jobs.has(one.id)]));
    const title = titleOf(this.conversation);
    byId('title').textContent = title;
    document.title = this.conversation.roots.length > 0 ? `${title} – mistral.cpp` : 'mistral.cpp';
    if (this.listKey === key || list.querySelector('input')) return;
    this.listKey = key;
    list.replaceChildren(...all.map((one) => this.listRow(one)));
  }

  listRow(conversation) {
    const name = make('button', 'name', titleOf(conversation));
    name.type = 'button';
    name.title = titleOf(conversation);
    if (this.jobs.has(conversation.id)) name.append(make('span', 'dot'));
    name.addEventListener('click', () => {
      this.open(conversation);
      this.showSidebar(false);
    });
    name.addEventListener('dblclick', () => this.rename(conversation, row));
    const row = make('li', '', name,
      iconButton('edit', 'Rename conversation', () => this.rename(conversation, row)),
      iconButton('trash', 'Delete conversation', () => this.remove(conversation)));
    if (conversation === this.conversation) {
      row.className = 'current';
      name.setAttribute('aria-current', 'true');
    }
    return row;
  }

  rename(conversation, row) {
    const field = make('input', 'rename');
    field.value = titleOf(conversation);
    field.maxLength = 200;
    field.setAttribute('aria-label', 'Name of the conversation');
    let open = true;
    const close = (take) => {
      if (!open) return;
      open = false;
      if (take && field.value.trim() !== titleOf(conversation)) conversation.title = field.value.trim();
      field.remove();
      this.listKey = null;
      if (take) this.keep(conversation);
      else this.drawList();
    };
    field.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' && event.key !== 'Escape') return;
      event.preventDefault();
      close(event.key === 'Enter');
    });
    field.addEventListener('blur', () => close(true));
    row.replaceChildren(field);
    field.focus();
    field.select();
  }

  remove(conversation) {
    const dialog = byId('confirm');
    byId('confirm-text').textContent = `Delete “${titleOf(conversation)}”? It cannot be brought back.`;
    dialog.addEventListener('close', async () => {
      if (dialog.returnValue !== 'yes') return;
      this.stop(conversation);
      this.conversations.delete(conversation.id);
      if (conversation === this.conversation) this.open(newConversation(this.settings.system));
      else this.drawList();
      await this.store.remove(conversation.id);
      announce('Conversation deleted');
    }, {once: true});
    dialog.returnValue = '';
    dialog.showModal();
  }

  export(kind) {
    const name = titleOf(this.conversation).replace(/[^\p{L}\p{N} _-]+/gu, '').trim() || 'conversation';
    if (kind === 'json') download(`${name}.json`, 'application/json', JSON.stringify(this.conversation, null, 2));
    else download(`${name}.md`, 'text/markdown', toMarkdown(this.conversation));
  }

  showSidebar(shown) {
    const overlay = narrow.matches;
    const was = document.body.classList.contains('sidebar-shown');
    document.body.classList.toggle('sidebar-shown', overlay && shown);
    byId('shade').hidden = !(overlay && shown);
    byId('sidebar').inert = overlay && !shown;
    byId('main').inert = overlay && shown;
    byId('sidebar-open').setAttribute('aria-expanded', String(overlay && shown));
    if (overlay && shown) byId('new-chat').focus();
    else if (was) byId('sidebar-open').focus();
  }

  // ---- Drawing ----------------------------------------------------------------------------------

  draw() {
    const {conversation} = this;
    const messages = path(conversation);
    const job = this.jobs.get(conversation.id);
    byId('welcome').hidden = messages.length > 0;
    const wanted = new Set(messages.map((message) => message.id));
    for (const [id, view] of this.views) {
      if (wanted.has(id)) continue;
      view.node.remove();
      this.views.delete(id);
    }
    const root = byId('messages');
    messages.forEach((message, at) => {
      let view = this.views.get(message.id);
      if (!view) {
        view = new MessageView(conversation, message, this.actions());
        this.views.set(message.id, view);
      }
      if (root.children[at] !== view.node) root.insertBefore(view.node, root.children[at] || null);
      view.update(job !== undefined && job.message === message);
    });
    byId('send').hidden = job !== undefined;
    byId('stop').hidden = job === undefined;
    this.fitInput();
    if (this.follow) this.toEnd();
    this.noticeScroll();
  }

  // At most once a frame, however fast tokens come.
  drawSoon() {
    if (this.drawing) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0;
      this.draw();
    });
  }

  actions() {
    return {
      edit: (message, text) => {
        if (this.jobs.has(this.conversation.id)) this.stop();
        const edited = addMessage(this.conversation, message.parent, 'user', text);
        this.answer(this.conversation, edited.id);
      },
      regenerate: (message) => this.answer(this.conversation, message.parent),
      retry: (message) => {
        // An answer without a word leaves nothing behind.
        if (message.content === '' && !message.reasoning) this.drop(message);
        this.answer(this.conversation, message.parent);
      },
      choose: (id) => {
        if (this.jobs.has(this.conversation.id)) return;
        choose(this.conversation, id);
        this.keep(this.conversation);
        this.follow = false;
        this.draw();
      },
    };
  }

  drop(message) {
    const {conversation} = this;
    const from = message.parent === null ? conversation.roots : conversation.messages[message.parent].children;
    from.splice(from.indexOf(message.id), 1);
    delete conversation.messages[message.id];
  }

  fitInput() {
    input.style.height = 'auto';
    input.style.height = `${Math.min(input.scrollHeight, window.innerHeight * 0.4)}px`;
    byId('send').disabled = input.value.trim() === '';
  }

  toEnd() {
    scroll.scrollTop = scroll.scrollHeight;
  }

  noticeScroll() {
    const left = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight;
    // A reader who scrolls up is not pulled down again.
    if (left < 40) this.follow = true;
    else if (scroll.scrollTop < this.lastTop) this.follow = false;
    this.lastTop = scroll.scrollTop;
    byId('to-end').hidden = left < 120;
  }

  notice(text) {
    byId('notice').textContent = text;
    byId('notice').hidden = text === '';
  }

  // ---- Answers ----------------------------------------------------------------------------------

  async loadModels() {
    const select = byId('model');
    let error = null;
    try {
      const models = await listModels(this.settings.keyText);
      select.replaceChildren(...models.map((id) => new Option(id, id)));
      const kept = readSetting('model', '');
      if (models.includes(kept)) select.value = kept;
      select.disabled = models.length < 2;
      byId('welcome-model').textContent = models.length === 1 ? models[0] : '';
      this.notice('');
    } catch (caught) {
      error = caught;
    }
    if (error === null) return;
    if (error instanceof ApiError && error.kind === 'key') {
      if (await this.settings.askKey(error.message)) this.loadModels();
      else this.notice('This server wants an API key: see the settings.');
      return;
    }
    this.notice(`${error.message} Trying again …`);
    clearTimeout(this.modelsTimer);
    this.modelsTimer = setTimeout(() => this.loadModels(), (error.retryAfter || 3) * 1000);
  }

  send() {
    const text = input.value;
    if (text.trim() === '' || this.jobs.has(this.conversation.id)) return;
    const messages = path(this.conversation);
    const last = messages[messages.length - 1];
    const message = addMessage(this.conversation, last ? last.id : null, 'user', text);
    input.value = '';
    this.answer(this.conversation, message.id);
  }

  stop(conversation = this.conversation) {
    this.jobs.get(conversation.id)?.controller.abort();
  }

  // Asks for an answer to the message `parent`, in a branch of its own.
  async answer(conversation, parent) {
    if (this.jobs.has(conversation.id)) return;
    const message = addMessage(conversation, parent, 'assistant');
    const job = {message, controller: new AbortController()};
    this.jobs.set(conversation.id, job);
    this.follow = true;
    this.keep(conversation);
    this.draw();
    announce('The answer is being written');
    try {
      await this.write(conversation, message, job.controller.signal);
    } catch (error) {
      this.fail(message, error);
    }
    this.jobs.delete(conversation.id);
    if (message.error?.kind === 'key' && await this.settings.askKey(message.error.message)) {
      if (conversation === this.conversation) this.actions().retry(message);
      if (byId('model').options.length === 0) this.loadModels();
      return;
    }
    if (this.conversations.has(conversation.id)) this.keep(conversation);
    if (conversation !== this.conversation) return;
    this.draw();
    announce(message.error ? message.error.message : message.ending === 'stopped' ? 'Stopped' : 'The answer is complete');
    if (!narrow.matches && document.activeElement === document.body) input.focus();
  }

  async write(conversation, message, signal) {
    const request = {
      model: byId('model').value || 'default',
      messages: requestMessages(conversation, message.parent),
      ...this.settings.sampling,
    };
    const stats = {begin: performance.now(), first: null, last: null, tokens: 0};
    message.stats = stats;
    let pieces = 0;
    let kept = stats.begin;  // what is written is kept now and then: a page may be closed at any time
    for await (const part of streamChat(request, this.settings.keyText, signal)) {
      if (part.content || part.reasoning) {
        message.content += part.content;
        if (part.reasoning) message.reasoning = (message.reasoning || '') + part.reasoning;
        stats.last = performance.now();
        stats.first ??= stats.last;
        pieces += 1;
        stats.tokens = pieces;  // until the server says how many they were
      }
      if (part.usage?.completion_tokens) stats.tokens = part.usage.completion_tokens;
      if (part.finish) message.ending = part.finish;
      if (part.model) message.model = part.model;
      if (conversation === this.conversation) this.drawSoon();
      if (performance.now() - kept > 1000) {
        kept = performance.now();
        this.store.save(conversation);
      }
    }
    message.ending ??= 'stop';
  }

  fail(message, error) {
    if (error.name === 'AbortError') {
      message.ending = 'stopped';
    } else if (error instanceof ApiError) {
      message.error = {kind: error.kind, message: error.message};
      if (error.retryAfter) message.error.until = Date.now() + error.retryAfter * 1000;
    } else {
      message.error = {kind: 'page', message: 'This page failed to show the answer.'};
      console.error(error);
    }
  }
}

const store = await ConversationStore.open();
new Page(store, await store.all());
input.focus();
