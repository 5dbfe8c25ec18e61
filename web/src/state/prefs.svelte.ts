// What this browser remembers of its user's choices. Every value is checked when read.
import { browserLanguage, i18n, type Language } from '../i18n/i18n.svelte';
import { newId } from '../store/ids';
import type { ThinkingMode } from '../store/types';

export type Theme = 'system' | 'light' | 'dark';

export interface Prompt {
  id: string;
  name: string;
  text: string;
}

const KEY = 'yunqi.preferences';
const API_KEY = 'yunqi.key';
const MAX_PROMPTS = 500;

function oneOf<T extends string>(value: unknown, all: readonly T[], otherwise: T): T {
  return all.includes(value as T) ? (value as T) : otherwise;
}

function read(): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(KEY) ?? '{}');
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function readPrompts(value: unknown): Prompt[] {
  if (!Array.isArray(value)) return [];
  return value
    .filter((item): item is Prompt => typeof item?.name === 'string' && typeof item?.text === 'string')
    .slice(0, MAX_PROMPTS)
    .map(({ id, name, text }) => ({ id: typeof id === 'string' ? id : newId('prompt'), name, text }));
}

export class Prefs {
  language = $state<Language | 'system'>('system');
  theme = $state<Theme>('system');
  enterSends = $state(true);
  showStats = $state(true);
  sidebar = $state(true);
  model = $state('');
  thinking = $state<ThinkingMode>('auto');
  thinkingBudget = $state<number | undefined>(undefined);
  prompts = $state.raw<Prompt[]>([]);
  apiKey = $state('');

  constructor() {
    const saved = read();
    this.language = oneOf(saved.language, ['system', 'en', 'zh'], 'system');
    this.theme = oneOf(saved.theme, ['system', 'light', 'dark'], 'system');
    this.thinking = oneOf(saved.thinking, ['off', 'auto', 'on'], 'auto');
    this.enterSends = saved.enterSends !== false;
    this.showStats = saved.showStats !== false;
    this.sidebar = saved.sidebar !== false;
    this.model = typeof saved.model === 'string' ? saved.model : '';
    const budget = saved.thinkingBudget;
    this.thinkingBudget = typeof budget === 'number' && budget > 0 ? Math.floor(budget) : undefined;
    this.prompts = readPrompts(saved.prompts);
    try {
      this.apiKey = sessionStorage.getItem(API_KEY) ?? '';
    } catch {
      // Storage is blocked: the key lives as long as the page.
    }
    this.apply();
  }

  save(): void {
    this.apply();
    const { language, theme, enterSends, showStats, sidebar, model, thinking, thinkingBudget, prompts } = this;
    try {
      localStorage.setItem(
        KEY,
        JSON.stringify({ language, theme, enterSends, showStats, sidebar, model, thinking, thinkingBudget, prompts }),
      );
      sessionStorage.setItem(API_KEY, this.apiKey);
    } catch {
      // Storage is blocked or full: the choices live as long as the page.
    }
  }

  private apply(): void {
    i18n.language = this.language === 'system' ? browserLanguage() : this.language;
    const root = document.documentElement;
    root.lang = i18n.tag;
    if (this.theme === 'system') delete root.dataset.theme;
    else root.dataset.theme = this.theme;
  }
}
