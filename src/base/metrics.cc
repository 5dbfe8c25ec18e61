// See metrics.h. One mutex guards the tables; metrics themselves are atomics behind stable
// pointers.
#include "base/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <mutex>

#include "base/check.h"
#include "base/json.h"

namespace yunqi {
namespace {

enum class Kind { kCounter, kGauge, kHistogram };

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::kCounter:
      return "counter";
    case Kind::kGauge:
      return "gauge";
    case Kind::kHistogram:
      return "histogram";
  }
  return "untyped";
}

// Prometheus' names: [a-zA-Z_:][a-zA-Z0-9_:]*, labels without the colon.
bool is_metric_name(std::string_view name, bool allow_colon) {
  const auto fits = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (c == ':' && allow_colon);
  };
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
         std::all_of(name.begin(), name.end(), fits);
}

std::string escape(std::string_view text, bool quotes) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
  return out;
}

std::string format_value(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Inf" : "+Inf";
  return format_double(value);
}

// `a="x",b="y"`, without braces, so that a histogram can add its `le`.
std::string format_labels(const MetricLabels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    YQ_CHECK(is_metric_name(name, /*allow_colon=*/false), "bad label name: {}", name);
    if (!out.empty()) out += ',';
    out += fmt::format("{}=\"{}\"", name, escape(value, /*quotes=*/true));
  }
  return out;
}

// One set of labels of a family; the member of the family's kind is set.
struct Series {
  std::string labels;
  std::unique_ptr<Counter> counter;
  std::unique_ptr<Gauge> gauge;
  std::unique_ptr<Histogram> histogram;
};

struct Family {
  std::string name;
  std::string help;
  Kind kind;
  std::vector<std::string> aliases;
  std::vector<std::unique_ptr<Series>> series;
};

std::string braced(std::string_view labels) {
  return labels.empty() ? std::string() : fmt::format("{{{}}}", labels);
}

void write_histogram(std::string& out, std::string_view name, const Series& series) {
  const Histogram& histogram = *series.histogram;
  const std::vector<uint64_t> cumulative = histogram.cumulative();
  const std::string prefix = series.labels.empty() ? "" : series.labels + ",";
  for (size_t i = 0; i < cumulative.size(); ++i) {
    const std::string bound =
        i < histogram.upper_bounds().size() ? format_value(histogram.upper_bounds()[i]) : "+Inf";
    out += fmt::format("{}_bucket{{{}le=\"{}\"}} {}\n", name, prefix, bound, cumulative[i]);
  }
  const std::string labels = braced(series.labels);
  out += fmt::format("{}_sum{} {}\n", name, labels, format_value(histogram.sum()));
  out += fmt::format("{}_count{} {}\n", name, labels, cumulative.back());
}

void write_family(std::string& out, std::string_view name, const Family& family) {
  out += fmt::format("# HELP {} {}\n", name, escape(family.help, /*quotes=*/false));
  out += fmt::format("# TYPE {} {}\n", name, kind_name(family.kind));
  for (const auto& series : family.series) {
    switch (family.kind) {
      case Kind::kCounter:
        out += fmt::format("{}{} {}\n", name, braced(series->labels), series->counter->value());
        break;
      case Kind::kGauge:
        out += fmt::format("{}{} {}\n", name, braced(series->labels),
                           format_value(series->gauge->value()));
        break;
      case Kind::kHistogram:
        write_histogram(out, name, *series);
        break;
    }
  }
}

}  // namespace

Histogram::Histogram(std::vector<double> upper_bounds)
    : upper_bounds_(std::move(upper_bounds)),
      counts_(std::make_unique<std::atomic<uint64_t>[]>(upper_bounds_.size() + 1)) {
  YQ_CHECK(std::adjacent_find(upper_bounds_.begin(), upper_bounds_.end(),
                              [](double a, double b) { return !(a < b); }) == upper_bounds_.end(),
           "a histogram's bounds must ascend");
}

