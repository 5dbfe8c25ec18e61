// Markdown tokens to safe HTML. Raw HTML in the source is shown as text; what marked makes goes
// through DOMPurify with short lists of elements and attributes; outside images become links.
import DOMPurify, { type Config } from 'dompurify';
import { Marked, type Token, type Tokens } from 'marked';
import { mathExtensions } from './math_syntax';

const SAFE_LINK = /^(?:https?:|mailto:)/iu;
const SAFE_IMAGE = /^data:image\/(?:png|jpeg|gif|webp);base64,/iu;

export function escapeHtml(text: string): string {
  return text.replace(
    /[&<>"']/gu,
    (c) => `&#${c.charCodeAt(0)};`,
  );
}

function link(href: string, label: string, title: string | null | undefined): string {
  if (!SAFE_LINK.test(href.trim())) return label;
  const tip = title ? ` title="${escapeHtml(title)}"` : '';
  return `<a href="${escapeHtml(href.trim())}"${tip}>${label}</a>`;
}

const renderer = new Marked({
  gfm: true,
  extensions: mathExtensions.map((extension) => ({
    ...extension,
    renderer: (token: Tokens.Generic) =>
      `<span class="math" data-display="${token.type === 'math_block'}">${escapeHtml(String(token.text))}</span>`,
  })),
  renderer: {
    html: ({ text }: Tokens.HTML | Tokens.Tag) => escapeHtml(text),
    link({ href, title, tokens }: Tokens.Link) {
      return link(href, this.parser.parseInline(tokens), title);
    },
    image({ href, title, text }: Tokens.Image) {
      const label = escapeHtml(text || title || href);
      if (SAFE_IMAGE.test(href)) return `<img src="${escapeHtml(href)}" alt="${label}">`;
      return link(href, `<span class="outside-image">${label}</span>`, title);
    },
    table(token: Tokens.Table) {
      const cell = (item: Tokens.TableCell, tag: string) =>
        `<${tag}${item.align ? ` class="align-${item.align}"` : ''}>${this.parser.parseInline(item.tokens)}</${tag}>`;
      const head = token.header.map((item) => cell(item, 'th')).join('');
      const rows = token.rows
        .map((row) => `<tr>${row.map((item) => cell(item, 'td')).join('')}</tr>`)
        .join('');
      return `<div class="table-scroll" tabindex="0" role="group"><table><thead><tr>${head}</tr></thead><tbody>${rows}</tbody></table></div>`;
    },
    checkbox: ({ checked }: Tokens.Checkbox) => (checked ? '☑ ' : '☐ '),
  },
});

const POLICY: Config = {
  ALLOWED_TAGS: [
    'a', 'blockquote', 'br', 'code', 'del', 'div', 'em', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'hr', 'img',
    'li', 'ol', 'p', 'pre', 'span', 'strong', 'sub', 'sup', 'table', 'tbody', 'td', 'th', 'thead', 'tr', 'ul',
  ],
  ALLOWED_ATTR: ['href', 'title', 'alt', 'src', 'start', 'class', 'data-display', 'target', 'rel', 'tabindex', 'role'],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|data:image\/(?:png|jpeg|gif|webp);base64,)/iu,
};

let hooked = false;

function hook(): void {
  if (hooked) return;
  hooked = true;
  DOMPurify.addHook('afterSanitizeAttributes', (node) => {
    if (node.nodeName === 'A') {
      node.setAttribute('target', '_blank');
      node.setAttribute('rel', 'noopener noreferrer nofollow');
    }
    if (node.nodeName === 'IMG' && !SAFE_IMAGE.test(node.getAttribute('src') ?? '')) node.remove();
  });
}

// The result may be given to innerHTML. A TrustedHTML where the browser has them.
export function renderTokens(tokens: Token[]): string {
  hook();
  const html = renderer.parser(tokens);
  return DOMPurify.sanitize(html, { ...POLICY, RETURN_TRUSTED_TYPE: true }) as unknown as string;
}
