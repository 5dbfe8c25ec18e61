// A CSV file as a model can use it: exact figures of every column, computed here, and rows.

const MAX_ROWS_SHOWN = 60;
const MAX_SHOWN_CHARS = 6_000;
const MAX_COLUMNS = 60;
const TOP_VALUES = 6;

// RFC 4180 with a separator found in the first line; quotes may hold separators and line ends.
export function parseCsv(text: string): string[][] {
  const source = text.startsWith('\ufeff') ? text.slice(1) : text;
  const separator = separatorOf(source);
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = '';
  let quoted = false;
  for (let i = 0; i < source.length; ++i) {
    const c = source[i] as string;
    if (quoted) {
      if (c !== '"') cell += c;
      else if (source[i + 1] === '"') cell += source[++i];
      else quoted = false;
      continue;
    }
    if (c === '"' && cell === '') quoted = true;
    else if (c === separator) {
      row.push(cell);
      cell = '';
    } else if (c === '\n' || c === '\r') {
      if (c === '\r' && source[i + 1] === '\n') ++i;
      row.push(cell);
      if (row.length > 1 || row[0] !== '') rows.push(row);
      row = [];
      cell = '';
    } else cell += c;
  }
  row.push(cell);
  if (row.length > 1 || row[0] !== '') rows.push(row);
  return rows;
}

function separatorOf(source: string): string {
  const line = source.slice(0, 10_000).split(/[\r\n]/u, 1)[0] ?? '';
  const count = (c: string) => line.split(c).length;
  return [',', '\t', ';', '|'].reduce((best, c) => (count(c) > count(best) ? c : best), ',');
}

export function toNumber(text: string): number | undefined {
  const plain = text.trim().replace(/^[¥$€£]/u, '').replace(/(\d),(?=\d{3}\b)/gu, '$1').replace(/%$/u, '');
  if (!/^[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/iu.test(plain)) return undefined;
  return Number(plain);
}

const short = (value: number): string => String(Math.round(value * 1e6) / 1e6);

function profileColumn(name: string, cells: string[]): string {
  const filled = cells.filter((cell) => cell.trim() !== '');
  const numbers = filled.map(toNumber).filter((value) => value !== undefined);
  const missing = cells.length - filled.length;
  const gaps = missing > 0 ? `; ${missing} empty` : '';
  if (numbers.length > 0 && numbers.length === filled.length) {
    const sum = numbers.reduce((a, b) => a + b, 0);
    const extreme = (pick: (a: number, b: number) => boolean) =>
      numbers.reduce((a, b) => (pick(a, b) ? a : b));
    const min = extreme((a, b) => a <= b);
    const max = extreme((a, b) => a >= b);
    return `- ${name}: numbers; count ${numbers.length}; sum ${short(sum)}; mean ${short(sum / numbers.length)}; min ${short(min)} (row ${cells.findIndex((cell) => toNumber(cell) === min) + 1}); max ${short(max)} (row ${cells.findIndex((cell) => toNumber(cell) === max) + 1})${gaps}`;
  }
  const counts = new Map<string, number>();
  for (const cell of filled) counts.set(cell, (counts.get(cell) ?? 0) + 1);
  const top = [...counts].sort((a, b) => b[1] - a[1]).slice(0, TOP_VALUES);
  const list = top.map(([value, count]) => `${value.slice(0, 40)} ×${count}`).join(', ');
  return `- ${name}: text; ${counts.size} different values; most often ${list}${gaps}`;
}

// Undefined when this is no table.
export function profileCsv(text: string, name: string): string | undefined {
  const [header, ...rows] = parseCsv(text);
  if (header === undefined || header.length < 2 || rows.length === 0) return undefined;
  const columns = header.slice(0, MAX_COLUMNS);
  const profiles = columns.map((title, at) => profileColumn(title || `column ${at + 1}`, rows.map((row) => row[at] ?? '')));
  const shown: string[] = [];
  let size = 0;
  for (const row of rows.slice(0, MAX_ROWS_SHOWN)) {
    const line = row.slice(0, MAX_COLUMNS).map((cell) => cell.replace(/[|\n\r]/gu, ' ')).join(' | ');
    size += line.length;
    if (size > MAX_SHOWN_CHARS) break;
    shown.push(line);
  }
  const which = shown.length < rows.length ? `the first ${shown.length} of ${rows.length} rows` : `all ${rows.length} rows`;
  return [
    `Table ${name}: ${rows.length} rows, ${header.length} columns.`,
    'Profile of all rows:',
    ...profiles,
    '',
    `Here are ${which}:`,
    columns.join(' | '),
    ...shown,
  ].join('\n');
}
