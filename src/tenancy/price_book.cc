// Parsing of price books and the arithmetic on them, in 128 bits.
#include "tenancy/price_book.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "tenancy/timestamp.h"

namespace yunqi {
namespace {

using Wide = __int128;

constexpr int kNanoDecimals = 9;
constexpr int64_t kMillion = 1'000'000;
constexpr int64_t kNoEnd = std::numeric_limits<int64_t>::max();

// A decimal with an exponent, as 10^-scale units; exact.
Result<int64_t> parse_scaled(std::string_view text, int scale) {
  const auto refuse = [&] {
    return error(Code::kInvalidArgument,
                 "want a decimal like 0.15 with at most {} decimals, found {}", scale,
                 text.substr(0, 40));
  };
  std::string_view mantissa = text;
  int exponent = 0;
  if (const size_t at = text.find_first_of("eE"); at != std::string_view::npos) {
    std::string_view digits = text.substr(at + 1);
    if (digits.starts_with('+')) digits.remove_prefix(1);
    const auto [end, failed] =
        std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
    if (failed != std::errc{} || end != digits.data() + digits.size() || exponent > 30 ||
        exponent < -30) {
      return refuse();
    }
    mantissa = text.substr(0, at);
  }
  Wide value = 0;
  int digits = 0, decimals = 0;
  bool is_fraction = false;
  for (const char c : mantissa) {
    if (c == '.' && !is_fraction && digits > 0) {
      is_fraction = true;
      continue;
    }
    if (c < '0' || c > '9' || ++digits > 30) return refuse();
    value = value * 10 + (c - '0');
    decimals += is_fraction ? 1 : 0;
  }
  if (digits == 0 || (is_fraction && decimals == 0)) return refuse();
  for (int power = scale + exponent - decimals; power > 0; --power) {
    value *= 10;
    if (value > kNoEnd) return refuse();
  }
  for (int power = scale + exponent - decimals; power < 0; ++power) {
    if (value % 10 != 0) return refuse();
    value /= 10;
  }
  if (value > kNoEnd) return refuse();
  return static_cast<int64_t>(value);
}

Result<int64_t> read_amount(const Json& value, int scale, int64_t most) {
  std::string text;
  if (value.is_string()) {
    text = value.as_string();
  } else if (value.is_int()) {
    text = std::to_string(value.as_int());
  } else if (value.is_double()) {
    text = format_double(value.as_double());
  } else {
    return error(Code::kInvalidArgument, "want a number or a text, found {}", value.type_name());
  }
  YQ_TRY(const int64_t amount, parse_scaled(text, scale));
  if (amount > most) return error(Code::kInvalidArgument, "{} is above the limit", text);
  return amount;
}

struct RateField {
  std::string_view name;
  int64_t Rates::*rate;
  int64_t Rates::*otherwise;  // whose value it takes when absent; null when it must be there
};
constexpr std::array<RateField, 5> kRateFields = {{
    {"input", &Rates::input, nullptr},
    {"cached_input", &Rates::cached_input, &Rates::input},
    {"cache_creation", &Rates::cache_creation, &Rates::input},
    {"output", &Rates::output, nullptr},
    {"thinking", &Rates::thinking, &Rates::output},
}};

Result<Rates> read_rates(const Json& json) {
  Rates rates;
  for (const RateField& field : kRateFields) {
    const Json* value = json.find(field.name);
    if (value == nullptr) {
      if (field.otherwise == nullptr) {
        return error(Code::kInvalidArgument, "want \"{}\"", field.name);
      }
      rates.*field.rate = rates.*field.otherwise;
      continue;
    }
    auto amount = read_amount(*value, kNanoDecimals, kMaxRate);
    if (!amount.is_ok()) return amount.status().with_context(field.name);
    rates.*field.rate = *amount;
  }
  return rates;
}

Status check_keys(const Json& json, std::initializer_list<std::string_view> others) {
  if (!json.is_object()) {
    return error(Code::kInvalidArgument, "want an object, found {}", json.type_name());
  }
  for (const auto& [key, value] : json.as_object()) {
    const bool is_rate = std::any_of(kRateFields.begin(), kRateFields.end(),
                                     [&](const RateField& field) { return field.name == key; });
    const bool is_other = std::find(others.begin(), others.end(), key) != others.end();
    if (!is_rate && !is_other) return error(Code::kInvalidArgument, "unknown key \"{}\"", key);
  }
  return Status::ok();
}

bool is_cheaper(const Rates& later, const Rates& earlier) {
  return std::any_of(kRateFields.begin(), kRateFields.end(), [&](const RateField& field) {
    return later.*field.rate < earlier.*field.rate;
  });
}

Result<std::vector<PriceTier>> read_tiers(const Json& json) {
  if (!json.is_array() || json.as_array().empty() || json.as_array().size() > kMaxPriceTiers) {
    return error(Code::kInvalidArgument, "tiers: want a list of 1 to {}", kMaxPriceTiers);
  }
  std::vector<PriceTier> tiers;
  const JsonArray& items = json.as_array();
  for (size_t i = 0; i < items.size(); ++i) {
    const std::string where = fmt::format("tiers[{}]", i);
    YQ_RETURN_IF_ERROR(check_keys(items[i], {"up_to_input"}).with_context(where));
    auto rates = read_rates(items[i]);
    if (!rates.is_ok()) return rates.status().with_context(where);
    PriceTier tier{kNoEnd, *rates};
    const Json* end = items[i].find("up_to_input");
    const bool is_last = i + 1 == items.size();
    if ((end == nullptr) != is_last) {
      return error(Code::kInvalidArgument, "{}: want \"up_to_input\" in every tier but the last",
                   where);
    }
    if (end != nullptr) {
      const int64_t before = tiers.empty() ? 0 : tiers.back().up_to_input;
      if (!end->is_int() || end->as_int() <= before) {
        return error(Code::kInvalidArgument, "{}.up_to_input: want an integer above {}", where,
                     before);
      }
      tier.up_to_input = end->as_int();
    }
    if (!tiers.empty() && is_cheaper(tier.rates, tiers.back().rates)) {
      return error(Code::kInvalidArgument, "{}: a tier can't be cheaper than the one before",
                   where);
    }
    tiers.push_back(tier);
  }
  return tiers;
}

Result<ModelPrice> read_model(const Json& json) {
  YQ_RETURN_IF_ERROR(check_keys(json, {"tiers", "batch_factor"}));
  ModelPrice out;
  if (const Json* factor = json.find("batch_factor")) {
    auto ppm = read_amount(*factor, 6, kMaxBatchPpm);
    if (!ppm.is_ok()) return ppm.status().with_context("batch_factor");
    out.batch_ppm = *ppm;
  }
  if (const Json* tiers = json.find("tiers")) {
    for (const RateField& field : kRateFields) {
      if (json.find(field.name) == nullptr) continue;
      return error(Code::kInvalidArgument, "want rates inside \"tiers\" or beside it, not both");
    }
    YQ_TRY(out.tiers, read_tiers(*tiers));
    return out;
  }
  YQ_TRY(const Rates rates, read_rates(json));
  out.tiers.push_back({kNoEnd, rates});
  return out;
}

bool is_currency(std::string_view text) {
  return text.size() == 3 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

const Rates& rates_for(const ModelPrice& price, int64_t input) {
  for (const PriceTier& tier : price.tiers) {
    if (input <= tier.up_to_input) return tier.rates;
  }
  return price.tiers.back().rates;
}

// tokens <= 2^42, rate <= 10^15, ppm <= 10^7: the product is below 2^116.
std::optional<int64_t> part_cost(int64_t tokens, int64_t rate, int64_t ppm) {
  const Wide exact = Wide{tokens} * rate * ppm / (Wide{kMillion} * kMillion);
  if (exact > kNoEnd) return std::nullopt;
  return static_cast<int64_t>(exact);
}

bool is_in_range(const Usage& usage) {
  for (const int64_t part :
       {usage.input, usage.cached_input, usage.cache_creation, usage.output, usage.thinking}) {
    if (part < 0 || part > kMaxUsageTokens) return false;
  }
  return true;
}

Status too_dear(const Usage& usage) {
  return error(Code::kInvalidArgument, "{} tokens: want counts from 0 to {}, and a cost that fits",
               usage.sum().value_or(-1), kMaxUsageTokens);
}

}  // namespace

Result<PriceBook> PriceBook::parse(const Json& json) {
  if (!json.is_object()) {
    return error(Code::kInvalidArgument, "want an object, found {}", json.type_name());
  }
  PriceBook out;
  const Json* models = nullptr;
  for (const auto& [key, value] : json.as_object()) {
    if (key == "currency") {
      if (!value.is_string() || !is_currency(value.as_string())) {
        return error(Code::kInvalidArgument, "want three capital letters").at("currency");
      }
      out.currency_ = value.as_string();
    } else if (key == "valid_from") {
      auto seconds = read_timestamp(value);
      if (!seconds.is_ok()) return seconds.status().at("valid_from");
      out.valid_from_ = *seconds;
    } else if (key == "models") {
      models = &value;
    } else {
      return error(Code::kInvalidArgument, "unknown key \"{}\"", key).at(key);
    }
  }
  if (out.currency_.empty()) return error(Code::kInvalidArgument, "want it").at("currency");
  if (models == nullptr || !models->is_object() || models->as_object().size() > kMaxPricedModels) {
    return error(Code::kInvalidArgument, "want an object of at most {} models", kMaxPricedModels)
        .at("models");
  }
  for (const auto& [name, value] : models->as_object()) {
    auto price = read_model(value);
    if (!price.is_ok()) return price.status().with_context(name).at("models." + name);
    out.models_.emplace_back(name, std::move(price).value());
  }
  std::sort(out.models_.begin(), out.models_.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return out;
}

const ModelPrice* PriceBook::find(std::string_view model) const {
  for (const std::string_view name : {model, std::string_view("*")}) {
    const auto at = std::lower_bound(
        models_.begin(), models_.end(), name,
        [](const auto& entry, std::string_view wanted) { return entry.first < wanted; });
    if (at != models_.end() && at->first == name) return &at->second;
  }
  return nullptr;
}

Result<Cost> price_usage(const ModelPrice& price, const Usage& usage, bool is_batch) {
  if (!is_in_range(usage)) return too_dear(usage);
  const Rates& rates = rates_for(price, usage.input + usage.cached_input + usage.cache_creation);
  const int64_t ppm = is_batch ? price.batch_ppm : kMillion;
  const std::array<std::optional<int64_t>, 5> parts = {
      part_cost(usage.input, rates.input, ppm),
      part_cost(usage.cached_input, rates.cached_input, ppm),
      part_cost(usage.cache_creation, rates.cache_creation, ppm),
      part_cost(usage.output, rates.output, ppm), part_cost(usage.thinking, rates.thinking, ppm)};
  for (const auto& part : parts) {
    if (!part) return too_dear(usage);
  }
  const Cost cost{*parts[0], *parts[1], *parts[2], *parts[3], *parts[4]};
  if (!cost.sum()) return too_dear(usage);
  return cost;
}

Result<int64_t> most_cost(const ModelPrice& price, const Usage& most, bool is_batch) {
  if (!is_in_range(most)) return too_dear(most);
  const int64_t input = most.input + most.cached_input + most.cache_creation;
  const Rates& rates = rates_for(price, input);
  const int64_t ppm = is_batch ? price.batch_ppm : kMillion;
  const auto in =
      part_cost(input, std::max({rates.input, rates.cached_input, rates.cache_creation}), ppm);
  const auto out =
      part_cost(most.output + most.thinking, std::max(rates.output, rates.thinking), ppm);
  const auto total = in && out ? checked_add(*in, *out) : std::nullopt;
  if (!total) return too_dear(most);
  return *total;
}

Result<int64_t> parse_nano(std::string_view decimal) {
  return parse_scaled(decimal, kNanoDecimals);
}

std::string format_nano(int64_t nano) {
  constexpr uint64_t kUnit = 1'000'000'000;
  const uint64_t magnitude =
      nano < 0 ? uint64_t{0} - static_cast<uint64_t>(nano) : static_cast<uint64_t>(nano);
  std::string out =
      fmt::format("{}{}.{:09}", nano < 0 ? "-" : "", magnitude / kUnit, magnitude % kUnit);
  while (out.back() == '0') out.pop_back();
  if (out.back() == '.') out.pop_back();
  return out;
}

}  // namespace yunqi
