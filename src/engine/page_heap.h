// A binary min-heap of pages by cost that can also give up any page it holds. Sized once.
// Of equal costs the page used longest ago goes first. Owned by the engine thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace yunqi {

class PageHeap {
 public:
  explicit PageHeap(int32_t pages)
      : orders_(static_cast<size_t>(pages)), places_(static_cast<size_t>(pages), kAbsent) {
    heap_.reserve(static_cast<size_t>(pages));
  }

  bool empty() const { return heap_.empty(); }
  bool contains(int32_t page) const { return places_[at(page)] != kAbsent; }

  // `used` is when it was used last, on any counter that goes up.
  void push(int32_t page, double cost, uint64_t used) {
    orders_[at(page)] = {cost, used};
    places_[at(page)] = heap_.size();
    heap_.push_back(page);
    rise(heap_.size() - 1);
  }
  int32_t pop() {
    const int32_t page = heap_.front();
    remove(page);
    return page;
  }
  void remove(int32_t page) {
    const size_t place = places_[at(page)];
    swap(place, heap_.size() - 1);
    heap_.pop_back();
    places_[at(page)] = kAbsent;
    if (place < heap_.size()) {
      rise(place);
      sink(place);
    }
  }

 private:
  static constexpr size_t kAbsent = SIZE_MAX;
  static size_t at(int32_t page) { return static_cast<size_t>(page); }

  bool before(size_t a, size_t b) const { return orders_[at(heap_[a])] < orders_[at(heap_[b])]; }
  void swap(size_t a, size_t b) {
    std::swap(heap_[a], heap_[b]);
    places_[at(heap_[a])] = a;
    places_[at(heap_[b])] = b;
  }
  void rise(size_t i) {
    for (; i > 0 && before(i, (i - 1) / 2); i = (i - 1) / 2) swap(i, (i - 1) / 2);
  }
  void sink(size_t i) {
    while (2 * i + 1 < heap_.size()) {
      size_t child = 2 * i + 1;
      if (child + 1 < heap_.size() && before(child + 1, child)) ++child;
      if (!before(child, i)) return;
      swap(i, child);
      i = child;
    }
  }

  std::vector<int32_t> heap_;
  std::vector<std::pair<double, uint64_t>> orders_;  // by page
  std::vector<size_t> places_;                       // by page: index in heap_
};

}  // namespace yunqi
