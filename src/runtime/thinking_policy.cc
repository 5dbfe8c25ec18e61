// See thinking_policy.h. The policy is the two tables below: what is looked for, and what it weighs
// in log-odds. Weights were fitted to the design half of tests/thinking/prompts.jsonl alone.
#include "runtime/thinking_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <utility>
#include <vector>

namespace yunqi {
namespace {

// Phrases in lower case, separated by "|". English ones match at word beginnings; one that ends
// with a blank wants the word's end there too. Others match anywhere.
struct PhraseFeature {
  std::string_view name;
  double weight;  // for the first match; a second different one adds half of it
  std::string_view phrases;
};

constexpr std::array kPhrases = {
    PhraseFeature{"asks for a proof or derivation", 2.7,
                  "prove|proof|disprove|derive|derivation|deduce|justify|argue|by induction|"
                  "counterexample|show that|determine|satisfies|"
                  "证明|推导|推出|说明理由|反例"},
    PhraseFeature{"asks for a quantity that must be worked out", 1.7,
                  "how many ways|how many |how long|how fast|what is the probability|probability|"
                  "the chance|in how|when do they|how much|minimum|maximi|minimi|smallest|largest|"
                  "number of|fewest|what's the next|cheaper|significant|"
                  "divisible|多少|几种|几次|几小时|多久|最大值|最小|概率|最少|至少|怎么分|求|几个"},
    PhraseFeature{"mathematics", 2.1,
                  "integrate|integral|equation|determinant|eigenvalue|converge|recurrence|solve|"
                  "series|integer|square root|polynomial|closed form|complexity|o(n|graph|dice|"
                  "yield|方程|积分|级数|数列|通项|根号|整数|整除|复杂度|二叉树|勾股|单调|矩阵"},
    PhraseFeature{
        "design, planning or a decision", 2.4,
        "design|plan|trade-off|weigh|decide|compare|schedule|strategy|which would you|"
        "which of these|migrate|budget|should i|should a|split|"
        "consequences|estimate|what would be|设计|规划|计划|方案|权衡|利弊|取舍|比较|策略|"
        "迁移|制度|制定|估算"},
    PhraseFeature{"debugging or analysis", 2.3,
                  "debug|bug|why does|why would|why is|why,|segfault|root cause|analyse|analyze|"
                  "narrow it down|deadlock|leak|latency|optimi|what could be|what happens|broke|"
                  "why?|find the bug|walk through|nan |explain why|为什么|怎么定位|排查|分析|死锁|"
                  "原因|改进|慢"},
    PhraseFeature{
        "programming beyond a line", 1.7,
        "implement|refactor|algorithm|function that|python function|bash script|"
        "unit tests|thread|lock-free|data model|regular expression|regex|sql|query|"
        "subarray|cache|binary search|实现|代码|动态规划|算法|线程|正则|递归|分布式|数据库|"
        "爬虫|贪心"},
    PhraseFeature{"a puzzle", 1.9,
                  "puzzle|coins|bridge|"
                  "crossings|next term|鸡兔|海盗|天平|开关|说谎|台阶|找规律|水池|过桥"},
    PhraseFeature{"asks for steps", 1.0, "step by step|explain each|list the steps|步骤|思路|通项"},
    PhraseFeature{
        "translation or rewriting", -3.3,
        "translate|in french|in spanish|in japanese|rewrite in|rephrase|shorten|make this|"
        "summari|in one sentence|proofread|fix the spelling|correct the grammar|"
        "correct the|passive voice|the tone|more polite|turn this list|turn these|"
        "alphabetical|format this|extract the|put these|classify the|"
        "翻译|总结|改错|改得|被动句|语气|变成要点|提取|错别字|情感|日语|英语"},
    PhraseFeature{
        "a fact or a definition", -1.9,
        "what is the capital|who wrote|who is|who painted|who discovered|who won|who sings|"
        "stand for|what does|what's the |when did|what year|in which year|what is a|"
        "what is an|what language|what time|synonym|plural|opposite|define|is a |are |"
        "which country|which ocean|currency|what colour|how do you say|name the|"
        "who |几大|是什么|哪个|哪里|首都|作者|谁|什么意思|反义词|多长|是哪|叫什么|等于多少|"
        "几月|哪座|缩写|简单说|一句话"},
    PhraseFeature{"short writing", -2.4,
                  "haiku|poem|birthday|tweet|joke|story|invitation|greeting|title for|names for|"
                  "description|one-line|recipe|recommend|suggest|out-of-office|example sentence|"
                  "say something|describe the|write a short|list five|write two|诗|祝福|笑话|故事|"
                  "文案|广告语|自我介绍|请假条|造句|推荐|三个名字|怎么做|列出"},
    PhraseFeature{"small talk", -3.0,
                  "hi |hello|thanks|thank you|bye|good night|good morning|ok |please continue|"
                  "your name|continue|你好|谢谢|晚安|好的|继续|心情|明白了"},
};

// Features that are no phrases.
constexpr double kBias = -1.1;
constexpr double kFormulaWeight = 1.6;  // "x^2", "n - 1", "f(x) =", "3/4", sums and integrals
constexpr double kNumbersWeight = 0.6;  // for each number from the second on, at most four
constexpr double kCodeWeight = 1.2;     // lines that look like code
constexpr double kToolsWeight = -0.6;   // tools: the work is in the calls
constexpr double kShortWeight = -1.5;   // under 30 characters, or 12 in Chinese
constexpr double kClausesWeight = 0.6;  // for each sentence or clause from the second on, at most 4
constexpr size_t kMaxNumbers = 4, kMaxClauses = 4;
constexpr size_t kReasons = 3;  // named in the decision

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || static_cast<unsigned char>(c) >= 0x80;
}

bool contains(std::string_view text, std::string_view phrase) {
  const bool ascii = static_cast<unsigned char>(phrase.front()) < 0x80;
  const bool whole = phrase.back() == ' ';
  if (whole) phrase.remove_suffix(1);
  for (size_t at = text.find(phrase); at != std::string_view::npos;
       at = text.find(phrase, at + 1)) {
    if (!ascii) return true;
    const size_t end = at + phrase.size();
    const bool begins = at == 0 || !is_word(text[at - 1]) || !is_word(phrase.front());
    const bool ends = !whole || end == text.size() || !is_word(text[end]);
    if (begins && ends) return true;
  }
  return false;
}

size_t matches(std::string_view text, std::string_view phrases) {
  size_t found = 0;
  while (!phrases.empty() && found < 2) {
    const size_t bar = std::min(phrases.find('|'), phrases.size());
    found += contains(text, phrases.substr(0, bar)) ? 1 : 0;
    phrases.remove_prefix(std::min(bar + 1, phrases.size()));
  }
  return found;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// An operator with something to work on at both sides, or a sign of mathematics.
bool has_formula(std::string_view text) {
  for (size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == '^' || text[i] == '=') return true;
    const bool operates = text[i] == '+' || text[i] == '*' || text[i] == '/' || text[i] == '<';
    if (!operates) continue;
    const char before = text[i - 1] == ' ' && i >= 2 ? text[i - 2] : text[i - 1];
    const char after = text[i + 1] == ' ' && i + 2 < text.size() ? text[i + 2] : text[i + 1];
    if (is_digit(before) && (is_digit(after) || after == '(')) return true;
    if (text[i] != '/' && is_word(before) && is_word(after)) return true;
  }
  for (const std::string_view sign : {"∑", "∫", "√", "≤", "≥"}) {
    if (text.find(sign) != std::string_view::npos) return true;
  }
  return false;
}

bool has_code(std::string_view text) {
  size_t signs = 0;
  for (const std::string_view sign :
       {"def ", "return ", "```", "while ", "for(", "for (", "select ", "{\n", ");", "()",
        "+=", "for i", "++", "in range"}) {
    signs += text.find(sign) != std::string_view::npos ? 1 : 0;
  }
  return signs >= 2;
}

size_t count_numbers(std::string_view text) {
  size_t count = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool inside =
        i > 0 && (is_digit(text[i - 1]) || text[i - 1] == '.' || text[i - 1] == ',');
    count += is_digit(text[i]) && !inside ? 1 : 0;
  }
  return count;
}