void Histogram::observe(double value) {
  if (std::isnan(value)) return;  // belongs to no bucket and would spoil the sum for ever
  const auto bound = std::lower_bound(upper_bounds_.begin(), upper_bounds_.end(), value);
  const auto index = static_cast<size_t>(bound - upper_bounds_.begin());
  counts_[index].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

std::vector<uint64_t> Histogram::cumulative() const {
  std::vector<uint64_t> out(upper_bounds_.size() + 1);
  uint64_t total = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    total += counts_[i].load(std::memory_order_relaxed);
    out[i] = total;
  }
  return out;
}

struct MetricsRegistry::State {
  mutable std::mutex mutex;
  std::vector<std::unique_ptr<Family>> families;  // guarded by mutex; in order of first use

  Family* find(std::string_view name) {
    for (const auto& family : families) {
      if (family->name == name) return family.get();
    }
    return nullptr;
  }

  // The series of that name and those labels, made when new. Needs `mutex`.
  Series& series(std::string_view name, std::string_view help, Kind kind,
                 const MetricLabels& labels) {
    YQ_CHECK(is_metric_name(name, /*allow_colon=*/true), "bad metric name: {}", name);
    Family* family = find(name);
    if (family == nullptr) {
      families.push_back(
          std::make_unique<Family>(Family{std::string(name), std::string(help), kind, {}, {}}));
      family = families.back().get();
    }
    YQ_CHECK(family->kind == kind && family->help == help, "{}: one name, one kind, one help text",
             name);
    const std::string text = format_labels(labels);
    for (const auto& present : family->series) {
      if (present->labels == text) return *present;
    }
    family->series.push_back(std::make_unique<Series>());
    family->series.back()->labels = text;
    return *family->series.back();
  }
};

MetricsRegistry::MetricsRegistry() : state_(std::make_unique<State>()) {}

MetricsRegistry::~MetricsRegistry() = default;

Counter& MetricsRegistry::counter(std::string_view name, std::string_view help,
                                  const MetricLabels& labels) {
  const std::lock_guard lock(state_->mutex);
  Series& series = state_->series(name, help, Kind::kCounter, labels);
  if (!series.counter) series.counter = std::make_unique<Counter>();
  return *series.counter;
}

Gauge& MetricsRegistry::gauge(std::string_view name, std::string_view help,
                              const MetricLabels& labels) {
  const std::lock_guard lock(state_->mutex);
  Series& series = state_->series(name, help, Kind::kGauge, labels);
  if (!series.gauge) series.gauge = std::make_unique<Gauge>();
  return *series.gauge;
}

Histogram& MetricsRegistry::histogram(std::string_view name, std::string_view help,
                                      std::vector<double> upper_bounds,
                                      const MetricLabels& labels) {
  const std::lock_guard lock(state_->mutex);
  Series& series = state_->series(name, help, Kind::kHistogram, labels);
  if (!series.histogram) series.histogram = std::make_unique<Histogram>(std::move(upper_bounds));
  return *series.histogram;
}

void MetricsRegistry::alias(std::string_view name, std::string_view alias) {
  const std::lock_guard lock(state_->mutex);
  YQ_CHECK(is_metric_name(alias, /*allow_colon=*/true), "bad metric name: {}", alias);
  Family* const family = state_->find(name);
  YQ_CHECK(family != nullptr, "{}: an alias needs a metric that exists", name);
  std::vector<std::string>& aliases = family->aliases;
  // Every engine asks for the same ones.
  if (std::find(aliases.begin(), aliases.end(), alias) == aliases.end()) {
    aliases.emplace_back(alias);
  }
}

std::string MetricsRegistry::to_prometheus() const {
  const std::lock_guard lock(state_->mutex);
  std::string out;
  for (const auto& family : state_->families) {
    write_family(out, family->name, *family);
    for (const std::string& alias : family->aliases) write_family(out, alias, *family);
  }
  return out;
}

}  // namespace yunqi
