// The interface of chat templates, and points of the language that are easy to get wrong. All of
// the expected texts are what Jinja2 3.1.6 gives.
#include "text/chat_template/chat_template.h"

#include <ctime>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace mistral::text {
namespace {

std::string render(const std::string& source, const Json& context = Json::object()) {
  return ChatTemplate::compile(source).render(context);
}

TemplateError error_of(const std::string& source, const Json& context = Json::object()) {
  try {
    const std::string output = render(source, context);
    ADD_FAILURE() << source << " gave " << output;
  } catch (const TemplateError& error) {
    return error;
  }
  return {TemplateErrorKind::kLimit, "no error", 0, 0};
}

TEST(ChatTemplate, RendersAConversation) {
  const ChatTemplate compiled = ChatTemplate::compile(
      "{%- for message in messages %}\n"
      "    {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}\n"
      "{%- endfor %}\n"
      "{%- if add_generation_prompt %}\n"
      "    {{- '<|im_start|>assistant\\n' }}\n"
      "{%- endif %}\n");
  const Json context = {
      {"messages", Json::array({{{"role", "user"}, {"content", "Hi"}}})},
      {"add_generation_prompt", true},
  };
  const std::string expected = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n";
  EXPECT_EQ(compiled.render(context), expected);
  // A compiled template can be used again.
  EXPECT_EQ(compiled.render(context), expected);
  EXPECT_EQ(compiled.render(Json::object()), "");
}

TEST(ChatTemplate, KeepsItsSourceWhenMoved) {
  ChatTemplate first = ChatTemplate::compile("a{{ x }}");
  const ChatTemplate second = std::move(first);
  EXPECT_EQ(second.source(), "a{{ x }}");
  EXPECT_EQ(second.render({{"x", 1}}), "a1");
}

TEST(ChatTemplate, RendersInManyThreads) {
  const ChatTemplate compiled = ChatTemplate::compile(
      "{% set ns = namespace(n=0) %}{% for i in range(100) %}{% set ns.n = ns.n + i %}{% endfor %}"
      "{{ ns.n }} {{ 'constant'|upper }} {{ [name, 'x'] }}");
  std::vector<std::string> outputs(8);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < outputs.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) outputs[t] = compiled.render({{"name", t}});
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t t = 0; t < outputs.size(); ++t) {
    EXPECT_EQ(outputs[t], "4950 CONSTANT [" + std::to_string(t) + ", 'x']");
  }
}

TEST(ChatTemplate, TellsWhereAndWhat) {
  const TemplateError syntax = error_of("one\ntwo {{ 1 + }}");
  EXPECT_EQ(syntax.template_kind(), TemplateErrorKind::kSyntax);
  EXPECT_EQ(syntax.line(), 2);
  EXPECT_EQ(syntax.column(), 12);

  const TemplateError raised = error_of("\n  {{ raise_exception('roles: ' ~ 3) }}");
  EXPECT_EQ(raised.template_kind(), TemplateErrorKind::kRaise);
  EXPECT_EQ(raised.message(), "roles: 3");
  EXPECT_EQ(raised.line(), 2);
  EXPECT_NE(std::string(raised.what()).find("line 2"), std::string::npos);
  EXPECT_NE(std::string(raised.what()).find("roles: 3"), std::string::npos);

  const TemplateError undefined = error_of("a\n\n{{ user.name }}");
  EXPECT_EQ(undefined.template_kind(), TemplateErrorKind::kUndefined);
  EXPECT_EQ(undefined.message(), "'user' is undefined");
  EXPECT_EQ(undefined.line(), 3);

  const TemplateError security = error_of("{{ l.append(1) }}", {{"l", Json::array()}});
  EXPECT_EQ(security.template_kind(), TemplateErrorKind::kSecurity);
  const TemplateError runtime = error_of("{{ 1 / 0 }}");
  EXPECT_EQ(runtime.template_kind(), TemplateErrorKind::kRuntime);
  EXPECT_EQ(runtime.message(), "ZeroDivisionError: division by zero");
}

TEST(ChatTemplate, FormatsTheTimeItIsGiven) {
  std::tm time{};
  time.tm_year = 124;
  time.tm_mon = 1;
  time.tm_mday = 29;
  time.tm_hour = 9;
  time.tm_isdst = -1;
  const auto now = std::chrono::system_clock::from_time_t(std::mktime(&time));
  const ChatTemplate compiled =
      ChatTemplate::compile("{{ strftime_now('%d %b %Y, %-H:%M %A %f%Z') }}");
  EXPECT_EQ(compiled.render(Json::object(), now), "29 Feb 2024, 9:00 Thursday 000000");
}

