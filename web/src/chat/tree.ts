// A conversation is a tree of items; what is shown is the path from a root to one leaf.
import type { Item } from '../store/types';

function byId(items: Item[]): Map<string, Item> {
  return new Map(items.map((item) => [item.id, item]));
}

// Root first. An unknown leaf gives an empty path; a circle is cut where it closes.
export function pathTo(items: Item[], leaf_id: string | null): Item[] {
  const map = byId(items);
  const path: Item[] = [];
  const seen = new Set<string>();
  let at = leaf_id === null ? undefined : map.get(leaf_id);
  while (at !== undefined && !seen.has(at.id)) {
    seen.add(at.id);
    path.push(at);
    at = at.parent_id === null ? undefined : map.get(at.parent_id);
  }
  return path.reverse();
}

export interface Siblings {
  index: number;
  ids: string[]; // oldest first, the item itself among them
}

// The alternatives to every item of a tree, in one pass.
export function siblingsOf(items: Item[]): Map<string, Siblings> {
  const groups = new Map<string, string[]>();
  for (const item of items) {
    const key = `${item.parent_id ?? ''} ${item.role}`;
    const group = groups.get(key);
    if (group) group.push(item.id);
    else groups.set(key, [item.id]);
  }
  const out = new Map<string, Siblings>();
  for (const ids of groups.values()) ids.forEach((id, index) => out.set(id, { index, ids }));
  return out;
}

// The newest leaf below an item: where the navigator lands when it turns to another branch.
export function newestLeaf(items: Item[], from: string): string {
  const children = new Map<string, Item>();
  for (const item of items) {
    if (item.parent_id === null) continue;
    const best = children.get(item.parent_id);
    if (best === undefined || best.created_at <= item.created_at) children.set(item.parent_id, item);
  }
  let at = from;
  for (let steps = 0; steps <= items.length; ++steps) {
    const next = children.get(at);
    if (next === undefined) break;
    at = next.id;
  }
  return at;
}

// An item with everything below it.
export function subtree(items: Item[], root: string): Set<string> {
  const out = new Set([root]);
  for (let before = 0; before !== out.size; ) {
    before = out.size;
    for (const item of items) {
      if (item.parent_id !== null && out.has(item.parent_id)) out.add(item.id);
    }
  }
  return out;
}
