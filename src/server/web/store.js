// Conversations in the browser's database, settings in its local storage. Where a browser keeps
// nothing (private windows, storage switched off), both live as long as the page.

const DATABASE = 'mistral.cpp';
const TABLE = 'conversations';

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

export class ConversationStore {
  static async open() {
    const store = new ConversationStore();
    try {
      const request = indexedDB.open(DATABASE, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(TABLE, {keyPath: 'id'});
      store.database = await done(request);
    } catch {
      store.database = null;
    }
    return store;
  }

  // Whether conversations outlive the page.
  get lasting() {
    return this.database !== null;
  }

  table(mode) {
    return this.database.transaction(TABLE, mode).objectStore(TABLE);
  }

  // Latest first.
  async all() {
    if (!this.database) return [];
    const found = await done(this.table('readonly').getAll());
    return found.sort((a, b) => b.updated - a.updated);
  }

  async save(conversation) {
    if (!this.database) return;
    try {
      await done(this.table('readwrite').put(conversation));
    } catch {
      // The disk is full: the conversation goes on without being kept.
      this.database = null;
    }
  }

  async remove(id) {
    if (this.database) await done(this.table('readwrite').delete(id));
  }
}

export function readSetting(name, fallback) {
  try {
    const text = localStorage.getItem(`mistral.cpp.${name}`);
    return text === null ? fallback : JSON.parse(text);
  } catch {
    return fallback;
  }
}

export function writeSetting(name, value) {
  try {
    if (value === null) localStorage.removeItem(`mistral.cpp.${name}`);
    else localStorage.setItem(`mistral.cpp.${name}`, JSON.stringify(value));
  } catch {
    // Kept for this page only.
  }
}