TEST(ChatTemplate, AssignmentsInLoopsStayThere) {
  EXPECT_EQ(render("{% set a = 1 %}{% for i in [5, 6] %}{{ a }}{% set a = i %}{{ a }} {% endfor %}"
                   "{{ a }}"),
            "15 16 1");
  EXPECT_EQ(render("{% if true %}{% set a = 2 %}{% endif %}{{ a }}"), "2");
  // What a branch assigns starts out with the value from the context.
  EXPECT_EQ(render("{% if false %}{% set a = 2 %}{% endif %}{{ a }}", {{"a", 7}}), "7");
  // A macro sees the variables of its surroundings as they are when it is called.
  EXPECT_EQ(
      render("{% macro m() %}{{ a }}{% endmacro %}{{ m() }}{% set a = 3 %}{{ m() }}", {{"a", 7}}),
      "3");
}

TEST(ChatTemplate, ElseRunsUnlessATurnWasCompleted) {
  EXPECT_EQ(render("{% for i in [1] %}{% break %}{% else %}E{% endfor %}"), "E");
  EXPECT_EQ(render("{% for i in [1, 2] %}{% if i == 2 %}{% break %}{% endif %}{% else %}E"
                   "{% endfor %}"),
            "");
}

TEST(ChatTemplate, GeneratorsAreLazyAndRunOnce) {
  EXPECT_EQ(render("{% set g = [1, 2]|map('string') %}{{ g|list }}{{ g|list }}"), "['1', '2'][]");
  EXPECT_EQ(render("{% set g = [1]|map('nosuchfilter') %}ok"), "ok");
  EXPECT_EQ(render("{{ 'yes' if []|select else 'no' }}"), "yes");
}

TEST(ChatTemplate, MethodsHideKeysInDictsButNotInItems) {
  const Json context = {{"d", {{"items", 1}, {"a", 2}}}};
  EXPECT_EQ(render("{{ d['items'] }} {{ d.a }} {{ d.items()|list|length }}", context), "1 2 2");
}

TEST(ChatTemplate, WholeNumbersHaveNoLimit) {
  EXPECT_EQ(render("{{ 2 ** 100 }}"), "1267650600228229401496703205376");
  EXPECT_EQ(render("{{ 9223372036854775807 + 1 }}"), "9223372036854775808");
  EXPECT_EQ(render("{{ -9223372036854775808 // -1 }}"), "9223372036854775808");
  EXPECT_EQ(render("{{ (10 ** 30) // 7 }} {{ -(10 ** 30) % 7 }}"),
            "142857142857142857142857142857 6");
  EXPECT_EQ(render("{{ n }}", {{"n", 18446744073709551615ULL}}), "18446744073709551615");
  EXPECT_EQ(error_of("{{ 10 ** 100000 }}").template_kind(), TemplateErrorKind::kLimit);
}

TEST(ChatTemplate, SafeStringsEscapeWhatJoinsThem) {
  EXPECT_EQ(render("{{ '<b>'|safe + '<i>' }}{{ '<b>'|safe ~ '<i>' }}"), "<b>&lt;i&gt;<b><i>");
  EXPECT_EQ(render("{% autoescape true %}{{ '<' }}{{ '<'|safe }}{% endautoescape %}{{ '<' }}"),
            "&lt;<<");
}

// Sums and macros that are printed put out their parts as they come.
TEST(ChatTemplate, PrintedSumsAreWhatTheSumIs) {
  const Json context = {{"a", "A"}, {"b", "<"}, {"n", 1}};
  EXPECT_EQ(render("{{ a + b + 'c' + a + b + 'c' + a + b + 'c' + a + b }}", context),
            "A<cA<cA<cA<");
  EXPECT_EQ(render("{{ n + n + 2 }} {{ a * 2 + b }} {{ [n] + [2] + [a] }}", context),
            "4 AA< [1, 2, 'A']");
  EXPECT_EQ(
      render("{{ a + b + '>'|safe }} {{ '>'|safe + b + a }} {{ a + (b + '>'|safe) + b }}", context),
      "A&lt;> >&lt;A A&lt;>&lt;");
  for (const char* sum : {"a + n", "a + b + n", "n + a"}) {
    const TemplateError error = error_of("x\n{{ " + std::string(sum) + " }}", context);
    EXPECT_EQ(error.template_kind(), TemplateErrorKind::kRuntime) << sum;
    EXPECT_EQ(error.line(), 2) << sum;
  }
  for (const char* sum : {"a + missing", "missing + a", "a + b + missing"}) {
    EXPECT_EQ(error_of("{{ " + std::string(sum) + " }}", context).template_kind(),
              TemplateErrorKind::kUndefined)
        << sum;
  }
}

