// Ids as OpenAI shapes them: a prefix and random letters; sortable by time within a millisecond.
export function newId(prefix: 'conv' | 'msg' | 'prompt'): string {
  const random = crypto.getRandomValues(new Uint8Array(8));
  const time = Date.now().toString(16).padStart(12, '0');
  return `${prefix}_${time}${Array.from(random, (b) => b.toString(16).padStart(2, '0')).join('')}`;
}
