// The page's language: t('key', values) in templates follows it without a reload.
import { en, type MessageKey } from './en';
import { zh } from './zh';

export type Language = 'en' | 'zh';
export const languages: Record<Language, Record<MessageKey, string>> = { en, zh };

export function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/gu, (whole, name: string) => String(values[name] ?? whole));
}

export function browserLanguage(preferred: readonly string[] = navigator.languages): Language {
  for (const tag of preferred) {
    if (/^zh\b/iu.test(tag)) return 'zh';
    if (/^en\b/iu.test(tag)) return 'en';
  }
  return 'en';
}

class I18n {
  language = $state<Language>('en');
  readonly tag = $derived(this.language === 'zh' ? 'zh-CN' : 'en');
}

export const i18n = new I18n();

export function t(key: MessageKey, values: Record<string, string | number> = {}): string {
  return fill(languages[i18n.language][key], values);
}

export function number(value: number, digits = 0): string {
  return new Intl.NumberFormat(i18n.tag, { maximumFractionDigits: digits }).format(value);
}

export function percent(value: number): string {
  return new Intl.NumberFormat(i18n.tag, { style: 'percent' }).format(value);
}

// "850 ms", "3.2 s", "1 min 5 s"
export function duration(ms: number): string {
  const unit = (value: number, name: string, digits = 0) =>
    new Intl.NumberFormat(i18n.tag, {
      style: 'unit',
      unit: name,
      unitDisplay: 'narrow',
      maximumFractionDigits: digits,
    }).format(value);
  if (ms < 1000) return unit(Math.round(ms), 'millisecond');
  if (ms < 60_000) return unit(ms / 1000, 'second', 1);
  return `${unit(Math.floor(ms / 60_000), 'minute')} ${unit(Math.round((ms % 60_000) / 1000), 'second')}`;
}

export function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  if (count < 1 << 20) return `${number(count / 1024, 1)} KB`;
  return `${number(count / (1 << 20), 1)} MB`;
}
