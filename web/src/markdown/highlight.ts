// highlight.js, loaded when the first code block closes. Its output goes through the sanitiser too.
import DOMPurify from 'dompurify';

const MAX_HIGHLIGHTED_CHARS = 60_000;

type Highlighter = typeof import('./highlight_languages').default;
let loading: Promise<Highlighter> | undefined;

// Safe HTML, or undefined when the language is not known or the code is too long to colour.
export async function highlight(code: string, language: string): Promise<string | undefined> {
  if (code.length > MAX_HIGHLIGHTED_CHARS || language === '') return undefined;
  loading ??= import('./highlight_languages').then((module) => module.default);
  const highlighter = await loading;
  const name = language.toLowerCase();
  if (!highlighter.getLanguage(name)) return undefined;
  const { value } = highlighter.highlight(code, { language: name, ignoreIllegals: true });
  return DOMPurify.sanitize(value, {
    ALLOWED_TAGS: ['span'],
    ALLOWED_ATTR: ['class'],
    RETURN_TRUSTED_TYPE: true,
  }) as unknown as string;
}
