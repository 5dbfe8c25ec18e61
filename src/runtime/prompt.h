// From a request to prompt ids: messages made fit for templates, template pieces to tokens so that
// user text can't name control tokens, and fill-in-the-middle. Pure functions, any thread.
#pragma once

#include <span>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "runtime/generate_request.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace yunqi {

// OpenAI messages as templates expect them: "developer" becomes "system", null content becomes "",
// a list of text parts becomes one string, tool calls' JSON arguments become values. Errors name
// the message ("messages[2].content").
Result<Json> normalize_messages(const Json& messages);

// The ids of the joined pieces as Hugging Face would give them, except that added tokens are
// recognised inside template pieces only.
std::vector<TokenId> encode_pieces(const Tokenizer& tokenizer, std::span<const PromptPiece> pieces);

// <|fim_prefix|>text<|fim_suffix|>suffix<|fim_middle|>; kUnsupported when the vocabulary has none.
Result<std::vector<TokenId>> encode_infill(const Tokenizer& tokenizer, std::string_view text,
                                           std::string_view suffix);

// Ids that end an infill beside the end ids: padding and file separators of the FIM format.
std::vector<TokenId> infill_stop_ids(const Tokenizer& tokenizer);

// Puts call arguments that are no object into one: for templates that go through them by name and
// fail on text. False when there were none.
bool wrap_text_arguments(Json& variables);

// The variables that a template sees for this request.
Result<Json> template_variables(const GenerateRequest& request);

}  // namespace yunqi
