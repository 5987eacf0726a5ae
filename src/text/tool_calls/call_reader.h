// Reads one call, or one list of calls, of a known form byte by byte. The parser runs the readers
// of all forms that may begin at one place side by side.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/tool_calls/tool_signature.h"

namespace mistral::text {

struct ToolCall {
  std::string name;
  std::string arguments;  // an object of JSON
};

class CallReader {
 public:
  enum class Progress { kMore, kDone, kInvalid };

  CallReader() = default;
  CallReader(const CallReader&) = delete;
  CallReader& operator=(const CallReader&) = delete;
  virtual ~CallReader() = default;

  // kDone: the call ended with this byte.
  [[nodiscard]] virtual Progress feed(char c) = 0;
  // After kDone.
  [[nodiscard]] std::vector<ToolCall>& calls() { return calls_; }

 protected:
  std::vector<ToolCall> calls_;
};

enum class JsonPlace {
  kMarked,  // behind a mark of calls: arguments may be missing
  kStart,   // the answer begins so: if nothing of a call comes soon, it is other JSON
  kWithin,  // after other text, or in a fence: the first key must be one of a call's
};

// {"name": …, "arguments": {…}} with the usual other names of the two keys, or a list of such
// objects; more keys may stand beside them. Names that `tools` does not have are no calls.
[[nodiscard]] std::unique_ptr<CallReader> json_call_reader(const ToolSet& tools, JsonPlace place,
                                                           int max_depth);

// name(key=value, …) or a list of those, with Python's literals.
[[nodiscard]] std::unique_ptr<CallReader> python_call_reader(const ToolSet& tools, int max_depth);

// How calls mark up arguments one by one.
struct ParameterStyle {
  std::string_view open;        // <parameter=
  std::string_view key_end;     // >
  std::string_view value_open;  // what stands between key and value
  std::string_view value_end;   // </parameter>
  std::string_view call_end;    // </function>
  // The key is in quotes and other attributes may follow it; string="true" says that the value is a
  // text, string="false" that it is JSON.
  bool attributes = false;
};

// What stands in one call: the forms that are not one value of JSON are sequences of these.
struct CallStep {
  enum class Kind {
    kText,        // exactly `text`
    kBlanks,      // white space, or none
    kName,        // the name of a tool
    kSkipTo,      // anything short up to `text`, with it
    kObject,      // the arguments, an object of JSON
    kParameters,  // the arguments one by one, to the end of the call
    kQuoted,      // {key:<|"|>text<|"|>,…}
  };
  Kind kind;
  std::string_view text = {};
  const ParameterStyle* style = nullptr;
};

// `steps` must outlive the reader.
[[nodiscard]] std::unique_ptr<CallReader> step_call_reader(const ToolSet& tools,
                                                           const std::vector<CallStep>& steps,
                                                           int max_depth);

}  // namespace mistral::text