TEST(ChatTemplate, PrintedMacrosAreWhatTheirCallsGive) {
  const Json context = {{"a", "A"}, {"b", "<"}};
  EXPECT_EQ(render("{% macro g() %}g{% endmacro %}"
                   "{% macro f(x=g(), y=g() + 'y') %}[{{ x }}{{ y + x }}]{% endmacro %}"
                   "{{ f() }}{{ f('1', y='2') }}"),
            "[ggyg][121]");
  EXPECT_EQ(render("{% macro f(n) %}{{ n }}{% if n %}{{ f(n - 1) }}{% endif %}{{ n }}{% endmacro %}"
                   "{{ f(3) }}{{ f(1)|length }}"),
            "321001234");
  EXPECT_EQ(render("{% macro f() %}{{ varargs }}{{ kwargs }}{{ caller('c') if caller else '' }}"
                   "{% endmacro %}{{ f(1, k=2) }}{% call(x) f(3) %}{{ x + a }}{% endcall %}"
                   "{{ f() }}",
                   context),
            "(1,){'k': 2}(3,){}cA(){}");
  EXPECT_EQ(render("{% autoescape true %}{{ a + b }}{% macro f() %}{{ b }}{% endmacro %}{{ f() }}"
                   "{% endautoescape %}{{ f is defined }}",
                   context),
            "A&lt;&lt;False");
  // What is not text fails at the end of the macro, before what comes behind its call.
  const TemplateError error = error_of(
      "{% macro f() %}x{% filter length %}abc{% endfilter %}{% endmacro %}{{ f() }}"
      "{{ raise_exception('too late') }}");
  EXPECT_EQ(error.template_kind(), TemplateErrorKind::kRuntime) << error.message();
}

// The memory of a call is used for later ones, unless something still refers to it.
TEST(ChatTemplate, VariablesOfCallsStayApart) {
  EXPECT_EQ(render("{% macro outer(n) %}{% macro inner() %}{{ n }}{% endmacro %}{{ inner() }}"
                   "{% endmacro %}{{ outer(1) }}{{ outer(2) }}"),
            "12");
  EXPECT_EQ(render("{% set ns = namespace() %}{% macro outer(n) %}{% macro inner() %}{{ n }}"
                   "{% endmacro %}{% set ns.f = inner %}{% endmacro %}{{ outer(1) }}"
                   "{% set f = ns.f %}{{ outer(2) }}{{ f() }}{{ ns.f() }}"),
            "12");
  EXPECT_EQ(render("{% macro f(x) %}{% set y = x or y %}{{ y }}|{% endmacro %}{{ f(1) }}{{ f() }}"),
            "1||");
}

TEST(ChatTemplate, TextWithNothingToChangeStaysAsItIs) {
  EXPECT_EQ(render("{{ 'abc'|replace('x', 'y') }} {{ 'abc'.replace('b', '') }} "
                   "{{ 'aaa'|replace('a', 'b', 2) }} {{ 'ab'|replace('', '-') }} "
                   "{{ 12|replace(1, 3) }}"),
            "abc ac bba -a-b- 32");
  EXPECT_EQ(render("{{ 'abc'.strip() + ' abc '.strip() + 'abc'.strip('a') + ' a '|trim }}"),
            "abcabcbca");
  EXPECT_EQ(render("{{ ('<'|safe)|replace('x', 'y') + '<' }}{{ ('<'|safe).strip() + '<' }}"),
            "<<<&lt;");
}

TEST(ChatTemplate, TextIsCountedInCodePoints) {
  const Json context = {{"s", "Żółw 😀"}};
  EXPECT_EQ(
      render("{{ s|length }} {{ s[1] }} {{ s[-1] }} {{ s[::-1] }} {{ s.find('😀') }}", context),
      "6 ó 😀 😀 włóŻ 5");
  EXPECT_EQ(render("{{ 'ΑΣ'.lower() }} {{ 'straße'.upper() }}"), "ας STRASSE");
}

TEST(ChatTemplate, RefusesWhatItCannotDo) {
  EXPECT_EQ(error_of("{{ lipsum() }}").template_kind(), TemplateErrorKind::kRuntime);
  EXPECT_EQ(error_of("{{ [1, 2]|random }}").template_kind(), TemplateErrorKind::kRuntime);
  EXPECT_EQ(error_of("{% include 'x' %}").template_kind(), TemplateErrorKind::kRuntime);
  EXPECT_EQ(error_of("{{ x }}", {{"x", "\xFF"}}).template_kind(), TemplateErrorKind::kRuntime);
  EXPECT_EQ(error_of("\xFF").template_kind(), TemplateErrorKind::kSyntax);
}

}  // namespace
}  // namespace mistral::text
