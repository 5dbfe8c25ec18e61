// TeX to MathML with Temml, loaded when the first formula appears. The server's policy allows no
// style attributes, so the few that matter are set through the object model afterwards.
import DOMPurify from 'dompurify';

const MAX_TEX_CHARS = 8_000;
// Only lengths, colours and the like; nothing that can load or cover anything.
const STYLES = new Set([
  'color', 'background-color', 'font-weight', 'font-style', 'font-size', 'text-align', 'padding',
  'padding-left', 'padding-right', 'margin-left', 'margin-right', 'border', 'border-top', 'border-bottom',
  'border-left', 'border-right', 'width', 'height', 'vertical-align', 'math-style', 'math-depth',
]);

type Temml = typeof import('temml').default;
let loading: Promise<Temml> | undefined;

function applyStyle(element: HTMLElement, text: string): void {
  for (const declaration of text.split(';')) {
    const [name = '', value = ''] = declaration.split(':').map((part) => part.trim());
    if (STYLES.has(name) && /^[\w\s.#%()-]*$/u.test(value) && !/url|expression/iu.test(value)) {
      element.style.setProperty(name, value);
    }
  }
}

// Puts the formula into `target`; leaves its text (the TeX source) when it has an error.
export async function renderMath(target: HTMLElement, tex: string, display: boolean): Promise<void> {
  if (tex.length > MAX_TEX_CHARS) return;
  loading ??= import('temml').then((module) => module.default);
  const temml = await loading;
  let html: string;
  try {
    html = temml.renderToString(tex, { displayMode: display, throwOnError: true, maxExpand: 200, maxSize: [30, 30] });
  } catch {
    target.classList.add('math-error');
    return;
  }
  const fragment = DOMPurify.sanitize(html.replaceAll(' style="', ' data-style="'), {
    USE_PROFILES: { mathMl: true },
    ADD_ATTR: ['data-style', 'class'],
    FORBID_ATTR: ['href', 'xlink:href', 'src', 'style'],
    RETURN_DOM_FRAGMENT: true,
  });
  for (const element of fragment.querySelectorAll<HTMLElement>('[data-style]')) {
    applyStyle(element, element.getAttribute('data-style') ?? '');
    element.removeAttribute('data-style');
  }
  target.replaceChildren(fragment);
  target.classList.add('math-done');
}

// All formulas inside an element that was just rendered.
export function renderMathIn(root: HTMLElement): void {
  for (const element of root.querySelectorAll<HTMLElement>('span.math:not(.math-done)')) {
    void renderMath(element, element.textContent ?? '', element.dataset.display === 'true');
  }
}
