// A picture that a model asks for in a fenced block: bars or a line over labels, checked before it
// is drawn.
export const MAX_POINTS = 200;

export interface ChartData {
  type: 'bar' | 'line';
  title: string;
  labels: string[];
  values: number[];
}

export function parseChart(json: string): ChartData | undefined {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(json) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { type, title, labels, values } = value;
  if (!Array.isArray(labels) || !Array.isArray(values) || labels.length !== values.length) return undefined;
  if (values.length === 0 || values.length > MAX_POINTS) return undefined;
  if (!values.every((item): item is number => typeof item === 'number' && Number.isFinite(item))) return undefined;
  return {
    type: type === 'line' ? 'line' : 'bar',
    title: typeof title === 'string' ? title.slice(0, 200) : '',
    labels: labels.map((item) => String(item).slice(0, 60)),
    values,
  };
}
