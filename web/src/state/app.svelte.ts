// The page's state and everything that can be done to it. Components read it and call it; nothing
// else talks to the server or to the store.
import { SvelteMap } from 'svelte/reactivity';
import { ApiClient, ApiError, type ModelInfo } from '../api/client';
import { buildRequest, messagesOf, systemOf, titleOf } from '../chat/request';
import { Run } from '../chat/run.svelte';
import { newestLeaf, pathTo, siblingsOf, subtree } from '../chat/tree';
import { t } from '../i18n/i18n.svelte';
import { fromJson, toJson, toMarkdown, type Exported } from '../store/exchange';
import { newId } from '../store/ids';
import { IndexedDbStore } from '../store/indexeddb_store';
import { MemoryStore } from '../store/memory_store';
import type { Attachment, Conversation, ConversationSettings, ConversationStore, Item, SearchHit } from '../store/types';
import { optionTexts, promptOf, sectionsOf, workflowOf, fillPrompt, type Workflow } from '../workflows/workflows';
import { download, fileName } from './download';
import { Prefs } from './prefs.svelte';

export type Dialog = 'none' | 'palette' | 'settings' | 'shortcuts' | 'prompts' | 'params';
export type Page = 'chat' | 'server';

export interface Toast {
  id: number;
  text: string;
  action?: { label: string; run: () => void };
}

const SAVE_EVERY_MS = 1_500;
const TOAST_MS = 6_000;
const WRITTEN_CHARS = 1_500; // of the text so far that a section's request shows

export class App {
  readonly client = new ApiClient();
  readonly prefs = new Prefs();

  models = $state.raw<ModelInfo[]>([]);
  server = $state<'unknown' | 'ok' | 'unreachable' | 'unauthenticated'>('unknown');
  conversations = $state.raw<Conversation[]>([]);
  current = $state.raw<Conversation | undefined>(undefined);
  items = $state.raw<Item[]>([]);
  page = $state<Page>('chat');
  dialog = $state<Dialog>('none');
  toasts = $state.raw<Toast[]>([]);
  temporary = $state(false);
  drawer = $state(false); // the sidebar on narrow screens
  draftSettings = $state.raw<Partial<ConversationSettings>>({}); // before a conversation exists
  insert = $state.raw<{ text: string; workflow?: string } | undefined>(undefined); // for the input
  announce = $state(''); // for screen readers
  readonly runs = new SvelteMap<string, Run>();

  readonly path = $derived(pathTo(this.items, this.current?.leaf_id ?? null));
  readonly siblings = $derived(siblingsOf(this.items));
  readonly run = $derived(this.current === undefined ? undefined : this.runs.get(this.current.id));
  readonly settings = $derived<ConversationSettings>({
    preset: 'default',
    sampler: {},
    thinking: this.prefs.thinking,
    thinking_budget: this.prefs.thinkingBudget,
    ...(this.current?.settings ?? this.draftSettings),
  });
  readonly modelId = $derived(this.pickModel(this.settings.model));
  readonly model = $derived(this.models.find((model) => model.id === this.modelId));

  private readonly disk: ConversationStore = new IndexedDbStore();
  private readonly memory: ConversationStore = new MemoryStore();
  private readonly unsupported = new Map<string, Set<string>>(); // fields by model
  private nextToast = 1;

  async start(): Promise<void> {
    this.client.key = this.prefs.apiKey;
    addEventListener('hashchange', () => void this.followHash());
    await Promise.all([this.refreshModels(), this.loadList()]);
    await this.followHash();
  }

  // ---- server ----------------------------------------------------------------------------------

  async refreshModels(): Promise<void> {
    try {
      this.models = await this.client.models();
      this.server = 'ok';
    } catch (error) {
      const status = error instanceof ApiError ? error.status : 0;
      this.server = status === 401 || status === 403 ? 'unauthenticated' : 'unreachable';
    }
  }

  setKey(key: string): void {
    this.prefs.apiKey = key;
    this.prefs.save();
    this.client.key = key;
    void this.refreshModels();
  }

