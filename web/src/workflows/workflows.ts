// Workflows are data files (schema.json); this is what reads them: which one a request is for, and
// what is sent to the model.
import type { MessageKey } from '../i18n/en';
import type { Attachment, Sampler } from '../store/types';
import chat from './chat.json';
import code from './code.json';
import { profileCsv } from './csv';
import data from './data.json';
import summarise from './summarise.json';
import translate from './translate.json';
import write from './write.json';

export interface WorkflowOption {
  id: string;
  label: MessageKey;
  kind: 'choice' | 'text';
  hint?: MessageKey;
  default?: string;
  choices?: { value: string; label: MessageKey; text: string }[];
}

export interface Workflow {
  id: string;
  icon: string;
  title: MessageKey;
  hint: MessageKey;
  route: { starts?: string[]; contains?: string[]; files?: string[]; code?: boolean };
  options: WorkflowOption[];
  system?: string;
  prompt: string;
  data?: 'csv';
  steps?: { section: string; max_sections: number };
  sampler?: Sampler;
  examples?: { en?: string[]; zh?: string[] };
}

export const workflows = [chat, translate, summarise, write, data, code] as unknown as Workflow[];

export function workflowOf(id: string | undefined): Workflow {
  return workflows.find((item) => item.id === id) ?? (workflows[0] as Workflow);
}

export interface Route {
  workflow: Workflow;
  reason: 'default' | 'words' | 'file' | 'code' | 'user';
  detail: string; // the word or file name that decided
}

// "contains" rules look at short requests only: in a long text such words mean little.
const SHORT_REQUEST_CHARS = 200;

export function looksLikeCode(text: string): boolean {
  if (/^```/mu.test(text)) return true;
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (lines.length < 3) return false;
  const codeLike = lines.filter((line) => /[;{}]\s*$|^\s{2,}\S|^(?:def|class|import|from|#include|const|let|fn|func)\b/u.test(line));
  return codeLike.length * 2 > lines.length;
}

// The rules in order: files, first words, code, words anywhere. The first that matches decides.
export function route(text: string, files: Attachment[]): Route {
  const request = text.trim().toLowerCase();
  const starts = (workflow: Workflow) => workflow.route.starts?.find((word) => request.startsWith(word));
  for (const workflow of workflows) {
    const word = starts(workflow);
    if (word !== undefined) return { workflow, reason: 'words', detail: word };
  }
  for (const file of files) {
    const name = file.name.toLowerCase();
    const workflow = workflows.find((item) => item.route.files?.some((end) => name.endsWith(end)));
    if (workflow) return { workflow, reason: 'file', detail: file.name };
  }
  if (looksLikeCode(text)) {
    const workflow = workflows.find((item) => item.route.code);
    if (workflow) return { workflow, reason: 'code', detail: '' };
  }
  if (request.length <= SHORT_REQUEST_CHARS) {
    for (const workflow of workflows) {
      const word = workflow.route.contains?.find((item) => contains(request, item));
      if (word !== undefined) return { workflow, reason: 'words', detail: word };
    }
  }
  return { workflow: workflowOf('chat'), reason: 'default', detail: '' };
}

// Latin words must stand alone; Chinese ones may stand anywhere.
function contains(request: string, word: string): boolean {
  const at = request.indexOf(word);
  if (at < 0) return false;
  if (!/^[a-z]/u.test(word)) return true;
  const isLetter = (c: string | undefined) => c !== undefined && /[a-z0-9]/u.test(c);
  return !isLetter(request[at - 1]) && !isLetter(request[at + word.length]);
}

// Fills {names}; a line that has names, all of them empty, goes, and so does a label line (one that
// ends in a colon) left without what it announces.
export function fillPrompt(template: string, values: Record<string, string>): string {
  const out: string[] = [];
  for (const line of template.split('\n')) {
    const names = [...line.matchAll(/\{(\w+)\}/gu)].map((match) => match[1] as string);
    if (names.length > 0 && names.every((name) => !values[name]?.trim())) {
      if (out.at(-1)?.endsWith(':')) out.pop();
      continue;
    }
    out.push(line.replace(/\{(\w+)\}/gu, (_, name: string) => values[name] ?? ''));
  }
  return out.join('\n').replace(/\n{3,}/gu, '\n\n').trim();
}

// A fence longer than any inside the text.
export function fenced(name: string, text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`{3,}/gu)].map((match) => match[0].length));
  const fence = '`'.repeat(longest + 1);
  return `${name}\n${fence}\n${text.replace(/\n$/u, '')}\n${fence}`;
}

export function filesAsText(workflow: Workflow, files: Attachment[]): string {
  return files
    .map((file) => {
      const table = workflow.data === 'csv' ? profileCsv(file.text, file.name) : undefined;
      return table ?? fenced(file.name, file.text);
    })
    .join('\n\n');
}

export function optionTexts(workflow: Workflow, chosen: Record<string, string>): Record<string, string> {
  const out: Record<string, string> = {};
  for (const option of workflow.options) {
    const value = chosen[option.id] ?? option.default ?? '';
    out[option.id] = option.choices?.find((item) => item.value === value)?.text ?? (option.kind === 'text' ? value : '');
  }
  return out;
}

export function promptOf(
  workflow: Workflow,
  input: string,
  files: Attachment[],
  chosen: Record<string, string>,
): string {
  return fillPrompt(workflow.prompt, {
    ...optionTexts(workflow, chosen),
    input,
    files: filesAsText(workflow, files),
  });
}

// "1. Title", "2) Title", "- Title", "一、标题" lines of an outline.
export function sectionsOf(outline: string, limit: number): string[] {
  return outline
    .split('\n')
    .map((line) => /^\s*(?:#+\s*)?(?:\d+[.)、．]|[-*•]|[一二三四五六七八九十]+[、.])\s*(.+)$/u.exec(line)?.[1])
    .filter((title) => title !== undefined)
    .map((title) => title.replace(/\*\*/gu, '').trim())
    .filter((title) => title.length > 0 && title.length <= 200)
    .slice(0, limit);
}
