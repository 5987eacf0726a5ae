// How answers are sampled, the colours and the API key.

import {byId, make, setIcon} from './elements.js';
import {readSetting, writeSetting} from './store.js';

// Fields of the request. `max` and `min` are what the API accepts.
const FIELDS = [
  {name: 'temperature', label: 'Temperature', min: 0, max: 2, step: 0.05, hint: '0 is the same answer each time'},
  {name: 'top_p', label: 'Top p', min: 0, max: 1, step: 0.01},
  {name: 'top_k', label: 'Top k', min: 1, max: 100000, step: 1},
  {name: 'min_p', label: 'Min p', min: 0, max: 1, step: 0.01},
  {name: 'max_tokens', label: 'Max tokens', min: 1, max: 1000000, step: 1},
  {name: 'seed', label: 'Seed', min: 0, max: 9007199254740991, step: 1},
  {name: 'frequency_penalty', label: 'Frequency penalty', min: -2, max: 2, step: 0.1},
  {name: 'presence_penalty', label: 'Presence penalty', min: -2, max: 2, step: 0.1},
];
const THEMES = {
  auto: {icon: 'auto', label: 'Colours: as the system', next: 'light'},
  light: {icon: 'sun', label: 'Colours: light', next: 'dark'},
  dark: {icon: 'moon', label: 'Colours: dark', next: 'auto'},
};

export class Settings {
  constructor() {
    this.sampling = readSetting('sampling', {});
    this.system = readSetting('system', '');
    this.keyText = readSetting('key', '');
    this.theme = readSetting('theme', 'auto');
    this.inputs = new Map();
    for (const field of FIELDS) this.addField(field);
    byId('stop-texts').value = (this.sampling.stop || []).join('\n');
    byId('stop-texts').addEventListener('input', () => this.takeStops());
    byId('sampling-reset').addEventListener('click', () => this.reset());
    byId('theme').addEventListener('click', () => this.setTheme(THEMES[this.theme].next));
    byId('settings-key').addEventListener('change', (event) => this.setKey(event.target.value, true));
    byId('settings-open').addEventListener('click', () => {
      byId('settings-key').value = this.keyText;
      byId('settings').showModal();
    });
    byId('key-cancel').addEventListener('click', () => byId('key').close('cancel'));
    byId('settings').addEventListener('click', (event) => {
      if (event.target === byId('settings')) byId('settings').close();
    });
    this.setTheme(THEMES[this.theme] ? this.theme : 'auto');
  }

  addField(field) {
    const input = make('input');
    input.type = 'number';
    input.inputMode = field.step < 1 ? 'decimal' : 'numeric';
    input.min = field.min;
    input.max = field.max;
    input.step = 'any';
    input.id = `sampling-${field.name}`;
    input.placeholder = 'default';
    if (this.sampling[field.name] !== undefined) input.value = this.sampling[field.name];
    const wrong = make('span', 'wrong');
    wrong.id = `${input.id}-wrong`;
    input.setAttribute('aria-describedby', wrong.id);
    input.addEventListener('input', () => this.takeField(field, input, wrong));
    this.inputs.set(field.name, {input, wrong});
    byId('sampling').append(make('label', 'block', field.label, input, wrong));
  }

  takeField(field, input, wrong) {
    const value = input.value === '' ? null : Number(input.value);
    const broken = input.validity.badInput ||
      (value !== null && (value < field.min || value > field.max || (field.step === 1 && !Number.isInteger(value))));
    wrong.textContent = broken ? `${field.step === 1 ? 'A whole number' : 'A number'} from ${field.min} to ${field.max}` : '';
    input.setAttribute('aria-invalid', String(broken));
    if (value === null || broken) delete this.sampling[field.name];
    else this.sampling[field.name] = value;
    writeSetting('sampling', this.sampling);
  }

  takeStops() {
    const stops = byId('stop-texts').value.split('\n').filter((line) => line !== '');
    if (stops.length > 0) this.sampling.stop = stops;
    else delete this.sampling.stop;
    writeSetting('sampling', this.sampling);
  }

  reset() {
    this.sampling = {};
    for (const {input, wrong} of this.inputs.values()) {
      input.value = '';
      input.setAttribute('aria-invalid', 'false');
      wrong.textContent = '';
    }
    byId('stop-texts').value = '';
    writeSetting('sampling', null);
  }

  setTheme(theme) {
    this.theme = theme;
    const {icon, label} = THEMES[theme];
    if (theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    writeSetting('theme', theme === 'auto' ? null : theme);
    const button = byId('theme');
    setIcon(button, icon);
    button.title = label;
    button.setAttribute('aria-label', label);
  }

  setSystem(text) {
    this.system = text;
    writeSetting('system', text === '' ? null : text);
  }

  setKey(text, keep) {
    this.keyText = text.trim();
    writeSetting('key', keep && this.keyText ? this.keyText : null);
  }

  // Asks for the key; false when the reader does not give one.
  askKey(message) {
    const dialog = byId('key');
    byId('key-message').textContent = message;
    byId('key-input').value = '';
    byId('key-remember').checked = readSetting('key', '') !== '';
    return new Promise((resolve) => {
      dialog.addEventListener('close', () => {
        const given = dialog.returnValue === 'use' && byId('key-input').value.trim() !== '';
        if (given) this.setKey(byId('key-input').value, byId('key-remember').checked);
        resolve(given);
      }, {once: true});
      dialog.returnValue = '';
      if (!dialog.open) dialog.showModal();
    });
  }
}