  private pickModel(wanted: string | undefined): string {
    for (const id of [wanted, this.prefs.model]) {
      if (id && this.models.some((model) => model.id === id)) return id;
    }
    return this.models[0]?.id ?? '';
  }

  // ---- conversations ---------------------------------------------------------------------------

  private storeOf(conversation: Conversation): ConversationStore {
    return conversation.temporary ? this.memory : this.disk;
  }

  private async loadList(): Promise<void> {
    try {
      this.conversations = await this.disk.list();
    } catch (error) {
      this.storageFailed(error);
    }
  }

  private storageFailed(error: unknown): void {
    this.toast(t('error.storage', { reason: error instanceof Error ? error.message : String(error) }));
  }

  // `#/c/ID`, `#/server`, or the start.
  private async followHash(): Promise<void> {
    const [, place, id] = location.hash.split('/');
    this.page = place === 'server' ? 'server' : 'chat';
    if (place === 'c' && id) {
      if (this.current?.id !== id) await this.load(id);
    } else if (this.page === 'chat') {
      this.current = undefined;
      this.items = [];
      this.draftSettings = {};
    }
  }

  private async load(id: string): Promise<void> {
    try {
      const conversation = (await this.memory.get(id)) ?? (await this.disk.get(id));
      if (conversation === undefined) {
        this.go('');
        return;
      }
      const items = await this.storeOf(conversation).items(id);
      // An answer that was being written when the page closed ends where it was.
      const running = this.runs.get(id);
      this.items = items.map((item) =>
        item.status === 'in_progress' && running?.item_id !== item.id ? { ...item, status: 'incomplete' } : item,
      );
      this.current = conversation;
      this.temporary = conversation.temporary;
    } catch (error) {
      this.storageFailed(error);
    }
  }

