// Sampler presets: names for a handful of numbers. The default leaves everything to the model.
import type { MessageKey } from '../i18n/en';
import type { Sampler } from '../store/types';

export interface Preset {
  id: string;
  label: MessageKey;
  sampler: Sampler;
}

export const presets: Preset[] = [
  { id: 'default', label: 'params.default', sampler: {} },
  { id: 'precise', label: 'params.precise', sampler: { temperature: 0.2, top_p: 0.8 } },
  { id: 'balanced', label: 'params.balanced', sampler: { temperature: 0.7, top_p: 0.9 } },
  { id: 'creative', label: 'params.creative', sampler: { temperature: 1.1, top_p: 0.95 } },
];

export interface SamplerField {
  name: keyof Sampler;
  label: MessageKey;
  min: number;
  max: number;
  step: number;
}

export const samplerFields: SamplerField[] = [
  { name: 'temperature', label: 'params.temperature', min: 0, max: 2, step: 0.05 },
  { name: 'top_p', label: 'params.top_p', min: 0.01, max: 1, step: 0.01 },
  { name: 'top_k', label: 'params.top_k', min: 1, max: 1000, step: 1 },
  { name: 'min_p', label: 'params.min_p', min: 0, max: 1, step: 0.01 },
  { name: 'repetition_penalty', label: 'params.repetition_penalty', min: 0.5, max: 2, step: 0.01 },
  { name: 'max_tokens', label: 'params.max_tokens', min: 1, max: 1_000_000, step: 1 },
  { name: 'seed', label: 'params.seed', min: 0, max: Number.MAX_SAFE_INTEGER, step: 1 },
];
