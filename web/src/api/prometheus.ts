// The part of Prometheus' text format that the server page reads: sums over all labels, by name.
export function parseMetrics(text: string): Map<string, number> {
  const out = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{[^}]*\})?\s+([-+.\deEInfNa]+)/u.exec(line);
    if (!match) continue;
    const value = Number(match[2]);
    if (!Number.isFinite(value)) continue;
    const name = match[1] as string;
    out.set(name, (out.get(name) ?? 0) + value);
  }
  return out;
}
