// Who runs, and where its state lies: the other half of scheduler.h.
#include <algorithm>

#include "base/check.h"
#include "engine/scheduler.h"

namespace yunqi {
namespace {

bool ranks_before(const Sequence* a, const Sequence* b) {
  return a->priority != b->priority ? a->priority > b->priority : a->id < b->id;
}

void insert_by_rank(std::vector<Sequence*>& list, Sequence* sequence) {
  list.insert(std::upper_bound(list.begin(), list.end(), sequence, ranks_before), sequence);
}

}  // namespace

void Scheduler::add(Sequence* sequence) {
  YQ_CHECK(sequence->state == Sequence::State::kIdle && sequence->pages.empty(),
           "sequence {} is scheduled already", sequence->id);
  YQ_CHECK(sequence->size() > 0 && sequence->size() < limits_.max_context, "{} tokens of {}",
           sequence->size(), limits_.max_context);
  sequence->state = Sequence::State::kWaiting;
  sequence->account = flows_.join(sequence->flow, sequence->weight);
  insert_by_rank(waiting_, sequence);
}

void Scheduler::remove(Sequence* sequence) {
  std::replace(planned_.begin(), planned_.end(), sequence, static_cast<Sequence*>(nullptr));
  if (sequence->state == Sequence::State::kIdle) return;
  if (sequence->state == Sequence::State::kWaiting) std::erase(waiting_, sequence);
  if (sequence->state == Sequence::State::kRunning) free_state(*sequence);
  flows_.leave(sequence->account);
  sequence->account = nullptr;
  sequence->state = Sequence::State::kIdle;
}

// Leaves the running; what it computed stays findable as long as nobody needs the pages.
void Scheduler::free_state(Sequence& sequence) {
  share_computed(sequence);
  std::erase(running_, &sequence);
  --sequence.account->running;
  for (const int32_t page : sequence.pages) cache_.release(page);
  sequence.pages.clear();
  sequence.computed = sequence.shared = 0;
  if (sequence.slot < 0) return;
  std::erase_if(commits_, [&](const StateCommit& c) { return c.slot == sequence.slot; });
  std::erase_if(copies_, [&](const StateCopy& c) { return c.to == sequence.slot; });
  states_.release(sequence.slot);
  sequence.slot = -1;
}

void Scheduler::preempt(Sequence* sequence) {
  free_state(*sequence);
  sequence->state = Sequence::State::kWaiting;
  ++sequence->preemptions;
  ++preemptions_;
  insert_by_rank(waiting_, sequence);
}

// ---- the prefix cache --------------------------------------------------------------------------

// Pages that are full by now join the cache; twins of pages that it has are given back. So are
// pages that only drafts needed.
void Scheduler::share_computed(Sequence& sequence) {
  while (static_cast<int32_t>(sequence.pages.size()) > pages_for(sequence.size())) {
    cache_.release(sequence.pages.back());
    sequence.pages.pop_back();
  }
  while (cache_.enabled() && sequence.shareable &&
         (sequence.shared + 1) * limits_.page_tokens <= sequence.computed) {
    const int32_t at = sequence.shared;
    const int32_t parent = at == 0 ? -1 : sequence.pages[static_cast<size_t>(at - 1)];
    int32_t& page = sequence.pages[static_cast<size_t>(at)];
    const int32_t shared =
        cache_.insert(parent, key_of(sequence, at), page_tokens(sequence, at), page);
    sequence.shareable = shared >= 0;
    if (!sequence.shareable) return;
    if (shared == page && fresh_.size() < fresh_.capacity()) {
      fresh_.push_back({page, key_of(sequence, at)});
    }
    page = shared;
    ++sequence.shared;
  }
}

// The last token is always computed, and so is every prompt token whose logits are still wanted.
int32_t Scheduler::cacheable_pages(const Sequence& sequence) const {
  const int32_t tokens = sequence.scoring() ? sequence.scored : sequence.size() - 1;
  return cache_.enabled() ? tokens / limits_.page_tokens : 0;
}

int32_t Scheduler::found_pages(Sequence& sequence) {
  match(sequence);
  return static_cast<int32_t>(hits_.size());
}

bool Scheduler::adopt(Sequence& sequence, const PrefixKey& key,
                      const std::function<bool(int32_t)>& fill) {
  const int32_t at = found_pages(sequence);
  if (sequence.state != Sequence::State::kWaiting || at >= cacheable_pages(sequence) ||
      key_of(sequence, at) != key) {
    return false;
  }
  const int32_t parent = hits_.empty() ? -1 : hits_.back();
  for (const int32_t hit : hits_)
    cache_.hold(hit);  // all of them: a busy page has no idle ones before it
  const int32_t page = cache_.allocate();
  bool adopted = false;
  if (page >= 0) {
    adopted = fill(page) && cache_.insert(parent, key, page_tokens(sequence, at), page) == page;
    cache_.release(page);
  }
  for (const int32_t hit : hits_) cache_.release(hit);
  return adopted;
}

// Fills hits_ with the cached pages that can follow what the sequence has.
void Scheduler::match(Sequence& sequence) {
  hits_.clear();
  const int32_t width = limits_.page_tokens;
  if (!cache_.enabled() || sequence.computed != sequence.shared * width) return;
  int32_t parent =
      sequence.shared == 0 ? -1 : sequence.pages[static_cast<size_t>(sequence.shared - 1)];
  for (int32_t page = sequence.shared; page < cacheable_pages(sequence); ++page) {
    parent = cache_.find(parent, key_of(sequence, page), page_tokens(sequence, page));
    if (parent < 0) break;
    hits_.push_back(parent);
  }
  // Recurrent layers go on only from where their state was kept.
  while (states_.enabled() && !hits_.empty() && states_.kept(hits_.back()) < 0) hits_.pop_back();
}

// Makes hits_ the sequence's own, in place of pages it had for the same tokens.
void Scheduler::take_hits(Sequence& sequence) {
  if (states_.enabled()) {
    const int32_t kept = hits_.empty() ? -1 : states_.kept(hits_.back());
    if (kept >= 0) states_.touch(hits_.back());
    if (sequence.slot < 0) sequence.slot = states_.allocate();  // perhaps the kept one itself
    YQ_CHECK(sequence.slot >= 0, "no state slot for sequence {}, though counted", sequence.id);
    if (kept >= 0 && kept != sequence.slot) copies_.push_back({kept, sequence.slot});
  }
  for (const int32_t hit : hits_) {
    const auto at = static_cast<size_t>(sequence.shared++);
    cache_.hold(hit);
    if (at < sequence.pages.size()) {
      cache_.release(sequence.pages[at]);
      sequence.pages[at] = hit;
    } else {
      sequence.pages.push_back(hit);
    }
  }
  const int32_t end = sequence.shared * limits_.page_tokens;
  sequence.cached_tokens += std::max(0, std::min(end, sequence.prompt_tokens) - sequence.reached);
  sequence.reached = std::max(sequence.reached, end);
  sequence.computed = end;
  cache_.count_hits(static_cast<int32_t>(hits_.size()));
}

// ---- running sequences -------------------------------------------------------------------------

// Who loses its pages so that `sequence` can go on: a paused one, else the one of lowest priority
// whose flow had most, but never the one of highest rank.
Sequence* Scheduler::victim_for(const Sequence& sequence) const {
  const auto paused = std::find_if(running_.rbegin(), running_.rend(), [&](const Sequence* s) {
    return s->paused() && s != &sequence;
  });
  if (paused != running_.rend()) return *paused;
  Sequence* worst = running_.back();
  for (size_t i = running_.size() - 1; i-- > 1;) {
    Sequence* s = running_[i];
    if (s->priority == worst->priority && s->account->service > worst->account->service) worst = s;
  }
  return worst;
}

// Gives the sequence pages for its tokens. False when it had to be preempted itself.
bool Scheduler::grow(Sequence& sequence) {
  while (static_cast<int32_t>(sequence.pages.size()) < pages_for(sequence.size())) {
    if (const int32_t page = cache_.allocate(); page >= 0) {
      sequence.pages.push_back(page);
      continue;
    }
    Sequence* victim = victim_for(sequence);
    preempt(victim);
    if (victim == &sequence) return false;
  }
  return true;
}

void Scheduler::grow_running() {
  size_t i = 0;
  while (i < running_.size()) {
    Sequence* sequence = running_[i];
    if (!sequence->paused() && !grow(*sequence)) continue;
    // Sequences before it may have left the list.
    i = static_cast<size_t>(std::find(running_.begin(), running_.end(), sequence) -
                            running_.begin()) +
        1;
  }
}

// ---- waiting sequences -------------------------------------------------------------------------

// Pages that nobody can use any more once the sequence is preempted, but for what hits_ has.
int32_t Scheduler::sole_pages(const Sequence& sequence) const {
  int32_t sole = 0;
  for (size_t i = 0; i < sequence.pages.size(); ++i) {
    const int32_t page = sequence.pages[i];
    const int32_t holders = pool_.references(page) - (cache_.contains(page) ? 1 : 0);
    if (holders == 1 && (i >= hits_.size() || hits_[i] != page)) ++sole;
  }
  return sole;
}

// Whether the sequence could run, with hits_, if that much were freed.
bool Scheduler::fits(const Sequence& sequence, int32_t freed_pages, int32_t freed_seats) const {
  int32_t growing = 0, idle_hits = 0;
  for (const Sequence* other : running_) growing += other->paused() ? 0 : 1;
  for (const int32_t hit : hits_) idle_hits += cache_.idle(hit) ? 1 : 0;
  const int32_t needed =
      pages_for(sequence.size() + 1) - static_cast<int32_t>(hits_.size()) + growing;
  if (states_.enabled() && states_.available() + freed_seats <= 0) return false;
  return static_cast<int32_t>(running_.size()) - freed_seats < options_.max_sequences &&
         needed <= cache_.available() - idle_hits + freed_pages;
}

// A flow's first sequence, or any where that costs little (its pages stay in the cache, only a seat
// is wanted), makes one of a flow give way that has more by at least two, weights considered. So
// the two never take turns at that.
bool Scheduler::gives_way(const Sequence& victim, const Sequence& sequence) const {
  const FlowAccount& rich = *victim.account;
  const FlowAccount& poor = *sequence.account;
  if (&rich == &poor || victim.priority > sequence.priority || &victim == running_.front()) {
    return false;
  }
  const bool cheap =
      cache_.enabled() && static_cast<int32_t>(running_.size()) >= options_.max_sequences;
  if (poor.running > 0 && !cheap) return false;
  return int64_t{rich.running - 1} * poor.weight >= int64_t{poor.running + 1} * rich.weight;
}

// Whether the sequence can run now: others make room when that suffices, paused ones first.
bool Scheduler::make_room(Sequence& sequence) {
  match(sequence);
  if (fits(sequence, 0, 0)) return true;
  victims_.clear();
  int32_t pages = 0;
  bool enough = false;
  const auto consider = [&](Sequence* victim) {
    victims_.push_back(victim);
    --victim->account->running;  // for gives_way(); taken back below
    pages += sole_pages(*victim);
    enough = fits(sequence, pages, static_cast<int32_t>(victims_.size()));
  };
  for (const bool paused : {true, false}) {
    for (auto it = running_.rbegin(); it != running_.rend() && !enough; ++it) {
      if ((*it)->paused() == paused && (paused || gives_way(**it, sequence))) consider(*it);
    }
  }
  for (Sequence* victim : victims_) ++victim->account->running;
  if (!enough) return false;
  for (Sequence* victim : victims_) preempt(victim);
  return true;
}

void Scheduler::claim_shares() {
  for (const auto* list : {&waiting_, &running_}) {
    for (const Sequence* s : *list) s->account->claim = s->account->service;
  }
  for (const Sequence* s : running_) {
    s->account->claim += static_cast<double>(s->size() - s->computed) / s->account->weight;
  }
}

// By priority; then whoever was overtaken often enough, else whose flow claims least.
Sequence* Scheduler::next_to_admit() const {
  Sequence* best = nullptr;
  for (Sequence* s : waiting_) {
    if (s->paused() || s->loading) continue;
    if (best != nullptr && s->priority < best->priority) break;
    if (s->overtaken >= kMaxOvertaken) return s;
    if (best == nullptr || s->account->claim < best->account->claim) best = s;
  }
  return best;
}

void Scheduler::admit(Sequence& sequence) {
  std::erase(waiting_, &sequence);
  for (Sequence* other : waiting_) {
    const bool overtaken = other->id < sequence.id && other->priority == sequence.priority;
    if (overtaken && !other->paused()) ++other->overtaken;
  }
  sequence.state = Sequence::State::kRunning;
  insert_by_rank(running_, &sequence);
  ++sequence.account->running;
  take_hits(sequence);
  YQ_CHECK(grow(sequence), "no pages for sequence {}, though counted", sequence.id);
  sequence.account->claim +=
      static_cast<double>(sequence.size() - sequence.computed) / sequence.account->weight;
}

void Scheduler::admit_waiting() {
  if (waiting_.empty()) return;
  claim_shares();
  while (Sequence* next = next_to_admit()) {
    if (!make_room(*next)) return;
    admit(*next);
  }
}

}  // namespace yunqi
