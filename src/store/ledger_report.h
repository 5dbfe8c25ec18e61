// What the ledger tells people: usage by time, key and model; invoices; the rows as CSV or JSON.
// All are sums over settled rows, never over working state.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "store/ledger.h"

namespace yunqi {

inline constexpr size_t kMaxReportRows = 100'000;  // more are kTooLarge: narrow the filter

// Empty fields match all; times are [from, to) in seconds since 1970.
struct ReportFilter {
  std::string org = {}, team = {}, api_key = {}, model = {};
  int64_t from = 0;
  int64_t to = INT64_MAX;
};

struct ReportGroups {
  int64_t bucket_s = 0;  // length of a time bucket, aligned to UTC; 0: all in one
  bool by_key = false;   // and its team
  bool by_model = false;
};

struct UsageRow {
  int64_t starts = 0;                                         // of the bucket; 0 without buckets
  std::string org = {}, team = {}, api_key = {}, model = {};  // empty when not grouped by
  std::string currency = {};
  int64_t requests = 0;
  Usage usage = {};
  Cost cost = {};
  int64_t discount = 0, amount = 0;
};

// Ordered by time, organisation, key, model, currency.
Result<std::vector<UsageRow>> usage_report(Store& store, const ReportFilter& filter,
                                           const ReportGroups& groups);

// One line for each team, key, model, price version and kind (batch or not) of an organisation in
// [from, to); the invoice's total is the sum of the lines' amounts in each currency.
struct InvoiceLine {
  std::string team = {}, api_key = {}, model = {}, currency = {};
  bool is_batch = false;
  int64_t price_version = 0, requests = 0;
  Usage usage = {};
  Cost cost = {};
  int64_t discount = 0, amount = 0;
};
Result<std::vector<InvoiceLine>> invoice(Store& store, std::string_view org, int64_t from,
                                         int64_t to);

enum class ExportFormat { kCsv, kJsonLines };

// Every row that matches, in order of seq, in pieces; an error of `sink` stops the export. CSV has
// a head line; texts that a spreadsheet would run as a formula get a leading apostrophe.
Status export_ledger(Store& store, const ReportFilter& filter, ExportFormat format,
                     const std::function<Status(std::string_view)>& sink);

}  // namespace yunqi
