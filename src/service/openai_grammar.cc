// See openai_grammar.h.
#include "service/openai_grammar.h"

#include <utility>

namespace yunqi {
namespace {

using Kind = GrammarSpec::Kind;

// Takes the form unless there is one already.
void take(Fields& fields, GenerateRequest& out, GrammarSpec spec, std::string path) {
  if (out.grammar.has_value()) {
    fields.fail(error(Code::kInvalidArgument, "can't be used with {}", out.grammar_field)
                    .at(std::move(path)));
    return;
  }
  out.grammar = std::move(spec);
  out.grammar_field = std::move(path);
}

void take_text(Fields& fields, Fields& in, const char* name, Kind kind, GenerateRequest& out) {
  std::optional<std::string> text = in.string(name);
  if (!text.has_value()) return;
  GrammarSpec spec;
  spec.kind = kind;
  spec.text = *std::move(text);
  take(fields, out, std::move(spec), in.path_of(name));
}

// A schema as an object, or as its JSON text.
void take_schema(Fields& fields, Fields& in, const char* name, GenerateRequest& out) {
  const Json* schema = in.any(name);
  if (schema == nullptr) return;
  GrammarSpec spec;
  spec.kind = Kind::kJsonSchema;
  spec.schema = *schema;
  if (schema->is_string()) {
    Result<Json> parsed = parse_json(schema->as_string());
    if (!parsed.is_ok()) {
      fields.fail(parsed.status().at(in.path_of(name)));
      return;
    }
    spec.schema = std::move(parsed).value();
  }
  take(fields, out, std::move(spec), in.path_of(name));
}

void take_choices(Fields& fields, Fields& in, const char* name, GenerateRequest& out) {
  const Json* list = in.array(name);
  if (list == nullptr) return;
  GrammarSpec spec;
  spec.kind = Kind::kChoice;
  for (size_t i = 0; i < list->as_array().size() && i <= kMaxGrammarChoices; ++i) {
    const Json& item = list->as_array()[i];
    if (!item.is_string()) {
      fields.fail(error(Code::kInvalidArgument, "want a string, found {}", item.type_name())
                      .at(fmt::format("{}[{}]", in.path_of(name), i)));
      return;
    }
    spec.choices.push_back(item.as_string());
  }
  take(fields, out, std::move(spec), in.path_of(name));
}

void read_response_format(Fields& fields, GenerateRequest& out) {
  const Json* format = fields.object("response_format");
  if (format == nullptr) return;
  Fields inner(*format, "response_format");
  const std::optional<std::string> type = inner.string("type");
  if (type == "json_object") {
    take(fields, out, GrammarSpec(), "response_format");
  } else if (type == "json_schema") {
    const Json* described = inner.object("json_schema");
    if (described == nullptr) {
      inner.fail(error(Code::kInvalidArgument, "is missing").at("response_format.json_schema"));
    } else {
      Fields schema(*described, "response_format.json_schema");
      schema.accept("name");
      schema.accept("description");
      (void)schema.boolean("strict");
      if (schema.any("schema") == nullptr) {
        take(fields, out, GrammarSpec(), "response_format.json_schema");
      } else {
        take_schema(fields, schema, "schema", out);
      }
      inner.fail(schema.status());
    }
  } else if (type != "text") {
    inner.fail(error(Code::kUnsupported, "want \"text\", \"json_object\" or \"json_schema\"")
                   .at("response_format.type"));
  }
  fields.fail(inner.status());
}

void read_structured_outputs(Fields& fields, GenerateRequest& out) {
  const Json* object = fields.object("structured_outputs");
  if (object == nullptr) return;
  Fields inner(*object, "structured_outputs");
  take_schema(fields, inner, "json", out);
  take_text(fields, inner, "regex", Kind::kRegex, out);
  take_text(fields, inner, "grammar", Kind::kEbnf, out);
  take_choices(fields, inner, "choice", out);
  if (inner.boolean("json_object").value_or(false)) {
    take(fields, out, GrammarSpec(), "structured_outputs.json_object");
  }
  for (const std::string& name : inner.unread()) {
    inner.fail(error(Code::kUnsupported, "want json, json_object, regex, choice or grammar")
                   .at(inner.path_of(name)));
  }
  fields.fail(inner.status());
}

}  // namespace

void read_grammar(Fields& fields, GenerateRequest& out) {
  read_response_format(fields, out);
  take_schema(fields, fields, "guided_json", out);
  take_text(fields, fields, "guided_regex", Kind::kRegex, out);
  take_text(fields, fields, "guided_grammar", Kind::kEbnf, out);
  take_choices(fields, fields, "guided_choice", out);
  read_structured_outputs(fields, out);
}

}  // namespace yunqi