size_t count_clauses(std::string_view text) {
  size_t count = 0;
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    const bool ascii_end =
        (text[i] == ',' || text[i] == '.' || text[i] == '?' || text[i] == ';' || text[i] == ':') &&
        text[i + 1] == ' ';
    count += ascii_end ? 1 : 0;
  }
  for (const std::string_view mark : {",", "。", "?", ";", "、"}) {
    for (size_t at = text.find(mark); at != std::string_view::npos; at = text.find(mark, at + 1)) {
      ++count;
    }
  }
  return count;
}

std::string text_of(const Json& message) {
  const Json* content = message.find("content");
  std::string out;
  if (content != nullptr && content->is_string()) out = content->as_string();
  if (content != nullptr && content->is_array()) {
    for (const Json& part : content->as_array()) {
      const Json* text = part.find("text");
      if (text != nullptr && text->is_string()) out += text->as_string();
    }
  }
  if (out.size() > kMaxPolicyBytes) out.resize(kMaxPolicyBytes);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

// The last message that a person wrote.
std::string last_question(const Json& messages) {
  if (!messages.is_array()) return {};
  const JsonArray& list = messages.as_array();
  for (size_t i = list.size(); i-- > 0;) {
    const Json* role = list[i].find("role");
    if (role != nullptr && role->is_string() && role->as_string() == "user") {
      return text_of(list[i]);
    }
  }
  return {};
}

class Score {
 public:
  void add(std::string_view what, double weight) {
    if (weight == 0) return;
    total_ += weight;
    reasons_.emplace_back(weight, what);
  }
  ThinkingDecision decide() && {
    ThinkingDecision out;
    out.score = total_;
    out.think = total_ > 0;
    // What spoke for the decision, heaviest first.
    std::erase_if(reasons_, [&](const auto& one) { return (one.first > 0) != out.think; });
    std::stable_sort(reasons_.begin(), reasons_.end(), [](const auto& a, const auto& b) {
      return std::abs(a.first) > std::abs(b.first);
    });
    for (size_t i = 0; i < std::min(kReasons, reasons_.size()); ++i) {
      out.reason +=
          fmt::format("{}{} ({:+.1f})", i == 0 ? "" : ", ", reasons_[i].second, reasons_[i].first);
    }
    if (out.reason.empty()) out.reason = "nothing asks for thinking";
    return out;
  }

 private:
  double total_ = kBias;
  std::vector<std::pair<double, std::string_view>> reasons_;
};

}  // namespace

ThinkingDecision decide_thinking(const Json& messages, const Json& tools) {
  const std::string text = last_question(messages);
  Score score;
  for (const PhraseFeature& feature : kPhrases) {
    const size_t found = matches(text, feature.phrases);
    const double times = found == 0 ? 0.0 : found == 1 ? 1.0 : 1.5;
    score.add(feature.name, feature.weight * times);
  }
  if (has_formula(text)) score.add("a formula", kFormulaWeight);
  if (has_code(text)) score.add("code", kCodeWeight);
  const size_t numbers = std::min(count_numbers(text), kMaxNumbers + 1);
  if (numbers > 1) {
    score.add("several numbers", kNumbersWeight * static_cast<double>(numbers - 1));
  }
  const size_t clauses = std::min(count_clauses(text), kMaxClauses + 1);
  if (clauses > 1) {
    score.add("several conditions", kClausesWeight * static_cast<double>(clauses - 1));
  }
  const bool chinese = !text.empty() && std::any_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0xE4;
  });
  if (text.size() < (chinese ? 36u : 30u)) score.add("short", kShortWeight);
  if (tools.is_array() && !tools.as_array().empty()) score.add("tools do the work", kToolsWeight);
  return std::move(score).decide();
}

}  // namespace yunqi