  go(hash: string): void {
    this.drawer = false;
    this.dialog = 'none';
    if (location.hash.replace(/^#/u, '') === hash) void this.followHash();
    else location.hash = hash;
  }

  open(id: string): void {
    this.go(`/c/${id}`);
  }

  newChat(temporary = false): void {
    this.temporary = temporary;
    this.go('/');
    this.insert = { text: '' };
  }

  private async save(conversation: Conversation): Promise<void> {
    if (this.current?.id === conversation.id) this.current = conversation;
    if (!conversation.temporary) {
      const others = this.conversations.filter((item) => item.id !== conversation.id);
      this.conversations = [conversation, ...others].sort((a, b) => b.updated_at - a.updated_at);
    }
    try {
      await this.storeOf(conversation).put(conversation);
    } catch (error) {
      this.storageFailed(error);
    }
  }

  private async saveItem(conversation: Conversation, item: Item): Promise<void> {
    if (this.current?.id === conversation.id) {
      const at = this.items.findIndex((candidate) => candidate.id === item.id);
      this.items = at < 0 ? [...this.items, item] : this.items.with(at, item);
    }
    try {
      await this.storeOf(conversation).putItems([item]);
    } catch (error) {
      this.storageFailed(error);
    }
  }

  async rename(conversation: Conversation, title: string): Promise<void> {
    await this.save({ ...conversation, title: title.trim().slice(0, 200), title_source: 'user' });
  }

  async pin(conversation: Conversation): Promise<void> {
    await this.save({ ...conversation, pinned: !conversation.pinned });
  }

  async remove(conversation: Conversation): Promise<void> {
    this.runs.get(conversation.id)?.stop();
    const store = this.storeOf(conversation);
    const items = await store.items(conversation.id);
    await store.remove(conversation.id);
    this.conversations = this.conversations.filter((item) => item.id !== conversation.id);
    if (this.current?.id === conversation.id) this.go('/');
    this.toast(t('list.deleted'), {
      label: t('app.undo'),
      run: () => void store.putItems(items).then(() => this.save(conversation)),
    });
  }

  async removeAll(): Promise<void> {
    for (const run of this.runs.values()) run.stop();
    await this.disk.clear();
    await this.memory.clear();
    this.conversations = [];
    this.go('/');
    this.toast(t('settings.deleted_all'));
  }

  search(query: string, limit: number): Promise<SearchHit[]> {
    return this.disk.search(query, limit);
  }

  updateSettings(change: Partial<ConversationSettings>): void {
    if (change.thinking !== undefined) this.prefs.thinking = change.thinking;
    if ('thinking_budget' in change) this.prefs.thinkingBudget = change.thinking_budget;
    if (change.model !== undefined) this.prefs.model = change.model;
    this.prefs.save();
    if (this.current === undefined) this.draftSettings = { ...this.draftSettings, ...change };
    else void this.save({ ...this.current, settings: { ...this.current.settings, ...change } });
  }

  // ---- export and import -----------------------------------------------------------------------

  private async exported(conversation: Conversation): Promise<Exported> {
    return { conversation, items: await this.storeOf(conversation).items(conversation.id) };
  }

  async exportJson(conversations: Conversation[]): Promise<void> {
    const all = await Promise.all(conversations.map((item) => this.exported(item)));
    const name = conversations.length === 1 ? fileName(conversations[0]?.title ?? '') : 'yunqi-conversations';
    download(`${name}.json`, 'application/json', toJson(all, t('notice.export'), new Date()));
  }

  async exportMarkdown(conversation: Conversation): Promise<void> {
    const text = toMarkdown(await this.exported(conversation), {
      notice: t('notice.export'),
      user: t('message.user'),
      assistant: t('message.assistant'),
      thinking: t('thinking.plain'),
      untitled: t('list.untitled'),
    });
    download(`${fileName(conversation.title)}.md`, 'text/markdown', text);
  }

  async importJson(json: string): Promise<void> {
    try {
      const all = fromJson(json);
      for (const { conversation, items } of all) {
        await this.disk.putItems(items);
        await this.disk.put(conversation);
      }
      await this.loadList();
      this.toast(t('settings.imported', { count: all.length }));
    } catch (error) {
      this.toast(t('settings.import_failed', { reason: error instanceof Error ? error.message : String(error) }));
    }
  }

  // ---- chat ------------------------------------------------------------------------------------

  private create(first: string): Conversation {
    const now = Date.now();
    return {
      id: newId('conv'),
      object: 'conversation',
      created_at: now,
      updated_at: now,
      title: titleOf(first),
      title_source: 'first_message',
      pinned: false,
      temporary: this.temporary,
      settings: { ...this.settings, model: this.modelId || undefined },
      leaf_id: null,
    };
  }

  private item(conversation: Conversation, parent_id: string | null, fields: Partial<Item> & Pick<Item, 'role'>): Item {
    return {
      id: newId('msg'),
      object: 'conversation.item',
      conversation_id: conversation.id,
      parent_id,
      status: 'completed',
      created_at: Date.now(),
      content: '',
      ...fields,
    };
  }

  async send(text: string, files: Attachment[], workflow: Workflow, options: Record<string, string>): Promise<void> {
    const conversation = this.current ?? this.create(text || (files[0]?.name ?? ''));
    if (this.current === undefined) {
      this.items = [];
      this.current = conversation;
      history.replaceState(null, '', `#/c/${conversation.id}`);
    }
    const content = promptOf(workflow, text, files, options);
    await this.ask(conversation, conversation.leaf_id, {
      role: 'user',
      content,
      shown: content === text ? undefined : text,
      attachments: files.length > 0 ? files : undefined,
      workflow: workflow.id,
    });
  }

  // A changed message becomes a sibling of the old one.
  async edit(item: Item, text: string): Promise<void> {
    const conversation = this.current;
    if (conversation === undefined) return;
    const workflow = workflowOf(item.workflow);
    const content = promptOf(workflow, text, item.attachments ?? [], {});
    await this.ask(conversation, item.parent_id, {
      role: 'user',
      content,
      shown: content === text ? undefined : text,
      attachments: item.attachments,
      workflow: item.workflow,
    });
  }

  private async ask(conversation: Conversation, parent_id: string | null, fields: Partial<Item> & Pick<Item, 'role'>) {
    const question = this.item(conversation, parent_id, fields);
    const moved = { ...conversation, leaf_id: question.id, updated_at: Date.now() };
    await this.saveItem(moved, question);
    await this.save(moved);
    await this.answer(moved, question);
  }

  async regenerate(item: Item, model?: string): Promise<void> {
    const question = this.items.find((candidate) => candidate.id === item.parent_id);
    if (this.current === undefined || question === undefined) return;
    await this.answer(this.current, question, model);
  }

  // Answers `question`, as a new child of it.
  private async answer(conversation: Conversation, question: Item, model?: string): Promise<void> {
    const used = model ?? this.modelId;
    const reply = this.item(conversation, question.id, { role: 'assistant', status: 'in_progress', model: used });
    const moved = { ...conversation, leaf_id: reply.id, updated_at: Date.now() };
    await this.saveItem(moved, reply);
    await this.save(moved);
    const workflow = workflowOf(question.workflow);
    await this.write(moved, reply, async (run) => {
      const messages = messagesOf(pathTo(this.items, question.id), systemOf(conversation.settings, workflow));
      const request = buildRequest(used, messages, conversation.settings, workflow.sampler ?? {});
      const fields = this.unsupportedBy(used);
      if (workflow.steps) return this.writeSections(run, request, question, workflow, fields);
      return run.stream(this.client, request, fields);
    });
  }

  private async writeSections(
    run: Run,
    request: ReturnType<typeof buildRequest>,
    question: Item,
    workflow: Workflow,
    fields: Set<string>,
  ) {
    const steps = workflow.steps as NonNullable<Workflow['steps']>;
    run.step = { index: 1, count: steps.max_sections, name: '' };
    let end = await run.stream(this.client, request, fields);
    const outline = run.fullText;
    const titles = sectionsOf(outline, steps.max_sections);
    if (titles.length < 2 || end.finish_reason === 'length') return end;
    for (const [at, section] of titles.entries()) {
      run.step = { index: at + 2, count: titles.length + 1, name: section };
      run.append(`\n\n## ${section}\n\n`);
      const text = fillPrompt(steps.section, {
        ...optionTexts(workflow, {}),
        input: question.shown ?? question.content,
        outline,
        section,
        written: run.fullText.slice(outline.length).slice(-WRITTEN_CHARS),
      });
      const system = request.messages.filter((message) => message.role === 'system');
      end = await run.stream(this.client, { ...request, messages: [...system, { role: 'user', content: text }] }, fields);
    }
    return end;
  }

  async continue(item: Item): Promise<void> {
    const conversation = this.current;
    if (conversation === undefined) return;
    const used = item.model ?? this.modelId;
    const path = pathTo(this.items, item.id);
    const workflow = workflowOf(path.findLast((candidate) => candidate.role === 'user')?.workflow);
    const system = systemOf(conversation.settings, workflow);
    await this.write(conversation, { ...item, status: 'in_progress', error: undefined }, async (run) => {
      const settings = { ...conversation.settings, thinking: 'off' as const };
      const request = buildRequest(used, messagesOf(path, system), settings, workflow.sampler ?? {});
      const fields = this.unsupportedBy(used);
      if (!fields.has('continue_final_message')) {
        try {
          const more = { ...request, continue_final_message: true, add_generation_prompt: false };
          return await run.stream(this.client, more, fields);
        } catch (error) {
          if (!(error instanceof ApiError) || error.status !== 400) throw error;
          fields.add('continue_final_message').add('add_generation_prompt');
        }
      }
      const ask = { role: 'user', content: t('message.continue_prompt') };
      return run.stream(this.client, { ...request, messages: [...request.messages, ask] }, new Set(fields));
    });
  }

  private unsupportedBy(model: string): Set<string> {
    const known = this.unsupported.get(model) ?? new Set<string>();
    this.unsupported.set(model, known);
    return known;
  }

  // Runs `produce` into `reply`, keeping what has come whenever and however it ends.
  private async write(conversation: Conversation, reply: Item, produce: (run: Run) => Promise<{ finish_reason: string; usage?: Item['usage'] }>): Promise<void> {
    const run = new Run(conversation.id, reply.id, reply.content, reply.reasoning ?? '');
    this.runs.set(conversation.id, run);
    this.announce = t('message.answering');
    await this.saveItem(conversation, reply);
    let savedAt = Date.now();
    const snapshot = (fields: Partial<Item>): Item => ({
      ...reply,
      content: run.fullText,
      reasoning: run.fullReasoning || undefined,
      timings: run.timings(),
      notes: run.notes.size > 0 ? [...run.notes] : undefined,
      ...fields,
    });
    run.onFrame = () => {
      if (Date.now() - savedAt < SAVE_EVERY_MS) return;
      savedAt = Date.now();
      void this.storeOf(conversation).putItems([snapshot({})]).catch(() => undefined);
    };
    let last: Item;
    try {
      const end = await produce(run);
      last = snapshot({ status: 'completed', finish_reason: end.finish_reason, usage: end.usage });
    } catch (error) {
      last = snapshot(run.controller.signal.aborted ? { status: 'incomplete' } : { status: 'failed', error: this.explain(error) });
    }
    run.onFrame = undefined;
    run.flush();
    await this.saveItem(conversation, last);
    this.runs.delete(conversation.id);
    this.announce = last.status === 'failed' ? (last.error ?? '') : t('message.answered');
  }

  private explain(error: unknown): string {
    if (!(error instanceof ApiError)) return t('error.failed', { reason: error instanceof Error ? error.message : String(error) });
    if (error.message === 'unreachable') return t('error.unreachable');
    if (error.status === 0) return t('error.lost');
    if (error.status === 401) return t('error.unauthenticated');
    if (error.status === 413 || /context/iu.test(error.message)) return t('error.too_long');
    return t('error.failed', { reason: error.message });
  }

  stop(): void {
    this.run?.stop();
  }

  async finishThinking(): Promise<void> {
    const id = this.run?.requestId;
    if (!id) return;
    try {
      await this.client.finishThinking(id);
    } catch (error) {
      this.toast(this.explain(error));
    }
  }

  async turnTo(sibling_id: string): Promise<void> {
    if (this.current === undefined || this.run !== undefined) return;
    await this.save({ ...this.current, leaf_id: newestLeaf(this.items, sibling_id) });
  }

  async removeItem(item: Item): Promise<void> {
    const conversation = this.current;
    if (conversation === undefined || this.run !== undefined) return;
    const gone = subtree(this.items, item.id);
    const before = this.items;
    const removed = before.filter((candidate) => gone.has(candidate.id));
    const ids = this.siblings.get(item.id)?.ids.filter((id) => id !== item.id) ?? [];
    this.items = before.filter((candidate) => !gone.has(candidate.id));
    const beside = ids.at(-1);
    const leaf_id = beside === undefined ? item.parent_id : newestLeaf(this.items, beside);
    await this.storeOf(conversation).removeItems(conversation.id, [...gone]);
    await this.save({ ...conversation, leaf_id });
    this.toast(t('message.deleted'), {
      label: t('app.undo'),
      run: () => {
        if (this.current?.id === conversation.id) this.items = before;
        void this.storeOf(conversation).putItems(removed).then(() => this.save(conversation));
      },
    });
  }

  // ---- small things ----------------------------------------------------------------------------

  toast(text: string, action?: Toast['action']): void {
    const id = this.nextToast++;
    this.toasts = [...this.toasts.slice(-2), { id, text, action }];
    setTimeout(() => this.dismiss(id), TOAST_MS);
  }

  dismiss(id: number): void {
    this.toasts = this.toasts.filter((item) => item.id !== id);
  }

  async copy(text: string): Promise<boolean> {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return false;
    }
  }
}

export const app = new App();
